"""Weights from an HDF5 file that anybody may have made: looked at before a number of it is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reunet.contracts.network import NetworkConfig
from reunet.errors import ModelFileError, ReunetError

if TYPE_CHECKING:
    import keras

DEEPEST = 32
"""Groups within groups."""

MOST_ENTRIES = 100_000


def check_size(config: NetworkConfig, file: Path) -> None:
    """Raise ModelFileError where a file is too small for a network, before that takes any memory.

    A level has at least one weight for each map before it and each of its own, and for each repetition again.
    """
    if config.members:
        for one in config.members:
            check_size(one, file)
        return
    if config.encoder not in ("plain", "recurrent"):
        return
    repeats = config.repeats or (1,) * len(config.filters)
    joined = sum(before * now for before, now in pairwise(config.filters))
    again = sum((times - 1) * maps * maps for times, maps in zip(repeats, config.filters, strict=True))
    if (size := file.stat().st_size) < 4 * (joined + again):
        raise _unfit(file, "the weights file is too small for the network of plan.json", f"{size} bytes")


def read_weights(network: keras.Model, file: Path) -> None:
    """Set the weights of a network from the file that Keras wrote of one like it.

    Raises ModelFileError for a file that holds anything but numbers of the size it has, or those of another
    network.
    """
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            for dataset in _datasets(opened, file):
                _check_dataset(dataset, file)
        network.load_weights(file)
    except ReunetError:
        raise
    except Exception as cause:  # of a damaged file, h5py and Keras raise nearly everything
        told = str(cause).strip().splitlines()
        raise _unfit(
            file, "the weights file does not hold the weights of this network", told[-1] if told else cause
        ) from cause


def _datasets(opened: Any, file: Path) -> Iterator[Any]:
    """All arrays of a file. No link is followed."""
    import h5py

    seen: set[int] = set()
    waiting = [(opened, 0)]
    while waiting:
        group, depth = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen or depth > DEEPEST or len(seen) + len(waiting) > MOST_ENTRIES:
            raise _unfit(
                file, "the weights file is not one that Keras wrote", f"{group.name} leads on and on"
            )
        seen.add(address)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _unfit(file, "the weights file leads to other files or places", f"{group.name}/{name}")
            entry = group[name]
            if isinstance(entry, h5py.Group):
                waiting.append((entry, depth + 1))
            else:
                yield entry


def _check_dataset(entry: Any, file: Path) -> None:
    import h5py

    if not isinstance(entry, h5py.Dataset) or entry.dtype.kind not in "fiu":
        raise _unfit(file, "the weights file holds something that is no number", entry.name)
    if entry.is_virtual or entry.external:
        raise _unfit(file, "the weights file leads to other files or places", entry.name)
    if entry.nbytes > entry.id.get_storage_size():
        shape = " x ".join(map(str, entry.shape))
        raise _unfit(file, "the weights file announces more numbers than it holds", f"{entry.name}, {shape}")


def _unfit(file: Path, what: str, received: object) -> ModelFileError:
    return ModelFileError(
        what, where=file, received=received, fix="copy the run folder again from its source"
    )
