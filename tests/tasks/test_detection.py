"""Boxes to maps and back, which boxes are right, and the scores."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import Classes, ClassInfo, LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import DataError, LabelError
from reunet.metrics.average_precision import coco_ap, coco_precision, resampled_ap
from reunet.metrics.box_matching import box_iou, hits
from reunet.sampling.boxes import resized
from reunet.tasks.detection import (
    Scorer,
    confident,
    decode,
    fit_calibration,
    targets,
    validation_score,
)
from reunet.tasks.detection.decode import FLOOR, PLACES, suppressed
from reunet.tasks.detection.fit import best_f1, rated
from reunet.tasks.work import Work


def label_map(*names: str, background: bool = True) -> LabelMap:
    first = [ClassInfo(id=0, name="background", color=(0, 0, 0), foreground=False)] if background else []
    rest = [ClassInfo(id=i, name=n, color=(9, 9, i), foreground=True) for i, n in enumerate(names, start=1)]
    return LabelMap(classes=(*first, *rest))


LABELS = label_map("cell", "platelet")  # indices 1 and 2; channels 0 and 1


def boxes(*rows: tuple[float, ...], classes: object = 1, scores: object = None) -> Boxes:
    corners = np.array(rows, np.float32).reshape(-1, 4)
    indices = np.broadcast_to(np.array(classes, np.uint8), len(corners)).copy()
    given_scores = None if scores is None else np.array(scores, np.float32)
    return Boxes(corners, indices, given_scores)


def random_boxes(rng: np.random.Generator, n: int, size: tuple[int, int], scored: bool = False) -> Boxes:
    sides = rng.uniform(3, 30, (n, 2))
    low = rng.uniform(-5, np.array(size) - 5, (n, 2))
    corners = np.concatenate([low, low + sides], axis=1).astype(np.float32)
    scores = rng.permutation(np.arange(1, n + 1)).astype(np.float32) / (n + 1) if scored else None
    return Boxes(corners, rng.integers(1, 3, n).astype(np.uint8), scores)


def oracle(truth: Boxes, size: tuple[int, int], labels: LabelMap = LABELS) -> dict[str, np.ndarray]:
    """The maps a perfect network would give."""
    maps = targets(truth, size, labels)
    return {"centre": maps["centre"], "box": maps["box"][..., :4]}


def boxes_of(maps: dict[str, np.ndarray], labels: LabelMap, floor: float = FLOOR) -> Boxes:
    return suppressed(decode(maps, labels, floor))


def coco_file(path: Path, index_of: dict[int, int]) -> dict[int, tuple[tuple[int, int], Boxes]]:
    facts = json.loads(path.read_text())
    images: dict[int, tuple[tuple[int, int], list[list[float]]]] = {
        entry["id"]: ((entry["height"], entry["width"]), []) for entry in facts["images"]
    }
    for entry in facts["annotations"]:
        x, y, width, height = entry["bbox"]
        row = [y, x, y + height, x + width, index_of[entry["category_id"]]]
        images[entry["image_id"]][1].append(row)
    arrays = {key: (size, np.array(rows, np.float32).reshape(-1, 5)) for key, (size, rows) in images.items()}
    return {key: (size, Boxes(a[:, :4], a[:, 4].astype(np.uint8))) for key, (size, a) in arrays.items()}


def add(scorer: Scorer, case: str, truth: Boxes, found: Boxes) -> None:
    scorer.add(case, Truth(boxes=truth), Prediction(candidates=found))


def test_heads_have_a_channel_per_foreground_class_and_four_distances() -> None:
    centre, box = Work(("detection",), Classes(LABELS)).heads(2)
    assert (centre.name, centre.channels, centre.activation) == ("centre", 2, "sigmoid")
    assert (box.name, box.channels, box.activation) == ("box", 4, "linear")


@pytest.mark.parametrize(("factor", "least"), [(1.0, 0.99), (0.5, 0.99), (0.25, 0.98)])
def test_real_boxes_survive_the_maps(shared_data: Path, factor: float, least: float) -> None:
    labels = label_map("RBC", "WBC", "Platelets", background=False)
    images = coco_file(shared_data / "bccd" / "test" / "boxes.json", {1: 0, 2: 1, 3: 2})
    scorer = Scorer(labels, Calibration(), "test")
    for key, ((height, width), truth) in images.items():
        small = resized(truth, (factor, factor))
        found = boxes_of(oracle(small, (int(height * factor), int(width * factor)), labels), labels)
        add(scorer, str(key), truth, resized(found, (1 / factor, 1 / factor)))
    metrics = scorer.metrics()
    assert metrics["map50"] > least
    assert metrics["count_error"]["all"] < 0.4  # the truth has doubles, which are one object


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), top=st.integers(0, 20), left=st.integers(0, 20))
def test_the_maps_of_a_patch_are_the_patch_of_the_maps(seed: int, top: int, left: int) -> None:
    rng = np.random.default_rng(seed)
    truth = random_boxes(rng, 6, (64, 72))
    moved = Boxes(truth.corners - np.float32([top, left, top, left]), truth.classes)
    whole, patch = targets(truth, (64, 72), LABELS), targets(moved, (40, 48), LABELS)
    for name, values in patch.items():
        np.testing.assert_allclose(values, whole[name][top : top + 40, left : left + 48], atol=2e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), axis=st.integers(0, 1), whole_pixels=st.booleans())
def test_a_mirrored_image_has_mirrored_maps(seed: int, axis: int, whole_pixels: bool) -> None:
    rng, size = np.random.default_rng(seed), (64, 72)
    truth = random_boxes(rng, 6, size)
    if whole_pixels:  # centres between two pixels
        truth = Boxes(np.round(truth.corners), truth.classes)
    corners = truth.corners.copy()
    corners[:, [axis, axis + 2]] = size[axis] - truth.corners[:, [axis + 2, axis]]
    mirrored, maps = targets(Boxes(corners, truth.classes), size, LABELS), targets(truth, size, LABELS)
    np.testing.assert_allclose(np.flip(maps["centre"], axis), mirrored["centre"], atol=1e-4)
    np.testing.assert_allclose(np.flip(maps["box"][..., 4], axis), mirrored["box"][..., 4], atol=1e-4)
    plain = {"centre": maps["centre"], "box": maps["box"][..., :4]}
    back = Work(("detection",), Classes(LABELS)).flipped(plain, (axis,))
    learned = mirrored["box"][..., 4] > 1e-3
    np.testing.assert_allclose(back["box"][learned], mirrored["box"][..., :4][learned], atol=1e-4)


def test_targets_say_where_the_sides_are() -> None:
    maps = targets(boxes((4, 6, 20, 30), classes=2), (40, 40), LABELS)
    y, x = 11, 18  # the centre is (12, 18), between pixels
    assert maps["centre"][y, x, 1] == maps["centre"][12, 17, 1] == 1
    assert maps["centre"][..., 0].max() == 0
    assert (maps["centre"] == 1).sum() == 4
    distances = 16 * np.exp(maps["box"][y, x, :4])
    np.testing.assert_allclose(distances, [11.5 - 4, 18.5 - 6, 20 - 11.5, 30 - 18.5], rtol=1e-5)
    assert maps["box"][..., 4].sum() == pytest.approx(1)


def test_where_boxes_overlap_the_smaller_one_is_learned() -> None:
    large, small = (0, 0, 40, 40), (16, 16, 24, 24)
    for order in ([large, small], [small, large]):
        maps = targets(boxes(*order), (40, 40), LABELS)
        assert 16 * np.exp(maps["box"][20, 20, 0]) == pytest.approx(4.5, rel=1e-4)


def test_what_is_not_known_does_not_count() -> None:
    known = np.ones((40, 40), bool)
    known[:, 20:] = False
    maps = targets(boxes((10, 10, 30, 28)), (40, 40), LABELS, known)
    assert np.isnan(maps["centre"][:, 20:]).all()
    assert np.isfinite(maps["centre"][:, :20]).all()
    assert not maps["box"][:, 20:, 4].any()
    assert 0.5 < maps["box"][:, :20, 4].sum() < 1


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (boxes((5, 5, 5, 9)), "without an area"),
        (boxes((5, 9, 8, 7)), "without an area"),
        (boxes((5, np.nan, 8, 7)), "without an area"),
        (boxes((5, 5, 8, 9), classes=0), "class"),
        (boxes((5, 5, 8, 9), classes=3), "class"),
    ],
)
def test_bad_boxes_are_named(truth: Boxes, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        targets(truth, (20, 20), LABELS)
    with pytest.raises(LabelError, match="case7"):
        add(Scorer(LABELS, Calibration(), "test"), "case7", truth, boxes())


def test_an_empty_frame() -> None:
    maps = targets(boxes(), (20, 30), LABELS)
    assert maps["centre"].shape == (20, 30, 2)
    assert not maps["centre"].any()
    assert len(boxes_of(oracle(boxes(), (20, 30)), LABELS)) == 0


def test_maps_of_another_network_are_refused() -> None:
    maps = oracle(boxes(), (20, 30))
    with pytest.raises(DataError, match="maps of a detector"):
        boxes_of(maps | {"box": maps["box"][:, :, :2]}, LABELS)
    with pytest.raises(DataError, match="maps of a detector"):
        boxes_of(maps, label_map("cell"))


def test_boxes_are_cut_at_the_edge_of_the_image() -> None:
    found = boxes_of(oracle(boxes((-6, 10, 14, 30)), (40, 40)), LABELS)
    np.testing.assert_allclose(found.corners, [[0, 10, 14, 30]], atol=1e-3)
    assert found.classes.tolist() == [1]
    assert found.scores is not None
    assert found.scores.tolist() == [1]


def test_strips_change_nothing_and_a_plateau_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[decode.__module__]
    rng = np.random.default_rng(0)
    maps = {
        "centre": rng.random((90, 60, 2)).astype(np.float32) * 0.9,
        "box": rng.normal(-1, 0.3, (90, 60, 4)).astype(np.float32),
    }
    whole = boxes_of(maps, LABELS)
    monkeypatch.setattr(module, "ROWS", 8)
    parts = boxes_of(maps, LABELS)
    np.testing.assert_array_equal(parts.corners, whole.corners)
    np.testing.assert_array_equal(parts.classes, whole.classes)
    maps["centre"][33:38, 20:29, 0] = 1.0  # a network that is certain of an area
    certain = boxes_of(maps, LABELS, floor=1.0)
    assert len(certain) == 1
    assert certain.corners[0, 0] < 35.5 < certain.corners[0, 2]


def greedy(found: Boxes, at: float) -> list[int]:
    assert found.scores is not None
    kept: list[int] = []
    for i in np.argsort(-found.scores, kind="stable"):
        rivals = [j for j in kept if found.classes[j] == found.classes[i]]
        if all(box_iou(found.corners[i], found.corners[j]) < at for j in rivals):
            kept.append(int(i))
    return kept


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), at=st.sampled_from([0.5, 0.6, 0.8]))
def test_suppression_is_the_sequential_rule(seed: int, at: float) -> None:
    rng = np.random.default_rng(seed)
    found = random_boxes(rng, 150, (30, 30), scored=True)
    found = Boxes(found.corners * rng.choice([0.1, 1, 8], (150, 1)).astype(np.float32), found.classes,
                  found.scores)  # fmt: skip
    np.testing.assert_array_equal(suppressed(found, at).corners, found.corners[greedy(found, at)])


def test_hits_take_the_best_free_box_once() -> None:
    truth = boxes((0, 0, 10, 10), (0, 12, 10, 22))
    found = boxes((0, 0, 10, 9), (0, 0, 10, 10), (0, 12, 10, 20), (0, 30, 9, 40), scores=[0.9, 0.8, 0.7, 0.6])
    assert hits(truth, found).tolist() == [True, False, True, False]
    assert not hits(truth, Boxes(found.corners, found.classes + 1, found.scores)).any()


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_coco(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truths, predictions = [], []
    for _ in range(6):
        truth = random_boxes(rng, 12, (80, 80))
        kept = truth.corners[rng.random(12) < 0.7]
        moved = kept + rng.normal(0, 1.5, kept.shape).astype(np.float32)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        corners = np.concatenate([moved, random_boxes(rng, 5, (80, 80)).corners])
        classes = rng.integers(1, 3, len(corners)).astype(np.uint8)
        truths.append(truth)
        predictions.append(Boxes(corners, classes, rng.random(len(corners)).astype(np.float32)))
    expected = coco_ap(coco_precision(truths, predictions, (1, 2)))[0]
    right = np.concatenate([hits(t, p) for t, p in zip(truths, predictions, strict=True)])
    scores = np.concatenate([p.scores for p in predictions if p.scores is not None])
    classes = np.concatenate([p.classes for p in predictions])
    for k, index in enumerate((1, 2)):
        true = sum((t.classes == index).sum() for t in truths)
        mine = np.flatnonzero(classes == index)
        mine = mine[np.argsort(-scores[mine])]
        own = resampled_ap(right[mine], np.ones(len(mine)), true)
        assert own == pytest.approx(expected[k], abs=1e-6)


def test_the_cut_that_thresholds_are_drawn_from_is_the_best_when_decoding_with_each() -> None:
    rng = np.random.default_rng(3)
    pairs = []
    for _ in range(8):
        truth = random_boxes(rng, 10, (100, 100))
        noise = random_boxes(rng, 20, (100, 100))
        corners = np.concatenate([truth.corners, noise.corners])
        scores = np.concatenate([rng.beta(4, 3, 10), rng.beta(2, 5, 20)]).astype(np.float32)
        pairs.append((truth, Boxes(corners, np.concatenate([truth.classes, noise.classes]), scores)))
    fitted = fit_calibration([(Truth(boxes=truth), found) for truth, found in pairs], LABELS)
    pairs = [(truth, suppressed(rated(found, fitted.box_confidence))) for truth, found in pairs]
    assert all(found.is_rated for _, found in pairs)

    def f1(calibration: Calibration, index: int) -> float:
        right = total = 0
        for truth, found in pairs:
            seen = confident(found, LABELS, calibration)
            right += hits(truth, seen)[seen.classes == index].sum()
            total += (seen.classes == index).sum() + (truth.classes == index).sum()
        return float(2 * right / total)

    for k, index in enumerate((1, 2)):
        best = max(f1(Calibration(score_thresholds=(cut, cut)), index) for cut in np.arange(1, 100) / 100)
        mine = [found.chosen(found.classes == index) for _, found in pairs]
        right = np.concatenate([hits(truth, found) for (truth, _), found in zip(pairs, mine, strict=True)])
        true = sum(int((truth.classes == index).sum()) for truth, _ in pairs)
        cut, highest = best_f1(np.concatenate([found.sureness for found in mine]), right, true)
        assert f1(Calibration(score_thresholds=(cut, cut)), index) == pytest.approx(highest)
        assert highest >= best
        assert fitted.score_thresholds[k] == pytest.approx((cut + highest / 2) / 2)


def test_boxes_that_are_often_wrong_for_their_size_come_after_those_that_are_right() -> None:
    """A network that is as sure of specks as of objects: its scores alone rank badly."""
    rng = np.random.default_rng(4)
    pairs = []
    for _ in range(20):
        low = rng.uniform(0, 400, (10, 2))
        truth = Boxes(np.hstack([low, low + 40]).astype(np.float32), np.ones(10, np.uint8))
        specks = rng.uniform(0, 400, (30, 2))
        corners = np.concatenate([truth.corners, np.hstack([specks, specks + 6])]).astype(np.float32)
        scores = rng.uniform(0.3, 0.7, 40).astype(np.float32)
        pairs.append((Truth(boxes=truth), Boxes(corners, np.ones(40, np.uint8), scores)))
    fitted = fit_calibration(pairs[:10], LABELS)
    plain, confident_ones = Scorer(LABELS, Calibration(), "test"), Scorer(LABELS, fitted, "test")
    for truth, found in pairs[10:]:
        assert truth.boxes is not None
        add(plain, "a", truth.boxes, found)
        add(confident_ones, "a", truth.boxes, rated(found, fitted.box_confidence))
    before, after = plain.metrics(), confident_ones.metrics()
    assert before["per_class"]["map50"]["cell"] < 0.5 < 0.95 < after["per_class"]["map50"]["cell"]
    assert before["confidence"]["auroc"] is None
    assert after["confidence"]["review"]["precision_of_kept"] > 0.95
    assert validation_score(pairs, LABELS) > 0.95


def test_weights_of_other_facts_are_not_used() -> None:
    found = boxes((0, 0, 9, 9), scores=[0.8])
    of_before = {"score": 1.0, "size": 0.0, "size_squared": 0.0, "other": 2.0, "bias": 0.0}
    assert rated(found, of_before) is found
    assert rated(found, {}) is found


def test_a_box_is_the_mean_of_what_is_told_around_its_centre() -> None:
    """Errors of single pixels fade; where nothing is told of an object, nothing is taken."""
    truth, rng = boxes((20, 30, 60, 90)), np.random.default_rng(5)
    maps = oracle(truth, (100, 120))
    blurred, errors = np.maximum(maps["centre"], np.float32(0)), []
    for _ in range(20):
        noise = rng.normal(0, 0.2, maps["box"].shape).astype(np.float32)
        found = boxes_of(
            {"centre": blurred, "box": np.where(maps["box"] == 0, 9, maps["box"] + noise)}, LABELS
        )
        errors.append(found.corners[0] - truth.corners[0])
    alone = 0.2 * np.array([20, 30, 20, 30])
    assert (np.std(errors, axis=0) < 2 * alone / PLACES).all()
    assert (np.abs(np.mean(errors, axis=0)) < alone / 2).all()


def test_thresholds_without_evidence() -> None:
    assert fit_calibration([(Truth(boxes=boxes()), boxes())], LABELS) == Calibration()
    only_cells = [(Truth(boxes=boxes((0, 0, 9, 9))), boxes((0, 0, 9, 9), (20, 0, 30, 9), scores=[0.8, 0.4]))]
    first, second = fit_calibration(only_cells, LABELS).score_thresholds
    assert first == second == pytest.approx(0.6)
    assert best_f1(np.float32([0.9]), np.array([False]), 3) == (0.5, 0)


def test_a_threshold_that_few_images_place_at_random_is_drawn_to_half_of_the_f1() -> None:
    """Of probabilities that hold, half of the highest F1 is the best threshold; 40 objects rarely say so."""
    rng = np.random.default_rng(6)
    far = []
    for _ in range(20):
        pairs = []
        for _ in range(10):
            sides = rng.uniform(20, 40, (12, 2))
            low = np.arange(12)[:, None] * 60 + rng.uniform(0, 9, (12, 2))
            found = np.hstack([low, low + sides]).astype(np.float32)
            chance = rng.beta(1, 1, 12).astype(np.float32)
            right = rng.uniform(0, 1, 12) < chance
            truth = Boxes(found[right], np.ones(right.sum(), np.uint8))
            pairs.append((Truth(boxes=truth), Boxes(found, np.ones(12, np.uint8), chance)))
        cut = fit_calibration(pairs, LABELS).score_thresholds[0]
        plain = best_f1(
            np.concatenate([found.sureness for _, found in pairs]),
            np.concatenate([hits(truth.boxes or boxes(), found) for truth, found in pairs]),
            sum(len(truth.boxes or ()) for truth, _ in pairs),
        )
        far.append((cut - 0.382, plain[0] - 0.382))  # F1 of uniform chances is highest, .764, from .382 on
    ours, theirs = np.abs(far).mean(axis=0)
    assert ours < 0.8 * theirs


def test_scores_of_a_perfect_an_empty_and_a_known_prediction() -> None:
    truth = boxes((0, 0, 10, 10), (20, 20, 40, 40), (50, 0, 60, 10), classes=[1, 1, 2])
    perfect = Boxes(truth.corners, truth.classes, np.float32([0.9, 0.8, 0.7]))
    scorer = Scorer(LABELS, Calibration(), "test")
    add(scorer, "a", truth, perfect)
    add(scorer, "b", truth, perfect)
    metrics = scorer.metrics()
    assert metrics["map"] == metrics["map50"] == metrics["f1"] == 1
    assert metrics["count_error"] == {"per_class": {"cell": 0, "platelet": 0}, "all": 0}
    assert metrics["ci95"]["map50"] == [1, 1]
    json.dumps(metrics, allow_nan=False)

    empty = Scorer(LABELS, Calibration(), "test")
    add(empty, "a", truth, boxes(scores=[]))
    metrics = empty.metrics()
    assert metrics["map"] == metrics["map50"] == 0
    assert metrics["per_class"]["precision"]["cell"] is None
    assert metrics["count_error"]["all"] == 3
    json.dumps([metrics, empty.rows()], allow_nan=False)

    known = Scorer(LABELS, Calibration(score_thresholds=(0.5, 0.5)), "test")
    add(known, "a", truth, boxes((0, 0, 10, 10), (70, 70, 80, 80), (20, 20, 40, 30), scores=[0.9, 0.6, 0.55]))
    metrics = known.metrics()
    # right, wrong, right: precision 1 up to recall 1/2 (51 points), then 2/3 (50 points)
    assert metrics["per_class"]["map50"]["cell"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert metrics["per_class"]["map50"]["platelet"] == 0
    assert metrics["f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert metrics["count_error"] == {"per_class": {"cell": 1, "platelet": 1}, "all": 0}
    assert known.rows()[0]["f1"] == pytest.approx(2 / 3)


def test_nothing_to_score_is_undefined_not_zero() -> None:
    scorer = Scorer(LABELS, Calibration(), "test")
    add(scorer, "empty", boxes(), boxes(scores=[]))
    metrics = scorer.metrics()
    assert metrics["map"] is metrics["map50"] is metrics["f1"] is None
    assert metrics["count_error"]["all"] == 0
    assert np.isnan(validation_score([(Truth(boxes=boxes()), boxes(scores=[]))], LABELS))
    assert Scorer(LABELS, Calibration(), "test").metrics()["map"] is None


def test_a_class_that_is_not_in_the_truth_does_not_enter_the_mean() -> None:
    truth = boxes((0, 0, 10, 10))
    found = boxes((0, 0, 10, 10), (30, 30, 40, 40), classes=[1, 2], scores=[0.9, 0.9])
    assert validation_score([(Truth(boxes=truth), found)], LABELS) == 1
