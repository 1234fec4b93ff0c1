"""What `predict` writes for each task, on a run whose results are made by hand from the image."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.console import print_predictions
from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.contracts.run import RunFolder
from reunet.errors import StorageError, UsageError
from reunet.flows.predict.inputs import Source
from reunet.flows.predict.outputs import Job, Kinds, write_image
from reunet.flows.predict.predict import predict
from reunet.flows.predict.result_tables import write_tables
from reunet.inference.predictor import Predictor
from reunet.io.annotations.instances import read_instances
from reunet.io.annotations.rle import decompress_runs, run_pixels
from reunet.io.images import read_header
from reunet.tasks.base import Maps
from reunet.tasks.work import Work

CATEGORIES = LabelMap(classes=default_classes([0, 1], ["calm", "busy"]))
Table = list[dict[str, str]]


def squares(count: int, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    """`count` bright objects of 4 x 6 pixels, numbered by their brightness 128 + id."""
    image = np.full(size, 20, np.uint8)
    for i in range(count):
        image[2 + 10 * (i // 4) :, 3 + 11 * (i % 4) :][:4, :6] = 129 + i
    return image


def told(image: np.ndarray, tasks: tuple[str, ...]) -> Prediction:
    """The result for an image of `squares`."""
    ids = np.where(image >= 128, image.astype(np.int32) - 128, 0)
    numbers = np.unique(ids)[1:]
    places = [np.nonzero(ids == i) for i in numbers]
    corners = np.array([[y.min(), x.min(), y.max() + 1, x.max() + 1] for y, x in places], np.float32)
    boxes = Boxes(
        corners.reshape(-1, 4), np.ones(len(numbers), np.uint8), np.linspace(1, 0.5, len(numbers), dtype="f4")
    )
    busy = np.float32(len(numbers) / 8)
    return Prediction(
        labels=(ids > 0).astype(np.uint8) if "semantic" in tasks else None,
        instances=ids if "instances" in tasks else None,
        boxes=boxes if "detection" in tasks else None,
        category=int(busy > 0.5) if "classification" in tasks else None,
        category_probabilities=np.array([1 - busy, busy]) if "classification" in tasks else None,
    )


MakeRun = Callable[..., Path]


@pytest.fixture
def run(make_bright_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A function that makes a run of any tasks, which finds what `told` says."""
    base = make_bright_run(tmp_path / "base", ids=(0, 7))

    def make(*tasks: str) -> Path:
        folder = shutil.copytree(base, tmp_path / "-".join(tasks))
        plan = RunFolder(folder).plan().model_copy(update={"tasks": tasks, "categories": CATEGORIES})
        monkeypatch.setattr(RunFolder, "plan", lambda self: plan)
        monkeypatch.setattr(Predictor, "maps", lambda self, image, **_: Maps({"image": image}, image.shape))
        monkeypatch.setattr(Work, "decode", lambda self, maps, _: told(maps.heads["image"][..., 0], tasks))
        return folder

    return make


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def table(path: Path) -> Table:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predictions(folder: Path) -> Any:
    return json.loads((folder / "predictions.json").read_text(encoding="utf-8"))


