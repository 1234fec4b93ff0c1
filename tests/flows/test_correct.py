"""What was mended in another program becomes labels of the dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reunet
from reunet.contracts.labels import LabelMap, default_classes
from reunet.corrections.editing import Editing
from reunet.datasets.corrected import read_entries
from reunet.errors import DataError, ReunetError, UsageError
from reunet.io.annotations.coco_write import object_entries, write_coco
from reunet.io.annotations.geojson import object_features, write_features
from reunet.io.annotations.imagej import write_rois
from reunet.io.annotations.instances import read_instances, write_instances
from reunet.io.masks import read_raw_mask, write_mask

LABELS = LabelMap(classes=default_classes([0, 1, 2], ["background", "cell", "debris"]))
SIZE = (48, 64)


def objects(shift: int = 0) -> np.ndarray:
    ids = np.zeros(SIZE, np.int32)
    ids[4:14, 4 + shift : 20 + shift], ids[14:24, 4:20], ids[30:44, 30:60] = 1, 2, 5
    ids[34:38, 36:44] = 0
    return ids


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two splits with images of the same names, instances and masks of two classes."""
    root = tmp_path / "data"
    classes = [{"id": one.id, "name": one.name} for one in LABELS.classes]
    for split in ("train", "test"):
        for folder in ("images", "masks", "instances"):
            (root / split / folder / "sub").mkdir(parents=True)
        for number, name in enumerate(("a", "b", "sub/c")):
            ids = objects(number + (split == "test"))
            image = np.clip(60 + 90 * (ids > 0) + np.indices(SIZE)[0] + number, 0, 255).astype(np.uint8)
            Image.fromarray(image).save(root / split / "images" / f"{name}.png")
            write_instances(root / split / "instances" / f"{name}.png", ids)
            write_mask(root / split / "masks" / f"{name}.png", (ids > 0).astype(np.uint8), LABELS)
    (root / "dataset.json").write_text(json.dumps({"classes": classes}))
    return root


def edited() -> tuple[np.ndarray, np.ndarray]:
    """Object 2 is gone, 1 is debris now, 6 is new."""
    ids = objects()
    ids[ids == 2] = 0
    ids[2:10, 40:50] = 6
    classes = np.array([0, 2, 0, 0, 0, 1, 1], np.uint8)
    return ids, classes


def write_edited(folder: Path, form: str) -> Path:
    ids, classes = edited()
    folder.mkdir()
    if form == "geojson":
        write_features(folder / "a.geojson", object_features(ids, LABELS, classes))
    elif form == "coco":
        listed = [("sub/c.png", SIZE, object_entries(ids, classes))]
        write_coco(folder / "predictions.json", listed, [(one.id, one.name) for one in LABELS.classes])
    elif form == "rois":
        write_rois(folder / "a.zip", ids)
    else:
        (folder / "instances").mkdir()
        write_instances(folder / "instances" / f"a{form}", ids)
    return folder


@pytest.mark.parametrize("form", [".png", ".tif", "geojson", "rois", "coco"])
def test_edited_files_become_labels(data: Path, tmp_path: Path, form: str) -> None:
    name = "sub/c" if form == "coco" else "a"
    given = (data / "train" / "instances" / f"{name}.png").read_bytes()
    result = reunet.correct(data, write_edited(tmp_path / "edited", form), by="ann", split="train")
    (saved,) = result.saved
    assert saved.name == f"train/{name}"
    ids, classes = edited()
    after = Editing.open(data).load(f"train/{name}")
    assert after.objects is not None
    assert after.labels is not None
    found = after.objects
    np.testing.assert_array_equal(found > 0, ids > 0)
    if form != "coco":  # which counts objects anew
        np.testing.assert_array_equal(found, ids)
    if form in ("geojson", "coco"):
        np.testing.assert_array_equal(after.labels, classes[ids])
    assert (data / "corrections" / "train" / "instances" / f"{name}.png").read_bytes() == given
    assert {(one.by, one.image) for one in read_entries(data)} == {("ann", f"train/images/{name}.png")}
    again = reunet.correct(data, tmp_path / "edited", by="ann", split="train")
    assert (again.saved, again.unchanged) == ((), 1)


def test_a_predicted_mask_is_read_by_the_ids_of_its_classes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for folder in ("images", "masks"):
            (tmp_path / "data" / "train" / folder).mkdir(parents=True, exist_ok=True)
        image = np.indices(SIZE)[1].astype(np.uint8) + ord(name)
        Image.fromarray(image).save(tmp_path / "data" / "train" / "images" / f"{name}.png")
        mask = (objects() > 0).astype(np.uint8) * 255
        Image.fromarray(mask).save(tmp_path / "data" / "train" / "masks" / f"{name}.png")
    binary = LabelMap(classes=default_classes([0, 1]))
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "b_mask.png", (objects(3) > 0).astype(np.uint8), binary)
    (saved,) = reunet.correct(tmp_path / "data", tmp_path / "masks").saved
    assert saved.files == ("train/masks/b.png",)
    stored = read_raw_mask(tmp_path / "data" / "train" / "masks" / "b.png")
    np.testing.assert_array_equal(stored, (objects(3) > 0) * 255)


