"""Regions, partial annotations, objects of several classes and deep supervision, from folder to scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.plan import Plan
from reunet.datasets.case_arrays import load_case
from reunet.datasets.scan import open_dataset
from reunet.errors import UsageError
from reunet.flows.check import check
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.plan import plan
from reunet.flows.predict.predict import predict
from reunet.flows.train.train import train

SIDE = 48


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def onion(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W) uint8 and values 0 to 3 of discs within one another."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(20, 28, (2, 1, 1))
    values = sum((np.hypot(y, x) < radius).astype(np.uint8) for radius in (16, 11, 6))
    return (40 + 50 * values + rng.normal(0, 6, values.shape)).clip(0, 255).astype(np.uint8), values


def tumours(folder: Path) -> Path:
    """nnU-Net's folders, with its regions."""
    for split, count in (("Tr", 4), ("Ts", 2)):
        for i in range(count):
            image, values = onion(i + 10 * (split == "Ts"))
            save(folder / f"images{split}" / f"case{i}_0000.png", image)
            save(folder / f"labels{split}" / f"case{i}.png", values)
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    facts = {"channel_names": {"0": "T1"}, "labels": labels, "regions_class_order": [1, 2, 3]}
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def test_a_region_inside_another_one_is_not_absent(tmp_path: Path) -> None:
    for i in range(4):
        image, values = onion(i)
        save(tmp_path / "images" / f"{i}.png", image)
        for name, least in (("whole", 1), ("core", 2)):
            save(tmp_path / "masks" / name / f"{i}.png", np.where(values >= least, 255, 0).astype(np.uint8))
    (tmp_path / "dataset.json").write_text(json.dumps({"regions": ["whole", "core"]}))
    assert not check(tmp_path).problems
    for i in range(4):
        save(tmp_path / "masks" / "core" / f"{i}.png", np.zeros((SIDE, SIDE), np.uint8))
    (problem,) = check(tmp_path).problems
    assert (problem.code, problem.received) == ("class-absent", "core")


def cells(folder: Path) -> Path:
    """Objects of two classes: instances/ beside masks/ with values 0 to 2."""
    for split, count in (("train", 4), ("test", 2)):
        for i in range(count):
            ids, masks = np.zeros((SIDE, SIDE), np.uint16), np.zeros((SIDE, SIDE), np.uint8)
            for number, (row, column) in enumerate([(2, 4), (2, 28), (24, 6), (24, 28)], 1):
                row += i + 4 * (split == "test")
                part = np.s_[row : row + 12, column : column + 12]
                ids[part], masks[part] = number, 1 + number % 2
            base = folder / split
            save(base / "images" / f"{split}{i}.png", (60 + 80 * masks).astype(np.uint8))
            save(base / "instances" / f"{split}{i}.png", ids)
            save(base / "masks" / f"{split}{i}.png", masks)
    classes = [{"id": i, "name": name} for i, name in enumerate(("background", "round", "long"))]
    (folder / "dataset.json").write_text(json.dumps({"classes": classes}))
    return folder


def small(
    data: Path, folder: Path, backend: str, steps: int = 3, learns: bool = False, **options: Any
) -> Path:
    made = plan(data, steps=steps, backend=backend, **options).model_dump()
    made["network"].update(filters=(4, 8, 8), strides=made["network"]["strides"][:2], kernels=())
    made["schedule"].update(validations=1)
    made["batch"] = 2
    if learns:  # so few channels and steps want larger ones
        made["schedule"].update(learning_rate=0.02)
        made["network"].update(filters=(8, 8, 8))
    Plan.parse(made, where="test").write(folder / "plan.json")
    return folder / "plan.json"


