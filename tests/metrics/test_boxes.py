from __future__ import annotations

import numpy as np
import pytest

from reunet.contracts.boxes import Boxes
from reunet.metrics.average_precision import coco_ap, coco_precision
from reunet.metrics.box_matching import hits, matched
from reunet.metrics.overlap import mean_defined

Images = list[Boxes]


def boxes(corners: list, classes: list | None = None, scores: list | None = None) -> Boxes:
    n = len(corners)
    return Boxes(
        np.array(corners, np.float32).reshape(n, 4),
        np.array([0] * n if classes is None else classes, np.uint8),
        None if scores is None else np.array(scores, np.float32),
    )


def coco_map(precision: np.ndarray) -> tuple[float, float]:
    """The mAP over all IoU, and mAP50."""
    per_class = coco_ap(precision)
    return float(mean_defined(per_class.mean(axis=0))), float(mean_defined(per_class[0]))


def random_images(seed: int, n: int = 6) -> tuple[Images, Images]:
    """Boxes of three classes; predictions are moved, some lost, some invented, some twice."""
    rng = np.random.default_rng(seed)
    truths, predictions = [], []
    for _ in range(n):
        k = rng.integers(0, 9)
        low = rng.uniform(0, 40, (k, 2))
        corners = np.concatenate([low, low + rng.uniform(6, 25, (k, 2))], axis=1)
        classes = rng.choice([1, 2, 5], k)
        keep = rng.random(k) < 0.85
        found = np.concatenate(
            [corners[keep], corners[keep][:2], rng.uniform(0, 10, (2, 4)) + np.array([0, 0, 15, 15])]
        )
        found = np.sort((found + rng.normal(0, 1.2, found.shape)).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        named = np.concatenate([classes[keep], classes[keep][:2], rng.choice([1, 2, 5], 2)])
        truths.append(boxes(corners.tolist(), classes.tolist()))
        predictions.append(boxes(found.tolist(), named.tolist(), rng.random(len(found)).tolist()))
    return truths, predictions


def iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = [max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1)]
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return float(sides[0] * sides[1] / (sum(areas) - sides[0] * sides[1]))


def reference(truths: Images, predictions: Images, index: int, threshold: float) -> list[float]:
    """The precision at 101 recalls, box by box."""
    found = [
        (float(p.scores[i]), image, p.corners[i].astype(float))
        for image, p in enumerate(predictions)
        for i in range(len(p))
        if p.classes[i] == index
    ]
    free = [[t.corners[i].astype(float) for i in range(len(t)) if t.classes[i] == index] for t in truths]
    total = sum(map(len, free))
    hits, points = 0, []
    for rank, (_, image, box) in enumerate(sorted(found, key=lambda f: -f[0]), start=1):
        overlaps = [iou(box, other) for other in free[image]]
        if overlaps and max(overlaps) >= threshold:
            free[image].pop(int(np.argmax(overlaps)))
            hits += 1
        points.append((hits / total, hits / rank))
    return [max((p for r, p in points if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)]


@pytest.mark.parametrize("seed", range(5))
def test_curves_box_by_box(seed: int) -> None:
    truths, predictions = random_images(seed)
    classes = [5, 1, 2]  # in any order
    curves = coco_precision(truths, predictions, classes)
    assert curves.shape == (10, 101, 3)
    for column, index in enumerate(classes):
        for row, threshold in ((0, 0.5), (5, 0.75), (9, 0.95)):
            expected = reference(truths, predictions, index, threshold)
            np.testing.assert_allclose(curves[row, :, column], expected, atol=1e-9)
    assert coco_map(curves) == pytest.approx((curves.mean(), curves[0].mean()))
    assert coco_ap(curves)[0] == pytest.approx(curves[0].mean(axis=0))


def test_by_hand() -> None:
    truths = [boxes([[0, 0, 10, 10], [20, 20, 30, 30]])]
    found = [boxes([[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 28]], scores=[0.9, 0.8, 0.7])]
    curves = coco_precision(truths, found, [0])
    # up to a recall of 0.5 (51 points) precision 1, then 2/3; from IoU 0.85 on the last box is wrong
    assert coco_ap(curves)[0, 0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert coco_ap(curves)[6, 0] == coco_ap(curves)[0, 0]
    assert coco_ap(curves)[7, 0] == pytest.approx(51 / 101)


@pytest.mark.parametrize("seed", range(3))
def test_identity_and_order_of_boxes_and_images(seed: int) -> None:
    truths, predictions = random_images(seed)
    assert coco_map(coco_precision(truths, truths, [1, 2, 5])) == (1, 1)
    rng = np.random.default_rng(seed)
    images = rng.permutation(len(truths))
    mixed = []
    for p in predictions:
        order = rng.permutation(len(p))
        mixed.append(Boxes(p.corners[order], p.classes[order], p.scores[order]))
    np.testing.assert_allclose(
        coco_precision([truths[i] for i in images], [mixed[i] for i in images], [1, 2, 5]),
        coco_precision(truths, predictions, [1, 2, 5]),
    )


def test_undefined_and_zero() -> None:
    one, none = boxes([[0, 0, 9, 9]], [2], [0.5]), boxes([])
    curves = coco_precision([one, none], [none, one], [1, 2])
    assert np.isnan(curves[:, :, 0]).all()
    assert (curves[:, :, 1] == 0).all()
    assert coco_map(curves) == (0, 0)
    assert (coco_precision([one], [none], [2]) == 0).all()
    for truths in ([none], []):
        assert np.isnan(coco_map(coco_precision(truths, truths, [1, 2]))).all()
    with pytest.raises(ValueError, match="1 true and 2 predicted"):
        coco_precision([one], [one, one], [1])


def test_more_than_a_hundred_boxes_in_an_image() -> None:
    many = boxes([[0, 3 * i, 2, 3 * i + 2] for i in range(300)])
    assert coco_map(coco_precision([many], [many], [0])) == (1, 1)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    coco_precision(*random_images(0), [1, 2, 5])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("seed", range(4))
def test_a_box_takes_the_best_true_one_of_its_class_that_is_free(seed: int) -> None:
    """`matched` against the rule, box by box."""
    for truth, predicted in zip(*random_images(seed), strict=True):
        free, expected = set(range(len(truth))), np.full(len(predicted), -1)
        for i in np.argsort(-predicted.sureness, kind="stable"):
            candidates = [(iou(truth.corners[j], predicted.corners[i]), j) for j in free
                          if truth.classes[j] == predicted.classes[i]]  # fmt: skip
            best = max(candidates, default=(0.0, -1))
            if best[0] >= 0.5:
                expected[i] = best[1]
                free.discard(best[1])
        np.testing.assert_array_equal(matched(truth, predicted), expected)
        np.testing.assert_array_equal(hits(truth, predicted), expected >= 0)
        assert hits(truth, predicted, 0.9).sum() <= (expected >= 0).sum()