def test_instances(run: Callable[..., Path], tmp_path: Path) -> None:
    image, out = squares(5), tmp_path / "out"
    save(tmp_path / "in/deep/a.png", image)
    save(tmp_path / "in/none.png", squares(0))
    result = predict(run("instances"), tmp_path / "in", output=out)
    assert not result.failures
    pictures = ("instances/{}.png", "colored/{}.png", "overlays/{}.png")
    each = (*pictures, "geojson/{}.geojson", "rois/{}.zip", "objects/{}.json")
    names = {pattern.format(name) for pattern in each for name in ("deep/a", "none")}
    assert files(out) == names | {"objects.csv", "predictions.json"}
    ids = read_instances(out / "instances/deep/a.png")
    np.testing.assert_array_equal(ids, np.where(image >= 128, image.astype(int) - 128, 0))
    rows = table(out / "objects.csv")
    assert [(row["image"], row["id"], row["class"], row["area"], row["mean_0"]) for row in rows] == [
        ("deep/a", str(i), "bright", "24", str(128 + i)) for i in range(1, 6)
    ]
    coco = predictions(out)
    assert [image["file_name"] for image in coco["images"]] == ["deep/a.png", "none.png"]
    assert {"id": 7, "name": "bright"} in coco["categories"]
    drawn = np.zeros((40, 50), int)
    for entry in coco["annotations"]:
        assert (entry["image_id"], entry["category_id"]) == (1, 7)
        runs = decompress_runs(entry["segmentation"]["counts"], (40, 50))
        drawn[run_pixels(runs, 40)] = entry["object_id"]
    np.testing.assert_array_equal(drawn, ids)
    features = json.loads((out / "geojson/deep/a.geojson").read_text())["features"]
    assert [feature["properties"]["classification"]["name"] for feature in features] == ["bright"] * 5
    with zipfile.ZipFile(out / "rois/deep/a.zip") as rois:
        assert rois.namelist() == [f"{i:05d}.roi" for i in range(1, 6)]
    with Image.open(out / "overlays/deep/a.png") as overlay:
        changed = (np.asarray(overlay) != image[..., None]).any(axis=-1)
    assert changed[ids > 0].any()
    assert not changed[ids == 0].any()
    with Image.open(out / "colored/deep/a.png") as picture:
        colors = [np.unique(np.asarray(picture)[ids == i], axis=0) for i in range(6)]
    assert all(len(one) == 1 for one in colors)
    assert not colors[0].any()
    assert len({tuple(one[0]) for one in colors}) == 6


def test_boxes(run: Callable[..., Path], tmp_path: Path) -> None:
    save(tmp_path / "in/b.png", squares(2))
    save(tmp_path / "in/a.png", squares(1))
    out = tmp_path / "out"
    predict(run("detection"), tmp_path / "in", output=out)
    each = {f"{kind}/{name}" for name in "ab" for kind in ("overlays", "objects")}
    assert {name.partition(".")[0] for name in files(out)} == each | {"objects", "predictions"}
    found = [("a", "1", "3", "9"), ("b", "1", "3", "9"), ("b", "0.5", "14", "20")]
    assert table(out / "objects.csv") == [
        {"image": image, "class": "bright", "score": score}
        | {"box_y0": "2", "box_x0": x0, "box_y1": "6", "box_x1": x1}
        for image, score, x0, x1 in found
    ]
    entries = predictions(out)["annotations"]
    assert [(entry["image_id"], entry["category_id"], entry["score"]) for entry in entries] == [
        (1, 7, 1.0),
        (2, 7, 1.0),
        (2, 7, 0.5),
    ]
    assert entries[2]["bbox"] == [14, 2, 6, 4]


def test_classes(run: Callable[..., Path], tmp_path: Path) -> None:
    save(tmp_path / "in/a.png", squares(7))
    save(tmp_path / "in/b.png", squares(2))
    out = tmp_path / "out"
    model = run("classification")
    with pytest.raises(UsageError, match="probabilities"):  # they are in classes.csv
        predict(model, tmp_path / "in", output=out, probabilities=True)
    predict(model, tmp_path / "in", output=out)
    assert files(out) == {"objects/a.json", "objects/b.json", "classes.csv", "predictions.json"}
    assert table(out / "classes.csv") == [
        {"image": "a", "class": "busy", "probability_calm": "0.125", "probability_busy": "0.875"},
        {"image": "b", "class": "calm", "probability_calm": "0.75", "probability_busy": "0.25"},
    ]
    first = predictions(out)["images"][0]
    assert (first["class"], first["probabilities"]) == ("busy", {"calm": 0.125, "busy": 0.875})
    again = predict(run("classification", "classification"), tmp_path / "in", output=out, skip_existing=True)
    assert len(again.skipped) == 2


