"""Classes of whole images: decoding, temperature and scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import DataError, LabelError
from reunet.tasks.classification import TASK
from reunet.tasks.classification.decode import decode, fit_calibration, validation_score
from reunet.tasks.classification.scorer import Scorer
from reunet.tasks.tempering import tempered

LABELS = LabelMap(classes=default_classes([0, 1, 2], ["red", "yellow", "green"]))


def softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True)).astype(np.float32)


def add(scorer: Scorer, case: str, truth: int, probabilities: np.ndarray) -> None:
    scorer.add(case, Truth(category=truth), Prediction(category_probabilities=probabilities))


def test_one_softmax_over_all_classes() -> None:
    (head,) = TASK.heads(Classes(LABELS, LABELS), 2)
    assert (head.name, head.channels, head.activation) == ("classification", 3, "softmax")


def test_the_temperature_changes_the_probability_not_the_class() -> None:
    p = np.float32([0.1, 0.7, 0.2])
    best, probability = decode(p, LABELS, Calibration())
    assert (best, probability) == (1, pytest.approx(0.7))
    best, probability = decode(p, LABELS, Calibration(temperature=3.0))
    assert best == 1
    assert 1 / 3 < probability < 0.7
    with pytest.raises(DataError, match="class probabilities"):
        decode(p[:2], LABELS, Calibration())


def test_tempered_is_the_softmax_of_divided_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    got = tempered(softmax(logits), 2.5)
    np.testing.assert_allclose(got, softmax(logits / 2.5), rtol=1e-5)
    assert np.isfinite(tempered(np.float32([1, 0, 0]), 0.5)).all()


@pytest.mark.parametrize("factor", [0.4, 1.0, 4.0])
def test_the_temperature_undoes_what_made_the_logits_too_large_or_small(factor: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 3))
    truth = [int(rng.choice(3, p=p / p.sum())) for p in softmax(logits).astype(np.float64)]
    pairs = list(zip(truth, softmax(factor * logits), strict=True))
    assert fit_calibration(pairs, LABELS).temperature == pytest.approx(factor, rel=0.1)


def test_there_is_no_temperature_where_nothing_is_wrong() -> None:
    p = np.float32([0.8, 0.1, 0.1])
    assert fit_calibration([(0, p), (0, p)], LABELS).temperature == 1
    assert fit_calibration([(0, p)], LABELS).temperature is None


def test_scores_by_hand() -> None:
    scorer = Scorer(LABELS, Calibration(), "test")
    for number, (true, predicted) in enumerate([(0, 0), (0, 0), (0, 1), (1, 1)]):
        add(scorer, str(number), true, np.eye(3, dtype=np.float32)[predicted] * 0.7 + 0.1)
    metrics = scorer.metrics()
    assert metrics["accuracy"] == pytest.approx(3 / 4)
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)  # green is in no image
    assert metrics["per_class"]["recall"]["green"] is None
    assert metrics["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert metrics["ece"] == pytest.approx(abs(0.75 - 0.8), abs=1e-6)
    low, high = metrics["ci95"]["accuracy"]
    assert low < 0.75 < high
    assert scorer.image_scores() == {"0": 1.0, "1": 1.0, "2": 0.0, "3": 1.0}
    rows = scorer.rows()
    assert (rows[2]["true"], rows[2]["predicted"], rows[2]["right"]) == ("red", "yellow", 0)
    json.dumps([metrics, rows], allow_nan=False)


def test_validation_score_is_what_the_scorer_says() -> None:
    rng = np.random.default_rng(1)
    pairs = [(int(rng.integers(3)), softmax(rng.normal(size=3))) for _ in range(30)]
    scorer = Scorer(LABELS, Calibration(), "val")
    for number, (true, p) in enumerate(pairs):
        add(scorer, str(number), true, tempered(p, scorer.calibration.temperature))
    assert validation_score(pairs, LABELS) == pytest.approx(scorer.metrics()["balanced_accuracy"])
    assert np.isnan(validation_score([], LABELS))


def test_without_images_nothing_is_defined() -> None:
    metrics = Scorer(LABELS, Calibration(), "test").metrics()
    assert metrics["accuracy"] is metrics["balanced_accuracy"] is metrics["ece"] is None


@pytest.mark.parametrize(("truth", "p"), [(3, np.ones(3) / 3), (-1, np.ones(3) / 3), (0, np.ones(2) / 2)])
def test_what_does_not_fit_the_classes_is_refused(truth: int, p: np.ndarray) -> None:
    with pytest.raises(LabelError, match="case7"):
        add(Scorer(LABELS, Calibration(), "test"), "case7", truth, p)