@pytest.mark.keras_slow
def test_regions_from_folder_to_scores(tmp_path: Path, backend: str) -> None:
    data, run = tumours(tmp_path / "data"), tmp_path / "run"
    assert not check(data).errors
    train(data, output=run, plan=small(data, tmp_path, backend, steps=60, learns=True))
    metrics = evaluate(run, data).metrics
    regions = metrics["dice"]["pooled"]["per_region"]
    assert list(regions) == ["whole", "core", "enhancing"]
    assert regions["whole"] > 0.9
    assert metrics["regions"] == list(regions)
    assert (run / "evaluation" / "test" / "report.html").is_file()
    with open(run / "evaluation" / "test" / "metrics.csv", newline="") as file:
        assert {"dice.core", "iou.core", "hd95"} <= set(next(csv.DictReader(file)))
    predict(run, [data / "imagesTs"], output=tmp_path / "out", probabilities=True)
    written = np.array(Image.open(tmp_path / "out" / "masks" / "case0.png"))
    chances = np.load(tmp_path / "out" / "probabilities" / "case0.npy")
    assert chances.shape == (SIDE, SIDE, 3)
    np.testing.assert_array_equal(written >= 1, (chances >= 0.5).any(axis=-1))
    np.testing.assert_array_equal(written == 3, chances[..., 2] >= 0.5)
    scored = evaluate(pred=tmp_path / "out", truth=data / "labelsTs").metrics  # without any run
    assert scored["dice"]["pooled"] == metrics["dice"]["pooled"]


def test_a_folder_of_masks_for_each_region(tmp_path: Path, backend: str) -> None:
    """As programs export them that draw one class at a time; what overlaps stays known."""
    for i in range(4):
        image, values = onion(i)
        save(tmp_path / "images" / f"a{i}.png", image)
        save(tmp_path / "masks" / "whole" / f"a{i}.png", np.where(values > 0, 255, 0).astype(np.uint8))
        save(
            tmp_path / "masks" / "right" / f"a{i}_mask.png",
            np.broadcast_to(np.arange(SIDE) > 20, (SIDE, SIDE)),
        )
    (tmp_path / "dataset.json").write_text(json.dumps({"regions": ["whole", "right"]}))
    assert not check(tmp_path).errors
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("background", "whole only", "right only", "whole and right")
    labels = load_case(dataset.cases[1], dataset.labels).labels
    _, values = onion(1)
    np.testing.assert_array_equal(labels, (values > 0) + 2 * (np.arange(SIDE) > 20))
    np.testing.assert_array_equal(dataset.labels.membership[labels][..., 0], values > 0)
    made = plan(tmp_path, steps=1, backend=backend)
    assert [(head.channels, head.activation) for head in made.network.heads] == [(2, "sigmoid")]

    (tmp_path / "masks" / "right" / "a2_mask.png").unlink()
    save(tmp_path / "masks" / "right" / "a3_mask.png", np.zeros((8, 8), np.uint8))
    found = {(problem.code, problem.expected) for problem in check(tmp_path).errors}
    assert ("image-without-mask", "masks/right/a2.png or another image format") in found
    assert len(found) == 2


def test_images_annotated_with_some_classes(tmp_path: Path) -> None:
    data = cells(tmp_path)
    facts = json.loads((data / "dataset.json").read_text())
    facts["annotated"] = {"train0": ["round", "long"], "train[0-1]": ["round"], "test*": ["long"]}
    (data / "dataset.json").write_text(json.dumps(facts))
    dataset = open_dataset(data)
    assert {case.id: case.classes for case in dataset.cases} == {
        "train0": None, "train1": (0, 1), "train2": None, "train3": None, "test0": (0, 2), "test1": (0, 2),
    }  # fmt: skip
    assert dataset.labels.partial == ((0, 1), (0, 2))
    case = next(case for case in dataset.cases if case.id == "train1")
    assert load_case(case, dataset.labels).truth.classes == (0, 1)
    for wrong in ({"train0": ["square"]}, {"train0": "round"}, ["round"]):
        (data / "dataset.json").write_text(json.dumps(facts | {"annotated": wrong}))
        assert "annotated" in {problem.code for problem in check(data).errors}


@pytest.mark.slow
def test_partial_annotations_reach_the_loss(tmp_path: Path, backend: str) -> None:
    data = cells(tmp_path / "data")
    facts = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps(facts | {"annotated": {"*": ["round"]}}))
    assert [p.expected for p in check(data).errors] == ["background, round"] * 6  # long is there
    for path in [*data.glob("*/masks/*.png")]:
        mask = np.array(Image.open(path))
        save(path, np.where(mask == 2, 0, mask).astype(np.uint8))
    made = plan(data, steps=1, backend=backend, task=("semantic",))
    _, targets = batch_of(data, made)
    assert 3 in np.unique(targets["semantic"])
    assert 0 not in np.unique(targets["semantic"])
    run = tmp_path / "run"
    train(data, output=run, plan=small(data, tmp_path, backend, task=("semantic",)))
    assert evaluate(run, data).metrics["dice"]["pooled"]["per_class"]["long"] is None


