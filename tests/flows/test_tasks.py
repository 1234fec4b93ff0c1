"""Every task from a folder to its scores: what is annotated decides what is learned."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reunet
from reunet.contracts.plan import Plan
from reunet.datasets.scan import open_dataset
from reunet.datasets.synthetic import make_scene
from reunet.errors import DataError, UsageError
from reunet.flows.check import check
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.plan import plan
from reunet.flows.predict.predict import predict
from reunet.flows.train.train import train
from reunet.report.content import format_score
from reunet.tasks import task

SIDE = 64
Maker = Callable[[Path], None]


def scenes(split: str, count: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, image (H, W) and object ids (H, W) of each image of a split."""
    found = []
    for i in range(count):
        scene = make_scene(np.random.default_rng([7, split == "test", i]), (SIDE, SIDE))
        found.append((f"{split}{i}", scene.image, scene.instances))
    return found


def write(folder: Path, *kinds: str, train: int = 4, test: int = 2) -> Path:
    """A dataset of images with annotations of some kinds: instances, boxes, masks, categories."""
    for split, count in (("train", train), ("test", test)):
        base, listed, boxes, rows = folder / split, [], [], []
        for number, (name, image, ids) in enumerate(scenes(split, count)):
            _save(base / "images" / f"{name}.png", image)
            if "instances" in kinds:
                _save(base / "instances" / f"{name}.png", ids.astype(np.uint16))
            if "masks" in kinds:
                _save(base / "masks" / f"{name}.png", (ids > 0).astype(np.uint8))
            listed.append({"id": number, "file_name": f"images/{name}.png", "height": SIDE, "width": SIDE})
            for i in np.unique(ids)[1:]:
                y, x = np.nonzero(ids == i)
                box = [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1]
                boxes.append({"id": len(boxes), "image_id": number, "category_id": 1, "bbox": box})
            rows.append(f"{name}.png,{'dark' if number % 2 else 'light'}")
        if "boxes" in kinds:
            data = {"images": listed, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}
            (base / "boxes.json").write_text(json.dumps(data))
        if "categories" in kinds:
            (base / "labels.csv").write_text("file,label\n" + "\n".join(rows) + "\n")
    return folder


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("kinds", "task"),
    [
        (("instances", "boxes", "masks", "categories"), "instances"),
        (("boxes", "masks", "categories"), "detection"),
        (("masks", "categories"), "semantic"),
        (("categories",), "classification"),
    ],
)
def test_auto_takes_the_most_specific_annotation(
    tmp_path: Path, kinds: tuple[str, ...], task: str, backend: str
) -> None:
    made = plan(write(tmp_path, *kinds), steps=1, backend=backend)
    assert made.tasks == (task,)
    assert {head.name for head in made.network.heads} == {
        "instances": {"instances", "flows"},
        "detection": {"centre", "box"},
        "semantic": {"semantic"},
        "classification": {"classification"},
    }[task]


def test_a_task_without_its_annotation_is_refused(tmp_path: Path, backend: str) -> None:
    data = write(tmp_path, "masks")
    with pytest.raises(UsageError, match="cannot be learned from this dataset"):
        plan(data, steps=1, task=("detection",), backend=backend)


def test_truth_is_read_as_it_was_written(tmp_path: Path) -> None:
    from reunet.datasets.case_arrays import load_case

    dataset = open_dataset(write(tmp_path, "instances", "boxes", "categories"))
    assert dataset.kinds == {"instances", "boxes", "categories"}
    for case, (name, _, ids) in zip(dataset.split("train"), scenes("train", 4), strict=True):
        truth = load_case(case, dataset.labels).truth
        assert case.id == name
        np.testing.assert_array_equal(truth.objects, ids)
        np.testing.assert_array_equal(truth.labels, ids > 0 if len(dataset.labels.classes) > 1 else 0)
        assert truth.boxes is not None
        for box, number in zip(truth.boxes.corners, np.unique(ids)[1:], strict=True):
            y, x = np.nonzero(ids == number)
            assert box.tolist() == [y.min(), x.min(), y.max() + 1, x.max() + 1]
    names = [dataset.categories.names[case.category] for case in dataset.split("train")]  # type: ignore[union-attr, index]
    assert names == ["light", "dark", "light", "dark"]


def small_plan(data: Path, folder: Path, backend: str, tasks: tuple[str, ...], steps: int) -> Path:
    made = plan(data, steps=steps, backend=backend, task=tasks).model_dump()
    made["network"].update(filters=(4, 8), strides=made["network"]["strides"][:1], kernels=())
    made["schedule"].update(validations=1)
    made["batch"] = 2
    file = folder / "plan.json"
    Plan.parse(made, where="test").write(file)
    return file


