"""`reunet.load`: `load.py` is the function; the other files are the model it gives and what that finds."""
