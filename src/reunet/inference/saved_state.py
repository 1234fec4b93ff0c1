"""What a stream remembers, as a file: arrays, and the hash of the network that they belong to."""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from pydantic import Field

from reunet.contracts.base import check_schema_version
from reunet.contracts.bounds import Side
from reunet.contracts.facts import Facts, Hash, Meaning
from reunet.errors import ModelFileError, beside
from reunet.inference.predictor import seen_size, tiling_of, views_of
from reunet.inference.sequence import SequencePredictor, States
from reunet.io.header import check_size
from reunet.storage import atomic_path

ABOUT = "about.json"
LARGEST_HEADER = 2**16
"""Bytes of `about.json`, and of the header of an array."""

Carried = dict[tuple[int, ...], list[States]]


NOT_READ = (OSError, EOFError, KeyError, ValueError, RuntimeError)
NO_HEADER = (SyntaxError, TokenError, TypeError)
"""What NumPy raises for the header of an array that is none, beside ValueError."""


@dataclass(frozen=True)
class Memory:
    """frames: seen so far, each of `size`. carried: as of `Steps`."""

    frames: int
    size: tuple[int, ...]
    carried: Carried


class About(Facts):
    """about.json: the network (SHA-256 of its weights and of what it is), the views, the frames so far."""

    schema_version: int = 1
    network: Hash
    views: int = Field(ge=1, le=8)
    frames: int = Field(ge=0, le=2**53)
    size: tuple[Side, ...] = Field(min_length=2, max_length=3)


def network_hash(predictor: SequencePredictor) -> str:
    """SHA-256 of what decides whether states fit: weights, network, what it is shown, and tiles."""
    told = Meaning.of(predictor.plan).model_dump(mode="json", include={"network", "input", "spacing"})
    told |= {"weights": predictor.calibration.weights}
    told |= {"inference": predictor.plan.inference.model_dump(mode="json")}
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def write_memory(path: Path, memory: Memory, predictor: SequencePredictor) -> None:
    """Write it atomically. Raises StorageError."""
    about = About(
        network=network_hash(predictor), views=len(memory.carried), frames=memory.frames, size=memory.size
    )
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        file.writestr(ABOUT, about.model_dump_json())
        for view, groups in enumerate(memory.carried.values()):
            for name in predictor.runtime.states:
                packed, values = io.BytesIO(), np.concatenate([one[name] for one in groups])
                np.save(packed, values.astype(np.float32, copy=False), allow_pickle=False)
                file.writestr(_entry(view, name), packed.getvalue())


def read_memory(path: Path, predictor: SequencePredictor) -> Memory:
    """Raises ModelFileError for a file that is missing or damaged, or whose states are of another network,
    before an array is made of it that is larger than this network's.
    """
    if not path.is_file():
        raise ModelFileError("the state of a stream does not exist", where=path, fix=beside(path))
    try:
        with zipfile.ZipFile(path) as file:
            told = json.loads(_bytes(file, ABOUT, LARGEST_HEADER))
            check_schema_version(told, 1, where=path, error=ModelFileError)
            about = About.parse(told, where=path)
            _check_network(about, path, predictor)
            carried = dict(_carried(file, about, predictor))
    except (*NOT_READ, *NO_HEADER, zipfile.BadZipFile, zlib.error) as cause:
        raise _damaged(path, str(cause)) from cause
    return Memory(about.frames, about.size, carried)


def _check_network(about: About, path: Path, predictor: SequencePredictor) -> None:
    views = len(views_of(predictor.rank, predictor.tta))
    if about.network != network_hash(predictor):
        raise ModelFileError(
            "this state is of another network, or of other tiles",
            where=path,
            expected=f"network {network_hash(predictor)[:12]}",
            received=f"network {about.network[:12]}",
            fix="go on with the run that wrote it, or begin without a state",
        )
    if about.views != views or len(about.size) != predictor.rank:
        raise ModelFileError(
            "this state is of another way to predict",
            where=path,
            expected=f"{views} view(s) of {predictor.rank} axes",
            received=f"{about.views} view(s) of {len(about.size)} axes",
            fix="use --tta as it was used when the state was written",
        )
    check_size(path, *seen_size(about.size, predictor.plan))


def _carried(
    file: zipfile.ZipFile, about: About, predictor: SequencePredictor
) -> Iterator[tuple[tuple[int, ...], list[States]]]:
    """The states of each view, in groups of as many tiles as are predicted together."""
    tiling = tiling_of(predictor.plan, predictor.batch)
    seen = seen_size(about.size, predictor.plan)
    tiles = prod(len(axis.starts) for axis in tiling.cut(seen))
    cuts = range(tiling.batch, tiles, tiling.batch)
    for view, axes in enumerate(views_of(predictor.rank, predictor.tta)):
        groups: list[States] = [{} for _ in range(len(cuts) + 1)]
        for name, shape in predictor.runtime.states.items():
            values = _array(file, _entry(view, name), (tiles, *shape))
            for group, part in zip(groups, np.split(values, list(cuts)), strict=True):
                group[name] = part
        yield axes, groups


def _entry(view: int, name: str) -> str:
    return f"states/{view}/{name}.npy"


def _array(file: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of that shape, float32 and finite. Raises ValueError for any other."""
    content = io.BytesIO(_bytes(file, name, 4 * prod(shape) + LARGEST_HEADER))
    version: Any = np.lib.format.read_magic(content)
    if version != (1, 0):
        raise ValueError(f"{name} is of an unknown version")
    found, order, kind = np.lib.format.read_array_header_1_0(content)
    if (found, order, kind) != (shape, False, np.dtype(np.float32)):
        raise ValueError(f"{name} is {kind} of shape {found}, expected float32 of {shape}")
    values = np.frombuffer(content.read(), np.float32)
    if values.size != prod(shape) or not np.isfinite(values).all():
        raise ValueError(f"{name} does not hold {prod(shape)} numbers")
    return values.reshape(shape)


def _bytes(file: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of an entry, which is not compressed and at most so large. Raises ValueError, KeyError."""
    entry = file.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most:
        raise ValueError(f"{name} is compressed, or larger than {most} bytes")
    return file.read(entry)


def _damaged(path: Path, why: str) -> ModelFileError:
    return ModelFileError(
        "this is no state of a stream, or it is damaged",
        where=path,
        expected="a file that `save_state` or --state wrote",
        received=why.splitlines()[0][:200] if why else "another file",
        fix="begin without a state",
    )
