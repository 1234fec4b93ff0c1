"""Every score against an independent computation: scikit-learn, SciPy, scikit-image, COCO's own program,
or one straight from the definition. Edge cases by day, all of them at night.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import scipy.stats
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.measure import label
from skimage.morphology import skeletonize
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.metrics.cluster import pair_confusion_matrix

from reunet.contracts.labels import IGNORE
from reunet.metrics import overlap
from reunet.metrics.average_precision import IOU, coco_precision
from reunet.metrics.bootstrap import interval
from reunet.metrics.calibration import ReliabilityHistogram
from reunet.metrics.histology import aggregated_jaccard, detection_counts, object_dice
from reunet.metrics.matching import average_precision, f1, match_counts, panoptic_quality, precision, recall
from reunet.metrics.object_overlap import known_overlap, object_overlap
from reunet.metrics.partitions import components, rand_scores
from reunet.metrics.ranking import RankingHistogram, dice_by_threshold
from reunet.metrics.skeleton import cl_dice, elongation, skeleton, skeleton_length
from reunet.metrics.surface import distance_to_outside, hd95, normalised_surface_distance, surface_distances
from reunet.metrics.tracking import seg
from reunet.metrics.video import boundary_measure, region_similarity

from . import referee_definitions as definitions
from .referee_cases import box_case, label_case, mask_case, object_case, score_case, thin_case
from .test_surface import reference as surfaces
from .test_tracking import compare, random_sequence
from .test_tracking import reference as tracking
from .test_video import reference as boundaries

Told = Iterator[tuple[str, object, object]]
"""What is compared, what we say, and what the referee says."""

NAN = float("nan")


def of_pixels(number: int) -> Told:
    truth, found, n = label_case(number)
    counts = overlap.confusion(truth, found, n)
    true, predicted = truth[truth != IGNORE], found[truth != IGNORE]
    names = list(range(n))
    if not true.size:
        yield "confusion", counts, np.zeros((n, n))
        yield "pixel error", overlap.pixel_error(counts), NAN
        return
    options = {"labels": names, "average": None, "zero_division": np.nan}
    dice = sk.f1_score(true, predicted, **options)
    yield "confusion", counts, sk.confusion_matrix(true, predicted, labels=names)
    yield "Dice", overlap.dice(counts), dice
    jaccard = sk.jaccard_score(true, predicted, labels=names, average=None, zero_division=0)
    yield "IoU", overlap.iou(counts), np.where(np.isnan(dice), np.nan, jaccard)
    yield "precision", overlap.precision(counts), sk.precision_score(true, predicted, **options)
    yield "recall", overlap.recall(counts), sk.recall_score(true, predicted, **options)
    yield "pixel error", overlap.pixel_error(counts), sk.zero_one_loss(true, predicted)
    yield "accuracy", overlap.accuracy(counts), sk.accuracy_score(true, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a predicted class that is not true
        yield (
            "balanced accuracy",
            overlap.balanced_accuracy(counts),
            sk.balanced_accuracy_score(true, predicted),
        )
    some = np.random.default_rng(number).random(n) < 0.5
    if some.any():
        grouped = overlap.dice(overlap.grouped(counts, some[:, None]))[0, 1]
        inside = sk.f1_score(some[true], some[predicted], zero_division=np.nan)
        yield "Dice of a region", grouped, inside


def of_rankings(number: int) -> Told:
    scores, positives = score_case(number)
    histogram = RankingHistogram()
    histogram.add(scores, positives)
    both = positives.any() and not positives.all()
    yield "AUC", histogram.auc(), sk.roc_auc_score(positives, scores) if both else NAN
    expected = sk.average_precision_score(positives, scores) if positives.any() else NAN
    yield "average precision", histogram.average_precision(), expected
    cuts = np.array([0.1, 1 / 3, 0.5, 0.9])
    told = [
        sk.f1_score(positives, scores >= np.float32(cut), zero_division=np.nan) if len(scores) else NAN
        for cut in cuts
    ]
    yield "Dice by threshold", dice_by_threshold(scores, positives, cuts), told


def of_calibration(number: int) -> Told:
    scores, positives = score_case(number)
    probabilities = np.stack([scores, 1 - scores], axis=1)
    histogram = ReliabilityHistogram()
    histogram.add(probabilities, np.where(positives, 0, 1))
    if not len(scores):
        yield "ECE", histogram.ece(), NAN
        return
    sure = probabilities.max(axis=1).astype(float)
    right = (probabilities.argmax(axis=1) == np.where(positives, 0, 1)).astype(int)
    accuracy, confidence = (
        calibration_curve(right, sure, n_bins=15) if 0 < right.sum() < len(right) else _bins(right, sure)
    )
    count = np.histogram(sure, np.linspace(0, 1, 16))[0]
    weights = count[count > 0] / count.sum()
    yield "ECE", histogram.ece(), float((weights * np.abs(accuracy - confidence)).sum())


def _bins(right: np.ndarray, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What scikit-learn refuses to tell where all are right or all are wrong."""
    place = np.clip(np.digitize(sure, np.linspace(0, 1, 16)) - 1, 0, 14)
    used = np.unique(place)
    return np.array([right[place == k].mean() for k in used]), np.array(
        [sure[place == k].mean() for k in used]
    )


