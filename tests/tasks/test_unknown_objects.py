"""What is found where nothing is known is neither right nor wrong: in scores and in choosing thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.metrics.object_overlap import known_overlap
from reunet.tasks.detection.fit import fit_calibration, validation_score
from reunet.tasks.detection.scorer import Scorer as DetectionScorer
from reunet.tasks.instances.scorer import Scorer as InstanceScorer

LABELS = LabelMap(classes=default_classes([0, 1], ["background", "cell"]))


def boxes(*corners: tuple[float, ...], scores: list[float] | None = None) -> Boxes:
    told = None if scores is None else np.array(scores, np.float32)
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), np.ones(len(corners), np.uint8), told)


def known(*unknown: tuple[int, int, int, int], size: tuple[int, int] = (100, 100)) -> np.ndarray:
    told = np.ones(size, bool)
    for y0, x0, y1, x1 in unknown:
        told[y0:y1, x0:x1] = False
    return told


def test_boxes_in_an_unknown_area() -> None:
    truth = Truth(boxes=boxes((10, 10, 30, 30)), known=known((60, 60, 90, 90)))
    found = boxes(
        (10, 10, 30, 30), (62, 62, 82, 82), (60, 60, 90, 90), (50, 60, 70, 80), scores=[0.6, 0.9, 0.8, 0.7]
    )
    scorer = DetectionScorer(LABELS, Calibration(), "test")
    scorer.add("a", truth, Prediction(boxes=found))
    scorer.add("b", truth, Prediction(boxes=found))
    metrics = scorer.metrics()
    # the last one lies in it by half: at higher thresholds of the IoU it is wrong, and before the right one
    assert metrics["map50"] == metrics["per_class"]["precision"]["cell"] == metrics["f1"] == 1
    assert metrics["map75"] == pytest.approx(0.5)
    assert metrics["count_error"]["all"] == 0
    assert metrics["confusion"] == [[2, 0], [0, 0]]
    assert metrics["ci95"]["map50"] == [1, 1]
    assert validation_score([(truth, found)], LABELS) == 1


def test_a_true_box_in_an_unknown_area_still_counts() -> None:
    truth = Truth(boxes=boxes((10, 10, 30, 30)), known=known((0, 0, 50, 50)))
    found = boxes((10, 10, 30, 30), (10, 10, 30, 31), scores=[0.9, 0.8])
    for prediction, expected in ((found, 1), (boxes(scores=[]), 0)):
        scorer = DetectionScorer(LABELS, Calibration(), "test")
        scorer.add("a", truth, Prediction(boxes=prediction))
        assert scorer.metrics()["map"] == scorer.metrics()["f1"] == expected


def test_thresholds_do_not_learn_from_unknown_areas() -> None:
    found = boxes((10, 10, 30, 30), (62, 62, 82, 82), scores=[0.5, 0.9])
    truth = Truth(boxes=boxes((10, 10, 30, 30)))
    unsure = fit_calibration([(Truth(boxes=truth.boxes, known=known((60, 60, 90, 90))), found)], LABELS)
    assert unsure == fit_calibration([(truth, found.chosen(np.array([0])))], LABELS)
    missed = boxes((70, 10, 90, 30), scores=[0.2])
    only_wrong = fit_calibration([(Truth(boxes=truth.boxes, known=known((60, 0, 99, 99))), missed)], LABELS)
    assert only_wrong.score_thresholds == (0.5,)


def disks(*areas: tuple[int, int, int, int]) -> np.ndarray:
    ids = np.zeros((100, 100), np.int32)
    for number, (y0, x0, y1, x1) in enumerate(areas, 1):
        ids[y0:y1, x0:x1] = number
    return ids


@pytest.mark.parametrize("as_labels", [False, True])
def test_objects_in_an_unknown_area(as_labels: bool) -> None:
    told = known((60, 60, 90, 90))
    objects = disks((10, 10, 30, 30))
    truth = Truth(objects=objects, known=told)
    if as_labels:
        truth = Truth(labels=np.where(told, objects, 255).astype(np.uint8), objects=objects)
    scorer = InstanceScorer(LABELS, Calibration(), "test")
    scorer.add("a", truth, Prediction(instances=disks((10, 10, 30, 30), (50, 60, 75, 80), (70, 85, 90, 90))))
    metrics = scorer.metrics()
    assert metrics["objects"] == {"true": 1, "predicted": 1}
    assert metrics["count_error"] == 0
    assert metrics["ap"]["pooled"]["0.95"] == metrics["pq"] == metrics["aji"] == metrics["object_dice"] == 1


def test_objects_at_the_edge_of_what_is_known() -> None:
    truth = disks((0, 0, 10, 20), (20, 0, 30, 20), (40, 0, 50, 20))
    told = known((0, 8, 10, 99), (20, 12, 30, 99), (40, 9, 50, 99))
    found = disks((0, 0, 10, 20), (20, 2, 30, 40), (40, 0, 50, 9), (60, 0, 70, 9))
    overlap = known_overlap(truth, found, told)
    assert overlap.true_ids.tolist() == [2]  # of the others half or more is unknown
    # 2 finds a true object, though most of it is unknown; 3 lies in a true one that is; 4 is wrong
    assert overlap.predicted_ids.tolist() == [2, 4]
    assert overlap.iou.tolist() == [pytest.approx(100 / 120)]
    everything = known_overlap(truth, found, known())
    assert everything.true_ids.tolist() == [1, 2, 3]
    assert everything.predicted_ids.tolist() == [1, 2, 3, 4]
    nothing = known_overlap(truth, found, np.zeros_like(told))
    assert not len(nothing.true_ids)
    assert not len(nothing.predicted_ids)
