"""Trainings that consist of several: `train.py` puts them together; a race chooses a network, folds hold out
each image once, and the mean of the best networks becomes the run.
"""
