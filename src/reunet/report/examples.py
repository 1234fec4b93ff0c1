"""Which images are shown in a report, and at which size."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import Color, LabelMap
from reunet.contracts.results import Prediction, Scored
from reunet.io.render import to_display
from reunet.io.scale_bar import with_scale_bar
from reunet.io.units import in_micrometres
from reunet.sampling.resize import at_scale
from reunet.tasks.work import draw_results

Picture = NDArray[np.uint8]


class Panel(NamedTuple):
    """A picture (h, w, 3) with its caption. across: how many pixels of the image it is wide."""

    caption: str
    picture: Picture
    across: float

    def scaled(self, example: Scored) -> Panel:
        """With a scale bar, where the file of the image states the size of its pixels."""
        width = in_micrometres(example.stated)[-1:]
        return self._replace(picture=with_scale_bar(self.picture, self.across * sum(width)))


LARGEST_SIDE, SMALLEST_SIDE = 480, 240

MISSED, FALSE_ALARM, FOUND, UNKNOWN = (0, 114, 178), (213, 94, 0), (0, 158, 115), (128, 128, 128)
"""Colours of the error pictures, safe for colour-blind readers (Okabe and Ito 2008)."""

ERRORS: list[tuple[Color | None, str]] = [
    (None, "errors:"),
    (FOUND, "found"),
    (MISSED, "missed"),
    (FALSE_ALARM, "false alarm"),
    (UNKNOWN, "unlabelled"),
]
"""Legend of the error pictures."""


def choose_examples(scores: dict[str, float | None]) -> list[tuple[str, str]]:
    """Ids of the best, median and worst images by score: one to three each, none twice.

    Images without a score are left out; of fewer than three images each is shown once.
    """
    ranked = sorted((score, name) for name, score in scores.items() if score is not None)
    names = [name for _, name in reversed(ranked)]
    n = len(names)
    if n < 3:
        order = ("best", "worst")
        return list(zip(order, names, strict=False))
    each = 1 if n < 6 else 2 if n < 20 else 3
    middle = (n - each) // 2
    groups = (
        ("best", names[:each]),
        ("median", names[middle : middle + each]),
        ("worst", names[n - each :]),
    )
    return [(group, name) for group, chosen in groups for name in chosen]


def pale(image: Picture, *parts: tuple[NDArray[np.bool_], Color, float]) -> Picture:
    """The image (H, W, 3) uint8 as a faint grey ground, with parts of it in colours.

    parts: where, (H, W), in which colour and how strong, 0..1; later ones lie on top.
    """
    shown = 235 - 0.35 * (255 - image.mean(axis=-1, keepdims=True).repeat(3, axis=-1))
    for where, color, strength in parts:
        shown[where] = (1 - strength) * shown[where] + strength * np.array(color)
    return shown.astype(np.uint8)


def ground(image: np.ndarray | None, size: tuple[int, ...]) -> Picture:
    """What is drawn upon, (H, W, 3) uint8: an image of that size, or grey where there is none."""
    return np.full((*size, 3), 200, np.uint8) if image is None else to_display(image)


def data_uri(picture: Picture) -> str:
    """A picture (H, W, 3) uint8 as a JPEG data URI, chroma at full resolution for crisp contours."""
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", quality=80, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def display_factor(size: tuple[int, ...]) -> float:
    """How much larger an image (H, W) is shown; large ones shrink, tiny ones grow."""
    largest = max(size[:2])
    return LARGEST_SIDE / largest if largest > LARGEST_SIDE else float(max(1, SMALLEST_SIDE // largest))


def display(
    image: np.ndarray | None, *maps: np.ndarray, factor: float | None = None
) -> tuple[Picture, list[np.ndarray]]:
    """Image as RGB, and label images (H, W), `factor` times as large, or as large as usual.

    Resized before contours are drawn, so that these are crisp whatever the size.
    """
    import cv2

    height, width = maps[0].shape if image is None else image.shape[:2]
    shown = ground(image, (height, width))
    factor = factor or display_factor((height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    small = [cv2.resize(x, size, interpolation=cv2.INTER_NEAREST) for x in maps]
    return np.asarray(shown, np.uint8), small


def drawn_over(
    image: np.ndarray, known: Prediction, labels: LabelMap, factor: float
) -> tuple[Picture, Picture | None]:
    """The image (H, W, C) `factor` times as large, and the same with what is known of it drawn over it; None
    where that is nothing.
    """
    plain, shown = at_scale(to_display(image), known, factor)
    return plain, draw_results(plain, shown, labels)


def panels_of(example: Scored, image: Picture, shown: Mapping[str, Picture], across: float) -> list[Panel]:
    """An image as it is shown, unless there is none, and what is drawn over it, by caption.

    across: see `Panel`.
    """
    own = {} if example.image is None else {"image": image}
    return [Panel(caption, picture, across) for caption, picture in (own | dict(shown)).items()]
