"""Labels edited and written back in every convention; nothing else in the dataset changes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.corrections.editing import Edited, Editing, LabelsChangedError
from reunet.datasets.corrected import corrected_images, read_entries
from reunet.datasets.scan import open_dataset
from reunet.errors import DataError, LabelError, ReunetError
from reunet.io.annotations.instances import read_instances, write_instances
from reunet.io.masks import read_raw_mask

from ..datasets import layout_folders as layouts


def scenes(split: str, count: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Images with four objects each, two of which touch."""
    found = []
    for number in range(count):
        rng, ids = np.random.default_rng([len(split), number]), np.zeros((64, 64), np.int32)
        for i, (y, x) in enumerate([(12, 8), (12, 20), (30, 40), (50, 10)], 1):
            ids[y : y + 8 + number, x : x + 12] = i
        image = np.clip(60 + 90 * (ids > 0) + rng.normal(0, 12, ids.shape), 0, 255).astype(np.uint8)
        found.append((f"{split}{number}", image, ids))
    return found


@pytest.fixture(autouse=True)
def _scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "scenes", scenes)


def write_instances_layout(root: Path) -> Path:
    """images/ with instances/ and masks/, of two classes."""
    classes = [{"id": i, "name": name} for i, name in enumerate(("background", "cell", "debris"))]
    for split, count in layouts.SPLITS.items():
        for name, image, ids in layouts.scenes(split, count):
            layouts.save(root / split / "images" / f"{name}.png", image)
            layouts.save(root / split / "masks" / f"{name}.png", (ids > 0).astype(np.uint8) + (ids == 1))
            write_instances(root / split / "instances" / f"{name}.png", ids)
    (root / "dataset.json").write_text(json.dumps({"classes": classes}))
    return root


def snapshot(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


OBJECTS: dict[str, Callable[[Path], Path]] = {
    "instances and masks": write_instances_layout,
    "coco polygons": layouts.write_coco_layout,
    "coco runs": lambda root: layouts.write_coco_layout(root, polygons=False),
    "roboflow": layouts.write_roboflow,
    "a folder per image": layouts.write_stage1,
    "a folder of masks per image": layouts.write_object_masks,
}


@pytest.mark.parametrize("layout", OBJECTS)
def test_edited_objects_are_what_is_read_next(tmp_path: Path, layout: str) -> None:
    editing = Editing.open(OBJECTS[layout](tmp_path / "data"))
    name, other = editing.names[0], editing.names[1]
    before, neighbour = editing.load(name), editing.load(other)
    assert before.objects is not None
    assert before.object_classes is not None
    ids = before.objects.copy()
    first, second = np.unique(ids)[1:3]
    ids[ids == first] = 0
    ids[ids == second] = 0
    ids[2:9, 3:8] = before.next_id
    ids[4:6, 4:6] = 0  # with a hole
    classes = np.append(before.object_classes, before.object_classes[first])
    files = snapshot(tmp_path / "data")
    saved = editing.save(name, Edited(objects=ids, object_classes=classes), by="ann", version=before.version)
    assert saved.files
    assert saved.version != before.version
    assert "1 new, 2 gone" in saved.change
    for again in (editing, Editing.open(tmp_path / "data")):  # this window and another program
        after = again.load(name)
        assert after.objects is not None
        assert after.version == saved.version
        np.testing.assert_array_equal(after.objects > 0, ids > 0)
        assert len(np.unique(after.objects)) == len(np.unique(ids))
        assert again.load(other).version == neighbour.version
    now = snapshot(tmp_path / "data")
    changed = {one for one in files if files[one] != now.get(one)}
    assert all(one in saved.files or one.rpartition("/")[0] in saved.files for one in changed)
    copies = snapshot(tmp_path / "data" / "corrections")
    assert all(files[one] == copies[one] for one in changed if one in copies)
    assert copies
    assert {one.by for one in read_entries(tmp_path / "data")} == {"ann"}


def test_masks_follow_objects(tmp_path: Path) -> None:
    editing = Editing.open(write_instances_layout(tmp_path / "data"))
    before = editing.load("train/train0")
    assert before.objects is not None
    assert before.object_classes is not None
    assert before.labels is not None
    ids, classes = before.objects.copy(), before.object_classes.copy()
    keep, turn, gone = np.unique(ids)[1:4]
    classes[turn] = 2
    ids[ids == gone] = 0
    editing.save("train/train0", Edited(objects=ids, object_classes=classes))
    after = editing.load("train/train0")
    assert after.labels is not None
    assert after.object_classes is not None
    assert set(after.labels[ids == turn]) == {2}
    assert set(after.labels[before.objects == gone]) == {0}
    np.testing.assert_array_equal(after.labels[ids == keep], before.labels[ids == keep])
    assert after.object_classes[turn] == 2


def test_nothing_is_written_where_nothing_differs(tmp_path: Path) -> None:
    data = write_instances_layout(tmp_path / "data")
    editing, files = Editing.open(data), snapshot(data)
    before = editing.load("train/train1")
    saved = editing.save("train/train1", Edited(objects=before.objects, labels=before.labels))
    assert saved.files == ()
    assert snapshot(data) == files


def masks(
    root: Path, write: Callable[[Path, np.ndarray], object], suffix: str = ".png", **facts: Any
) -> Path:
    """A dataset of masks with the classes 0 and 1, each written by `write`."""
    for name, image, ids in layouts.scenes("train", 4):
        layouts.save(root / "train" / "images" / f"{name}.png", image)
        (root / "train" / "masks").mkdir(exist_ok=True)
        write(root / "train" / "masks" / f"{name}{suffix}", (ids > 0).astype(np.uint8))
    if facts:
        (root / "dataset.json").write_text(json.dumps(facts))
    return root


def coloured(path: Path, mask: np.ndarray) -> None:
    Image.fromarray(np.array([[0, 0, 0], [250, 10, 10]], np.uint8)[mask]).save(path)


def with_palette(path: Path, mask: np.ndarray) -> None:
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 9, 200, 9])
    image.save(path)


