from __future__ import annotations

import json

import numpy as np
import pytest
from skimage.measure import label
from skimage.metrics import adapted_rand_error
from skimage.segmentation import watershed

from reunet.contracts.labels import IGNORE, Classes, LabelMap, default_classes
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import LabelError, UsageError
from reunet.tasks import ROOMS, check_tasks, task
from reunet.tasks.base import Maps
from reunet.tasks.semantic import TASK, Scorer, decode, fit_calibration, validation_score
from reunet.tasks.semantic.decode import positive_class
from reunet.tasks.tempering import before, tempered
from reunet.tasks.work import Work

TWO = LabelMap(classes=default_classes([0, 1], ["background", "cell"]))
THREE = LabelMap(classes=default_classes([0, 1, 2], ["background", "cell", "vessel"]))
MEMBRANES = LabelMap(classes=default_classes([0, 1], ["interior", "membrane"]))


def stack(p: np.ndarray) -> np.ndarray:
    return np.stack([1 - p, p], axis=-1).astype(np.float32)


def dice_of(truth: np.ndarray, prediction: np.ndarray) -> float:
    a, b = truth[truth != IGNORE] == 1, prediction[truth != IGNORE] == 1
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_registry() -> None:
    assert [task(name).name for name in ROOMS] == list(ROOMS)
    with pytest.raises(UsageError, match="semantik"):
        task("semantik")
    check_tasks(["auto", "semantic"])
    with pytest.raises(UsageError, match="auto, semantic"):
        check_tasks(["auto", "semantik"])


def test_head_has_a_channel_per_class() -> None:
    (head,) = Work(("semantic",), Classes(THREE)).heads(2)
    assert (head.channels, head.activation) == (3, "softmax")


def test_two_classes_follow_the_threshold_and_reaching_it_counts() -> None:
    p = stack(np.array([[0.29, 0.3, 0.31, 0.9]]))
    assert decode(p, TWO, Calibration(threshold=0.3)).tolist() == [[0, 1, 1, 1]]
    assert decode(p, TWO, Calibration()).tolist() == [[0, 0, 0, 1]]
    assert decode(p, TWO, Calibration()).dtype == np.uint8


def test_foreground_may_be_the_first_of_two_classes() -> None:
    first, second = TWO.classes
    swapped = LabelMap(
        classes=(
            first.model_copy(update={"foreground": True}),
            second.model_copy(update={"foreground": False}),
        )
    )
    assert positive_class(swapped) == 0
    assert decode(stack(np.array([[0.6, 0.8]])), swapped, Calibration(threshold=0.3)).tolist() == [[0, 1]]


def test_several_classes_follow_the_argmax() -> None:
    p = np.random.default_rng(0).dirichlet([1, 1, 1], (4, 5)).astype(np.float32)
    np.testing.assert_array_equal(decode(p, THREE, Calibration(threshold=0.01)), p.argmax(-1))


def test_fitted_threshold_is_the_best_when_decoding_with_each() -> None:
    rng = np.random.default_rng(1)
    pairs = []
    for shift in (0.0, -1.0, -2.0):  # a network that is too shy
        truth = (rng.random((40, 40)) < 0.3).astype(np.uint8)
        logit = rng.normal(0, 1, truth.shape) + 3 * truth - 2 + shift
        truth[:5] = IGNORE
        pairs.append((truth, stack(1 / (1 + np.exp(-logit)))))

    def mean_dice(cut: float) -> float:
        return float(np.mean([dice_of(t, decode(p, TWO, Calibration(threshold=cut))) for t, p in pairs]))

    calibration = fit_calibration(iter(pairs), TWO)
    assert calibration.threshold is not None
    fitted = before(calibration.threshold, calibration.pixel_temperature)
    assert fitted < 0.45
    assert mean_dice(fitted) == pytest.approx(max(mean_dice(c / 100) for c in range(1, 100)))


