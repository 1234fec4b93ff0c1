"""Keras layers by rank, so that no block is written twice for 2D and 3D."""

from __future__ import annotations

from keras import layers

CONV = {2: layers.Conv2D, 3: layers.Conv3D}
CONV_TRANSPOSE = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
MAX_POOL = {2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
CROP = {2: layers.Cropping2D, 3: layers.Cropping3D}
