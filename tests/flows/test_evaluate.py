from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.results import Problem
from reunet.contracts.run import RunFolder
from reunet.datasets.case_arrays import load_case
from reunet.datasets.cases import Case, CaseFiles
from reunet.datasets.scan import open_dataset
from reunet.datasets.splits import Splits
from reunet.errors import DataError, PlanError, ReunetError, StorageError, UsageError
from reunet.flows.evaluate.evaluate import evaluate, labels_of_dataset
from reunet.flows.evaluate.held_out import evaluate_split
from reunet.planning import take_fingerprint
from reunet.progress import NullProgress

from ..planning.datasets import masked

MakeRun = Callable[..., Path]

FILES = ["metrics.csv", "metrics.json", "report.html"]


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)
    return path


def image_of(mask: np.ndarray) -> np.ndarray:
    return np.where(mask == 1, 220, 20)


def write_split(folder: Path, masks: dict[str, np.ndarray], *, values: int = 1) -> Path:
    """Images that the bright run segments without an error, and masks that store foreground as `values`."""
    for name, mask in masks.items():
        save(folder / "images" / f"{name}.png", image_of(mask))
        save(folder / "masks" / f"{name}.png", mask * values)
    return folder


def random_masks(n: int, size: tuple[int, int] = (40, 36)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {f"im{k}": (rng.random(size) < 0.3).astype(np.uint8) for k in range(n)}


def table(output: Path) -> list[dict[str, str]]:
    with (output / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def describe(folder: Path, names: list[str]) -> None:
    classes = [{"id": i, "name": name, "color": [90 * i, 0, 99]} for i, name in enumerate(names)]
    (folder / "dataset.json").write_text(json.dumps({"name": "made", "classes": classes}))


@pytest.fixture
def run(tmp_path: Path, make_bright_run: MakeRun) -> Path:
    return make_bright_run(tmp_path / "run")


def test_a_perfect_run_scores_one_and_leaves_three_files(tmp_path: Path, run: Path) -> None:
    masks = random_masks(3)
    write_split(tmp_path / "data" / "train", random_masks(1))
    write_split(tmp_path / "data" / "test", masks)
    describe(tmp_path / "data", ["background", "bright"])
    result = evaluate(run, tmp_path / "data")
    assert result.output == run / "evaluation" / "test"
    assert sorted(path.name for path in result.output.iterdir()) == FILES
    metrics = json.loads((result.output / "metrics.json").read_text())
    assert metrics == result.metrics
    assert (metrics["split"], metrics["n_images"]) == ("test", 3)
    assert metrics["dice"]["per_image"]["mean_foreground"] == 1
    assert metrics["auc"] == 1
    rows = table(result.output)
    assert [row["id"] for row in rows] == list(masks)
    page = result.report.read_text()
    assert str(tmp_path) not in page
    assert "made: test" in page


def test_scores_are_those_of_the_pixels(tmp_path: Path, run: Path) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[:10] = 1
    write_split(tmp_path / "data" / "test", {"a": mask})
    shifted = np.roll(mask, 5, axis=0)  # half of the truth is missed, as much is a false alarm
    save(tmp_path / "data" / "test" / "masks" / "a.png", shifted)
    metrics = evaluate(run, tmp_path / "data", output=tmp_path / "out").metrics
    assert metrics["dice"]["pooled"]["mean_foreground"] == pytest.approx(0.5)
    assert metrics["pixel_error"] == pytest.approx(0.5)


def test_only_the_field_of_view_counts(tmp_path: Path, run: Path) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[5:9] = 1
    write_split(tmp_path / "data" / "test", {"a": mask})
    save(
        tmp_path / "data" / "test" / "images" / "a.png",
        np.where(np.arange(20)[:, None] > 12, 220, image_of(mask)),
    )
    save(tmp_path / "data" / "test" / "fov" / "a.png", np.repeat(np.arange(20)[:, None] < 12, 20, axis=1))
    metrics = evaluate(run, tmp_path / "data").metrics
    assert metrics["dice"]["pooled"]["mean_foreground"] == 1
    assert table(run / "evaluation/test")[0]["labelled_pixels"] == "240"


def test_a_broken_image_is_named_and_the_others_are_scored(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "test", random_masks(3)).parent
    (data / "test" / "images" / "im1.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    save(data / "test" / "masks" / "im2.png", np.zeros((5, 5)))
    result = evaluate(run, data)
    assert sorted(result.failures) == ["im1", "im2"]
    assert "size" in result.failures["im2"]
    assert result.metrics["n_images"] == 1
    page = result.report.read_text()
    assert "2 images are not in these scores" in " ".join(page.split())
    assert str(tmp_path) not in page + str(result.failures)  # the page may be passed on


def test_nothing_scored_is_an_error_without_output(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "test", random_masks(1)).parent
    (data / "test" / "images" / "im0.png").write_text("text")
    with pytest.raises(DataError, match="none of the 1 images"):
        evaluate(run, data)
    assert not (run / "evaluation").exists()


def test_results_are_replaced_only_on_request(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "test", random_masks(1)).parent
    result = evaluate(run, data)
    (result.output / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="overwrite=True"):
        evaluate(run, data)
    evaluate(run, data, overwrite=True)
    assert (result.output / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("values", [1, 255])
def test_masks_may_be_index_or_binary(tmp_path: Path, run: Path, values: int) -> None:
    data = write_split(tmp_path / "data", random_masks(2), values=values)
    assert evaluate(run, data).metrics["dice"]["pooled"]["mean_foreground"] == 1


@pytest.mark.parametrize("values", [1, 255])
def test_named_classes_may_be_index_or_binary(tmp_path: Path, run: Path, values: int) -> None:
    data = write_split(tmp_path / "data" / "test", random_masks(2), values=values).parent
    describe(data, ["background", "bright"])
    assert evaluate(run, data).metrics["dice"]["pooled"]["mean_foreground"] == 1
    masks = data / "test" / "masks"
    assert evaluate(pred=masks, truth=masks, output=tmp_path / "out").metrics["pixel_error"] == 0


def test_other_classes_are_refused(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "test", random_masks(1)).parent
    for names in (["bright", "background"], ["background", "vessel"], ["background", "bright", "dark"]):
        describe(data, names)
        with pytest.raises(PlanError, match="other classes"):
            evaluate(run, data)
    describe(data, ["Background", "bright"])
    evaluate(run, data)


def test_names_that_nobody_chose_fit_any() -> None:
    def labels(*names: str) -> LabelMap:
        return LabelMap(classes=default_classes(list(range(len(names))), list(names)))

    assert labels_of_dataset(labels("background", "foreground"), labels("interior", "membrane"), [])
    assert labels_of_dataset(labels("background", "cell"), labels("background", "foreground"), [])
    for known, found in ((("background", "cell"), ("cell", "background")), (("a", "b"), ("b", "a"))):
        with pytest.raises(PlanError):
            labels_of_dataset(labels(*known), labels(*found), [])


def test_a_missing_split_is_named(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "train", random_masks(1)).parent
    with pytest.raises(DataError, match="no such split"):
        evaluate(run, data)
    shutil.copytree(data / "train" / "images", data / "test" / "images")
    with pytest.raises(DataError, match="no annotations"):
        evaluate(run, data)


def write_splits(run: Path, train: list[str], val: list[str]) -> None:
    splits = Splits(train=tuple(train), val=tuple(val), test=(), source="held out", notes=("a shared group",))
    splits.write(RunFolder(run).splits_file)


def test_val_is_what_the_run_held_out(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "train", random_masks(4)).parent
    write_splits(run, ["im0", "im2"], ["im1", "im3"])
    for split, names in (("val", ["im1", "im3"]), ("train", ["im0", "im2"])):
        result = evaluate(run, data, split=split)
        rows = table(result.output)
        assert [row["id"] for row in rows] == names
    assert "chose the weights" in (run / "evaluation/val/report.html").read_text()


def test_images_seen_in_training_are_noticed_by_content(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "test", random_masks(3)).parent
    folder = data / "test"
    labels = RunFolder(run).plan().labels
    files = CaseFiles(folder / "images/im1.png", folder / "masks/im1.png")
    seen = load_case(Case("other", "train", files), labels)
    facts = take_fingerprint(masked(labels), [seen], [])
    facts.write(RunFolder(run).fingerprint_file)
    write_splits(run, ["other"], ["val"])
    page = evaluate(run, data).report.read_text()
    assert "1 of these 3 images were used in training" in page
    assert "a shared group" in page


def test_the_run_report_is_that_of_the_held_out_cases(tmp_path: Path, run: Path) -> None:
    data = write_split(tmp_path / "data" / "train", random_masks(3)).parent
    dataset = open_dataset(data, labels=RunFolder(run).plan().labels)
    val = tuple(load_case(case, dataset.labels) for case in dataset.cases[:2])
    splits = Splits(train=("im2",), val=("im0", "im1"), test=(), source="held out", notes=("few cases",))
    warning = Problem("warning", "constant", "im1.png", "the image is constant")
    prepared = SimpleNamespace(dataset=dataset, splits=splits, val=val, warnings=(warning,))
    result = evaluate_split(RunFolder(run), cast(Any, prepared), NullProgress())
    assert result.output == run / "evaluation" / "val"
    assert result.metrics["dice"]["pooled"]["mean_foreground"] == 1
    page = (run / "report.html").read_text()
    for expected in ("chose the weights", "few cases", "the image is constant"):
        assert expected in page


def pair(
    tmp_path: Path, masks: dict[str, np.ndarray], pred_values: int, truth_values: int
) -> tuple[Path, Path]:
    for name, mask in masks.items():
        save(tmp_path / "pred" / f"{name}.png", mask * pred_values)
        save(tmp_path / "truth" / f"{name}.png", mask * truth_values)
    return tmp_path / "pred", tmp_path / "truth"


@pytest.mark.parametrize("pred_values", [1, 255])
@pytest.mark.parametrize("truth_values", [1, 255])
def test_masks_from_elsewhere(tmp_path: Path, pred_values: int, truth_values: int) -> None:
    pred, truth = pair(tmp_path, random_masks(3), pred_values, truth_values)
    result = evaluate(pred=pred, truth=truth)
    assert result.metrics["dice"]["per_image"]["mean_foreground"] == 1
    assert result.metrics["auc"] is None
    assert result.output == tmp_path / "pred-evaluation"
    assert sorted(path.name for path in result.output.iterdir()) == FILES
    assert "probabilities" not in result.report.read_text().split("Definitions")[0]


def test_masks_that_predict_wrote_are_read_back(tmp_path: Path) -> None:
    from reunet.io.masks import write_mask

    labels = LabelMap(classes=default_classes([0, 4], ["background", "cell"]))
    describe_ids = [{"id": 0, "name": "background"}, {"id": 4, "name": "cell"}]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"classes": describe_ids}))
    for name, mask in random_masks(2).items():
        write_mask(tmp_path / "out" / "masks" / f"{name}.png", mask, labels)
        save(tmp_path / "out" / "overlays" / f"{name}.png", np.zeros((4, 4, 3)))
        save(tmp_path / "data" / "test" / "masks" / f"{name}.png", mask * 4)
    result = evaluate(pred=tmp_path / "out", truth=tmp_path / "data" / "test")
    assert result.metrics["dice"]["pooled"]["per_class"] == {"background": 1, "cell": 1}


def test_a_missing_prediction_is_an_error_a_surplus_one_a_warning(tmp_path: Path) -> None:
    pred, truth = pair(tmp_path, random_masks(2), 1, 1)
    save(pred / "extra.png", np.zeros((4, 4)))
    assert "extra.png" in evaluate(pred=pred, truth=truth).report.read_text()
    (pred / "im0.png").unlink()
    with pytest.raises(DataError, match=r"im0\.png.*no prediction"):
        evaluate(pred=pred, truth=truth, overwrite=True)


def test_pages_of_stacks_are_scored_one_by_one_and_images_are_shown(tmp_path: Path) -> None:
    masks = np.stack(list(random_masks(3).values()))
    for folder, values in (("pred", masks), ("truth", masks), ("pictures", masks * 200)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "stack.tif", values.astype(np.uint8), photometric="minisblack")
    result = evaluate(
        pred=tmp_path / "pred", truth=tmp_path / "truth", images=tmp_path / "pictures", axes="ZYX"
    )
    assert result.metrics["n_images"] == 3
    assert [row["id"] for row in table(result.output)] == ["stack#0000", "stack#0001", "stack#0002"]
    assert "<figcaption>image</figcaption>" in result.report.read_text()


def test_images_that_are_none_of_what_is_compared_and_axes_that_are_none(tmp_path: Path) -> None:
    mask = (np.arange(64).reshape(8, 8) % 3 == 0).astype(np.uint8)
    for folder in ("pred", "truth", "elsewhere"):
        save(tmp_path / folder / ("b.png" if folder == "elsewhere" else "a.png"), mask)
    folders = {"pred": tmp_path / "pred", "truth": tmp_path / "truth"}
    with pytest.raises(DataError, match="none of the images is named like"):
        evaluate(**folders, images=tmp_path / "elsewhere")
    with pytest.raises(DataError, match="does not exist"):
        evaluate(**folders, images=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="axes is not understood"):
        evaluate(**folders, axes="QQ")


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    pred, truth = pair(tmp_path, random_masks(2), 1, 1)
    save(pred / "im1.png", np.zeros((4, 4)))
    result = evaluate(pred=pred, truth=truth)
    assert list(result.failures) == ["im1"]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"run": "x"}, {"pred": "x"}, {"truth": "x"}, {"run": "r", "data": "d", "pred": "x", "truth": "y"},
     {"pred": "x", "truth": "y", "task": "instances"}, {"pred": "missing", "truth": "missing"}],
)  # fmt: skip
def test_contradictions_are_explained(arguments: dict[str, str]) -> None:
    with pytest.raises(ReunetError):
        evaluate(**arguments)  # type: ignore[arg-type]


