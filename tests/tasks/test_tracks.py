"""Scores of sequences: identities against exact tracks, J and F of videos."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import LabelError
from reunet.metrics.object_overlap import object_overlap
from reunet.metrics.video import boundary_measure, region_similarity
from reunet.tasks.instances.tracks import Lineage, TrackScores, linked
from reunet.tasks.semantic.video_scores import VideoScores

from ..datasets.synthetic_cells import Culture, Movie, make_movie

BINARY = LabelMap(classes=default_classes([0, 1], ["background", "car"]))


def shuffled(maps: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """The same objects under other ids in every frame."""
    rng = np.random.default_rng(seed)
    return [np.concatenate([[0], 1 + rng.permutation(ids.max())]).astype(np.int32)[ids] for ids in maps]


def track(maps: list[np.ndarray]) -> list[Prediction]:
    return [result for _, result in linked((None, Prediction(instances=ids)) for ids in maps)]


def parents_of(lineage: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], lineage[:, 3]])


def score(movie: Movie, found: list[Prediction], name: str = "movie") -> dict[str, float]:
    scores, parents = TrackScores(), parents_of(movie.lineage)
    for t, (ids, result) in enumerate(zip(movie.maps, found, strict=True)):
        truth = Truth(objects=ids, sequence=name, frame=t, parents=parents)
        scores.add(f"{name}{t}", truth, result, object_overlap(ids, result.instances))
    metrics = scores.metrics()
    assert metrics["tra"] == metrics["sequences"][name]["tra"]
    return metrics["sequences"][name]


@pytest.mark.parametrize(
    "culture",
    [
        Culture(size=(128, 128), cells=10, frames=12, division=0.0),
        Culture(size=(128, 128), cells=20, frames=12, division=0.08),
        Culture(size=(128, 128), cells=40, frames=12),
        Culture(size=(128, 128), cells=20, frames=12, drift=6.0),
    ],
    ids=["sparse", "dividing", "crowded", "leaving"],
)
def test_a_perfect_segmentation_is_tracked(culture: Culture) -> None:
    movie = make_movie(culture, seed=3)
    scores = score(movie, track(shuffled(movie.maps)))
    assert scores["seg"] == 1
    assert scores["missed"] == scores["false"] == scores["splits"] == 0
    assert scores["tra"] > 0.998


def test_the_lineage_of_the_frames_is_that_of_the_generator() -> None:
    movie = make_movie(Culture(size=(96, 96), cells=15, frames=10, division=0.1), seed=1)
    lineage = Lineage()
    for t, ids in enumerate(movie.maps):
        lineage.add(t, np.unique(ids)[1:], parents_of(movie.lineage))
    np.testing.assert_array_equal(lineage.table(), movie.lineage)


def test_a_gap_is_closed_and_costs_only_what_was_missed() -> None:
    movie = make_movie(Culture(size=(160, 160), cells=15, frames=12, division=0.0, speed=1.0), seed=4)
    begin, end = movie.lineage[:, 1], movie.lineage[:, 2]
    distance = [min(np.abs(np.argwhere(movie.maps == i)[:, 1:] - edge).min() for edge in (0, 159))
                for i in movie.lineage[:, 0]]  # fmt: skip
    chosen = movie.lineage[(begin == 0) & (end == 11) & (np.array(distance) > 12), 0]
    assert len(chosen) >= 3
    damaged = movie.maps.copy()
    for shift, i in enumerate(chosen[:3]):
        gone = damaged[4 + shift : 6 + shift]
        gone[gone == i] = 0
    found = track(shuffled(damaged))
    for shift, i in enumerate(chosen[:3]):
        before, after = (found[t].instances[movie.maps[t] == i][0] for t in (3 + shift, 6 + shift))
        assert after != before
        assert found[-1].parents[after] == before  # the same cell, told by its only child
    scores = score(movie, found)
    assert (scores["missed"], scores["missing_edges"], scores["false"]) == (6, 9, 0)


def test_without_a_lineage_only_seg_is_defined_and_without_a_sequence_nothing() -> None:
    ids = np.zeros((8, 8), np.int32)
    ids[2:5, 2:5] = 7
    scores = TrackScores()
    scores.add("a", Truth(objects=ids), Prediction(instances=ids), object_overlap(ids, ids))
    assert scores.metrics()["sequences"] == {}
    assert math.isnan(scores.metrics()["seg"])
    (result,) = track([ids])
    scores.add("b", Truth(objects=ids, sequence="a"), result, object_overlap(ids, result.instances))
    metrics = scores.metrics()
    assert metrics["seg"] == 1
    assert math.isnan(metrics["tra"])
    assert scores.images == {"a": ["b"]}


def test_a_lineage_that_the_frames_contradict_is_refused() -> None:
    movie = make_movie(Culture(size=(96, 96), cells=15, frames=4, division=0.0), seed=1)
    longest = movie.lineage[movie.lineage[:, 2] == 3][:2, 0]
    movie.lineage[longest[0] - 1, 3] = longest[1]  # lives on when its child begins
    with pytest.raises(LabelError, match="lineage disagrees"):
        score(movie, track(shuffled(movie.maps)))


def test_j_and_f_leave_out_the_first_and_the_last_frame() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((5, 40, 60)) < 0.5
    found = truth ^ (rng.random(truth.shape) < 0.05)
    found[[0, 4]] = ~truth[[0, 4]]
    scores = VideoScores(BINARY)
    for t in range(5):
        labels = truth[t].astype(np.uint8)
        scores.add(Truth(labels=labels, sequence="a", frame=t), found[t].astype(np.uint8))
    one = scores.metrics()["sequences"]["a"]
    assert one["j"] == pytest.approx(np.mean([region_similarity(truth[t], found[t]) for t in (1, 2, 3)]))
    assert one["f"] == pytest.approx(np.mean([boundary_measure(truth[t], found[t]) for t in (1, 2, 3)]))
    assert one["j_and_f"] == (one["j"] + one["f"]) / 2
    for name, value in one.items():
        assert scores.metrics()[name] == value


def test_j_and_f_are_undefined_without_inner_frames_and_do_not_see_what_is_unknown() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[5:10, 5:10] = 1
    scores = VideoScores(BINARY)
    for t in range(2):
        scores.add(Truth(labels=labels, sequence="short", frame=t), labels)
    assert math.isnan(scores.metrics()["j_and_f"])
    labels[:, 12:] = IGNORE
    found = labels.copy()
    found[:, 12:] = 1
    for t in range(3):
        scores.add(Truth(labels=labels, sequence="partly", frame=t), found)
    assert scores.metrics()["sequences"]["partly"]["j"] == 1
    three = VideoScores(LabelMap(classes=default_classes([0, 1, 2], ["sky", "road", "car"])))
    three.add(Truth(labels=labels, sequence="a"), found)
    assert math.isnan(three.metrics()["j_and_f"])


def test_flicker_is_the_change_between_neighbouring_frames_and_its_mean_over_sequences() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((4, 12, 14)) < 0.3).astype(np.uint8)
    foreground = rng.random(truth.shape).astype(np.float32)
    probabilities = np.stack([1 - foreground, foreground], axis=-1)
    scores, other = VideoScores(BINARY), VideoScores(BINARY)
    for t in (0, 1, 3):  # frame 2 was not scored: 3 follows nothing
        seen = Truth(labels=truth[t], sequence="a", frame=t)
        scores.add(seen, (foreground[t] >= 0.5).astype(np.uint8), probabilities[t])
    still = truth[0] == truth[1]
    expected = np.abs(foreground[1] - foreground[0])[still].mean()
    assert scores.metrics()["flicker"] == pytest.approx(expected)
    for t in range(4):
        other.add(Truth(labels=truth[t], sequence="b", frame=t), truth[0])  # labels alone, and still
    other.add(Truth(labels=truth[0]), truth[1])  # an image of no sequence
    scores.merge(pickle.loads(pickle.dumps(other)))
    assert scores.metrics()["sequences"]["b"]["flicker"] == 0
    assert scores.metrics()["flicker"] == pytest.approx(expected / 2)
