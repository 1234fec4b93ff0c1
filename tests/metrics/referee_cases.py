"""Cases for the referee of metrics by number: the edge cases first, then random ones."""

from __future__ import annotations

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE

from .object_maps import blobs, disturbed

Pair = tuple[np.ndarray, np.ndarray]


def smooth(rng: np.random.Generator, shape: tuple[int, ...], passes: int = 3) -> np.ndarray:
    """A random field with some structure, in 0..1."""
    field = rng.random(shape)
    for _ in range(passes):
        for axis in range(len(shape)):
            field = (field + np.roll(field, 1, axis) + np.roll(field, -1, axis)) / 3
    span = field.max() - field.min()
    return (field - field.min()) / (span if span else 1)


def label_case(number: int) -> tuple[np.ndarray, np.ndarray, int]:
    """True class indices, some of them IGNORE, predicted ones, and how many classes there are."""
    rng = np.random.default_rng(number)
    nothing, all_of_it, pixel = (
        np.zeros((9, 11), np.uint8),
        np.ones((9, 11), np.uint8),
        np.zeros((9, 11), np.uint8),
    )
    pixel[4, 4] = 1
    unknown = np.full((9, 11), IGNORE, np.uint8)
    edges = [
        (nothing, nothing), (all_of_it, all_of_it), (nothing, all_of_it), (all_of_it, nothing),
        (pixel, nothing), (nothing, pixel), (pixel, pixel), (unknown, pixel),
        (np.where(pixel, unknown, all_of_it), nothing), (np.where(pixel, all_of_it, unknown), all_of_it),
        (pixel[4:5, 4:5], pixel[4:5, 4:5]),
    ]  # fmt: skip
    if number < len(edges):
        truth, found = edges[number]
        return truth.astype(np.uint8), found, 2
    n = int(rng.integers(2, 6))
    shape = tuple(rng.integers(4, 14, rng.choice([2, 3])).tolist())
    truth = np.minimum(smooth(rng, shape) * n, n - 1).astype(np.uint8)
    found = np.where(rng.random(shape) < rng.random(), truth, rng.integers(0, n, shape)).astype(np.uint8)
    truth[rng.random(shape) < rng.choice([0, 0, 0.2, 0.9])] = IGNORE
    return truth, found, n


