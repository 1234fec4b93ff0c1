"""Cellpose: `a_seg.npy` beside a.png, as its interface saves it, with the number of an object in each pixel.

The file is a pickle, which could name any function to be called. It is not loaded: the instructions in it are
read as data (`pickletools`), what it would call is written down, and only arrays of numbers are made of that.
"""

import io
import pickletools
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.outlines import object_crops
from reunet.io.annotations.pictures import Pictures, paired
from reunet.io.annotations.rle import mask_runs
from reunet.io.annotations.sheet import Sheet, Sheets
from reunet.io.header import MAX_PIXELS
from reunet.io.images import read_header
from reunet.io.masks import check_shape

_MOST_BYTES = 1 << 31
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_FIX = "save them in Cellpose as PNG or TIFF (File > Save masks), and put them into instances/"


class _Call:
    """What a pickle would call, by name, with what it would be given."""

    def __init__(self, name: Any, given: Any) -> None:
        self.name, self.given, self.state = name, given, None


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects that the files tell, each of the image of its name; their class is not told."""
    return Sheets(paired(files, pictures, problems, _fill, "_seg"))


def _fill(path: Path, sheet: Sheet) -> None:
    """Add the objects of a file. Raises LabelError."""
    masks = read_masks(path)
    if masks.shape != sheet.size:
        check_shape(path, masks.shape, read_header(sheet.image), "label image")
    for number, corner, mask in object_crops(masks):
        sheet.add(f"object {number}", None, Shape(runs=mask_runs(mask, corner, sheet.size)), number=number)


def read_masks(path: Path) -> np.ndarray:
    """(H, W) int64 numbers of objects, 0 outside. Raises LabelError."""
    if path.stat().st_size > _MOST_BYTES:
        raise LabelError("the file is too large", expected=f"at most {_MOST_BYTES:,} bytes", fix=_FIX)
    try:
        file = io.BytesIO(path.read_bytes())  # of which NumPy takes no more memory than there is
        _HEADERS[np.lib.format.read_magic(file)](file)
        told = _Pickle().read(file.read())
        masks = _array(told.state[4][0]["masks"])
    except Exception as cause:  # whatever nonsense raises
        what, received = "the file is none of Cellpose", f"{type(cause).__name__}: {str(cause)[:80]}"
        expected = "a dictionary with masks, as Cellpose saves it"
        raise LabelError(what, expected=expected, received=received, fix=_FIX) from cause
    masks = masks.reshape([side for side in masks.shape if side > 1]) if masks.ndim > 2 else masks
    is_usable = masks.dtype.kind in "iu" and masks.ndim == 2 and masks.size <= MAX_PIXELS
    if not is_usable or masks.min(initial=0) < 0:
        what, received = "the masks are no numbers of objects", f"{masks.shape} {masks.dtype}"
        raise LabelError(what, expected="(H, W), whole numbers from 0", received=received, fix=_FIX)
    return masks.astype(np.int64)


def _array(told: Any) -> np.ndarray:
    """An array of numbers. Raises ValueError, TypeError, IndexError, AttributeError."""
    _, shape, kind, is_turned, data = told.state
    dtype = np.dtype(kind.given[0] if kind.state is None else kind.state[1] + kind.given[0])
    is_array = told.name.endswith(" _reconstruct") and not dtype.hasobject
    if not is_array or prod(shape) * dtype.itemsize != len(data):
        raise ValueError("no array of numbers")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_turned else "C")


class _Pickle:
    """Reads what a pickle describes. Nothing is imported or called."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def read(self, data: bytes) -> Any:
        """Raises ValueError, IndexError, KeyError, TypeError."""
        for code, value, _ in pickletools.genops(data):
            if code.name == "STOP":
                return self._stack.pop()
            if code.name in ("PROTO", "FRAME") or self._remember(code.name, value):
                continue
            if not (self._begin(code.name) or self._fill(code.name) or self._describe(code.name, value)):
                if code.stack_before or value is None:
                    raise ValueError(f"the pickle holds {code.name}")
                self._stack.append(value)  # a number, a text or bytes
        raise ValueError("the pickle ends early")

    def _taken(self) -> list[Any]:
        """What was laid down after the last mark."""
        start = self._marks.pop()
        some = self._stack[start:]
        del self._stack[start:]
        return some

    def _remember(self, name: str, value: Any) -> bool:
        """Instructions that keep what was laid down last, or lay down what was kept."""
        if name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[value] = self._stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self._stack.append(self._memo[value])
        else:
            return False
        return True

    def _begin(self, name: str) -> bool:
        """Instructions that lay down something simple or empty."""
        if name == "MARK":
            self._marks.append(len(self._stack))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            self._stack.append({} if name == "EMPTY_DICT" else [])
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        else:
            return False
        return True

    def _fill(self, name: str) -> bool:
        """Instructions that make tuples, and put things into lists and dictionaries."""
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            self._stack[-count:] = [tuple(self._stack[-count:])]
        elif name == "TUPLE":
            self._stack.append(tuple(self._taken()))
        elif name in ("APPEND", "APPENDS"):
            some = self._taken() if name == "APPENDS" else [self._stack.pop()]
            self._stack[-1].extend(some)
        elif name in ("SETITEM", "SETITEMS"):
            some = self._taken() if name == "SETITEMS" else [self._stack.pop() for _ in range(2)][::-1]
            self._stack[-1].update(zip(some[::2], some[1::2], strict=True))
        else:
            return False
        return True

    def _describe(self, name: str, value: Any) -> bool:
        """Instructions that would import, call, or change what was made."""
        if name == "GLOBAL":
            self._stack.append(value)
        elif name == "STACK_GLOBAL":
            self._stack[-2:] = [" ".join(self._stack[-2:])]
        elif name in ("REDUCE", "NEWOBJ"):
            self._stack[-2:] = [_Call(*self._stack[-2:])]
        elif name == "BUILD":
            state = self._stack.pop()
            self._stack[-1].state = state
        else:
            return False
        return True