def of_partitions(number: int) -> Told:
    truth, found, n = label_case(number)
    true, predicted = np.where(truth == IGNORE, 0, truth), found + 1
    rand, information = rand_scores(true, predicted)
    a, b = true[true > 0], predicted[true > 0]
    if len(a) < 2:
        yield "V_rand", (rand, information), (NAN, NAN)
        return
    pairs = pair_confusion_matrix(a, b).astype(float)
    yield "V_rand", rand, definitions.ratio(pairs[1, 1], pairs[1, 1] + (pairs[0, 1] + pairs[1, 0]) / 2)
    entropies = [scipy.stats.entropy(np.unique(x, return_counts=True)[1]) for x in (a, b)]
    mean = sum(entropies) / 2
    yield "V_info", information, sk.mutual_info_score(a, b) / mean if mean > 1e-12 else NAN
    inside = found == n - 1
    yield (
        "components",
        sk.adjusted_rand_score(components(inside).ravel(), label(inside, connectivity=1).ravel()),
        1,
    )


def of_surfaces(number: int) -> Told:
    truth, found, spacing = mask_case(number)
    distances = surface_distances(truth, found, spacing)
    tolerance = max(spacing)
    both = truth.any(), found.any()
    far, near = surfaces(truth, found, spacing, tolerance) if all(both) else (NAN, 0.0 if any(both) else NAN)
    yield "HD95", hd95(distances), far
    yield "surface distance", normalised_surface_distance(distances, tolerance), near
    if truth.any() and not truth.all():
        inside, outside = np.argwhere(truth) * spacing, np.argwhere(~truth) * spacing
        yield "distance", distance_to_outside(truth, spacing)[truth], cdist(inside, outside).min(axis=1)


def of_lines(number: int) -> Told:
    truth, found = thin_case(number)
    lines = [skeletonize(mask) for mask in (truth, found)]
    shares = [definitions.ratio((a & b).sum(), a.sum()) for a, b in zip(lines, (found, truth), strict=True)]
    expected = float(scipy.stats.hmean(np.nan_to_num(shares))) if not np.isnan(shares).all() else NAN
    yield "clDice", cl_dice(truth, found, skeleton(truth), skeleton(found)), expected
    spacing = (2.0, 1.0, 0.5)[: truth.ndim]
    yield "length", skeleton_length(lines[0], spacing), sum(definitions.steps_of(lines[0], spacing))
    if truth.any():
        inside = np.pad(truth, 1)
        width = 2 * np.percentile(ndimage.distance_transform_edt(inside)[inside], 95)
        parts = label(inside, connectivity=truth.ndim, return_num=True)[1]
        yield "elongation", elongation(truth), truth.sum() / parts / width**truth.ndim


def of_objects(number: int) -> Told:
    truth, found, known = object_case(number)
    ours = known_overlap(truth, found, known)
    true, predicted = definitions.fair_objects(truth, found, known)
    table = definitions.Table(true, predicted)
    thresholds = np.array([0.5, 0.55, 0.75, 0.95])
    counts = match_counts(ours, thresholds)
    for one, threshold in zip(counts, thresholds, strict=True):
        hits, total = definitions.matches(table, threshold)
        false, missed = len(predicted) - hits, len(true) - hits
        yield "matches", one, (hits, false, missed, total)
        yield "AP", average_precision(one), definitions.ratio(hits, hits + false + missed)
        yield "PQ", panoptic_quality(one), definitions.ratio(total, hits + (false + missed) / 2)
        yield "F1", f1(one), definitions.ratio(2 * hits, 2 * hits + false + missed)
        yield (
            "precision, recall",
            (precision(one), recall(one)),
            tuple(definitions.ratio(hits, len(side)) for side in (predicted, true)),
        )
    yield "AJI", aggregated_jaccard(ours), definitions.aji(table)
    expected = definitions.glands(table)
    yield "object F1, Dice", (f1(detection_counts(ours)), object_dice(ours)), expected


def of_boxes(number: int) -> Told:
    images = box_case(number)
    known = []
    for _, _, crowd in images:
        told = np.ones((100, 100), bool)
        if crowd is not None:
            told[crowd[0] : crowd[2], crowd[1] : crowd[3]] = False
        known.append(told)
    ours = coco_precision([t for t, _, _ in images], [p for _, p, _ in images], (1, 2), known)
    yield "COCO's own program", ours, _coco(images, ours)
    for column, index in enumerate((1, 2)):
        for row in (0, 5, 9):
            expected = definitions.coco_points(images, index, IOU[row])
            yield "101 points", ours[row, :, column], expected