def test_several_tasks_leave_all_of_it(run: Callable[..., Path], tmp_path: Path) -> None:
    save(tmp_path / "a.png", squares(3))
    out = tmp_path / "out"
    predict(run("semantic", "instances", "detection", "classification"), tmp_path / "a.png", output=out)
    assert {"masks/a.png", "instances/a.png", "classes.csv"} <= files(out)
    rows = table(out / "objects.csv")
    assert [bool(row["id"]) for row in rows] == [True] * 3 + [False] * 3
    assert [bool(row["score"]) for row in rows] == [False] * 3 + [True] * 3
    assert len(predictions(out)["annotations"]) == 6


def test_skipped_images_stay_in_the_tables(run: Callable[..., Path], tmp_path: Path) -> None:
    model, out = run("instances"), tmp_path / "out"
    save(tmp_path / "in/b.png", squares(2))
    predict(model, tmp_path / "in", output=out)
    with pytest.raises(StorageError, match="exist already"):
        predict(model, tmp_path / "in", output=out)
    save(tmp_path / "in/a.png", squares(1))
    save(tmp_path / "in/b.png", squares(4))
    (out / "objects.csv").unlink()
    result = predict(model, tmp_path / "in", output=out, skip_existing=True)
    assert [path.name for path in result.skipped] == ["b.png"]
    assert [row["image"] for row in table(out / "objects.csv")] == ["a", "b", "b"]
    predict(model, tmp_path / "in", output=out, overwrite=True)
    assert len(table(out / "objects.csv")) == 5
    (tmp_path / "in/b.png").write_bytes(b"no image")
    assert len(predict(model, tmp_path / "in", output=out, overwrite=True).failures) == 1
    assert [row["image"] for row in table(out / "objects.csv")] == ["a"]
    assert "instances/b.png" not in files(out)


def test_done_means_everything_that_the_tasks_tell(run: Callable[..., Path], tmp_path: Path) -> None:
    image, out = save(tmp_path / "a.png", squares(2)), tmp_path / "out"
    predict(run("detection"), image, output=out)
    both = run("detection", "instances")
    assert predict(both, image, output=out, skip_existing=True).predicted
    assert predict(both, image, output=out, skip_existing=True).skipped
    (out / "objects/a.json").unlink()
    assert predict(both, image, output=out, skip_existing=True).predicted
    assert predict(run("instances", "classification"), image, output=out, skip_existing=True).predicted


def test_masks_alone_replace_what_an_earlier_run_found(run: Callable[..., Path], tmp_path: Path) -> None:
    image, out = save(tmp_path / "a.png", squares(2)), tmp_path / "out"
    predict(run("instances"), image, output=out)
    predict(run("semantic"), image, output=out, overwrite=True)
    assert files(out) == {"masks/a.png", "overlays/a.png"}


def test_a_table_of_someone_else_is_kept(run: Callable[..., Path], tmp_path: Path) -> None:
    image, out = save(tmp_path / "a.png", squares(2)), tmp_path / "out"
    out.mkdir()
    (out / "objects.csv").write_text("mine")
    with pytest.raises(StorageError, match="exist already"):
        predict(run("detection"), image, output=out)
    assert (out / "objects.csv").read_text() == "mine"


def test_pages_are_images_of_their_own(run: Callable[..., Path], tmp_path: Path) -> None:
    pages = np.stack([squares(count) for count in (2, 0, 3)])
    tifffile.imwrite(tmp_path / "s.tif", pages, metadata={"axes": "ZYX"}, photometric="minisblack")
    out = tmp_path / "out"
    result = predict(run("instances", "classification"), tmp_path / "s.tif", output=out)
    assert not result.failures
    ids = read_instances(out / "instances/s.tif")
    np.testing.assert_array_equal(ids, np.where(pages >= 128, pages.astype(int) - 128, 0))
    names = [f"s.pages/{page:04d}" for page in (1, 2, 3)]
    assert [row["image"] for row in table(out / "objects.csv")] == [names[0]] * 2 + [names[2]] * 3
    assert [row["image"] for row in table(out / "classes.csv")] == names
    assert {f"overlays/{name}.png" for name in names} <= files(out)


