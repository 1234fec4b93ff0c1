"""Prediction: a runtime computes probabilities for tiles, the predictor makes a whole image of them.

Nothing here imports a training framework except `keras_runtime`, which is imported only when asked for.
Start reading at `load.py`.
"""
