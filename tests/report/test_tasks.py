"""The pages of objects, boxes and classes of images, from results whose faults are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.report.content import Content, Exhibit
from reunet.report.cutouts import MOST_PER_IMAGE, SIDE, enlarge, window, worst
from reunet.report.examples import FALSE_ALARM, MISSED
from reunet.report.page import Report, write_report
from reunet.report.tasks import content
from reunet.tasks import task as task_of
from reunet.tasks.scorer import Scorer

LABELS = LabelMap(classes=default_classes([0, 1, 2], ["background", "red", "white"]))
GREY = np.full((60, 80, 1), 120, np.uint8)


def ids(*corners: tuple[int, int, int, int]) -> np.ndarray:
    """Objects 1 .. n that fill the boxes y0, x0, y1, x1."""
    drawn = np.zeros((60, 80), np.int32)
    for number, (y0, x0, y1, x1) in enumerate(corners, 1):
        drawn[y0:y1, x0:x1] = number
    return drawn


def boxes(*rows: tuple[float, ...], scored: bool = False) -> Boxes:
    """From rows y0, x0, y1, x1, class, and score."""
    table = np.array(rows, np.float64).reshape(-1, 6 if scored else 5)
    scores = table[:, 5].astype(np.float32) if scored else None
    return Boxes(table[:, :4].astype(np.float32), table[:, 4].astype(np.uint8), scores)


def found_boxes(*rows: tuple[float, ...]) -> Prediction:
    every = boxes(*rows, scored=True)
    assert every.scores is not None
    kept = every.scores >= 0.5
    seen = Boxes(every.corners[kept], every.classes[kept], every.scores[kept])
    return Prediction(boxes=seen, candidates=every)


OBJECTS = {
    "a": Scored(
        GREY,
        Truth(objects=ids((5, 5, 15, 15), (30, 30, 50, 50), (5, 60, 9, 64))),
        Prediction(
            instances=ids((5, 5, 15, 15), (30, 60, 45, 75)),
            instance_scores=np.array([np.nan, 0.9, 0.6], np.float32),
        ),
    ),
    "b": Scored(None, Truth(objects=ids()), Prediction(instances=ids(), instance_scores=np.array([np.nan]))),
}
BOXES = {
    "a": Scored(
        GREY,
        Truth(boxes=boxes((5, 5, 15, 15, 1), (30, 30, 50, 50, 2), (5, 60, 9, 64, 1))),
        found_boxes(
            (5, 5, 15, 15, 1, 0.9), (30, 30, 50, 51, 1, 0.8), (40, 60, 50, 75, 2, 0.7), (0, 0, 9, 9, 1, 0.2)
        ),
    ),
    "b": Scored(None, Truth(boxes=boxes()), found_boxes()),
}
IMAGES = {
    "a": Scored(GREY, Truth(category=1), Prediction(category_probabilities=np.array([0.1, 0.8, 0.1]))),
    "b": Scored(GREY, Truth(category=2), Prediction(category_probabilities=np.array([0.0, 0.9, 0.1]))),
    "c": Scored(GREY, Truth(category=0), Prediction(category_probabilities=np.array([0.4, 0.6, 0.0]))),
}
CASES = {"instances": OBJECTS, "detection": BOXES, "classification": IMAGES}


def made(task: str) -> tuple[Scorer, dict[str, Any], Content]:
    scorer = task_of(task).scorer(Classes(LABELS, LABELS), Calibration(), "test")
    for name, scored in CASES[task].items():
        scorer.add(name, scored.truth, scored.prediction)
    metrics = scorer.metrics()
    return scorer, metrics, content(scorer, metrics)


def mistakes(task: str) -> dict[str, list[Exhibit]]:
    groups: dict[str, list[Exhibit]] = {}
    for exhibit in made(task)[2].galleries[-1].exhibits:
        groups.setdefault(exhibit.group, []).append(exhibit)
    return groups


def colors(exhibit: Exhibit, task: str) -> set[tuple[int, ...]]:
    ((_, picture, _),) = exhibit.draw(CASES[task][exhibit.id])
    assert picture.dtype == np.uint8
    assert max(picture.shape[:2]) == SIDE
    return {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}


def test_mistaken_objects_are_named_and_drawn_the_largest_first() -> None:
    shown = mistakes("instances")
    assert [e.text for e in shown["false alarms"]] == ["225 pixels, nothing there"]
    assert [e.text for e in shown["missed"]] == ["400 pixels, nothing there", "16 pixels, nothing there"]
    assert MISSED in colors(shown["missed"][1], "instances")
    assert FALSE_ALARM in colors(shown["false alarms"][0], "instances")
    assert FALSE_ALARM not in colors(shown["missed"][1], "instances")


def test_mistaken_boxes_tell_what_is_there_instead() -> None:
    shown = mistakes("detection")
    assert [e.text for e in shown["false alarms"]] == [
        "red 0.80: IoU 0.95 with true white",
        "white 0.70: nothing there",
    ]
    assert [e.text for e in shown["missed"]] == [
        "true white: IoU 0.95 with red 0.80",
        "true red: nothing there",
    ]
    assert {MISSED, FALSE_ALARM} <= colors(shown["missed"][0], "detection")


def test_boxes_are_confused_whatever_their_class() -> None:
    _, metrics, parts = made("detection")
    assert metrics["confusion"] == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert parts.matrix is not None
    assert parts.matrix.rows[2]["cells"][2]["right"] is None  # what is not there cannot be found to be so


def test_the_surest_wrong_image_comes_first() -> None:
    shown = mistakes("classification")
    assert [(e.id, e.text) for e in shown["wrong"]] == [
        ("b", "true white, predicted red (0.90)"),
        ("c", "true background, predicted red (0.60)"),
    ]


@pytest.mark.parametrize("task", CASES)
def test_intervals_hold_the_score(task: str) -> None:
    _, metrics, parts = made(task)
    with_interval = [card for card in parts.cards if card.interval is not None]
    assert len(with_interval) >= 2
    for card in with_interval:
        assert card.interval is not None
        assert card.interval[0] <= float(card.value) + 5e-4
        assert float(card.value) - 5e-4 <= card.interval[1]
    assert metrics["task"] == task


def test_several_tasks_share_a_page_and_each_image_is_read_once(tmp_path: Path) -> None:
    read: list[str] = []

    def load(name: str) -> Scored:
        read.append(name)
        one, other = OBJECTS[name], IMAGES[name]
        return Scored(
            one.image, Truth(objects=one.truth.objects, category=other.truth.category), one.prediction
        )

    images: dict[str, Callable[[], Scored]] = {name: partial(load, name) for name in OBJECTS}
    both = [made(task)[:2] for task in ("instances", "classification")]
    write_report(tmp_path / "r.html", Report("two", both, images=images))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert sorted(read) == ["a", "b"]
    for task in ("instances", "classification"):
        assert f'id="{task}"' in page
        assert f'href="#{task}"' in page
    assert "Balanced accuracy" in page
    assert "AP at IoU 0.5" in page


def test_the_worst_of_each_image_are_few_and_unknown_ones_left_out() -> None:
    values = [np.arange(10.0), np.array([np.nan, 20.0, np.nan]), np.zeros(0)]
    assert worst(values) == [(1, 1), *((0, i) for i in (9, 8, 7)[:MOST_PER_IMAGE])]


@pytest.mark.parametrize("size", [(10, 500), (60, 80), (1000, 900)])
@pytest.mark.parametrize("box", [(0, 0, 1, 1), (2, 3, 9, 79), (4.5, 2.5, 6.5, 60)])
def test_a_window_lies_in_the_image_and_holds_the_box(
    size: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    rows, columns = window(box, size)
    for part, length, low, high in ((rows, size[0], box[0], box[2]), (columns, size[1], box[1], box[3])):
        assert 0 <= part.start < part.stop <= length
        assert part.start <= low
        assert high <= part.stop
    (shown,) = enlarge(np.zeros((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8))
    assert max(shown.shape[:2]) == SIDE


@pytest.mark.parametrize("pixels", [None, np.full((4, 60, 80, 1), 120, np.uint8)])
def test_of_a_volume_the_slice_is_shown_where_the_object_is_largest(pixels: np.ndarray | None) -> None:
    truth = np.stack([ids(), ids((30, 30, 34, 34)), ids((20, 20, 50, 50)), ids()])
    scored = Scored(pixels, Truth(objects=truth), Prediction(instances=np.zeros_like(truth)))
    scorer = task_of("instances").scorer(Classes(LABELS), Calibration(), "test")
    scorer.add("v", scored.truth, scored.prediction)
    galleries = content(scorer, scorer.metrics()).galleries
    for gallery in galleries:
        for exhibit in gallery.exhibits:
            assert exhibit.draw(scored)
    ((_, picture, _),) = galleries[-1].exhibits[0].draw(scored)
    width = np.ptp(np.nonzero((picture == MISSED).all(axis=-1))[1])
    assert width > SIDE / 3  # 30 of 60 pixels, not 4