def test_nothing_is_written_where_one_file_is_wrong(data: Path, tmp_path: Path) -> None:
    folder = write_edited(tmp_path / "edited", ".png") / "instances"
    write_instances(folder / "b.png", objects()[:20])
    write_instances(folder / "nobody.png", objects())
    (folder / "notes.txt").write_text("x")
    before = (data / "train" / "instances" / "a.png").read_bytes()
    with pytest.raises(DataError) as caught:
        reunet.correct(data, folder, split="train")
    assert "do not fit the image" in str(caught.value)
    assert "no image has the name" in str(caught.value)
    assert (data / "train" / "instances" / "a.png").read_bytes() == before
    assert not (data / "corrections.csv").exists()


def test_what_is_not_clear_is_asked_for(data: Path, tmp_path: Path) -> None:
    folder = write_edited(tmp_path / "edited", ".png")
    with pytest.raises(UsageError, match="split"):
        reunet.correct(data, folder)
    write_instances(tmp_path / "a.png", objects())
    with pytest.raises(UsageError, match="kind"):
        reunet.correct(data, tmp_path / "a.png", split="train")
    for name in ("masks", "overlays"):
        (folder / name).mkdir()
    with pytest.raises(UsageError, match="several files tell the same"):
        reunet.correct(data, folder, split="train")
    write_features(tmp_path / "a.geojson", object_features(objects(), LABELS))
    with pytest.raises(ReunetError, match="two files tell"):
        reunet.correct(data, [folder / "instances", tmp_path / "a.geojson"], split="train")


TURNS: dict[int, Any] = {
    3: lambda stored: np.rot90(stored, 2),
    6: lambda stored: np.rot90(stored, -1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("form", ["label image", "geojson", "coco"])
@pytest.mark.parametrize("orientation", [6, 8])
def test_a_mask_drawn_on_a_rotated_photo_lies_where_it_was_drawn(
    tmp_path: Path, orientation: int, form: str
) -> None:
    """Drawn in a program that shows the photo as it is stored."""
    root, turn = tmp_path / "data", TURNS[orientation]
    for folder in ("images", "instances"):
        (root / "train" / folder).mkdir(parents=True)
    drawn = objects()
    for name in ("a", "b"):
        photo, exif = Image.fromarray((drawn > 0).astype(np.uint8) * 200 + ord(name) % 7), Image.Exif()
        exif[0x0112] = orientation
        photo.save(root / "train" / "images" / f"{name}.jpg", quality=95, exif=exif)
        write_instances(root / "train" / "instances" / f"{name}.png", turn(np.zeros(SIZE, np.int32)))
    (folder := tmp_path / "instances").mkdir()
    if form == "label image":
        write_instances(folder / "a.png", drawn)
    elif form == "geojson":
        write_features(
            folder / "a.geojson",
            object_features(drawn, LABELS.model_copy(update={"classes": LABELS.classes[:2]})),
        )
        text = (folder / "a.geojson").read_text().replace('"cell"', '"object"')
        (folder / "a.geojson").write_text(text)
    else:
        write_coco(folder / "c.json", [("a.jpg", SIZE, object_entries(drawn))], [(1, "object")])
    reunet.correct(root, folder)
    saved = read_instances(root / "train" / "instances" / "a.png")
    np.testing.assert_array_equal(saved > 0, turn(drawn) > 0)


def test_images_that_the_dataset_lacks_are_added(data: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    Image.fromarray(np.indices(SIZE)[1].astype(np.uint8)).save(tmp_path / "new" / "fresh.png")
    ids, classes = edited()
    write_features(tmp_path / "fresh.geojson", object_features(ids, LABELS, classes))
    with pytest.raises(DataError, match="add"):
        reunet.correct(data, tmp_path / "fresh.geojson")
    (saved,) = reunet.correct(data, tmp_path / "fresh.geojson", add=tmp_path / "new").saved
    assert saved.name == "train/fresh"
    assert not reunet.check(data).errors
    after = Editing.open(data).load("train/fresh")
    assert after.objects is not None
    np.testing.assert_array_equal(after.objects, ids)
    np.testing.assert_array_equal(after.labels, classes[ids])


def test_the_command_tells_what_it_wrote(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from reunet.cli import main

    folder = write_edited(tmp_path / "edited", ".png")
    assert main(["correct", str(data), str(folder), "--split", "train", "--by", "bo"]) == 0
    told = capsys.readouterr().out
    assert "train/a: objects: 1 new, 1 gone, 0 changed" in told
    assert "1 image(s) corrected, 0 unchanged; 2 given label(s) are kept in corrections/" in told
    assert main(["correct", str(data), str(tmp_path / "nothing.png")]) == 1
