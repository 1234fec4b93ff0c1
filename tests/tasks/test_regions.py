"""Regions that overlap, and images that are annotated with some of the classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.labels import IGNORE, Classes, LabelMap, majority_class
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.datasets.classes import from_facts
from reunet.datasets.regions import layered_facts, nnunet_facts
from reunet.errors import DataError
from reunet.metrics.skeleton import cl_dice, skeleton
from reunet.metrics.surface import hd95, normalised_surface_distance, surface_distances
from reunet.tasks.base import Maps
from reunet.tasks.semantic import Scorer, Semantic, decode
from reunet.tasks.work import Work

HERE = Path("dataset.json")
TUMOUR = {
    "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
    "regions_class_order": [1, 2, 3],
}
BRATS = from_facts(nnunet_facts(TUMOUR, HERE), HERE)


def classes(**more: object) -> LabelMap:
    names = ("background", "liver", "spleen")
    return from_facts({"classes": [{"id": i, "name": n} for i, n in enumerate(names)], **more}, HERE)


def painted_in_order(there: np.ndarray) -> np.ndarray:
    """nnU-Net's own rule: the regions are painted one over another."""
    image = np.zeros(there.shape[:-1], np.uint8)
    for k, value in enumerate(TUMOUR["regions_class_order"]):
        image[there[..., k]] = value
    return image


def test_nnunet_regions_are_read_with_their_order() -> None:
    assert BRATS.outputs == ("whole", "core", "enhancing")
    assert [entry.id for entry in BRATS.classes] == [0, 1, 2, 3]
    assert BRATS.ignore == 4
    np.testing.assert_array_equal(BRATS.membership.T, [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]])
    (head,) = Work(("semantic",), Classes(BRATS)).heads(2)
    assert (head.channels, head.activation, head.loss) == (3, "sigmoid", "regions")
    assert LabelMap.model_validate_json(BRATS.model_dump_json()) == BRATS


@pytest.mark.parametrize(
    "facts",
    [
        {"labels": {"background": 0, "a": [[1]]}},
        {"labels": {"background": 0, "a": {"b": 1}}},
        {"labels": {"background": 0, "a": "1"}},
        {"labels": {"background": 0, "a": [1, 2], "ignore": [3]}, "regions_class_order": [{}]},
        {"classes": [{"id": [0], "name": "a"}, {"id": 1, "name": "b"}]},
        {
            "classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
            "regions": [{"name": "r", "classes": [[0]]}],
        },
    ],
)
def test_values_of_another_type_are_an_error_with_the_file(facts: dict[str, object]) -> None:
    with pytest.raises(DataError) as caught:
        from_facts(nnunet_facts(facts, HERE) if "labels" in facts else facts, HERE)
    assert caught.value.where == HERE


def test_nested_regions_decode_as_painted_in_order_and_back() -> None:
    p = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    np.testing.assert_array_equal(decode(p, BRATS, Calibration()), painted_in_order(p >= 0.5))
    truth = np.random.default_rng(1).integers(0, 4, (5, 6, 7)).astype(np.uint8)
    np.testing.assert_array_equal(decode(BRATS.membership[truth], BRATS, Calibration()), truth)


def test_regions_that_cross_have_a_class_where_they_meet() -> None:
    """Of several values for what lies in one region, the one named by `paints`."""
    both = classes(
        regions=[
            {"name": "a", "classes": ["liver", "spleen"]},
            {"name": "b", "classes": [2]},
        ]
    )
    there = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    assert decode(there[None], both, Calibration()).tolist() == [[0, 1, 2, 2]]


@pytest.mark.parametrize(
    "regions",
    [[{"name": "a", "classes": ["kidney"]}], [{"classes": [1]}], ["a"], [{"name": "a", "classes": []}]],
)
def test_regions_of_unknown_classes_are_refused(regions: list[object]) -> None:
    with pytest.raises(DataError):
        classes(regions=regions)


