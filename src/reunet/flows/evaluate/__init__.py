"""`reunet evaluate`: `evaluate.py` is the verb; the other files say what is scored, and how."""
