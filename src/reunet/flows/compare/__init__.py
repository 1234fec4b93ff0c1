"""`reunet compare`: `compare.py` is the verb; the other files train the entries and rank them."""