def test_regions_of_their_own_masks_have_a_class_for_every_overlap() -> None:
    labels = from_facts(layered_facts("abc"), HERE)
    there = np.array([[code >> bit & 1 for bit in range(3)] for code in range(8)])
    np.testing.assert_array_equal(labels.membership, there)
    assert decode(there[None].astype(np.float32), labels, Calibration()).tolist() == [list(range(8))]
    from_facts(layered_facts("abcdefg"), HERE)
    with pytest.raises(DataError, match="too many regions"):
        layered_facts("abcdefgh")


def test_scores_are_those_of_each_region_as_a_mask_of_its_own() -> None:
    rng = np.random.default_rng(2)
    scorer, dices, errors = Scorer(BRATS, Calibration(), "test"), [], []
    for name in "abc":
        truth = rng.integers(0, 4, (9, 8)).astype(np.uint8)
        p = np.clip(BRATS.membership[truth] + rng.normal(0, 0.6, (9, 8, 3)), 0, 1).astype(np.float32)
        truth[0] = IGNORE
        found = decode(p, BRATS, Calibration())
        scorer.add(name, Truth(truth), Prediction(found, p))
        masks = [np.isin(x[1:], values) for x in (truth, found) for values in ([1, 2, 3], [2, 3], [3])]
        dices.append(
            [2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(masks[:3], masks[3:], strict=True)]
        )
        errors.append((truth[1:] != found[1:]).mean())
    metrics = scorer.metrics()
    json.dumps(metrics, allow_nan=False)
    regions = metrics["dice"]["per_image"]["per_region"]
    assert list(regions.values()) == pytest.approx(np.mean(dices, axis=0).tolist())
    assert metrics["dice"]["per_image"]["mean_foreground"] == pytest.approx(np.mean(dices))
    assert scorer.image_scores()["a"] == pytest.approx(np.mean(dices[0]))
    assert set(metrics["dice"]["pooled"]["per_class"]) == set(BRATS.names)
    assert metrics["pixel_error"] == pytest.approx(np.mean(errors))
    assert metrics["auc"] > 0.8
    assert metrics["ece"] is None
    low, high = metrics["ci95"]["dice"]["pooled"]["per_region"]["core"]
    assert low <= metrics["dice"]["pooled"]["per_region"]["core"] <= high


def test_validation_follows_the_mean_over_regions() -> None:
    truth = np.array([[0, 1, 2, 3]], np.uint8)
    maps = Maps({"semantic": BRATS.membership[truth].astype(np.float32)}, truth.shape)
    work = Work(("semantic",), Classes(BRATS))
    assert work.validation_score([(Truth(truth), maps)]) == 1
    worse = {"semantic": maps.heads["semantic"] * np.float32([1, 1, 0])}  # whole 1, core 1, enhancing 0
    assert work.validation_score([(Truth(truth), Maps(worse, truth.shape))]) == pytest.approx(2 / 3)
    assert work.fit([(Truth(truth), maps)]).threshold is None


PARTIAL = classes().model_copy(update={"partial": ((0, 1),)})


def test_background_of_a_partial_annotation_has_a_target_of_its_own() -> None:
    work = Work(("semantic",), Classes(PARTIAL))
    truth = np.array([[0, 1, IGNORE]], np.uint8)
    assert work.targets(Truth(truth, classes=(0, 1)))["semantic"].tolist() == [[3, 1, IGNORE]]
    assert work.targets(Truth(truth))["semantic"].tolist() == [[0, 1, IGNORE]]