def test_evaluating_imports_no_training_framework(tmp_path: Path, run: Path) -> None:
    """In a process of its own, since other tests import Keras."""
    data = write_split(tmp_path / "data" / "test", random_masks(1)).parent
    code = (
        "import sys; from reunet import evaluate; evaluate(*sys.argv[1:]); "
        "sys.exit(bool({'keras', 'tensorflow', 'jax', 'torch', 'grain'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(run), str(data)]).returncode == 0


def test_unknown_task_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="task"):
        evaluate("run", "data", task="semantics")


def test_drive_observer_against_observer(shared_data: Path, tmp_path: Path) -> None:
    """The second human observer of DRIVE, inside the field of view; published F1 is 0.788."""
    drive = shared_data / "drive" / "test"
    result = evaluate(pred=drive / "masks_observer2", truth=drive / "masks", output=tmp_path / "out")
    assert result.metrics["n_images"] == 20
    assert result.metrics["dice"]["pooled"]["per_class"]["vessel"] == pytest.approx(0.788, abs=0.003)
    assert result.metrics["classes"][1]["name"] == "vessel"


def test_membranes_of_isbi2012(shared_data: Path, tmp_path: Path) -> None:
    masks = shared_data / "isbi2012_em" / "test" / "masks"
    result = evaluate(pred=masks, truth=masks, output=tmp_path / "out")
    assert result.metrics["v_rand"] == pytest.approx(1, abs=1e-3)
    assert result.metrics["dice"]["pooled"]["per_class"]["membrane"] == 1


