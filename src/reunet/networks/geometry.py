"""Sizes of inputs and outputs: arithmetic that plans are checked with too, so it lies with the contracts."""

from __future__ import annotations

from reunet.contracts.geometry import margin, output_strides, skip_crop, valid_frames, valid_size

__all__ = ["margin", "output_strides", "skip_crop", "valid_frames", "valid_size"]
