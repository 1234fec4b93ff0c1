"""Losses on logits. What their targets leave open, `IGNORE` in labels and nan in maps, does not count."""

from reunet.losses.classification import ClassificationLoss, balanced_weights
from reunet.losses.heatmap import CentreLoss
from reunet.losses.regression import SmoothL1Loss
from reunet.losses.segmentation import SegmentationLoss

__all__ = [
    "CentreLoss",
    "ClassificationLoss",
    "SegmentationLoss",
    "SmoothL1Loss",
    "balanced_weights",
]