def test_nothing_is_found_outside_the_field_of_view(run: Callable[..., Path], tmp_path: Path) -> None:
    image, out = save(tmp_path / "in/a.png", squares(2)), tmp_path / "out"
    field = np.zeros((40, 50), np.uint8)
    field[:5, :16] = 255  # three rows of the first object, a corner of the second without its centre
    save(tmp_path / "fov/a.png", field)
    predict(run("instances", "detection"), image, output=out, fov=tmp_path / "fov")
    rows = [(row["id"], row["area"], row["box_x0"]) for row in table(out / "objects.csv")]
    assert rows == [("1", "18", "3"), ("2", "6", "14"), ("", "", "3")]


@pytest.mark.parametrize("pages", [1, 2])
def test_sizes_in_micrometres_go_through(run: Callable[..., Path], tmp_path: Path, pages: int) -> None:
    image, out = squares(3, (100, 120)), tmp_path / "out"
    stack = image if pages == 1 else np.stack([image] * pages)
    tifffile.imwrite(
        tmp_path / "a.tif", stack, resolution=(2e4, 1e4), resolutionunit="CENTIMETER", metadata=None
    )
    axes = None if pages == 1 else "ZYX"
    result = predict(run("instances", "detection"), tmp_path / "a.tif", output=out, axes=axes)
    assert not result.failures
    rows = table(out / "objects.csv")
    objects, boxes = ([row for row in rows if bool(row["id"]) is told] for told in (True, False))
    assert [(row["area"], row["area_um2"]) for row in objects] == [("24", "12")] * 3 * pages
    assert float(boxes[1]["box_x0_um"]) == float(boxes[1]["box_x0"]) * 0.5 == 7
    assert "perimeter_um" not in rows[0]  # pixels are not square
    if pages == 2:
        assert read_header(out / "instances/a.tif").spacing == pytest.approx((1, 0.5))
    picture = Image.open(out / "overlays" / ("a.png" if pages == 1 else "a.pages/0002.png"))
    assert 2.54e4 / np.array(picture.info["dpi"]) == pytest.approx([0.5, 1])
    rows, columns = np.nonzero((np.asarray(picture) == 255).all(axis=-1))
    assert len(columns[rows == rows.max()]) == 20  # 10 of 60 micrometres


