"""`reunet correct`: `correct.py` is the verb; the other files find, read and place what was edited."""
