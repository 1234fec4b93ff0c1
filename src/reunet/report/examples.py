"""Example pictures: image, truth, prediction and errors of the best, median and worst images."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.io.planes import sheet, telling_planes
from reunet.io.render import overlay, to_display

Group = Literal["best", "median", "worst"]
Picture = NDArray[np.uint8]

LARGEST_SIDE, SMALLEST_SIDE = 480, 240

MISSED, FALSE_ALARM, FOUND = (0, 114, 178), (213, 94, 0), (0, 158, 115)
"""Colours of the error picture, safe for colour-blind readers (Okabe and Ito 2008)."""


@dataclass(frozen=True)
class Example:
    """One image of the report.

    image: (*space, C) as read, or None when only masks are known. truth: (*space) uint8 class indices or
    IGNORE. prediction: (*space) uint8 class indices. score: its mean foreground Dice. spacing: of a volume.
    """

    id: str
    group: Group
    score: float
    image: np.ndarray | None
    truth: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, ...] | None = None


def choose_examples(scores: dict[str, float | None]) -> list[tuple[Group, str]]:
    """Ids of the best, median and worst images by score: one to three each, none twice.

    Images without a score are left out; of fewer than three images each is shown once.
    """
    ranked = sorted((score, name) for name, score in scores.items() if score is not None)
    names = [name for _, name in reversed(ranked)]
    n = len(names)
    if n < 3:
        order: tuple[Group, ...] = ("best", "worst")
        return list(zip(order, names, strict=False))
    each = 1 if n < 6 else 2 if n < 20 else 3
    middle = (n - each) // 2
    groups: tuple[tuple[Group, list[str]], ...] = (
        ("best", names[:each]),
        ("median", names[middle : middle + each]),
        ("worst", names[n - each :]),
    )
    return [(group, name) for group, chosen in groups for name in chosen]


def panels(example: Example, labels: LabelMap) -> list[tuple[str, str]]:
    """Captions and JPEG data URIs of the pictures of one example, side by side in this order.

    Of a volume, three slices through most of its foreground are shown.
    """
    image, truth, prediction = _display_size(*_flat(example, labels))
    seen = prediction.copy()
    seen[truth == IGNORE] = IGNORE  # where nothing is known there is nothing to compare
    pictures = [
        ("truth", overlay(image, truth, labels)),
        ("prediction", overlay(image, seen, labels)),
        ("errors", error_picture(image, truth, prediction, labels)),
    ]
    if example.image is not None:
        pictures.insert(0, ("image", image))
    return [(caption, data_uri(picture)) for caption, picture in pictures]


def _flat(example: Example, labels: LabelMap) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Image (or None), truth and prediction with two axes of space."""
    image, truth, prediction = example.image, example.truth, example.prediction
    if truth.ndim == 2:
        return image, truth, prediction
    foreground = np.isin(truth, labels.foreground) | np.isin(prediction, labels.foreground)
    planes = telling_planes(foreground, example.spacing)
    shown = None if image is None else sheet(image[..., :1], planes)
    return shown, sheet(truth, planes, IGNORE), sheet(prediction, planes, 0)


def error_picture(image: Picture, truth: np.ndarray, prediction: np.ndarray, labels: LabelMap) -> Picture:
    """Where the prediction is right and wrong, on the pale image.

    Foreground that is found, missed, or a false alarm; a foreground class taken for another one counts
    as missed. image: (H, W, 3) uint8; truth, prediction: (H, W). Unlabelled pixels stay grey.
    """
    foreground = np.zeros(256, bool)
    foreground[list(labels.foreground)] = True
    labelled, wrong = truth != IGNORE, truth != prediction
    pale = 235 - 0.35 * (255 - image.mean(axis=-1, keepdims=True).repeat(3, axis=-1))
    regions = (
        (labelled & ~wrong & foreground[truth], FOUND, 0.45),
        (labelled & wrong & foreground[prediction], FALSE_ALARM, 0.9),
        (labelled & wrong & foreground[truth], MISSED, 0.9),
    )
    for where, color, strength in regions:
        pale[where] = (1 - strength) * pale[where] + strength * np.array(color)
    pale[~labelled] = 128
    return np.clip(pale, 0, 255).astype(np.uint8)


def data_uri(picture: Picture) -> str:
    """A picture (H, W, 3) uint8 as a JPEG data URI, chroma at full resolution for crisp contours."""
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(picture).save(target, "JPEG", quality=80, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def _display_size(
    image: np.ndarray | None, truth: np.ndarray, prediction: np.ndarray
) -> tuple[Picture, np.ndarray, np.ndarray]:
    """Image as RGB, and both label images, at the size they are shown; large ones shrink, tiny ones grow.

    Resized before contours are drawn, so that these are crisp whatever the size.
    """
    import cv2

    height, width = truth.shape
    shown = np.full((height, width, 3), 200, np.uint8) if image is None else to_display(image)
    largest = max(height, width)
    factor = LARGEST_SIDE / largest if largest > LARGEST_SIDE else float(max(1, SMALLEST_SIDE // largest))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    small = [cv2.resize(x, size, interpolation=cv2.INTER_NEAREST) for x in (truth, prediction)]
    return np.asarray(shown, np.uint8), small[0], small[1]