def test_large_images_are_drawn_smaller_and_told_whole(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.flows.predict.outputs.MOST_DRAWN", 20 * 25)
    image, out = squares(3), tmp_path / "out"
    tifffile.imwrite(tmp_path / "a.tif", image, resolution=(1e4, 1e4), resolutionunit="CENTIMETER")
    assert not predict(run("instances", "detection", "semantic"), tmp_path / "a.tif", output=out).failures
    np.testing.assert_array_equal(
        read_instances(out / "instances/a.png"), np.where(image >= 128, image - 128, 0)
    )
    with Image.open(out / "overlays/a.png") as picture:
        assert picture.size == (25, 20)
        assert 2.54e4 / np.array(picture.info["dpi"]) == pytest.approx([2, 2], rel=1e-3)
        drawn = np.asarray(picture)
    grey = (drawn.max(axis=2) == drawn.min(axis=2)).reshape(20, 25)
    for left in (3, 14, 25):  # of objects of 6 x 4 pixels
        assert not grey[1:3, (left + 1) // 2 : (left + 5) // 2].any()


def test_volumes(make_bright_run: MakeRun, make_volumes: Callable[..., Path], tmp_path: Path) -> None:
    data = make_volumes(tmp_path / "data", train=1, test=1)
    plan: Plan = RunFolder(make_bright_run(tmp_path / "run")).plan()
    (path,) = (data / "imagesTr").iterdir()
    header = read_header(path)
    ids = np.zeros(header.size, np.int32)
    ids[2:5, 3:6, 4:8], ids[8:10, 3:6, 4:8] = 1, 2
    volume = np.random.default_rng(0).random((*header.size, 1)).astype(np.float32)
    job = Job(Source(path, Path("v")), tmp_path / "out", None, None, Kinds(("instances",)))
    write_image(job, plan, header, volume, Prediction(instances=ids))
    assert job.is_done()
    write_tables(tmp_path / "out")
    np.testing.assert_array_equal(read_instances(tmp_path / "out/instances/v.nii.gz"), ids)
    rows = table(tmp_path / "out/objects.csv")
    assert [(row["area"], row["volume_mm3"]) for row in rows] == [("36", "36"), ("24", "24")]
    assert files(tmp_path / "out") == {
        "instances/v.nii.gz",
        "overlays/v.png",
        "objects/v.json",
        "objects.csv",
    }


def test_the_class_of_an_object_is_that_of_most_of_its_pixels(
    make_bright_run: MakeRun, tmp_path: Path
) -> None:
    plan = RunFolder(make_bright_run(tmp_path / "run")).plan()
    three = LabelMap(classes=default_classes([0, 1, 2], ["background", "round", "long"]))
    plan = plan.model_copy(update={"labels": three})
    image = save(tmp_path / "a.png", squares(3))
    ids = np.zeros((40, 50), np.int32)
    ids[0, :10], ids[2, :10], ids[4, :10] = 1, 2, 3
    labels = np.zeros((40, 50), np.uint8)
    labels[0, :4], labels[0, 4:7], labels[2, :6], labels[2, 6:10] = 2, 1, 1, 2
    job = Job(Source(image, Path("a")), tmp_path / "out", None, None, Kinds(("semantic", "instances")))
    result = Prediction(labels=labels, instances=ids)
    write_image(job, plan, read_header(image), squares(3)[..., None], result)
    write_tables(tmp_path / "out")
    assert [row["class"] for row in table(tmp_path / "out/objects.csv")] == ["long", "round", "round"]


def test_more_ids_than_a_png_holds_are_a_tiff(make_bright_run: MakeRun, tmp_path: Path) -> None:
    plan = RunFolder(make_bright_run(tmp_path / "run")).plan()
    image = save(tmp_path / "a.png", squares(1))
    ids = np.zeros((40, 50), np.int32)
    ids[0, 0], ids[0, 2] = 1, 70_000
    job = Job(Source(image, Path("a")), tmp_path / "out", None, None, Kinds(("instances",)))
    write_image(job, plan, read_header(image), squares(1)[..., None], Prediction(instances=ids))
    np.testing.assert_array_equal(read_instances(tmp_path / "out/instances/a.tif"), ids)
    assert job.is_done()
    job.remove_results()
    assert not files(tmp_path / "out")


@pytest.mark.parametrize(("sure", "marked"), [(1.0, "00001"), (0.9, "11111"), (None, None)])
def test_objects_to_review_are_marked(
    sure: float | None,
    marked: str | None,
    run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made, scores = run("instances"), np.array([np.nan, *[sure or 0.5] * 4, 0.6], np.float32)
    decode = Work.decode
    known = {"instance_scores": scores, "calibrated": None if sure is None else True}
    monkeypatch.setattr(Work, "decode", lambda *given: replace(decode(*given), **known))
    save(tmp_path / "in" / "a.png", squares(5))
    result = predict(made, tmp_path / "in", output=tmp_path / "out")
    rows = table(tmp_path / "out" / "objects.csv")
    name = "score" if marked is None else "confidence"
    assert [float(row[name]) for row in rows] == pytest.approx(scores[1:].tolist())
    assert [one["score"] for one in predictions(tmp_path / "out")["annotations"]] == pytest.approx(scores[1:])
    assert "".join(row.get("review", "") for row in rows) == (marked or "")
    assert result.review == (None if marked is None else (marked.count("1"), 5))
    print_predictions(result)
    assert ("to review: 1 of 5 objects" in capsys.readouterr().out) == (sure == 1.0)