def test_no_foreground_leaves_the_default() -> None:
    nothing = np.zeros((8, 8), np.uint8)
    perfect = stack(np.zeros((8, 8)))
    assert fit_calibration([(nothing, perfect)], TWO) == Calibration(pixel_temperature=1.0)
    assert fit_calibration([], TWO) == Calibration()


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_probabilities_are_tempered_and_decisions_are_not(factor: float) -> None:
    """Logits that are too large or small by a factor are undone by it; what is foreground stays the same."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (60, 80))
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    p = stack(1 / (1 + np.exp(-factor * logits)))
    fitted = fit_calibration([(truth, p)], TWO)
    assert fitted.pixel_temperature == pytest.approx(factor, rel=0.1)
    found = TASK.decode(Maps({"semantic": p}, truth.shape), Classes(TWO, None), fitted)
    assert found.labels is not None
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities[..., 1], 1 / (1 + np.exp(-logits)), atol=0.03)
    assert fitted.threshold is not None
    np.testing.assert_array_equal(found.labels, found.probabilities[..., 1] >= fitted.threshold)
    plain = fitted.model_copy(
        update={"pixel_temperature": None, "threshold": before(fitted.threshold, fitted.pixel_temperature)}
    )
    np.testing.assert_array_equal(found.labels, decode(p, TWO, plain))
    scorers = [Scorer(TWO, fitted, "test") for _ in range(2)]
    for scorer, probabilities in zip(scorers, (p, found.probabilities), strict=True):
        scorer.add("a", Truth(truth), Prediction(found.labels, probabilities))
    raw, calibrated = (scorer.metrics()["ece"] for scorer in scorers)
    assert calibrated < raw / 2


def test_perfect_probabilities_keep_one_half() -> None:
    truth = np.random.default_rng(2).integers(0, 2, (9, 9)).astype(np.uint8)
    assert fit_calibration([(truth, stack(truth.astype(float)))], TWO).threshold == 0.5


def test_validation_score_is_the_mean_of_image_means_at_argmax() -> None:
    truths = np.array([[[0, 1, 1, 2]], [[0, 1, 1, IGNORE]]], np.uint8)
    predictions = np.array([[[0, 1, 0, 2]], [[0, 1, 1, 2]]])
    pairs = [(t, np.eye(3, dtype=np.float32)[p]) for t, p in zip(truths, predictions, strict=True)]
    # image 1: cell 2/3, vessel 1; image 2: cell 1, vessel undefined (its only pixel is unlabelled)
    assert validation_score(pairs, THREE) == pytest.approx(((2 / 3 + 1) / 2 + 1) / 2)
    assert np.isnan(validation_score([], THREE))


def cells(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Membranes of a random tessellation, and a noisy boundary probability with weak places."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((90, 90), int)
    seeds[tuple(rng.integers(2, 88, (2, 14)))] = np.arange(1, 15)
    cell = watershed(np.zeros((90, 90)), seeds)
    truth = np.zeros((90, 90), np.uint8)
    truth[:-1] |= cell[:-1] != cell[1:]
    truth[:, :-1] |= cell[:, :-1] != cell[:, 1:]
    probability = np.clip(
        truth * rng.uniform(0.15, 0.8, truth.shape) + rng.uniform(0, 0.1, truth.shape), 0, 1
    )
    return truth, probability.astype(np.float32)


def v_rand_by_definition(truth: np.ndarray, probability: np.ndarray, cut: float) -> float:
    predicted = watershed(probability, label(probability < cut, connectivity=1))
    return 1 - float(adapted_rand_error(label(truth == 0, connectivity=1), predicted, ignore_labels=(0,))[0])


def test_v_rand_is_scikit_image_s_per_slice_at_the_fitted_region_threshold() -> None:
    given = [(t, stack(p)) for t, p in (cells(0), cells(1))]
    calibration = fit_calibration(iter(given), MEMBRANES)
    pairs = [(t, tempered(p, calibration.pixel_temperature)) for t, p in given]
    assert calibration.region_threshold is not None
    by_threshold = {
        cut: np.mean([v_rand_by_definition(t, p[..., 1], cut) for t, p in pairs])
        for cut in np.arange(1, 10) / 10
    }
    scorer = Scorer(MEMBRANES, calibration, "test")
    for name, (truth, p) in zip("ab", pairs, strict=True):
        scorer.add(name, Truth(truth), Prediction(decode(p, MEMBRANES, calibration), p))
    v_rand = scorer.metrics()["v_rand"]
    assert v_rand == pytest.approx(
        np.mean([v_rand_by_definition(t, p[..., 1], calibration.region_threshold) for t, p in pairs])
    )
    assert v_rand >= max(by_threshold.values())
    assert scorer.metrics()["ci95"]["v_rand"][0] <= v_rand <= scorer.metrics()["ci95"]["v_rand"][1]


def test_masks_from_elsewhere_get_v_rand_but_no_ranking_scores() -> None:
    truth, _ = cells(3)
    scorer = Scorer(MEMBRANES, Calibration(), "test")
    scorer.add("a", Truth(truth), Prediction(truth))
    metrics = scorer.metrics()
    assert metrics["v_rand"] == pytest.approx(1)
    assert [metrics[name] for name in ("auc", "average_precision", "ece", "threshold")] == [None] * 4


def test_metrics_json_holds_the_contract() -> None:
    rng = np.random.default_rng(4)
    scorer = Scorer(THREE, Calibration(), "val")
    for name in "abc":
        p = rng.dirichlet([1, 1, 1], (12, 10)).astype(np.float32)
        truth = rng.integers(0, 3, (12, 10)).astype(np.uint8)
        scorer.add(name, Truth(truth), Prediction(p.argmax(-1).astype(np.uint8), p))
    metrics = scorer.metrics()
    json.dumps(metrics, allow_nan=False)
    assert {
        "schema_version", "task", "split", "n_images", "classes", "threshold", "dice", "iou", "pixel_error",
        "auc", "average_precision", "v_rand", "v_info", "ece", "ci95",
    } <= metrics.keys()  # fmt: skip
    assert metrics["classes"][1] == {"id": 1, "name": "cell", "foreground": True}
    assert metrics["v_rand"] is metrics["v_info"] is metrics["threshold"] is None
    for kind in ("pooled", "per_image"):
        cell, vessel = (metrics["dice"][kind]["per_class"][name] for name in ("cell", "vessel"))
        assert metrics["dice"][kind]["mean_foreground"] == pytest.approx((cell + vessel) / 2)
        assert metrics["iou"][kind]["mean"] == pytest.approx(
            np.mean(list(metrics["iou"][kind]["per_class"].values()))
        )
        low, high = metrics["ci95"]["dice"][kind]["mean_foreground"]
        assert low <= metrics["dice"][kind]["mean_foreground"] <= high
    assert 0.4 < metrics["auc"] < 0.6  # random scores
    rows = scorer.rows()
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert np.mean([row["dice.mean_foreground"] for row in rows]) == pytest.approx(
        metrics["dice"]["per_image"]["mean_foreground"]
    )


def test_pooled_and_per_image_differ_as_they_should() -> None:
    scorer = Scorer(TWO, Calibration(), "test")
    scorer.add("large", Truth(np.ones((10, 10), np.uint8)), Prediction(np.ones((10, 10), np.uint8)))
    scorer.add("small", Truth(np.ones((1, 1), np.uint8)), Prediction(np.zeros((1, 1), np.uint8)))
    dice = scorer.metrics()["dice"]
    assert dice["per_image"]["mean_foreground"] == pytest.approx(0.5)
    assert dice["pooled"]["mean_foreground"] == pytest.approx(200 / 201)


def test_undefined_is_null_and_counted() -> None:
    scorer = Scorer(THREE, Calibration(), "test")
    truth = np.zeros((4, 4), np.uint8)
    scorer.add("empty", Truth(truth), Prediction(truth))
    some = truth.copy()
    some[0] = 1
    scorer.add("cell", Truth(some), Prediction(some))
    metrics = scorer.metrics()
    assert metrics["dice"]["pooled"]["per_class"]["vessel"] is None
    assert metrics["dice"]["per_image"]["mean_foreground"] == 1
    assert metrics["undefined"] == {
        "per_class": {"background": 0, "cell": 1, "vessel": 2},
        "mean_foreground": 1,
        "hd95": 1,
        "nsd": 1,
        "cl_dice": 2,
        "too_large": 0,
    }
    assert scorer.image_scores() == {"empty": None, "cell": 1.0}


def test_images_too_large_for_shapes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reunet.tasks.semantic.shape_scores.MOST_PIXELS", 16)
    scorer = Scorer(TWO, Calibration(), "test")
    for side in (4, 5, 6):
        truth = np.zeros((side, side), np.uint8)
        truth[0] = 1
        scorer.add(str(side), Truth(truth), Prediction(truth))
    metrics = scorer.metrics()
    assert (metrics["undefined"]["too_large"], metrics["undefined"]["hd95"]) == (2, 2)
    assert (metrics["hd95"]["mean_foreground"], metrics["hd95"]["left_out"]) == (0.0, {"cell": 0})


def test_unlabelled_pixels_do_not_count() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, (20, 20)).astype(np.uint8)
    p = stack(rng.random((20, 20)))
    masked = truth.copy()
    masked[:, 10:] = IGNORE
    whole, half = (Scorer(TWO, Calibration(), "test") for _ in range(2))
    whole.add("a", Truth(masked), Prediction(decode(p, TWO, Calibration()), p))
    half.add("a", Truth(truth[:, :10]), Prediction(decode(p, TWO, Calibration())[:, :10], p[:, :10]))
    assert whole.metrics() == half.metrics()


def test_wrong_size_or_missing_class_is_explained() -> None:
    scorer = Scorer(TWO, Calibration(), "test")
    with pytest.raises(LabelError, match="differ in size"):
        scorer.add("a", Truth(np.zeros((3, 3), np.uint8)), Prediction(np.zeros((3, 4), np.uint8)))
    with pytest.raises(LabelError, match="2 pixels"):
        scorer.add("a", Truth(np.zeros(3, np.uint8)), Prediction(np.array([0, IGNORE, 9], np.uint8)))
    assert scorer.images == []


def test_no_image_gives_only_nulls() -> None:
    metrics = Scorer(MEMBRANES, Calibration(), "test").metrics()
    assert metrics["n_images"] == 0
    assert metrics["dice"]["pooled"]["mean_foreground"] is None
    assert metrics["v_rand"] is None
    json.dumps(metrics, allow_nan=False)


def test_volumes_are_scored_voxel_by_voxel() -> None:
    """The same voxels give the same numbers, however they are arranged."""
    labels = LabelMap(classes=default_classes([0, 1, 2]))
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((1, 1, 1), (6, 7, 8)).astype(np.float32)
    truth = rng.integers(0, 3, (6, 7, 8), np.uint8)
    truth[0, 0] = IGNORE
    found = []
    for shape in ((6, 7, 8), (42, 8)):
        volume, true = probabilities.reshape(*shape, 3), truth.reshape(shape)
        scorer = Scorer(labels, Calibration(), "test")
        predicted = decode(volume, labels, Calibration())
        assert predicted.shape == shape
        scorer.add("a", Truth(true), Prediction(predicted, volume))
        metrics = scorer.metrics()
        same = {name: metrics[name] for name in ("dice", "iou", "auc", "average_precision", "ece")}
        found.append((same, validation_score([(true, volume)], labels)))
    assert found[0] == found[1]