def score_case(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 and what is positive, (N,); in most cases many are tied."""
    rng = np.random.default_rng(number)
    n = int(rng.integers(2, 200)) if number > 8 else [0, 1, 1, 5, 5, 40, 40, 40, 2][number]
    logits = rng.choice(8192, n, replace=False) / 512 - 8  # further apart than what counts as tied
    scores = 1 / (1 + np.exp(-logits))
    positives = rng.random(n) < np.clip(scores * rng.random() * 2, 0, 1)
    if number in (1, 3, 5):
        positives[:] = True
    if number in (2, 4, 6):
        positives[:] = False
    if number % 3 or number < 9:
        scores = np.round(scores * rng.choice([1, 4, 30])) / 30
    if number % 4 == 0:
        scores[:] = scores[:1]  # all of them tied
    return scores.astype(np.float32), positives


def mask_case(number: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Two masks and the size of a pixel: unequal ones in every third case, volumes in every fourth."""
    rng = np.random.default_rng(number)
    shape = (5, 7, 8) if number % 4 == 3 else tuple(rng.integers(8, 22, 2).tolist())
    spacing = (1.0,) * len(shape) if number % 3 else (3.0, 0.7, 1.1)[: len(shape)]
    nothing, all_of_it, pixel = np.zeros(shape, bool), np.ones(shape, bool), np.zeros(shape, bool)
    pixel[tuple(side // 2 for side in shape)] = True
    edges = [
        (nothing, nothing), (pixel, nothing), (nothing, pixel), (pixel, pixel), (all_of_it, all_of_it),
        (all_of_it, pixel), (nothing, all_of_it), (pixel, np.roll(pixel, 2, -1)),
    ]  # fmt: skip
    if number < 4 * len(edges) and number % 2 == 0:
        truth, found = edges[number // 2 % len(edges)]
        return truth, found, spacing
    field = smooth(rng, shape)
    truth = field > rng.uniform(0.4, 0.7)
    found = (
        (field + rng.normal(0, 0.1, shape) > rng.uniform(0.4, 0.7))
        if rng.random() < 0.8
        else rng.random(shape) < 0.2
    )
    return truth, found, spacing


def thin_case(number: int) -> Pair:
    """Two masks of lines; volumes in every fourth case."""
    truth, found, _ = mask_case(number)
    if number < 12:
        return truth, found
    rng = np.random.default_rng(number)
    shape = (9, 10, 11) if number % 4 == 3 else (40, 44)
    lines = []
    for shift in (0, 1):
        mask = np.zeros(shape, bool)
        for _ in range(3):
            ends = rng.uniform(1, np.array(shape) - 2, (2, len(shape)))
            steps = np.linspace(*ends, 200).round().astype(int)
            mask[tuple(steps.T)] = True
        wide = mask | np.roll(mask, 1, 0) | np.roll(mask, 1, 1)
        lines.append(
            wide if not shift else (lines[0] & (rng.random(shape) < 0.9)) | (wide & (rng.random() < 0.5))
        )
    return lines[0], lines[1]


def object_case(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """True and predicted ids, and what is known; ids have gaps."""
    rng = np.random.default_rng(number)
    nothing, one, pixel = (
        np.zeros((12, 15), np.int32),
        np.full((12, 15), 7, np.int32),
        np.zeros((12, 15), np.int32),
    )
    pixel[3, 3] = 70_000
    many = np.kron(np.arange(1, 290).reshape(17, 17), np.ones((2, 2), int)).astype(np.int32)
    moved = np.where(rng.random(many.shape) < 0.2, 0, many)
    tied = np.zeros((12, 15), np.int32)
    tied[2:10, 2:6], tied[2:10, 6:10] = 1, 2  # both share as much with the one below
    between = np.zeros_like(tied)
    between[2:10, 4:8] = 5
    edges = [
        (nothing, nothing), (nothing, pixel), (pixel, nothing), (pixel, pixel), (one, one), (one, pixel),
        (many, moved), (many, many[::-1].copy()), (tied, between), (between, tied), (one, nothing),
    ]  # fmt: skip
    if number < len(edges):
        return (*edges[number], None)
    shape = (5, 12, 13) if number % 5 == 4 else (24, 26)
    truth = blobs(number, shape)
    found = disturbed(truth, number)
    known = smooth(rng, shape) > rng.uniform(0.1, 0.6) if number % 2 else None
    return truth, found, known


BoxImage = tuple[Boxes, Boxes, tuple[int, int, int, int] | None]


def box_case(number: int) -> list[BoxImage]:
    """True and predicted boxes of some images of 100 x 100 pixels, on whole pixels, and where a crowd is."""
    rng = np.random.default_rng(number)
    images: list[BoxImage] = []
    for _ in range(int(rng.integers(1, 5))):
        count = int(rng.choice([0, 1, 5, 12])) if number != 40 else 300
        low = rng.integers(0, 75, (count, 2))
        corners = np.concatenate([low, low + rng.integers(3, 25, (count, 2))], axis=1)
        classes = rng.integers(1, 3, count)
        kept = rng.random(count) < 0.8
        invented = rng.integers(0, 60, (4, 4)) + np.array([0, 0, 20, 20])
        moved = np.concatenate([corners[kept], corners[kept], invented])
        moved = moved + rng.integers(-2, 3, moved.shape)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        found = np.clip(moved, 0, 100)
        found = found[(found[:, 2:] > found[:, :2]).all(axis=1)]
        scores = rng.random(len(found)) if number % 3 else rng.integers(1, 4, len(found)) / 4
        named = rng.integers(1, 3, len(found))
        crowd = None
        if number % 2:
            y, x, height, width = (*rng.integers(0, 60, 2), *rng.integers(10, 40, 2))
            crowd = int(y), int(x), int(y + height), int(x + width)
        if number in (0, 1):
            found, scores, named = found[:0], scores[:0], named[:0]
        if number in (2, 3):
            corners, classes = corners[:0], classes[:0]
        images.append((_boxes(corners, classes), _boxes(found, named, scores), crowd))
    return images


def _boxes(corners: np.ndarray, classes: np.ndarray, scores: np.ndarray | None = None) -> Boxes:
    told = None if scores is None else scores.astype(np.float32)
    return Boxes(corners.astype(np.float32).reshape(-1, 4), classes.astype(np.uint8), told)