@pytest.mark.parametrize(
    "tasks",
    [
        ("instances",),
        pytest.param(("classification",), marks=pytest.mark.slow),
        pytest.param(("detection",), marks=(pytest.mark.keras_slow, pytest.mark.slow)),
        pytest.param(("instances", "classification"), marks=pytest.mark.keras_slow),
    ],
)
def test_from_folder_to_scores(tmp_path: Path, tasks: tuple[str, ...], backend: str) -> None:
    kinds = {"instances": "instances", "detection": "boxes", "classification": "categories"}
    data = write(tmp_path / "data", *(kinds[task] for task in tasks))
    run = tmp_path / "run"
    train(data, output=run, plan=small_plan(data, tmp_path, backend, tasks, steps=3))
    metrics = evaluate(run, data).metrics
    wanted = {"instances": ("ap", "pq", "f1"), "detection": ("map", "map50", "count_error"),
              "classification": ("accuracy", "balanced_accuracy", "confusion")}[tasks[0]]  # fmt: skip
    assert (metrics["task"], metrics["n_images"]) == (tasks[0], 2)
    assert set(wanted) <= set(metrics)
    assert (run / "engine" / "model.xml").is_file()
    with open(run / "evaluation" / "test" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["test0", "test1"]
    for name in tasks[1:]:
        assert (metrics[name]["task"], metrics[name]["n_images"]) == (name, 2)
        assert [row[f"{name}.true"] for row in rows] == ["light", "dark"]
    page = (run / "evaluation" / "test" / "report.html").read_text(encoding="utf-8")
    for name in tasks:
        assert (f'id="{name}"' in page) is (len(tasks) > 1)

    check_model_card(run, tasks)
    image = scenes("test", 1)[0][1]
    fast, slow = (reunet.load(run, engine, "f32")(image) for engine in ("openvino", "keras"))
    for found in (fast, slow):
        assert (found.instances is not None) is ("instances" in tasks)
        assert (found.boxes is not None) is ("detection" in tasks)
        assert (found.category is not None) is ("classification" in tasks)
    if "classification" in tasks:
        np.testing.assert_allclose(fast.category_probabilities, slow.category_probabilities, atol=1e-4)
    if "instances" in tasks:
        np.testing.assert_array_equal(fast.instances, slow.instances)
    check_outputs(run, data, tmp_path / "out", tasks)
    for name in tasks:
        folders = {"pred": tmp_path / "out", "truth": data / "test"}
        again = evaluate(**folders, task=name, output=tmp_path / name).metrics
        check_same_scores(again, metrics.get(name, metrics))


def check_same_scores(given: dict[str, Any], of_run: dict[str, Any]) -> None:
    """What `predict` wrote and its reader read back scores as the run does; files of boxes hold only those
    above the thresholds, which is all that F1 and counts look at.
    """
    assert (given["task"], given["n_images"]) == (of_run["task"], of_run["n_images"])
    numbers = [{one.title: one.value for one in task(given["task"]).headlines(x)} for x in (given, of_run)]
    titles = ("F1", "Count error") if given["task"] == "detection" else numbers[0]
    for title in titles:
        a, b = (values[title] for values in numbers)
        assert a == (b if b is None else pytest.approx(b, abs=1e-6)), title


def check_model_card(run: Path, tasks: tuple[str, ...]) -> None:
    """It names the numbers that the report shows first, of each task."""
    metrics = json.loads((run / "evaluation" / "val" / "metrics.json").read_text())
    card, page = (run / "model_card.md").read_text(), (run / "report.html").read_text(encoding="utf-8")
    assert "Mean foreground Dice" not in card
    for name in tasks:
        first = task(name).headlines(metrics.get(name, metrics))[0]
        shown = "undefined" if first.value is None else f"{first.value:.4f}"
        assert f"{first.title} ({first.text}): {shown}, of {metrics['n_images']} images" in card
        assert f'<span class="name">{first.title}</span><b>{format_score(first.value)}</b>' in page


def check_outputs(run: Path, data: Path, output: Path, tasks: tuple[str, ...]) -> None:
    """What `predict` leaves: label images and tables that say what the model says; a second time nothing."""
    model = reunet.load(run)
    predict(run, [data / "test" / "images"], output=output)
    found = {name: model(image) for name, image, _ in scenes("test", 2)}
    for name, result in found.items():
        drawn = (output / "overlays" / f"{name}.png").is_file()
        assert drawn is (tasks != ("classification",))  # the class of an image cannot be drawn
        if "instances" in tasks:
            written = np.array(Image.open(output / "instances" / f"{name}.png"))
            np.testing.assert_array_equal(written, result.instances)
            features = json.loads((output / "geojson" / f"{name}.geojson").read_text())["features"]
            assert len(features) == written.max()
    if tasks != ("classification",):
        boxes = [0 if r.boxes is None else len(r.boxes) for r in found.values()]
        objects = [0 if r.instances is None else int(r.instances.max()) for r in found.values()]
        told = json.loads((output / "predictions.json").read_text())
        assert [image["file_name"] for image in told["images"]] == ["test0.png", "test1.png"]
        assert len(told["annotations"]) == sum(boxes) + sum(objects)
        with open(output / "objects.csv", newline="") as file:
            assert len(list(csv.DictReader(file))) == sum(boxes) + sum(objects)
    if "classification" in tasks:
        with open(output / "classes.csv", newline="") as file:
            rows = {row["image"]: row for row in csv.DictReader(file)}
        for name, result in found.items():
            assert rows[name]["class"] == ("dark", "light")[result.category or 0]
    again = predict(run, [data / "test" / "images"], output=output, skip_existing=True)
    assert (len(again.predicted), len(again.skipped)) == (0, 2)


def test_check_lists_what_is_wrong_with_objects(tmp_path: Path) -> None:
    data = write(tmp_path, "instances", "boxes")
    file = data / "train" / "boxes.json"
    told = json.loads(file.read_text())
    told["annotations"][0]["bbox"] = [500, 500, 10, 10]
    told["annotations"][1]["bbox"][2] = 0
    told["annotations"][2]["category_id"] = 9
    file.write_text(json.dumps(told))
    _save(data / "train" / "instances" / "train0.png", np.zeros((8, 8), np.uint16))
    (data / "test" / "instances" / "test0.png").unlink()
    found = {(problem.severity, problem.code) for problem in check(data).problems}
    assert ("error", "unknown-class") in found
    assert ("error", "shape-mismatch") in found
    assert ("error", "image-without-instances") in found
    assert any(severity == "error" and code.startswith("box") for severity, code in found)
    assert any(severity == "warning" and code.startswith("box") for severity, code in found)
    with pytest.raises(DataError):
        plan(data, steps=1)
