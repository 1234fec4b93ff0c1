from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label

from reunet.contracts.labels import IGNORE
from reunet.tasks.instances import REPRESENTATIONS, Representation, boundary, fit, flows, offsets
from reunet.tasks.instances.sinks import gather


def ideal(
    kind: Representation, objects: np.ndarray, known: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """What a perfect network would give for the targets."""
    channels = {head.name: head.channels for head in kind.heads(objects.ndim)}
    maps = {}
    for name, target in kind.targets(objects, known).items():
        if target.dtype == np.uint8:
            assert kind.losses[name] == "segmentation"
            maps[name] = np.eye(channels[name], dtype=np.float32)[np.where(target == IGNORE, 0, target)]
        else:
            assert target.shape == (*objects.shape, channels[name])
            maps[name] = np.nan_to_num(target)
    return maps


def ious(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Best IoU of each true object."""
    best = []
    for number in np.unique(truth[truth > 0]):
        own = truth == number
        hits = np.unique(found[own])
        best.append(
            max([(own & (found == hit)).sum() / (own | (found == hit)).sum() for hit in hits if hit] or [0.0])
        )
    return np.array(best)


def check(kind: Representation, truth: np.ndarray, low: float = 1.0) -> None:
    found = kind.decode(ideal(kind, truth), kind.defaults)
    assert found.dtype == np.int32
    assert found.shape == truth.shape
    ids = np.unique(found[found > 0])
    assert ids.tolist() == list(range(1, len(np.unique(truth[truth > 0])) + 1))
    assert ious(truth, found).min() >= low


def concave() -> np.ndarray:
    y, x = np.mgrid[:64, :64] - 31.5
    shapes = [
        ((abs(x) > 14) | (y > 14)) & (abs(x) < 26) & (abs(y) < 26),
        (np.hypot(y, x) < 28) & (np.hypot(y, x) > 18) & ~((x > 0) & (abs(y) < 6)),
        (np.hypot(y, x - 16) < 12) | (np.hypot(y, x + 16) < 12) | ((abs(y) < 2) & (abs(x) < 16)),
        (np.hypot(y, x) < 14) & (x > -9),
    ]
    return np.concatenate([np.where(s, i, 0) for i, s in enumerate(shapes, 1)], axis=1).astype(np.int32)


def squares() -> np.ndarray:
    """Squares of 4, 6, 9 and 20 pixels side by side, over the whole image."""
    rows, first = [], 0
    for side in (4, 6, 9, 20):
        row = np.repeat(np.repeat(np.arange(180 // side).reshape(1, -1), side, 0), side, 1) + first + 1
        rows.append(np.pad(row, ((0, 3), (0, 180 - row.shape[1]))))
        first += 180 // side
    return np.concatenate(rows).astype(np.int32)


def tiny() -> np.ndarray:
    """All sizes of 1 to 3 pixels a side, thin lines, and pairs of 2 x 3 pixels that touch."""
    objects, number = np.zeros((60, 60), np.int32), 0
    for y in range(0, 60, 10):
        for x in range(0, 60, 10):
            number += 1
            kind = number % 12
            if kind < 9:
                objects[y : y + 1 + kind % 3, x : x + 1 + kind // 3] = number
            elif kind == 9:
                objects[y + np.arange(6), x + np.arange(6)] = number
            elif kind == 10:
                objects[y, x : x + 7] = number
            else:
                objects[y : y + 2, x : x + 3] = number
                objects[y + 2 : y + 4, x : x + 3] = number = number + 1
    return objects


def volume() -> np.ndarray:
    """Boxes that fill a volume, and a ball."""
    objects = np.zeros((14, 40, 40), np.int32)
    objects[:6, :12, :30] = np.repeat([1, 2, 3], 10)
    objects[6:10, :12, :30] = 4
    z, y, x = np.indices(objects.shape)
    objects[(z - 7) ** 2 + (y - 26) ** 2 + (x - 26) ** 2 < 40] = 9
    return objects


KINDS = pytest.mark.parametrize("kind", REPRESENTATIONS.values(), ids=REPRESENTATIONS)
CASES = {"concave": concave, "squares": squares, "tiny": tiny, "volume": volume}


@KINDS
@pytest.mark.parametrize("case", CASES)
def test_perfect_maps_give_the_objects_back(kind: Representation, case: str) -> None:
    check(kind, CASES[case](), low=0.85 if case == "volume" else 0.99)


@KINDS
def test_nothing_and_everything(kind: Representation) -> None:
    assert not kind.decode(ideal(kind, np.zeros((20, 30), np.int32)), kind.defaults).any()
    check(kind, np.full((40, 40), 7, np.int32))


@KINDS
def test_unknown_pixels_teach_nothing(kind: Representation) -> None:
    objects, known = concave(), np.ones((64, 256), bool)
    known[:, 100:140] = False
    hidden, shown = kind.targets(objects, known), kind.targets(objects, None)
    for name, target in hidden.items():
        assert np.all(target[~known] == IGNORE if target.dtype == np.uint8 else np.isnan(target[~known]))
        np.testing.assert_array_equal(target[known], shown[name][known])


@KINDS
def test_ids_do_not_matter(kind: Representation) -> None:
    objects = squares()
    numbers = np.random.default_rng(0).permutation(5000)[: objects.max() + 1].astype(np.int32) + 1
    numbers[0] = 0
    for target, again in zip(
        kind.targets(objects, None).values(), kind.targets(numbers[objects], None).values(), strict=True
    ):
        np.testing.assert_allclose(target, again, atol=1e-6)


def test_pieces_of_an_object() -> None:
    objects = np.zeros((32, 64), np.int32)
    objects[8:20, 5:20] = objects[8:20, 30:50] = 3
    found = {n: k.decode(ideal(k, objects), k.defaults).max() for n, k in REPRESENTATIONS.items()}
    assert found == {"boundary": 2, "offsets": 1, "flows": 2}


def test_boundary_is_where_something_else_begins_and_the_patch_has_no_edge() -> None:
    objects = np.zeros((12, 20), np.int32)
    objects[:8, :8], objects[:8, 8:16] = 5, 2
    targets = boundary.targets(objects)
    expected = np.zeros((12, 20), np.uint8)
    expected[:8, :16] = boundary.BOUNDARY
    expected[:7, :7] = expected[:7, 9:15] = boundary.INSIDE
    np.testing.assert_array_equal(targets["instances"], expected)
    distance = targets["distance"][..., 0]
    assert distance[0, 0] == 1  # furthest from both edges, in the corner of the patch
    assert distance[7, 0] == np.float32(0.5 / 7.5)


def test_offsets_point_to_a_pixel_of_the_object() -> None:
    objects = concave()
    vectors = offsets.targets(objects)["offsets"] * offsets.UNIT
    places = np.argwhere(objects)
    centres = places + vectors[objects > 0]
    np.testing.assert_array_equal(objects[tuple(np.rint(centres).astype(int).T)], objects[objects > 0])
    assert len(np.unique(np.rint(centres), axis=0)) == objects.max()


def test_flows_have_length_one_except_at_one_centre_per_object() -> None:
    objects = concave()
    length = np.linalg.norm(flows.targets(objects)["flows"], axis=-1)[objects > 0]
    assert (length < 1e-6).sum() == objects.max()
    np.testing.assert_allclose(length[length > 1e-6], 1, atol=1e-5)


@KINDS
def test_blocks_change_nothing(kind: Representation, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = np.tile(concave()[:, :128], (3, 2))
    objects = label(objects, background=0).astype(np.int32)
    noise = np.random.default_rng(1)
    maps = {
        name: (values + noise.normal(0, 0.05, values.shape)).astype(np.float32)
        for name, values in ideal(kind, objects).items()
    }
    whole = kind.decode(maps, kind.defaults)
    monkeypatch.setattr("reunet.tasks.instances.boundary.BLOCK", {2: 50})
    monkeypatch.setattr("reunet.tasks.instances.sinks.BLOCK", {2: 50})
    np.testing.assert_array_equal(kind.decode(maps, kind.defaults), whole)


def test_votes_that_scatter_are_one_object_and_far_ones_none() -> None:
    ends = np.full((40, 200), -1, np.int32)
    scatter = np.random.default_rng(0).normal([[20], [30]], 1, (2, 400)).round().astype(int)
    ends.reshape(-1)[:400] = np.ravel_multi_index(tuple(scatter), ends.shape)
    ends[39, 199] = 20 * 200 + 150
    found = gather(ends, 5, 10)
    assert found.max() == 1
    assert (found == 1).sum() == 400


def test_fit_takes_the_best_combination() -> None:
    kind = REPRESENTATIONS["boundary"]
    objects = squares()
    maps = ideal(kind, objects)
    probability = maps["instances"]
    edge = probability[..., 2] == 1  # only a low threshold calls it foreground
    probability[edge] = (0.55, 0, 0.45)
    chosen = fit([(objects, maps)], kind, lambda truth, found: float(ious(truth, found).mean()))
    assert chosen["foreground"] == 0.4
    assert fit([], kind, lambda *_: 0.0) == kind.defaults
    assert fit([(objects, maps)], kind, lambda *_: float("nan")) == kind.defaults


@KINDS
def test_real_objects_survive(kind: Representation, shared_data: Path) -> None:
    files = sorted((shared_data / "dsb2018_nuclei/test/instances").iterdir())[::12]
    low = [ious(t, kind.decode(ideal(kind, t), kind.defaults)) for t in map(_read, files)]
    assert (np.concatenate(low) > 0.9).mean() > 0.97


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).astype(np.int32)


def test_defaults_come_first() -> None:
    for kind in REPRESENTATIONS.values():
        assert kind.defaults == {name: values[0] for name, values in kind.grid.items()}
        assert all(len(set(values)) == len(values) for values in kind.grid.values())
        assert {h.name for h in kind.heads(2)} == set(kind.losses)
        assert all(a.name != b.name for a, b in pairwise(kind.heads(3)))
