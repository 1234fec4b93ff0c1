"""Masks as run lengths, as COCO writes them: columns from left to right, starting with a run outside."""

import re
from collections.abc import Sequence

import numpy as np

from reunet.errors import LabelError

_COMPRESSED = re.compile(r"(?:[P-o]{0,6}[0-O])*")  # 7 groups of 5 bits are more than any image has pixels


def compress_runs(runs: Sequence[int] | np.ndarray, size: tuple[int, int]) -> str:
    """Run lengths of an image of `size` (height, width) as COCO's compressed string."""
    from faster_coco_eval.core.mask import frPyObjects

    told = {"size": list(size), "counts": np.asarray(runs).tolist()}
    return frPyObjects(told, *size)["counts"].decode("ascii")


def decompress_runs(text: str, size: tuple[int, int]) -> np.ndarray:
    """(n,) int64 run lengths of COCO's compressed string. Raises LabelError for a string that is none."""
    from faster_coco_eval.mask_api_new_cpp import toUncompressedRLE

    if not _COMPRESSED.fullmatch(text):
        raise LabelError("the compressed run lengths are damaged", received=repr(text[:40]))
    try:
        return np.array(toUncompressedRLE([{"size": list(size), "counts": text}])[0]["counts"], np.int64)
    except ValueError as cause:
        raise _not_filling(size, repr(text[:40])) from cause


def outline_runs(rings: Sequence[list[float]], size: tuple[int, int]) -> np.ndarray:
    """(n,) int64 run lengths of what COCO's tools say lies in any of the polygons x, y, x, y ..."""
    from faster_coco_eval.core.mask import frPyObjects, merge

    return decompress_runs(merge(frPyObjects(list(rings), *size))["counts"].decode("ascii"), size)


def union_runs(parts: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """(n,) int64 run lengths of all that lies in one of several masks of an image of `size`."""
    from faster_coco_eval.core.mask import merge

    if len(parts) == 1:
        return parts[0]
    told = [{"size": list(size), "counts": compress_runs(part, size)} for part in parts]
    return decompress_runs(merge(told)["counts"].decode("ascii"), size)


def check_runs(runs: np.ndarray, size: tuple[int, int]) -> None:
    """Raise LabelError unless the runs fill an image of `size` (height, width)."""
    if runs.size and runs.min() < 0:
        raise LabelError("a run length is negative", received=int(runs.min()))
    if int(runs.sum()) != size[0] * size[1]:
        raise _not_filling(size, f"{int(runs.sum())} pixels")


def _not_filling(size: tuple[int, int], received: str) -> LabelError:
    expected = f"{size[0]} x {size[1]} = {size[0] * size[1]} pixels"
    return LabelError("the run lengths do not fill the image", expected=expected, received=received)


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
