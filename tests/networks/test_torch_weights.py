"""The reader of PyTorch's old files takes tensors, and nothing else."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.errors import ModelFileError
from reunet.networks.torch_weights import MAGIC, read_torch_weights


class Named:
    """Pickles as a call of the function `name` of `module` with `given`."""

    def __init__(self, module: str, name: str, given: tuple[Any, ...]) -> None:
        self.module, self.name, self.given = module, name, given

    def bytes(self) -> bytes:
        arguments = pickle.dumps(self.given, 2)[2:-1]
        return f"c{self.module}\n{self.name}\n".encode() + arguments + b"R"


def written(numbers: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """A file with one tensor `w`, as PyTorch wrote it before 1.6, made by hand."""
    persistent = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpu"
    persistent += b"J" + struct.pack("<i", numbers.size) + b"NtQ"
    parts = b"".join(pickle.dumps(part, 2)[2:-1] for part in (offset, shape, strides, False))
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + parts
    tensor += b"ccollections\nOrderedDict\n)RtR"
    named = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\0\0\0w" + tensor + b"u."
    begin = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    storage = struct.pack("<q", numbers.size) + numbers.astype("<f4").tobytes()
    return begin + named + pickle.dumps(["k"], 2) + storage


def test_tensors_are_read_as_they_lie(tmp_path: Path) -> None:
    numbers, file = np.arange(24, dtype="<f4"), tmp_path / "a.pth"
    file.write_bytes(written(numbers, (2, 3, 4), (12, 4, 1)))
    assert np.array_equal(read_torch_weights(file)["w"], numbers.reshape(2, 3, 4))
    file.write_bytes(written(numbers, (4, 2), (1, 4), offset=8))
    assert np.array_equal(read_torch_weights(file)["w"], numbers[8:16].reshape(2, 4).T)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((25,), (1,), 0),
        ((24,), (1,), 1),
        ((2, 12), (13, 1), 0),
        ((10**6, 10**6), (0, 0), 0),
        ((4,), (-1,), 8),
        ((4,), (1,), -1),
        ((4, 2), (1,), 0),
    ],
)
def test_a_tensor_outside_of_its_storage_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    file = tmp_path / "a.pth"
    file.write_bytes(written(np.arange(24), shape, strides, offset))
    with pytest.raises(ModelFileError, match="no file of weights"):
        read_torch_weights(file)


@pytest.mark.fault(
    "weights in a pickle that names code", "refused: the reader knows tensors only; nothing is called"
)
@pytest.mark.parametrize(
    "call",
    [
        Named("os", "system", ("touch {}",)),
        Named("builtins", "eval", ("open({!r}, 'w')",)),
        Named("reunet.storage", "write_text", ("{}", "written")),
        Named("torch", "load", ("{}",)),
    ],
)
def test_nothing_that_a_file_names_is_called(tmp_path: Path, call: Named) -> None:
    trace, file = tmp_path / "trace", tmp_path / "a.pth"
    call.given = tuple(part.format(str(trace)) for part in call.given)
    file.write_bytes(b"\x80\x02" + call.bytes() + b".")
    with pytest.raises(ModelFileError, match="which is no tensor"):
        read_torch_weights(file)
    assert not trace.exists()


@pytest.mark.parametrize(
    "whole",
    [b"", b"not a pickle", pickle.dumps(OrderedDict(), 2), bytes(range(200, 255))],
    ids=["empty", "text", "another pickle", "bytes"],
)
def test_other_files_are_refused(tmp_path: Path, whole: bytes) -> None:
    file = tmp_path / "a.pth"
    file.write_bytes(whole)
    with pytest.raises(ModelFileError, match="no file of weights"):
        read_torch_weights(file)


def test_a_file_that_was_cut_is_refused_wherever(tmp_path: Path) -> None:
    whole, file = written(np.arange(24), (2, 3, 4), (12, 4, 1)), tmp_path / "a.pth"
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            read_torch_weights(file)
