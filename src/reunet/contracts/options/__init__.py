"""What a user can ask for: a record of options per verb, which the command line, Python and the docs read."""
