"""Masks as run lengths, as COCO writes them: columns from left to right, starting with a run outside.

The compressed string stores, from the fourth run on, the difference to the run two before, in groups of 5
bits: least significant group first, bit 32 says that more follow, characters start at "0" (`maskApi.c` of
the COCO API).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reunet.errors import LabelError

_MOST_GROUPS = 7  # 35 bits: more than any image has pixels


def compress_runs(runs: Sequence[int] | np.ndarray) -> str:
    """Run lengths as COCO's compressed string."""
    differences = np.array(runs, np.int64)
    differences[3:] -= np.asarray(runs, np.int64)[1:-2]
    text = bytearray()
    for difference in differences.tolist():
        rest, more = difference, True
        while more:
            group, rest = rest & 31, rest >> 5
            more = rest != (-1 if group & 16 else 0)
            text.append(48 + group + 32 * more)
    return text.decode("ascii")


def decompress_runs(text: str) -> np.ndarray:
    """(n,) int64 run lengths of COCO's compressed string. Raises LabelError for a string that is none."""
    try:
        groups = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError as cause:
        raise LabelError("the compressed run lengths have other characters than ASCII") from cause
    last = (groups & 32) == 0
    if groups.size and (groups.min() < 0 or groups.max() > 63 or not last[-1]):
        raise LabelError("the compressed run lengths are damaged", received=repr(text[:40]))
    ends = np.flatnonzero(last)
    starts = np.append(0, ends[:-1] + 1)[: len(ends)]
    sizes = ends - starts + 1
    if sizes.max(initial=0) > _MOST_GROUPS:
        raise LabelError(
            "the compressed run lengths hold a number beyond any image", received=repr(text[:40])
        )
    place = np.arange(len(groups)) - np.repeat(starts, sizes)
    runs = np.add.reduceat((groups & 31) << (5 * place), starts) if len(starts) else groups
    runs = np.where(groups[ends] & 16, runs - (1 << (5 * sizes)), runs)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def check_runs(runs: np.ndarray, size: tuple[int, int]) -> None:
    """Raise LabelError unless the runs fill an image of `size` (height, width)."""
    if runs.size and runs.min() < 0:
        raise LabelError("a run length is negative", received=int(runs.min()))
    if int(runs.sum()) != size[0] * size[1]:
        raise LabelError(
            "the run lengths do not fill the image",
            expected=f"{size[0]} x {size[1]} = {size[0] * size[1]} pixels",
            received=f"{int(runs.sum())} pixels",
        )


def run_pixels(runs: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels inside, each (n,) int64."""
    starts, lengths = np.cumsum(runs)[:-1:2], runs[1::2]
    first = np.cumsum(lengths) - lengths
    position = np.arange(int(lengths.sum())) + np.repeat(starts - first, lengths)
    return position % height, position // height


def mask_runs(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(n,) int64 run lengths, in an image of `size`, of a (h, w) bool mask whose first pixel is `corner`."""
    columns, rows = np.nonzero(mask.T)
    position = (columns + corner[1]) * size[0] + rows + corner[0]
    breaks = np.flatnonzero(np.diff(position) != 1)
    starts = position[np.append(0, breaks + 1)] if position.size else position
    ends = position[np.append(breaks, -1)] + 1 if position.size else position
    edges = np.concatenate([[0], np.stack([starts, ends], axis=1).ravel(), [size[0] * size[1]]])
    runs = np.diff(edges).astype(np.int64)
    return runs[:-1] if len(runs) > 1 and runs[-1] == 0 else runs
