"""How a volume is stored in its file, and how its voxels become those of an array (see `reunet.io.nifti`)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from reunet.io.header import Doubt
from reunet.slices import Slices

ORIENTATION = "SPL"
"""Where the three axes of an array lead to: superior, posterior, left."""


@dataclass(frozen=True)
class Grid:
    """The voxels of a volume as they are stored, such as slices, rows and columns.

    affine: (4, 4) from their indices to mm rightwards, forwards, upwards. size: of the stored axes.
    """

    affine: np.ndarray
    size: tuple[int, int, int]
    doubts: tuple[Doubt, ...] = ()

    @property
    def turns(self) -> np.ndarray:
        """How stored axes are exchanged and turned to become those of an array, as nibabel writes it."""
        from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

        return np.asarray(ornt_transform(io_orientation(self.affine), axcodes2ornt(ORIENTATION)))

    def header(self) -> dict[str, Any]:
        """Size, spacing, affine and doubts of the volume, as an `ImageHeader` has them."""
        from nibabel.orientations import inv_ornt_aff

        turned = self.affine @ inv_ornt_aff(self.turns, self.size)
        sides = np.linalg.norm(turned[:3, :3], axis=0)
        return {
            "size": tuple(self.size[stored] for stored in np.argsort(self.turns[:, 0])),
            "spacing": tuple(float(f"{side:.7g}") for side in sides),
            "affine": turned,
            "doubts": self.doubts,
        }

    def stored(self, part: Slices) -> Slices:
        """A part of the array, along the stored axes."""
        index = []
        for length, (to, direction) in zip(self.size, self.turns.astype(int), strict=True):
            side = part[to]
            index.append(side if direction > 0 else slice(length - side.stop, length - side.start))
        return tuple(index)

    def turned(self, voxels: np.ndarray) -> np.ndarray:
        """Voxels of the stored axes, (slices, rows, columns, ...), as an array."""
        from nibabel.orientations import apply_orientation

        return np.ascontiguousarray(apply_orientation(voxels, self.turns))

    def unturned(self, values: np.ndarray) -> np.ndarray:
        """Values of an array, (*space), along the stored axes."""
        from nibabel.orientations import apply_orientation, ornt_transform

        identity = np.stack([np.arange(3), np.ones(3)], axis=1)
        return np.ascontiguousarray(apply_orientation(values, ornt_transform(identity, self.turns)))