@pytest.mark.slow
def test_objects_of_several_classes_learn_their_classes(tmp_path: Path, backend: str) -> None:
    data, run = cells(tmp_path / "data"), tmp_path / "run"
    file = small(data, tmp_path, backend, task=("instances",))
    assert [head.name for head in Plan.read(file).network.heads] == ["instances", "flows", "semantic"]
    train(data, output=run, plan=file)
    predict(run, [data / "test" / "images"], output=tmp_path / "out")
    for kind in ("masks", "instances"):
        assert (tmp_path / "out" / kind / "test0.png").is_file()
    both = plan(data, steps=1, backend=backend, task=("instances", "semantic"))
    assert [head.name for head in both.network.heads] == ["instances", "flows", "semantic"]


def batch_of(data: Path, made: Plan) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    from reunet.sampling.patches import PatchSampler
    from reunet.tasks.work import Work

    dataset = open_dataset(data)
    cases = [load_case(case, dataset.labels) for case in dataset.split("train")]
    return PatchSampler(cases, made, targets=Work.of(made).targets).batch(0)


def boxes_and_labels(data: Path) -> None:
    """What instances/ say, as boxes; and a class for each image."""
    for split in ("train", "test"):
        base, listed, boxes = data / split, [], []
        names = sorted(path.name for path in (base / "images").iterdir())
        for number, name in enumerate(names):
            listed.append({"id": number, "file_name": f"images/{name}", "height": SIDE, "width": SIDE})
            ids = np.array(Image.open(base / "instances" / name))
            for i in np.unique(ids)[1:]:
                y, x = np.nonzero(ids == i)
                box = [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1]
                kind = 1 + int(i) % 2
                boxes.append({"id": len(boxes), "image_id": number, "category_id": kind, "bbox": box})
        kinds = [{"id": 1, "name": "round"}, {"id": 2, "name": "long"}]
        told = {"images": listed, "annotations": boxes, "categories": kinds}
        (base / "boxes.json").write_text(json.dumps(told))
        rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)]
        (base / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")


@pytest.mark.keras_slow
@pytest.mark.slow
@pytest.mark.parametrize("preset", ["nnunet", "unet_plus_plus"])
def test_every_task_learns_at_every_level_of_deep_supervision(
    tmp_path: Path, preset: str, backend: str
) -> None:
    from reunet.training.compile import compiled_network, outputs_of

    data = cells(tmp_path / "data")
    boxes_and_labels(data)
    tasks = ("instances", "semantic", "detection", "classification")
    made = Plan.read(small(data, tmp_path, backend, task=tasks, preset=preset))
    images, targets = batch_of(data, made)
    model, outputs = compiled_network(made), outputs_of(made.network)
    assert {name for name, (_, level) in outputs.items() if level == 1} == {
        f"{head.name}_1" for head in made.network.heads if head.of == "pixels"
    }
    given = {name: targets[head.name] for name, (head, _) in outputs.items()}
    losses = [float(model.train_on_batch(images, given, return_dict=True)["loss"]) for _ in range(8)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_centre_lines_are_learned_only_when_asked_for(tmp_path: Path, backend: str) -> None:
    data = cells(tmp_path)
    assert plan(data, steps=1, backend=backend, task=("semantic",)).loss.cl_dice == 0
    made = plan(data, steps=1, backend=backend, task=("semantic",), loss="cl_dice")
    assert (made.loss.dice, made.loss.cl_dice) == (0.5, 0.5)
    assert 3 <= made.loss.thinning <= 25
    assert "loss.cl_dice" in made.reasons
    with pytest.raises(UsageError, match="focal"):
        plan(data, steps=1, backend=backend, loss="focal")
    for split in ("train", "test"):
        for kind in ("masks", "instances"):
            for path in (data / split / kind).iterdir():
                path.unlink()
            (data / split / kind).rmdir()
        rows = [f"{path.name},a" for path in (data / split / "images").iterdir()]
        (data / split / "labels.csv").write_text("\n".join(["file,label", *rows, ""]))
    (data / "dataset.json").unlink()
    with pytest.raises(UsageError, match="classes of pixels"):
        plan(data, steps=1, backend=backend, loss="cl_dice")