def squares(folder: Path, ids: tuple[int, ...], count: int = 3) -> Path:
    """Label images with a square per id."""
    folder.mkdir(parents=True)
    for k in range(count):
        image = np.zeros((60, 60), np.uint16)
        for number, (y, x) in zip(ids, ((5, 5), (25, 5), (40, 40)), strict=True):
            image[y : y + 12, x : x + 12] = number
        Image.fromarray(image).save(folder / f"a{k}.png")
    return folder


def test_masks_of_a_film_from_any_program_have_j_f_and_flicker(tmp_path: Path) -> None:
    truth = np.zeros((4, 20, 24), np.uint8)
    truth[:, 5:15, 5:15] = 1
    found = truth.copy()
    found[1::2, :, 20:] = 1  # 80 pixels of 480 come and go
    for name, frames in (("truth", truth), ("pred", found)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "film.tif", frames, photometric="minisblack")
    result = evaluate(pred=tmp_path / "pred", truth=tmp_path / "truth", axes="TYX", output=tmp_path / "out")
    assert result.metrics["flicker"] == pytest.approx(80 / 480)
    assert result.metrics["j"] == pytest.approx((100 / 180 + 1) / 2)
    assert "Flicker" in (tmp_path / "out" / "report.html").read_text()


def test_the_task_of_given_results_is_the_one_that_is_asked_for(tmp_path: Path) -> None:
    """The numbers of objects mean nothing: the same three under other ones are found."""
    truth, pred = squares(tmp_path / "truth", (1, 2, 3)), squares(tmp_path / "pred", (2, 3, 1))
    metrics = evaluate(pred=pred, truth=truth, task="instances", output=tmp_path / "out").metrics
    assert (metrics["task"], metrics["n_images"]) == ("instances", 3)
    assert metrics["ap"]["pooled"]["0.95"] == metrics["pq"] == 1
    for task in ("detection", "classification"):
        with pytest.raises(DataError, match="nothing to read with truth"):
            evaluate(pred=pred, truth=truth, task=task, output=tmp_path / task)


