"""Losses on logits. Their targets are label arrays with `IGNORE` for unlabelled pixels."""

from reunet.losses.segmentation import SegmentationLoss

__all__ = ["SegmentationLoss"]