def bilevel(path: Path, mask: np.ndarray) -> None:
    Image.fromarray(mask * 255).convert("1").save(path)


RGB = {
    "classes": [{"id": 0, "name": "bg", "color": [0, 0, 0]}, {"id": 1, "name": "c", "color": [250, 10, 10]}]
}
ENCODINGS: dict[str, tuple[Callable[[Path, np.ndarray], object], str, dict[str, Any]]] = {
    "indices": (lambda path, mask: Image.fromarray(mask).save(path), ".png", {}),
    "0 and 255": (lambda path, mask: Image.fromarray(mask * 255).save(path), ".png", {}),
    "bilevel": (bilevel, ".png", {}),
    "palette": (with_palette, ".png", {}),
    "colours": (coloured, ".png", RGB),
    "16-bit TIFF": (lambda path, mask: Image.fromarray(mask.astype(np.uint16)).save(path), ".tif", {}),
    "palette TIFF": (with_palette, ".tif", {}),
    "float TIFF": (lambda path, mask: Image.fromarray(mask.astype(np.float32)).save(path), ".tif", {}),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_masks_keep_their_encoding(tmp_path: Path, encoding: str) -> None:
    write, suffix, facts = ENCODINGS[encoding]
    editing = Editing.open(masks(tmp_path, write, suffix, **facts))
    before = editing.load("train/train0")
    assert before.labels is not None
    assert before.kinds == ("masks",)
    path, labels = tmp_path / "train" / "masks" / f"train0{suffix}", before.labels.copy()
    values = np.unique(read_raw_mask(path))
    labels[5:20, 5:30] = 1 - labels[5:20, 5:30]
    editing.save("train/train0", Edited(labels=labels))
    np.testing.assert_array_equal(editing.load("train/train0").labels, labels)
    np.testing.assert_array_equal(np.unique(read_raw_mask(path)), values)
    with Image.open(path) as image:
        assert image.mode in {"palette": "P", "colours": "RGB", "palette TIFF": "P"}.get(encoding, image.mode)
        if "palette" in encoding:
            assert image.getpalette()[3:6] == [9, 200, 9]


def test_unlabelled_pixels_need_a_value(tmp_path: Path) -> None:
    write = ENCODINGS["indices"][0]
    editing = Editing.open(masks(tmp_path, write))
    before = editing.load("train/train0")
    assert [one.code for one in before.obstacles] == ["no-unlabelled"]
    files, labels = snapshot(tmp_path), np.full(before.size, IGNORE, np.uint8)
    with pytest.raises(LabelError, match="no value for unlabelled"):
        editing.save("train/train0", Edited(labels=labels))
    assert (tmp_path / "train" / "masks" / "train0.png").read_bytes() == files["train/masks/train0.png"]


def test_a_field_of_view_does_not_limit_what_is_saved(tmp_path: Path) -> None:
    masks(tmp_path, ENCODINGS["indices"][0])
    for i in range(4):
        fov = np.zeros((64, 64), np.uint8)
        fov[10:50, 10:50] = 255
        layouts.save(tmp_path / "train" / "fov" / f"train{i}.png", fov)
    editing = Editing.open(tmp_path)
    labels = editing.load("train/train0").labels
    assert labels is not None
    assert IGNORE not in labels
    labels = labels.copy()
    labels[20, 20] = 1 - labels[20, 20]
    editing.save("train/train0", Edited(labels=labels))
    np.testing.assert_array_equal(read_raw_mask(tmp_path / "train" / "masks" / "train0.png"), labels)


@pytest.mark.parametrize("layout", [layouts.write_voc, layouts.write_voc_pairs])
def test_boxes_of_voc(tmp_path: Path, layout: Callable[[Path], Path]) -> None:
    editing = Editing.open(layout(tmp_path))
    before = editing.load("train/train2")
    assert before.boxes is not None
    assert before.kinds == ("boxes",)
    corners = np.concatenate([before.boxes.corners[1:], [[1, 2, 9.5, 12]]]).astype(np.float32)
    edited = Boxes(corners, np.append(before.boxes.classes[1:], before.boxes.classes[0]))
    editing.save("train/train2", Edited(boxes=edited))
    after = Editing.open(tmp_path).load("train/train2").boxes
    assert after is not None
    np.testing.assert_allclose(after.corners, corners)


def test_boxes_of_voc_that_counts_from_0_stay_so(tmp_path: Path) -> None:
    """Also when the box is moved by which that was seen, in another split than the others."""
    layouts.write_voc_pairs(tmp_path)
    file = tmp_path / "test" / "annotations" / "test0.xml"
    file.write_text(re.sub(r"<xmin>\d+<", "<xmin>0<", file.read_text(), count=1))
    editing = Editing.open(tmp_path)
    others = editing.load("train/train0").boxes
    for name in ("test/test0", "train/train2"):
        before = editing.load(name).boxes
        assert before is not None
        corners = before.corners.copy()
        corners[:, 1] = np.maximum(corners[:, 1], 3)
        editing.save(name, Edited(boxes=Boxes(corners, before.classes)))
        after = Editing.open(tmp_path).load(name).boxes
        assert after is not None
        assert sorted(after.corners.tolist()) == sorted(corners.tolist())
    assert "<xmin>0<" not in file.read_text()
    again = Editing.open(tmp_path).load("train/train0").boxes
    assert others is not None
    assert again is not None
    np.testing.assert_array_equal(again.corners, others.corners)


def test_coco_boxes_keep_what_else_is_told(tmp_path: Path) -> None:
    images, entries = [], []
    for number, (name, image, ids) in enumerate(layouts.scenes("train", 4)):
        layouts.save(tmp_path / "train" / "images" / f"{name}.png", image)
        images.append({"id": f"im{number}", "file_name": f"images/{name}.png", "height": 64, "width": 64})
        for i in np.unique(ids)[1:]:
            box = layouts.box(ids == i)
            entries.append({"id": len(entries), "image_id": f"im{number}", "category_id": 7, "bbox": box,
                            "iscrowd": int(i == 3), "attributes": {"seen": int(i)}})  # fmt: skip
    categories = [{"id": 7, "name": "cell", "supercategory": "x"}, {"id": 9, "name": "debris"}]
    told = {"info": {"by": "me"}, "images": images, "annotations": entries, "categories": categories}
    (file := tmp_path / "train" / "boxes.json").write_text(json.dumps(told, indent=3))
    editing = Editing.open(tmp_path)
    before = editing.load("train/train0")
    assert before.boxes is not None
    corners = before.boxes.corners.copy()
    corners[0] += 1
    classes = before.boxes.classes.copy()
    classes[1] = editing.labels.names.index("debris")
    editing.save("train/train0", Edited(boxes=Boxes(corners, classes)))
    now = json.loads(file.read_text())
    assert now["info"] == told["info"]
    assert file.read_text().startswith('{\n   "')
    here = [one for one in now["annotations"] if one["image_id"] == "im0"]
    was = [one for one in entries if one["image_id"] == "im0"]
    assert len(here) == len(was)
    assert sum(one in was for one in here) == len(was) - 2  # untouched ones as they were, crowds too
    assert [one for one in now["annotations"] if one["image_id"] != "im0"] == [
        one for one in entries if one["image_id"] != "im0"
    ]
    after = editing.load("train/train0").boxes
    assert after is not None
    order = np.lexsort(after.corners.T), np.lexsort(corners.T)
    np.testing.assert_allclose(after.corners[order[0]], corners[order[1]])


def test_classes_of_whole_images(tmp_path: Path) -> None:
    for number, (name, image, _) in enumerate(layouts.scenes("train", 4)):
        layouts.save(tmp_path / "train" / "images" / f"{name}.png", image // (1 + number % 2))
    text = "file;label;label_id;lamp\n" + "".join(
        f"images/train{i}.png;{'dark' if i % 2 else 'light'};{3 + i % 2};x{i}\n" for i in range(4)
    )
    (tmp_path / "train" / "labels.csv").write_text(text)
    editing = Editing.open(tmp_path)
    dark = editing.categories.names.index("dark") if editing.categories else 0
    saved = editing.save("train/train0", Edited(category=dark), by="bo")
    assert saved.change == "light to dark"
    told = (tmp_path / "train" / "labels.csv").read_text()
    assert told == text.replace("train0.png;light;3", "train0.png;dark;4")
    assert editing.load("train/train0").category == dark


def test_an_image_moves_to_the_folder_of_its_class(tmp_path: Path) -> None:
    editing = Editing.open(layouts.write_classes(tmp_path))
    name = next(one for one in editing.names if "dark" in one)
    light = editing.categories.names.index("light") if editing.categories else 0
    saved = editing.save(name, Edited(category=light))
    assert saved.name == name.replace("dark", "light")
    assert editing.load(saved.name).category == light
    assert corrected_images(tmp_path) == {saved.name.removeprefix("train/") + ".png"}


def test_a_page_of_a_stack(tmp_path: Path) -> None:
    import tifffile

    scenes = layouts.scenes("train", 4)
    for folder, index in (("images", 1), ("instances", 2)):
        (tmp_path / "train" / folder).mkdir(parents=True)
        stack = np.stack([scene[index] for scene in scenes]).astype(np.uint16)
        tifffile.imwrite(
            tmp_path / "train" / folder / "film.tif", stack, metadata={"axes": "TYX"}, imagej=True
        )
    editing = Editing.open(tmp_path)
    before = editing.load("train/film#0002")
    assert before.objects is not None
    highest = max(int(scene[2].max()) for scene in scenes)
    assert before.next_id == highest + 1  # an id that no frame has
    ids = np.where(before.objects == 1, highest + 1, before.objects)
    editing.save("train/film#0002", Edited(objects=ids))
    stack = read_instances(tmp_path / "train" / "instances" / "film.tif")
    np.testing.assert_array_equal(stack[2], ids)
    np.testing.assert_array_equal(stack[[0, 1, 3]], [scenes[i][2] for i in (0, 1, 3)])
    assert corrected_images(tmp_path) == {"train/images/film.tif#0002"}


def test_a_volume_keeps_its_geometry(tmp_path: Path) -> None:
    import nibabel

    rng, affine = np.random.default_rng(0), np.diag([-1.5, 1.0, 2.0, 1.0])
    for name in ("a", "b"):
        for folder in ("images", "masks"):
            (tmp_path / "train" / folder).mkdir(parents=True, exist_ok=True)
        image = nibabel.Nifti1Image(rng.normal(size=(8, 9, 10)).astype(np.float32), affine)
        mask = nibabel.Nifti1Image(rng.integers(0, 2, (8, 9, 10)).astype(np.uint8), affine)
        nibabel.save(image, tmp_path / "train" / "images" / f"{name}.nii.gz")
        nibabel.save(mask, tmp_path / "train" / "masks" / f"{name}.nii.gz")
    editing = Editing.open(tmp_path)
    before = editing.load("train/a")
    assert before.labels is not None
    assert before.size == (10, 9, 8)
    labels = before.labels.copy()
    labels[3] = 1
    editing.save("train/a", Edited(labels=labels))
    np.testing.assert_array_equal(Editing.open(tmp_path).load("train/a").labels, labels)
    stored = nibabel.load(tmp_path / "train" / "masks" / "a.nii.gz")
    np.testing.assert_allclose(stored.affine, affine)


def test_tracks_tell_what_is_seen(tmp_path: Path) -> None:
    frames = []
    for frame in range(3):
        ids = np.zeros((64, 64), np.uint16)
        ids[10:20, 5 + frame : 15 + frame], ids[30:40, 30:40] = 1, 2
        layouts.save(
            tmp_path / "train" / "images" / f"f_{frame}.png", (ids > 0).astype(np.uint8) * 99 + frame
        )
        write_instances(tmp_path / "train" / "instances" / f"f_{frame}.png", ids)
        frames.append(f"f_{frame}")
    entry = {"split": "train", "sequence": "f", "axis": "T", "frames": frames}
    (tmp_path / "sequences.json").write_text(json.dumps([entry]))
    (tmp_path / "train" / "tracks").mkdir()
    (lineage := tmp_path / "train" / "tracks" / "f.txt").write_text("1 0 2 0\n2 0 2 0\n")
    editing = Editing.open(tmp_path)
    before = editing.load("train/f_2")
    assert before.objects is not None
    assert before.next_id == 3
    ids = np.where(before.objects == 2, 3, before.objects)
    editing.save("train/f_2", Edited(objects=ids))
    assert lineage.read_text() == "1 0 2 0\n2 0 1 0\n3 2 2 0\n"
    assert (tmp_path / "corrections" / "train" / "tracks" / "f.txt").read_text() == "1 0 2 0\n2 0 2 0\n"
    open_dataset(tmp_path)


def test_two_windows_on_one_label(tmp_path: Path) -> None:
    data = write_instances_layout(tmp_path / "data")
    one, other = Editing.open(data), Editing.open(data)
    first, second = one.load("train/train0"), other.load("train/train0")
    assert first.objects is not None
    assert second.objects is not None
    one.save("train/train0", Edited(objects=first.objects * 0), version=first.version)
    with pytest.raises(LabelsChangedError, match="changed since"):
        other.save("train/train0", Edited(objects=second.objects), version=second.version)
    assert not read_instances(data / "train" / "instances" / "train0.png").any()


def test_the_given_label_is_kept_and_so_is_one_that_came_later(tmp_path: Path) -> None:
    data = write_instances_layout(tmp_path / "data")
    editing, path = Editing.open(data), data / "train" / "instances" / "train0.png"
    given = path.read_bytes()
    empty = np.zeros((64, 64), np.int32)
    assert editing.save("train/train0", Edited(objects=empty)).copies
    box = empty.copy()
    box[2:9, 2:9] = 1
    assert not editing.save("train/train0", Edited(objects=box)).copies  # our own is no given one
    write_instances(path, np.where(box, 5, 0))  # somebody else's
    later = path.read_bytes()
    editing.save("train/train0", Edited(objects=empty))
    kept = data / "corrections" / "train" / "instances"
    assert (kept / "train0.png").read_bytes() == given
    assert (kept / "train0.2.png").read_bytes() == later


def test_what_cannot_be_written_back_is_said_before(tmp_path: Path) -> None:
    data = layouts.write_tracking(tmp_path / "tracking")
    editing, files = Editing.open(data), snapshot(data)
    before = editing.load(editing.names[0])
    (found,) = [one for one in before.obstacles if one.severity == "error"]
    assert "Cell Tracking Challenge" in found.message
    assert found.fix
    with pytest.raises(ReunetError, match="Cell Tracking Challenge"):
        editing.save(before.name, Edited(objects=before.objects))
    assert snapshot(data) == files
    masks(tmp_path / "bmp", lambda path, mask: Image.fromarray(mask).save(path), ".bmp")
    (other,) = [
        o for o in Editing.open(tmp_path / "bmp").load("train/train0").obstacles if o.severity == "error"
    ]
    assert "save it as PNG" in other.fix


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    data = write_instances_layout(tmp_path / "data")
    editing, files = Editing.open(data), snapshot(data)
    ids = np.ones((64, 64), np.int32)
    for edited, message in (
        (Edited(objects=ids[:32]), "do not fit the image"),
        (Edited(objects=ids - 5), "whole numbers from 0"),
        (Edited(objects=ids, object_classes=np.array([0])), "too short"),
        (Edited(objects=ids, object_classes=np.array([0, 0])), "no class"),
        (Edited(labels=np.full((64, 64), 9)), "no class"),
        (Edited(category=0), "no class"),
        (Edited(boxes=Boxes(np.array([[5, 5, 5, 9]], np.float32), np.ones(1, np.uint8))), "no area"),
        (Edited(boxes=Boxes(np.array([[5, 5, 8, 9]], np.float32), np.ones(1, np.uint8))), "kind boxes"),
    ):
        with pytest.raises(LabelError, match=message):
            editing.save("train/train0", edited)
    with pytest.raises(DataError, match="no such image"):
        editing.load("train/train9")
    assert snapshot(data) == files


def test_a_dataset_with_corrections_is_read_as_before(tmp_path: Path) -> None:
    data = write_instances_layout(tmp_path / "data")
    editing = Editing.open(data)
    before = editing.load("train/train0")
    assert before.objects is not None
    editing.save("train/train0", Edited(objects=np.where(before.objects == 1, 0, before.objects)))
    again = open_dataset(data)
    assert len(again.cases) == 6
    assert again.labels == editing.labels
    shutil.copytree(data, tmp_path / "copy")
    assert len(Editing.open(tmp_path / "copy").names) == 6
    assert replace(again, root=data) == again


ADDED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "instances and masks": (write_instances_layout, "objects"),
    "masks": (lambda root: masks(root, ENCODINGS["0 and 255"][0]), "labels"),
    "coco polygons": (OBJECTS["coco polygons"], "objects"),
    "a folder per image": (OBJECTS["a folder per image"], "objects"),
    "voc": (layouts.write_voc_pairs, "boxes"),
    "a folder per class": (layouts.write_classes, "category"),
}


@pytest.mark.parametrize("layout", ADDED)
def test_a_new_image_is_taken_in_with_its_labels(tmp_path: Path, layout: str) -> None:
    write, kind = ADDED[layout]
    editing = Editing.open(write(tmp_path / "data"))
    ids = scenes("train", 1)[0][2]
    image = layouts.save(tmp_path / "new" / "fresh.png", (ids > 0).astype(np.uint8) * 77)
    boxes = Boxes(np.array([[3, 4, 20, 30]], np.float32), np.full(1, editing.labels.foreground[0], np.uint8))
    told = {"objects": ids, "labels": (ids > 0).astype(np.uint8), "boxes": boxes, "category": 1}
    with pytest.raises(LabelError, match="needs"):
        editing.add(image, Edited())
    saved = editing.add(image, Edited(**{kind: told[kind]}), by="ann")
    for one in (editing, Editing.open(tmp_path / "data")):
        after = one.load(saved.name)
        if kind == "boxes":
            assert after.boxes is not None
            np.testing.assert_allclose(after.boxes.corners, boxes.corners)
        else:
            np.testing.assert_array_equal(getattr(after, kind), told[kind])
    assert corrected_images(tmp_path / "data") == {saved.files[0]}
    with pytest.raises(DataError, match="of this name"):
        editing.add(image, Edited(**{kind: told[kind]}))


def test_a_dataset_is_begun_with_the_first_image(tmp_path: Path) -> None:
    labels = LabelMap(classes=default_classes([0, 1, 2], ["background", "cell", "debris"]))
    ids, classes = scenes("train", 1)[0][2], np.array([0, 1, 2, 1, 2], np.uint8)
    editing = Editing.begin(tmp_path / "data", labels, "instances")
    assert editing.names == ()
    for name in ("one", "two"):
        image = layouts.save(tmp_path / f"{name}.png", (ids > 0).astype(np.uint8) * 70 + len(name))
        editing.add(image, Edited(objects=ids, object_classes=classes))
    again = Editing.open(tmp_path / "data")
    assert again.labels.names == labels.names
    np.testing.assert_array_equal(again.load("train/two").labels, classes[ids])
    with pytest.raises(ReunetError, match="holds something"):
        Editing.begin(tmp_path / "data", labels, "instances")
