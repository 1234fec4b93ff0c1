"""`reunet suggest`: `suggest.py` is the verb; the other files say how sure a run is of an image, how unlike
others that is, and why it is suggested.
"""