def test_what_folders_hold_tells_the_task_unless_it_is_several(tmp_path: Path) -> None:
    truth, pred = tmp_path / "truth", tmp_path / "pred"
    for folder in (truth, pred):
        squares(folder / "instances", (1, 2, 3))
    assert evaluate(pred=pred, truth=truth, output=tmp_path / "a").metrics["task"] == "instances"
    for folder in (truth, pred):
        squares(folder / "masks", (1, 1, 1))
    with pytest.raises(UsageError, match="task: semantic, instances"):
        evaluate(pred=pred, truth=truth, output=tmp_path / "b")


def test_boxes_and_classes_from_files_of_other_programs(tmp_path: Path) -> None:
    sizes = [{"id": i, "file_name": f"{name}.png", "height": 40, "width": 40} for i, name in enumerate("ab")]
    box = {"id": 1, "image_id": 0, "category_id": 7, "bbox": [5, 5, 10, 10]}
    found = box | {"bbox": [5, 5, 10, 9], "category_id": 1, "score": 0.1}
    for name, boxes, number in (("true.json", [box], 7), ("found.json", [found], 1)):
        categories = [{"id": number, "name": "cell"}]
        (tmp_path / name).write_text(
            json.dumps({"images": sizes, "annotations": boxes, "categories": categories})
        )
    boxes = evaluate(pred=tmp_path / "found.json", truth=tmp_path / "true.json").metrics
    assert (boxes["task"], boxes["f1"], boxes["n_images"]) == ("detection", 1, 2)
    (tmp_path / "true.csv").write_text("file,label\na.png,red\nb.png,blue\n")
    (tmp_path / "classes.csv").write_text("file,label\nb.png,blue\na.png,blue\nc.png,red\n")
    classes = evaluate(pred=tmp_path / "classes.csv", truth=tmp_path / "true.csv").metrics
    assert (classes["task"], classes["accuracy"], classes["ece"]) == ("classification", 0.5, None)
    (tmp_path / "classes.csv").write_text("file,label\nb.png,green\na.png,blue\n")
    with pytest.raises(DataError, match="green"):
        evaluate(pred=tmp_path / "classes.csv", truth=tmp_path / "true.csv", overwrite=True)
    (tmp_path / "classes.csv").write_text("file,label\nb.png,blue\n")
    with pytest.raises(DataError, match="1 image"):
        evaluate(pred=tmp_path / "classes.csv", truth=tmp_path / "true.csv", overwrite=True)


