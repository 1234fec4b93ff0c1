"""Masks that leave out what is empty, put onto the voxels of their image."""

from dataclasses import replace

import numpy as np

from reunet.io.header import SAME_PLACE, ImageHeader


def placed(header: ImageHeader, raw: np.ndarray, image: ImageHeader | None) -> tuple[ImageHeader, np.ndarray]:
    """The header and values (*space) of a mask on the grid of its image, 0 around them.

    As they are where the mask says what is around it (not `fills`), or its voxels are none of the image's:
    then its size or place tells so.
    """
    if image is None or not header.fills or header.affine is None or image.affine is None:
        return header, raw
    affine = header.affine.copy()
    for axis, length in enumerate(header.size):
        if length == 1:  # of a single slice the distance to the next one does not matter
            affine[:, axis] = image.affine[:, axis]
    way = np.linalg.inv(image.affine) @ affine
    steps, first = np.rint(np.diag(way)[:3]).astype(int), np.rint(way[:3, 3]).astype(int)
    aside = np.abs(way[:3, :3] - np.diag(steps)) @ np.array(header.size) + np.abs(way[:3, 3] - first)
    last = first + steps * (np.array(header.size) - 1)
    if steps.min() < 1 or aside.max() > SAME_PLACE or first.min() < 0 or (last >= image.size).any():
        return header, raw
    whole = np.zeros(image.size, raw.dtype)
    whole[tuple(slice(a, b + 1, step) for a, b, step in zip(first, last, steps, strict=True))] = raw
    return replace(header, size=image.size, spacing=image.spacing, affine=image.affine), whole
