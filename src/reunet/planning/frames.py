"""What frames tell about each other: noise between them, labels that change unseen, frames that were lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reunet.contracts.fingerprint import FrameFacts
from reunet.contracts.labels import IGNORE
from reunet.datasets.case_arrays import CaseArrays
from reunet.sampling.windows import sequences

PIECES, LENGTH = 8, 12
"""Pieces of sequences that are looked at, spread over all, and the frames of each."""

SIDE, SMALLEST = 256, 16
"""Pixels per axis in the middle of a frame that are looked at; smaller frames than SMALLEST are not."""

BLANK = 0.3
"""A frame that should show something was lost where it has less than this share of the usual contrast."""

STILL = 0.2
"""Share of the contrast by which the image may change where it is taken to stand still."""

SMOOTH, THICK = 2.0, 5
"""Pixels: of the Gaussian under which noise vanishes; changes of labels that are thinner are no change."""


@dataclass(frozen=True)
class _Frame:
    """grey, smooth: (H, W) float32. labels: (H, W) uint8. shows: pixels of foreground."""

    grey: np.ndarray
    smooth: np.ndarray
    labels: np.ndarray
    shows: int


def measure_frames(cases: Sequence[CaseArrays], foreground: Sequence[int]) -> FrameFacts | None:
    """Facts of sequences in time, from some pieces of them; None without any, and for volumes.

    foreground: indices of classes. Motion is taken out by optical flow (dense inverse search, Kroeger et al.
    2016). What is left of it after that is smooth and noise is not, so that only the part counts which no two
    neighbouring pixels have in common.
    """
    found = [[cases[number] for number in one] for one in sequences(cases)]
    pieces = [one[start : start + LENGTH] for one in found for start in range(0, len(one), LENGTH)]
    pieces = [one for one in pieces if len(one) > 1 and _is_film(one[0])]
    if not pieces:
        return None
    chosen = [pieces[number] for number in np.unique(np.linspace(0, len(pieces) - 1, PIECES).astype(int))]
    lost: list[bool] = []
    noise, unseen = [], []
    for piece in chosen:
        frames = [_frame(case, foreground) for case in piece]
        usual = float(np.median([frame.smooth.std() for frame in frames]))
        gone = [bool(frame.shows) and float(frame.smooth.std()) < BLANK * usual for frame in frames]
        lost += gone
        for (before, missing), (after, also) in pairwise(zip(frames, gone, strict=True)):
            if not (missing or also) and before.grey.shape == after.grey.shape:
                shift = _motion(before, after)
                noise.append(_noise(shift(before.grey), after.grey))
                unseen.append(_unseen(shift, before, after))
    return FrameFacts(
        noise=round(float(np.median(noise)), 3) if noise else 0.0,
        unseen=round(float(np.mean(unseen)), 3) if unseen else 0.0,
        lost=round(float(np.mean(lost)), 3),
    )


def _is_film(case: CaseArrays) -> bool:
    in_time = case.sequence is not None and case.sequence.axis == "T"
    *size, _ = case.image.shape
    return in_time and case.labels is not None and len(size) == 2 and min(size) >= SMALLEST


def _frame(case: CaseArrays, foreground: Sequence[int]) -> _Frame:
    import cv2

    *size, _ = case.image.shape
    middle = tuple(slice(max(0, (side - SIDE) // 2), (side + SIDE) // 2) for side in size)
    grey = case.image[middle].mean(-1, dtype=np.float32)
    labels = np.full(grey.shape, IGNORE, np.uint8) if case.labels is None else case.labels[middle]
    shows = int(np.isin(labels, foreground).sum())
    return _Frame(grey, cv2.GaussianBlur(grey, (0, 0), SMOOTH), np.asarray(labels), shows)


def _motion(before: _Frame, after: _Frame) -> Callable[[np.ndarray], np.ndarray]:
    """What moves an array (H, W) of the frame before to where the frame after shows it, by whole pixels."""
    import cv2

    low, high = np.percentile(after.smooth, (0.5, 99.5))
    first, second = (
        (((one.smooth - low) / max(high - low, 1e-6)).clip(0, 1) * 255).astype(np.uint8)
        for one in (before, after)
    )
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(second, first, None)
    height, width = after.grey.shape
    rows, columns = np.mgrid[:height, :width]
    rows = (rows + np.rint(flow[..., 1]).astype(int)).clip(0, height - 1)
    columns = (columns + np.rint(flow[..., 0]).astype(int)).clip(0, width - 1)
    return lambda array: array[rows, columns]


def _noise(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the variance of two frames (H, W), one moved onto the other, that is noise."""
    rest = before - after
    rest -= rest.mean()
    common = ((rest[1:] * rest[:-1]).mean() + (rest[:, 1:] * rest[:, :-1]).mean()) / 2
    total = before.var() + after.var()
    return float(np.clip((rest.var() - common) / total, 0, 1)) if total > 0 else 0.0


def _unseen(shift: Callable[[np.ndarray], np.ndarray], before: _Frame, after: _Frame) -> float:
    """Pixels whose label changes where the image does not, as a share of those of foreground."""
    import cv2

    labels = shift(before.labels)
    known = (labels != IGNORE) & (after.labels != IGNORE)
    changed = (known & (labels != after.labels)).astype(np.uint8)
    thick = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((THICK, THICK), np.uint8)) > 0
    still = np.abs(shift(before.smooth) - after.smooth) <= STILL * after.smooth.std()
    return min(1.0, int((thick & still).sum()) / max(1, before.shows, after.shows))