def test_another_dataset_has_a_folder_of_its_own(tmp_path: Path, run: Path) -> None:
    labels = RunFolder(run).plan().labels
    masks = random_masks(4)
    own, other = tmp_path / "own", tmp_path / "other"
    for data, shift in ((own, 0), (other, 3)):
        for split, names in (("train", ("im0", "im1")), ("test", ("im2", "im3"))):
            write_split(data / split, {name: np.roll(masks[name], shift, axis=0) for name in names})
    dataset = open_dataset(own, labels=labels)
    facts = take_fingerprint(masked(labels), [load_case(case, labels) for case in dataset.split("train")], [])
    facts.write(RunFolder(run).fingerprint_file)
    write_splits(run, ["im0"], ["im1"])
    assert evaluate(run, own).output == run / "evaluation/test"
    assert evaluate(run, other).output == run / "evaluation/other-test"  # names of files mean nothing
    describe(other, ["background", "bright"])
    told = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps(told | {"name": "../a b"}))
    assert evaluate(run, other).output == run / "evaluation/_a_b-test"
    with pytest.raises(StorageError, match="overwrite=True"):
        evaluate(run, own.rename(tmp_path / "renamed"))
    assert (run / "evaluation/test/metrics.json").is_file()


def test_crowds_and_fields_of_view_of_given_boxes(tmp_path: Path) -> None:
    def coco(folder: Path, *notes: dict[str, Any]) -> Path:
        folder.mkdir()
        images = [{"id": 1, "file_name": "a.png", "height": 100, "width": 100}]
        notes = tuple({"id": k, "image_id": 1, "category_id": 1, **note} for k, note in enumerate(notes))
        told = {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "cell"}]}
        (folder / "boxes.json").write_text(json.dumps(told))
        return folder

    right, crowd, unseen = [10, 10, 20, 20], [60, 60, 30, 30], [10, 70, 20, 20]
    truth = coco(tmp_path / "truth", {"bbox": right}, {"bbox": crowd, "iscrowd": 1}, {"bbox": unseen})
    seen = np.full((100, 100), 255)
    seen[65:] = 0
    save(truth / "fov" / "a.png", seen)
    found = [{"bbox": box, "score": s} for box, s in ((right, 0.5), ([62, 62, 9, 9], 0.9), (unseen, 0.8))]
    metrics = evaluate(pred=coco(tmp_path / "pred", *found), truth=truth, task="detection").metrics
    assert metrics["map"] == metrics["f1"] == 1
    assert metrics["per_class"]["true"] == metrics["per_class"]["predicted"] == {"cell": 1}
    shutil.rmtree(tmp_path / "pred-evaluation")
    save(truth / "fov" / "b.png", seen)
    (truth / "fov" / "a.png").unlink()
    with pytest.raises(DataError, match="no field of view"):
        evaluate(pred=tmp_path / "pred", truth=truth, task="detection")
