from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label

from reunet.contracts.labels import IGNORE, Classes, LabelMap, default_classes
from reunet.contracts.truth import Truth
from reunet.tasks.base import Maps
from reunet.tasks.instances.flows import CHOICES, DEFAULTS, decode, heads, targets, turned
from reunet.tasks.instances.properties import sureness_facts
from reunet.tasks.instances.sinks import gather
from reunet.tasks.instances.task import TASK

FINEST = {"foreground": 0.5, "radius": 1, "votes": 1}
"""Thresholds with which every object is one, however small, as long as its maps are perfect."""


def ideal(objects: np.ndarray, known: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """What a perfect network would give for the targets."""
    told = targets(objects, known)
    classes = np.where(told["instances"] == IGNORE, 0, told["instances"])
    return {"instances": np.eye(2, dtype=np.float32)[classes], "flows": np.nan_to_num(told["flows"])}


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


def check(truth: np.ndarray, low: float = 1.0) -> None:
    found = decode(ideal(truth), FINEST)
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


CASES = {"concave": concave, "squares": squares, "tiny": tiny, "volume": volume}


@pytest.mark.parametrize("case", CASES)
def test_perfect_maps_give_the_objects_back(case: str) -> None:
    check(CASES[case](), low=0.85 if case == "volume" else 0.99)


def test_nothing_and_everything() -> None:
    assert not decode(ideal(np.zeros((20, 30), np.int32)), DEFAULTS).any()
    check(np.full((40, 40), 7, np.int32))


def test_unknown_pixels_teach_nothing() -> None:
    objects, known = concave(), np.ones((64, 256), bool)
    known[:, 100:140] = False
    hidden, shown = targets(objects, known), targets(objects, None)
    for name, target in hidden.items():
        assert np.all(target[~known] == IGNORE if target.dtype == np.uint8 else np.isnan(target[~known]))
        np.testing.assert_array_equal(target[known], shown[name][known])


def test_ids_do_not_matter() -> None:
    objects = squares()
    numbers = np.random.default_rng(0).permutation(5000)[: objects.max() + 1].astype(np.int32) + 1
    numbers[0] = 0
    for target, again in zip(targets(objects).values(), targets(numbers[objects]).values(), strict=True):
        np.testing.assert_array_equal(target, again)


def test_pieces_of_an_object_become_objects() -> None:
    objects = np.zeros((32, 64), np.int32)
    objects[8:20, 5:20] = objects[8:20, 30:50] = 3
    assert decode(ideal(objects), FINEST).max() == 2


@pytest.mark.parametrize("turns", [3, 12, 40])
def test_flows_of_a_long_winding_object_have_length_one_or_are_not_known(turns: int) -> None:
    objects = np.zeros((4 * turns + 1, 160), np.int32)
    objects[::2] = 1
    for row in range(1, 4 * turns, 2):
        objects[row, -1 if row % 4 == 1 else 0] = 1
    flows = targets(objects)["flows"][objects > 0]
    known = ~np.isnan(flows).any(axis=-1)
    length = np.linalg.norm(flows[known], axis=-1)
    assert np.isclose(length, 1, atol=1e-5).sum() == known.sum() - 1
    assert known.sum() > 100


def test_flows_have_length_one_except_at_one_centre_per_object() -> None:
    objects = concave()
    length = np.linalg.norm(targets(objects)["flows"], axis=-1)[objects > 0]
    assert (length < 1e-6).sum() == objects.max()
    np.testing.assert_allclose(length[length > 1e-6], 1, atol=1e-5)


def noisy(objects: np.ndarray) -> dict[str, np.ndarray]:
    maps = ideal(objects)
    noise = np.random.default_rng(1).normal(0, 0.2, maps["flows"].shape)
    return maps | {"flows": (maps["flows"] + noise).astype(np.float32)}


def test_noise_makes_no_object_two() -> None:
    """With the thresholds that hold before any is fitted."""
    objects = label(np.tile(concave()[:, 64:], (3, 2)), background=0).astype(np.int32)
    found = decode(noisy(objects), DEFAULTS)
    assert found.max() == objects.max()
    assert ious(objects, found).min() > 0.98


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = noisy(label(np.tile(concave()[:, :128], (3, 2)), background=0).astype(np.int32))
    whole = decode(maps, DEFAULTS)
    monkeypatch.setattr("reunet.tasks.instances.sinks.BLOCK", {2: 50})
    monkeypatch.setattr("reunet.tasks.instances.sinks.CHUNK", 777)
    np.testing.assert_array_equal(decode(maps, DEFAULTS), whole)


def test_votes_that_scatter_are_one_object_and_far_ones_none() -> None:
    ends = np.full((40, 200), -1, np.int32)
    scatter = np.random.default_rng(0).normal([[20], [30]], 1, (2, 400)).round().astype(int)
    ends.reshape(-1)[:400] = np.ravel_multi_index(tuple(scatter), ends.shape)
    ends[39, 199] = 20 * 200 + 150
    found = gather(ends, 5, 10)
    assert found.max() == 1
    assert (found == 1).sum() == 400


def test_fit_takes_the_best_combination() -> None:
    objects = squares()[13:]  # of 9 and 20 pixels
    maps = ideal(objects)
    maps["instances"][..., 1] *= 0.45  # only a low threshold calls it foreground
    classes = Classes(LabelMap(classes=default_classes([0, 1])))

    def fitted(*truths: np.ndarray) -> dict[str, float]:
        pairs = [(Truth(objects=truth), Maps(maps, truth.shape)) for truth in truths]
        return TASK.fit(pairs, classes).instance_thresholds

    assert fitted(objects)["foreground"] == 0.4
    assert fitted() == DEFAULTS
    maps["instances"][..., 1] = 0
    assert fitted(np.zeros_like(objects)) == DEFAULTS


def test_what_is_too_doubtful_is_left_out_and_told() -> None:
    """Objects that are not there, with a direction to nowhere: the fit learns to leave them out."""
    rng = np.random.default_rng(0)
    truth, real = np.zeros((160, 160), np.int32), np.zeros((160, 160), np.int32)
    for number in range(64):
        y, x = 20 * (number // 8) + 4, 20 * (number % 8) + 4
        truth[y : y + 11, x : x + 11] = number + 1
    real[...] = np.where(truth % 3 == 0, 0, truth)
    maps = ideal(truth)
    shaken = rng.normal(0, 0.2, maps["flows"].shape).astype(np.float32)
    maps["flows"] = (
        np.where((truth > 0) & (real == 0), 0.0, 1.0)[..., None].astype(np.float32) * maps["flows"] + shaken
    )
    classes = Classes(LabelMap(classes=default_classes([0, 1])))
    calibration = TASK.fit([(Truth(objects=real), Maps(maps, truth.shape))], classes)
    assert calibration.instance_thresholds["confidence"] > 0

    result = TASK.decode(Maps(maps, truth.shape), classes, calibration)
    assert result.instances is not None
    assert result.doubtful is not None
    assert result.instance_scores is not None
    assert result.doubtful_scores is not None
    assert not np.any(result.instances[(real == 0) & (truth > 0)])
    assert len(np.unique(real)) == len(result.instance_scores)
    assert np.nanmax(result.doubtful_scores) < calibration.instance_thresholds["confidence"]
    assert not np.any((result.instances > 0) & (result.doubtful > 0))

    scorer = TASK.scorer(classes, calibration, "test")
    scorer.add("one", Truth(objects=real), result)
    sure, right = scorer.sureness(all_found=True)
    assert right.sum() == len(np.unique(real)) - 1
    assert len(sure) == len(result.instance_scores) + len(result.doubtful_scores) - 2, "those left out count"
    told = scorer.scores()
    assert told["ap"]["pooled"]["0.50"] == 1.0
    assert told["confidence"]["of_all_found"]["auroc"] > 0.9
    assert told["confidence"]["review"]["kept"] + told["confidence"]["review"]["to_review"] == right.sum()


def test_directions_agree_with_one_centre_and_not_with_two() -> None:
    y, x = np.mgrid[:40, :80]
    two = np.where(np.hypot(y - 20, x - 22) < 16, 1, np.where(np.hypot(y - 20, x - 56) < 16, 2, 0))
    maps = ideal(two.astype(np.int32))
    probability = maps["instances"][..., 1]
    for where in (two, two.T):
        flows = maps["flows"] if where is two else maps["flows"].transpose(1, 0, 2)[..., ::-1]
        apart = sureness_facts(where, probability.reshape(where.shape), flows)["agreement"]
        merged = sureness_facts((where > 0).astype(int), probability.reshape(where.shape), flows)["agreement"]
        assert apart.min() > 0.95
        assert merged.max() < 0.75
    ball = (np.hypot(*(np.mgrid[:9, :9] - 4)) < 4)[None].repeat(9, 0)
    flows = ideal(ball.astype(np.int32))
    assert sureness_facts(ball.astype(int), flows["instances"][..., 1], flows["flows"])["agreement"] > 0.8


def test_real_objects_survive(shared_data: Path) -> None:
    files = sorted((shared_data / "dsb2018_nuclei/test/instances").iterdir())[::12]
    low = [ious(t, decode(ideal(t), DEFAULTS)) for t in map(_read, files)]
    assert (np.concatenate(low) > 0.9).mean() > 0.97


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).astype(np.int32)


def test_heads_have_a_channel_per_axis() -> None:
    assert [[head.channels for head in heads(rank)] for rank in (2, 3)] == [[2, 2], [2, 3]]
    assert len({tuple(choice.values()) for choice in CHOICES}) == len(CHOICES)
    assert turned(np.ones((4, 5, 3)), (0, 2)).tolist() == np.full((4, 5, 3), [-1, 1, -1]).tolist()
