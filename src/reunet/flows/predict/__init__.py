"""`reunet predict`: `predict.py` is the verb; the other files are its steps, from reading to writing."""
