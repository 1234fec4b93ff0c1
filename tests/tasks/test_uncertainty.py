"""How unsure: numbers worked out by hand, from several networks and from flips, whole and in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from reunet.contracts.network import HeadSpec
from reunet.io.pages import create_maps, write_maps, write_part
from reunet.tasks.base import Maps
from reunet.tasks.uncertainty import entropy, uncertainty


def test_entropy_is_1_where_all_classes_are_alike_and_0_where_one_is_sure() -> None:
    third = 1 / 3
    found = entropy(np.array([[third] * 3, [1, 0, 0], [0.5, 0.5, 0]]), "softmax")[:, 0]
    assert found == pytest.approx([1, 0, np.log(2) / np.log(3)], abs=1e-6)
    found = entropy(np.array([[0.5, 0.5], [1, 0], [1, 0.5]]), "sigmoid")[:, 0]
    assert found == pytest.approx([1, 0, 0.5], abs=1e-6)


def test_mutual_information_tells_disagreement_from_doubt() -> None:
    """Two networks, each sure of another class; both unsure; both sure of the same."""
    members = np.array([[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.5, 0.5], [0.0, 1.0]]])
    mean = members.mean(axis=0)[None].astype(np.float32)
    within = np.mean([entropy(one, "softmax") for one in members], axis=0)[None].astype(np.float32)
    maps = Maps({"semantic": mean, "semantic_entropy": within}, (1, 3))
    found = uncertainty(maps, [HeadSpec(channels=2)])
    assert found is not None
    assert found[0, :, 0] == pytest.approx([1, 1, 0], abs=1e-6)
    assert found[0, :, 1] == pytest.approx([1, 0, 0], abs=1e-6)
    assert uncertainty(Maps({"semantic": mean}, (1, 3)), [HeadSpec(channels=2)]) is None


def test_keras_tells_the_same_entropy(backend: str) -> None:
    from reunet.networks import ensemble  # noqa: F401  (the room, with its backend)
    from reunet.networks.ensemble import entropy as in_keras

    p = np.random.default_rng(0).dirichlet(np.ones(4), (3, 5)).astype(np.float32)
    for activation in ("softmax", "sigmoid"):
        assert np.allclose(np.asarray(in_keras(p, activation)), entropy(p, activation), atol=1e-5)


@pytest.mark.parametrize("size", [(5, 7), (3, 4, 6)])
def test_maps_written_part_by_part_are_those_written_at_once(size: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((*size, 2)).astype(np.float32)
    write_maps(tmp_path / "whole.tif", values)
    create_maps(tmp_path / "parts.tif", size, 2)
    for rows in (slice(0, 2), slice(2, size[0])):
        part = (rows, *(slice(0, side) for side in size[1:]))
        write_part(tmp_path / "parts.tif", part, values[part])
    for name in ("whole", "parts"):
        with tifffile.TiffFile(tmp_path / f"{name}.tif") as file:
            assert file.series[0].axes == "ZCYX"[-len(size) - 1 :]
            assert np.array_equal(np.moveaxis(file.asarray(), -3, -1), values)