def _coco(images: list, ours: np.ndarray) -> np.ndarray:
    from faster_coco_eval import COCO, COCOeval_faster

    def row(image: int, kind: int, box: np.ndarray) -> dict:
        y0, x0, y1, x1 = map(float, box)
        return {"image_id": image, "category_id": int(kind), "bbox": [x0, y0, x1 - x0, y1 - y0], "area": 1.0}

    true, found = [], []
    for image, (truth, predicted, crowd) in enumerate(images):
        true += [
            row(image, k, box) | {"iscrowd": 0} for box, k in zip(truth.corners, truth.classes, strict=True)
        ]
        true += [row(image, k, np.array(crowd)) | {"iscrowd": 1} for k in (1, 2) if crowd is not None]
        told = zip(predicted.corners, predicted.classes, predicted.scores, strict=True)
        found += [row(image, k, box) | {"score": float(score)} for box, k, score in told]
    if not found or not true:
        return np.where(np.isnan(ours), np.nan, 0.0)
    data = {
        "images": [{"id": i} for i in range(len(images))],
        "categories": [{"id": 1}, {"id": 2}],
        "annotations": [one | {"id": i} for i, one in enumerate(true, 1)],
    }
    reference = COCO(data)
    evaluation = COCOeval_faster(reference, reference.loadRes(found), "bbox")
    evaluation.params.maxDets = [1, 10, 100_000]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    points = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    return np.where(points < 0, np.nan, points)


def of_tracks(number: int) -> Told:
    truth, tracks, result, result_tracks = random_sequence(number)
    if number < 2:  # nothing was found, and everything was
        result = [frame * number for frame in truth]
        result_tracks = tracks[: len(tracks) * number]
    errors = compare(truth, tracks, result, result_tracks)
    yield "TRA", (errors.aogm, errors.tra), tracking(truth, tracks, result, result_tracks)
    found = []
    for true, seen in zip(truth, result, strict=True):
        for i in np.unique(true[true > 0]):
            halves = [seen == j for j in np.unique(seen[seen > 0])]
            covering = [mask for mask in halves if 2 * (mask & (true == i)).sum() > (true == i).sum()]
            found.append(definitions.iou(true == i, covering[0]) if covering else 0.0)
    yield "SEG", seg([object_overlap(t, r) for t, r in zip(truth, result, strict=True)]), np.mean(found)


def of_videos(number: int) -> Told:
    truth, found, _ = mask_case(number if number % 4 != 3 else number + 1)
    some = truth | found
    yield (
        "J",
        region_similarity(truth, found),
        sk.jaccard_score(truth.ravel(), found.ravel()) if some.any() else NAN,
    )
    edges = [mask.any() and not mask.all() for mask in (truth, found)]
    expected = boundaries(truth, found) if all(edges) else (0.0 if any(edges) else NAN)
    yield "F", boundary_measure(truth, found), 0.0 if np.isnan(expected) and any(edges) else expected


def of_intervals(number: int) -> Told:
    rng = np.random.default_rng(number)
    values = rng.gamma(2, size=int(rng.integers(10, 60)))
    ends = interval(values, lambda some: np.mean(some), seed=number)
    told = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=number, n_resamples=4000)
    low, high = told.confidence_interval
    yield "bootstrap", np.round((ends - [low, high]) / (high - low) / 0.3), [0, 0]  # to a third of its width


REFEREES: dict[str, tuple[Callable[[int], Told], float, int]] = {
    "pixels": (of_pixels, 1e-12, 14),
    "rankings": (of_rankings, 1e-9, 14),
    "calibration": (of_calibration, 1e-6, 14),
    "partitions": (of_partitions, 1e-9, 14),
    "surfaces": (of_surfaces, 1e-6, 14),
    "lines": (of_lines, 1e-6, 16),
    "objects": (of_objects, 1e-12, 16),
    "boxes": (of_boxes, 1e-9, 12),
    "tracks": (of_tracks, 1e-12, 4),
    "videos": (of_videos, 1e-12, 16),
    "intervals": (of_intervals, 1e-9, 2),
}
"""What is compared, how exactly, and how many cases by day."""


def differences(name: str, numbers: range) -> list[str]:
    referee, tolerance, _ = REFEREES[name]
    found = []
    for number in numbers:
        for what, ours, expected in referee(number):
            a, b = np.asarray(ours, float), np.asarray(expected, float)
            if a.shape != b.shape or not np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
                found.append(f"case {number}, {what}: {ours}, referee {expected}")
    return found


@pytest.mark.parametrize("name", REFEREES)
def test_edge_cases(name: str) -> None:
    assert not differences(name, range(REFEREES[name][2]))


@pytest.mark.slow
@pytest.mark.parametrize("name", REFEREES)
def test_two_hundred_cases(name: str) -> None:
    assert not differences(name, range(REFEREES[name][2], 200 + REFEREES[name][2]))
