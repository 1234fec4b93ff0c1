"""`reunet train`: `train.py` is the verb; the other files are what comes before and after it."""
