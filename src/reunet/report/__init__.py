"""Pages for people: the evaluation report as one self-contained HTML file, its plots and example pictures."""