def test_what_is_not_annotated_is_not_scored() -> None:
    """Spleen where nobody looked for it is no error, and no merit either; liver is scored as ever."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, (12, 12)).astype(np.uint8)
    p = rng.dirichlet([1, 1, 1], truth.shape).astype(np.float32)
    found = p.argmax(-1).astype(np.uint8)
    scorer = Scorer(PARTIAL, Calibration(), "test")
    scorer.add("a", Truth(truth, classes=(0, 1)), Prediction(found, p))
    metrics = scorer.metrics()
    a, b = truth == 1, found == 1
    dice = metrics["dice"]["pooled"]["per_class"]
    assert dice["liver"] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert dice["spleen"] is None
    assert metrics["dice"]["pooled"]["mean_foreground"] == dice["liver"]
    ranked = Scorer(classes(), Calibration(), "test")
    ranked.add(
        "a", Truth(truth), Prediction(found, np.stack([p[..., 0] + p[..., 2], p[..., 1], 0 * p[..., 2]], -1))
    )
    assert metrics["auc"] == ranked.metrics()["auc"]


def test_objects_of_several_classes_bring_their_classes() -> None:
    """One head for both tasks; alone, the task of objects tells the classes of pixels too."""
    both = Work(("instances", "semantic"), Classes(classes()))
    assert [head.name for head in both.heads(2)] == ["instances", "flows", "semantic"]
    alone = Work(("instances",), Classes(classes()))
    assert [head.name for head in alone.heads(2)] == ["instances", "flows", "semantic"]
    ids = np.zeros((20, 20), np.int32)
    ids[2:9, 2:9], ids[12:19, 2:19] = 1, 2
    truth = Truth(np.array([0, 2, 1], np.uint8)[ids], ids)
    told = alone.targets(truth)
    maps = {"flows": np.nan_to_num(told["flows"]), "semantic": np.eye(3, dtype=np.float32)[told["semantic"]]}
    maps["instances"] = np.eye(2, dtype=np.float32)[told["instances"]]
    found = alone.decode(Maps(maps, ids.shape), Calibration())
    np.testing.assert_array_equal(found.labels, truth.labels)
    assert found.instances is not None
    assert majority_class(found.instances, found.labels, classes())[1:].tolist() == [2, 1]
    one_class = LabelMap(classes=classes().classes[:2])
    assert [head.name for head in Work(("instances",), Classes(one_class)).heads(2)] == [
        "instances",
        "flows",
    ]


def test_thin_structures_get_scores_of_their_lines_and_round_ones_do_not() -> None:
    truth = np.zeros((60, 80), np.uint8)
    truth[5:8, 5:75], truth[5:55, 40:43] = 1, 1
    y, x = np.mgrid[:60, :80]
    truth[np.hypot(y - 35, x - 18) < 11] = 2
    found = truth.copy()
    found[5:8, 50:70] = 0
    scorer = Scorer(classes(), Calibration(), "test")
    scorer.add("a", Truth(truth), Prediction(found))
    metrics = scorer.metrics()
    line, gap = metrics["cl_dice"]["per_class"]["liver"], metrics["skeleton_length"]
    assert metrics["cl_dice"]["per_class"]["spleen"] is None
    masks = truth == 1, found == 1
    assert line == pytest.approx(cl_dice(*masks, *map(skeleton, masks)))
    assert gap["truth"]["liver"] - gap["prediction"]["liver"] == pytest.approx(20, abs=4)
    assert gap["truth"]["spleen"] is None
    assert metrics["hd95"]["per_class"]["spleen"] == 0
    assert metrics["nsd"]["per_class"]["spleen"] == 1
    distances = surface_distances(truth == 1, found == 1)
    assert metrics["hd95"]["per_class"]["liver"] == hd95(distances)
    assert metrics["nsd"]["per_class"]["liver"] == normalised_surface_distance(distances, 1.0)


def test_distances_are_in_the_units_of_the_spacing() -> None:
    truth = np.zeros((8, 12, 12), np.uint8)
    truth[2:5, 3:9, 3:9] = 1
    found = np.roll(truth, 1, axis=0)  # one slice too high
    scores = []
    for spacing in (None, (1.0, 1.0, 1.0), (4.0, 1.0, 1.0)):
        scorer = Scorer(classes(), Calibration(), "test")
        for name in "ab":
            scorer.add(name, Truth(truth, spacing=spacing), Prediction(found))
        metrics = scorer.metrics()
        scores.append(metrics["hd95"]["per_class"]["liver"])
        assert metrics["ci95"]["hd95"] == [scores[-1]] * 2
        assert metrics["hd95"]["per_class"]["spleen"] is None
        assert metrics["undefined"]["cl_dice"] == 2
    assert scores == [1, 1, 4]
    one_sided = Scorer(classes(), Calibration(), "test")
    one_sided.add("a", Truth(truth), Prediction(np.zeros_like(truth)))
    assert one_sided.metrics()["hd95"]["mean_foreground"] is None
    assert one_sided.metrics()["nsd"]["mean_foreground"] == 0


def test_images_where_a_class_was_missed_or_invented_are_told_and_penalised() -> None:
    nothing, ball, line = (np.zeros((40, 60), np.uint8) for _ in range(3))
    ball[10:20, 10:20] = 1
    line[5:8, 1:59] = 2
    spleen = np.where(line == 2, 2, ball).astype(np.uint8)
    scorer = Scorer(classes(), Calibration(), "test")
    pairs = {
        "right": (spleen, spleen),
        "missed": (spleen, np.where(spleen == 1, 0, spleen)),
        "invented": (nothing, spleen),
        "absent": (nothing, nothing),
    }
    for name, (truth, found) in pairs.items():
        scorer.add(name, Truth(truth), Prediction(found))
    metrics, diagonal = scorer.metrics(), float(np.hypot(40, 60))
    assert metrics["hd95"]["per_class"] == {"liver": 0, "spleen": 0}
    assert metrics["hd95"]["left_out"] == {"liver": 2, "spleen": 1}
    assert metrics["nsd"]["left_out"] == {"liver": 0, "spleen": 0}
    assert metrics["cl_dice"]["left_out"] == {"liver": 0, "spleen": 1}
    assert [metrics["undefined"][name] for name in ("hd95", "nsd", "cl_dice")] == [3, 1, 2]
    penalised = {name: metrics[name]["penalised"]["per_class"] for name in ("hd95", "nsd", "cl_dice")}
    assert penalised["hd95"] == pytest.approx({"liver": 2 * diagonal / 3, "spleen": diagonal / 3})
    assert penalised["nsd"] == metrics["nsd"]["per_class"] == pytest.approx({"liver": 1 / 3, "spleen": 2 / 3})
    assert penalised["cl_dice"] == {"liver": None, "spleen": pytest.approx(2 / 3)}
    assert [row["hd95"] for row in scorer.rows()] == [0, 0, None, None]
    assert [one.title for one in Semantic().headlines(metrics)].count("HD95 with misses") == 1
    volume = Scorer(classes(), Calibration(), "test")
    truth = np.zeros((3, 4, 12), np.uint8)
    truth[1, 1:3, 2:9] = 1
    volume.add("a", Truth(truth, spacing=(4.0, 3.0, 1.0)), Prediction(np.zeros_like(truth)))
    assert volume.metrics()["hd95"]["penalised"]["per_class"]["liver"] == pytest.approx(12 * np.sqrt(3))


@pytest.mark.parametrize(
    "spacing", [(0.1, 0.1), (0.3, 0.3), (0.7, 0.7), (1.3158, 1.3158), (0.7, 0.3), (1 / 3, 0.1)]
)
def test_a_distance_of_the_tolerance_is_within_it(spacing: tuple[float, float]) -> None:
    truth, found = np.zeros((2, 30, 30), bool)
    truth[5:20, 5:20] = True
    axis = int(np.argmax(spacing))
    found[:] = np.roll(truth, 1, axis=axis)
    distances = surface_distances(truth, found, spacing)
    assert normalised_surface_distance(distances, max(spacing)) == 1
    assert normalised_surface_distance(distances, 0.999 * max(spacing)) < 1
