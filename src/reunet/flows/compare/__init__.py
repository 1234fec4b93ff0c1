"""`reunet compare`: `compare.py` is the verb; the other files train the contenders and rank them."""
