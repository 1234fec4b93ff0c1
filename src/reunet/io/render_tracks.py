"""Pictures of tracks for people: outlines in the colour of the identity, where it came from, divisions."""

from collections.abc import Sequence

import numpy as np

from reunet.io.render import contour, identity_colors, to_display

SIDE = 512
"""Longer side of a picture, pixels."""

ENLARGED = 4
"""Small images are enlarged, up to so many times."""

TAIL = 8
"""Frames for which the way of an object stays visible."""

FRAME_MS = 150

_WHITE = (255, 255, 255)


class Trails:
    """Paints frame after frame; remembers where objects were in the last ones. side: longer one, pixels."""

    def __init__(self, side: int = SIDE) -> None:
        self._side = side
        self._places: dict[int, np.ndarray] = {}
        self._ways: list[list[tuple[np.ndarray, np.ndarray, tuple[int, ...]]]] = []

    def paint(self, image: np.ndarray, ids: np.ndarray, parents: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8, of one size for all frames.

        image: (H, W, C). ids: (H, W) identities. parents: (max id + 1,) by id, 0 for none. The ways from a
        parent to its daughters are white.
        """
        import cv2

        factor = min(self._side / max(ids.shape), ENLARGED)
        height, width = size = [max(1, round(side * factor)) for side in ids.shape]
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(to_display(image), (width, height), interpolation=how)
        rows, columns = (np.arange(n) * side // n for n, side in zip(size, ids.shape, strict=True))
        small = ids[rows[:, None], columns]
        edge = contour(small, width=1) & (small > 0)
        picture[edge] = identity_colors(small[edge])
        self._ways = [*self._ways[1 - TAIL :], self._moves(ids, parents)]
        for moves in self._ways:
            for begin, end, color in moves:
                a, b = (tuple(map(int, (place[::-1] + 0.5) * factor * 16)) for place in (begin, end))
                cv2.line(picture, a, b, color, 1, cv2.LINE_AA, shift=4)
        return np.asarray(picture)

    def _moves(
        self, ids: np.ndarray, parents: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray, tuple[int, ...]]]:
        """From where each object was, or its parent at last, to where it is, and the colour of that way."""
        at = np.nonzero(ids)
        here = ids[at]
        count = np.bincount(here)
        centres = np.stack([np.bincount(here, axis) / np.maximum(count, 1) for axis in at], axis=1)
        present = np.flatnonzero(count).tolist()
        origins = {i: i if i in self._places else int(parents[i]) for i in present}
        moves = []
        for i, origin in origins.items():
            if origin in self._places:
                sisters = sum(other == origin for other in origins.values()) if origin != i else 0
                color = _WHITE if sisters > 1 else tuple(map(int, identity_colors(np.array(i))))
                moves.append((self._places[origin], centres[i], color))
        self._places |= {i: centres[i] for i in present}
        return moves


def animation(pictures: Sequence[np.ndarray]) -> bytes:
    """Pictures (h, w, 3) uint8 of one size as an endless WebP."""
    from io import BytesIO

    from PIL import Image

    first, *others = map(Image.fromarray, pictures)
    file = BytesIO()
    first.save(file, "WEBP", save_all=True, append_images=others, duration=FRAME_MS, loop=0, quality=75)
    return file.getvalue()
