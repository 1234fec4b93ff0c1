"""Where a whole slide shows tissue: found at a coarse level first, so that no glass is predicted."""

from dataclasses import dataclass

import numpy as np

from reunet.slices import Slices

WHITE = 95
"""Percentile of the brightness of a slide that is taken for bare glass, if it is bright enough for that."""

GLASS = 180
"""Lowest brightness of bare glass: a view of tissue alone, or of fluorescence, shows none."""

LEAST, MOST = 10, 40
"""Between which values lies how much darker or more coloured than glass tissue is, of 255: Otsu's threshold
would cut through the tissue where there is little glass, and through dust where there is little tissue.
"""

AROUND = 64.0
"""Micrometres around tissue that are predicted too."""


@dataclass(frozen=True)
class Tissue:
    """A coarse map (h, w) bool of an image: where there is tissue."""

    map: np.ndarray

    @property
    def share(self) -> float:
        """Of the image, that is tissue."""
        return float(self.map.mean())

    def touches(self, part: Slices, size: tuple[int, ...]) -> bool:
        """Whether a part of the image, whose size is taken as that, shows tissue."""
        cells = (
            slice(one.start * n // side, -(-one.stop * n // side))
            for one, n, side in zip(part, self.map.shape, size, strict=True)
        )
        return bool(self.map[tuple(cells)].any())

    def at(self, part: Slices, size: tuple[int, ...]) -> np.ndarray:
        """Where a part shows tissue, (*part) bool."""
        rows, columns = (
            np.arange(one.start, one.stop) * n // side
            for one, n, side in zip(part, self.map.shape, size, strict=True)
        )
        return self.map[np.ix_(rows, columns)]


def find_tissue(view: np.ndarray, pixel: float | None) -> Tissue:
    """The tissue in a view (h, w, 3) uint8 of a stained slide: what is darker or more coloured than glass.

    pixel: micrometres per pixel of the view, None where that is not known. Everything, where no glass is to
    be seen: in fluorescence, or close to the tissue.
    """
    import cv2

    everything = Tissue(np.ones(view.shape[:2], bool))
    if view.shape[-1] != 3 or view.dtype != np.uint8:
        return everything
    white = np.percentile(view.reshape(-1, 3), WHITE, axis=0)
    if white.min() < GLASS:
        return everything
    smooth = cv2.GaussianBlur(view, (0, 0), 1.0).astype(np.int16)
    away = np.clip(np.abs(smooth - white.astype(np.int16)).max(axis=-1), 0, 255).astype(np.uint8)
    seen = view.max(axis=-1) > 0  # scanners leave black what they have not looked at
    threshold, _ = cv2.threshold(away[seen][None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    found = ((away > np.clip(threshold, LEAST, MOST)) & seen).astype(np.uint8)
    around = max(1, round(AROUND / pixel)) if pixel else 2
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    grown = cv2.dilate(found, kernel) > 0
    return Tissue(grown) if found.any() else everything
