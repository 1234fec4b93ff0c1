"""reunet in napari: what its panels do. napari makes the panels from these functions and their types."""

from reunet_napari.predicting import predict_layer
from reunet_napari.training import train_on_labels

__all__ = ["predict_layer", "train_on_labels"]
