"""Folders as annotation programs leave them: recognised, and read to the same objects."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.options.records import DataOptions
from reunet.corrections.obstacles import obstacles
from reunet.datasets.case_arrays import load_case
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import scan_dataset
from reunet.errors import DataError
from reunet.io.annotations.geojson import object_features, write_features
from reunet.io.annotations.imagej import write_rois
from reunet.io.annotations.outlines import object_crops
from reunet.io.annotations.polygons import mask_rings

from .layout_folders import box, save

SIZE = (30, 41)
NAMES = ("cell", "nucleus")


def objects(seed: int) -> np.ndarray:
    """Four objects; odd ids are cells, even ones nuclei; the third has a hole, the fourth one pixel."""
    ids = np.zeros(SIZE, np.int32)
    ids[2 + seed : 9, 3:12], ids[4:11, 20:33] = 1, 2
    ids[14:26, 5:19], ids[18:21, 9:14], ids[29, 40] = 3, 0, 4
    return ids


def name_of(number: int) -> str:
    return NAMES[(number + 1) % 2]


def pictures(folder: Path, names: tuple[str, ...] = ("a", "b")) -> dict[str, np.ndarray]:
    """Images in a folder, and the objects in each."""
    for i, name in enumerate(names):
        save(
            folder / f"{name}.png",
            np.random.default_rng([i, len(name)]).integers(0, 255, SIZE).astype(np.uint8),
        )
    return {name: objects(i) for i, name in enumerate(names)}


def write(path: Path, told: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")


def ring(mask: np.ndarray, corner: tuple[int, int]) -> list[list[int]]:
    """The outline of an object, its hole cut open to the outside as programs without holes do."""
    ((outer, *holes),) = mask_rings(mask, corner)
    points = outer.tolist()
    for hole in holes:
        points += [points[0], *hole.tolist(), hole[0].tolist()]
    return points


def without_holes(ids: np.ndarray) -> np.ndarray:
    """The same objects; programs that tell one ring fill the hole."""
    ids = ids.copy()
    ids[14:26, 5:19] = np.where(ids[14:26, 5:19] == 0, 3, ids[14:26, 5:19])
    return ids


def polygons(ids: np.ndarray) -> list[tuple[str, list[list[int]]]]:
    return [(name_of(i), mask_rings(mask, corner)[0][0].tolist()) for i, corner, mask in object_crops(ids)]


def png(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, "PNG")
    return file.getvalue()


def yolo(root: Path) -> None:
    for split in ("train", "val"):
        for name, ids in pictures(root / "images" / split, (f"{split}0", f"{split}1")).items():
            shares = [(NAMES.index(label), np.array(points) / SIZE[::-1]) for label, points in polygons(ids)]
            lines = [f"{number} " + " ".join(f"{x:.6f}" for x in ring.ravel()) for number, ring in shares]
            write(root / "labels" / split / f"{name}.txt", "\n".join(lines))
    write(
        root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cell\n  1: nucleus\n"
    )


def labelme(root: Path) -> None:
    for name, ids in pictures(root).items():
        shapes = []
        for number, (top, left), mask in object_crops(ids):
            corners = [[left, top], [left + mask.shape[1] - 1, top + mask.shape[0] - 1]]
            data = base64.b64encode(png(mask)).decode()
            told = {"label": name_of(number), "points": corners, "group_id": None, "shape_type": "mask"}
            shapes.append({**told, "flags": {}, "mask": data})
        told = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png"}
        write(root / f"{name}.json", {**told, "imageData": None, "imageHeight": 30, "imageWidth": 41})


def cvat(root: Path) -> None:
    images = ""
    for number, (name, ids) in enumerate(pictures(root / "images").items()):
        inside = ""
        for i, (top, left), mask in object_crops(ids):
            breaks = np.flatnonzero(np.diff(mask.ravel().astype(int), prepend=0, append=-1))
            runs = np.diff(breaks, prepend=0)
            where = f'left="{left}" top="{top}" width="{mask.shape[1]}" height="{mask.shape[0]}"'
            told = f'label="{name_of(i)}" source="manual" occluded="0" rle="{", ".join(map(str, runs))}"'
            inside += f'<mask {told} {where} z_order="0"></mask>'
        images += f'<image id="{number}" name="{name}.png" width="41" height="30">{inside}</image>'
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES)
    meta = f"<version>1.1</version><meta><job><labels>{labels}</labels></job></meta>"
    write(root / "annotations.xml", f'<?xml version="1.0"?><annotations>{meta}{images}</annotations>')


def pack(values: np.ndarray) -> list[int]:
    """Values in the packing of Label Studio's brushes, with runs and with single values."""
    text = f"{values.size:032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    ends = [*np.flatnonzero(np.diff(values)) + 1, values.size]
    for start, end in zip([0, *ends], ends, strict=False):
        if end - start < 4:
            text += f"000{end - start - 1:03b}" + "".join(f"{x:08b}" for x in values[start:end])
            continue
        text += f"111{end - start - 1:016b}{values[start]:08b}"
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


def brushes(ids: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for number in np.unique(ids)[1:]:
        rgba = np.repeat(((ids == number) * 255).astype(np.uint8)[..., None], 4, axis=2)
        value = {"format": "rle", "rle": pack(rgba.ravel()), "brushlabels": [name_of(number)]}
        sides = {"original_width": 41, "original_height": 30, "image_rotation": 0}
        found.append({**sides, "value": value, "type": "brushlabels", "from_name": "tag", "to_name": "image"})
    return found


def label_studio(root: Path) -> None:
    tasks = []
    for number, (name, ids) in enumerate(pictures(root / "images").items()):
        drawn = {"id": number, "completed_by": 1, "result": brushes(ids), "was_cancelled": False}
        image = f"/data/upload/7/0a1b2c3d-{name}.png"
        tasks.append({"id": number, "annotations": [drawn], "predictions": [], "data": {"image": image}})
    write(root / "project-7-at-2026.json", tasks)


def qupath(root: Path) -> None:
    labels = LabelMap(classes=default_classes([0, 1, 2], ["background", *NAMES]))
    for name, ids in pictures(root / "images").items():
        (root / "annotations").mkdir(exist_ok=True)
        write_features(
            root / "annotations" / f"{name}.geojson", object_features(ids, labels, np.array([0, 1, 2, 1, 2]))
        )


def imagej(root: Path) -> None:
    for name, ids in pictures(root).items():
        write_rois(root / f"{name}_RoiSet.zip", ids)


def via(root: Path) -> None:
    told = {}
    for name, ids in pictures(root / "images").items():
        regions = []
        for label, points in polygons(ids):
            x, y = map(list, zip(*points, strict=True))
            shape = {"name": "polygon", "all_points_x": x, "all_points_y": y}
            regions.append({"shape_attributes": shape, "region_attributes": {"kind": label}})
        size = (root / "images" / f"{name}.png").stat().st_size
        entry = {"filename": f"{name}.png", "size": size, "regions": regions, "file_attributes": {}}
        told[f"{name}.png99"] = entry
    write(root / "via_project.json", {"_via_settings": {}, "_via_img_metadata": told})


def cellpose(root: Path) -> None:
    for name, ids in pictures(root).items():
        flows = [np.zeros((3, *SIZE), np.float32), None]
        told = {
            "outlines": ids % 2,
            "masks": ids.astype(np.uint16),
            "filename": f"{name}.png",
            "flows": flows,
        }
        extra = {"est_diam": np.float64(30), "ismanual": np.zeros(4, bool), "diameter": None, "chan": [0, 0]}
        np.save(root / f"{name}_seg.npy", told | extra, allow_pickle=True)


def napari(root: Path) -> None:
    for name, ids in pictures(root).items():
        lines = ["index,shape-type,vertex-index,axis-0,axis-1"]
        for index, (_, points) in enumerate(polygons(ids)):
            lines += [f"{index},polygon,{i},{y - 0.5},{x - 0.5}" for i, (x, y) in enumerate(points)]
        write(root / f"{name}.csv", "\n".join(lines))


def supervisely(root: Path) -> None:
    for name, ids in pictures(root / "ds0" / "img").items():
        found = []
        for i, (top, left), mask in object_crops(ids):
            data = base64.b64encode(zlib.compress(png(mask))).decode()
            bitmap = {"data": data, "origin": [left, top]}
            found.append({"classTitle": name_of(i), "geometryType": "bitmap", "bitmap": bitmap})
        size = {"height": 30, "width": 41}
        told = {"description": "", "tags": [], "size": size, "objects": found}
        write(root / "ds0" / "ann" / f"{name}.png.json", told)
    write(root / "meta.json", {"classes": [{"title": name, "shape": "bitmap"} for name in NAMES], "tags": []})


TOOLS: dict[Callable[[Path], None], str] = {
    yolo: "YOLO", labelme: "LabelMe", cvat: "CVAT", label_studio: "Label Studio", qupath: "QuPath",
    imagej: "ImageJ", via: "VIA", supervisely: "Supervisely", cellpose: "Cellpose", napari: "napari",
}  # fmt: skip
FILLED = (yolo, via, napari)
"""These tell one ring of an object: its hole is filled."""
NAMELESS = (imagej, cellpose, napari)
"""These tell no classes."""


@pytest.mark.parametrize("leave", TOOLS, ids=TOOLS.get)
def test_a_folder_dropped_as_it_is(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    leave(tmp_path)
    scan, _, problems = examine_dataset(tmp_path, DataOptions())
    assert [one for one in problems if one.code != "class-absent"] == []
    assert TOOLS[leave] in scan.layout
    labels = scan.dataset().labels
    names = ("object",) if leave in NAMELESS else NAMES
    assert labels.names == ("background", *names)
    assert scan.counts == ({"train": 2, "val": 2} if leave is yolo else {"train": 2})
    for number, case in enumerate(scan.cases):
        arrays, ids = load_case(case, labels, keep=False), objects(number % 2)
        expected = without_holes(ids) if leave in FILLED else ids
        classes = np.array([0, 1, 1, 1, 1] if leave in NAMELESS else [0, 1, 2, 1, 2])
        np.testing.assert_array_equal(arrays.objects, expected)
        np.testing.assert_array_equal(arrays.labels, classes[expected])


def test_yolo_boxes_within_their_decimals(tmp_path: Path) -> None:
    """Boxes come back to the pixel from six decimals; images and text files lie in one folder, as Darknet has
    it, and an image without a file shows nothing.
    """
    names = pictures(tmp_path / "obj_train_data", ("a", "b", "c"))
    corners = {}
    for name in ("a", "b"):
        lines = []
        for i in range(1, 5):
            x, y, w, h = box(names[name] == i)
            shares = (x + w / 2) / SIZE[1], (y + h / 2) / SIZE[0], w / SIZE[1], h / SIZE[0]
            lines.append("0 " + " ".join(f"{share:.6f}" for share in shares))
            corners.setdefault(name, []).append((y, x, y + h, x + w))
        write(tmp_path / "obj_train_data" / f"{name}.txt", "\n".join(lines))
    write(tmp_path / "obj.names", "cell\n")
    scan, _, problems = examine_dataset(tmp_path, DataOptions())
    assert [one.code for one in problems] == ["image-not-listed", "no-objects"]
    labels = scan.dataset().labels
    assert (labels.names, scan.dataset().kinds) == (("cell",), {"boxes"})
    for case in scan.cases:
        boxes = load_case(case, labels, keep=False).truth.boxes
        np.testing.assert_allclose(boxes.corners, np.reshape(corners.get(case.id, []), (-1, 4)), atol=5e-5)


def test_yolo_semantic_folders(tmp_path: Path) -> None:
    """`masks_dir` of data.yaml: class indices as values, named there; 255 is unlabelled."""
    for split in ("train", "val"):
        for name in pictures(tmp_path / "images" / split, (f"{split}0", f"{split}1")):
            mask = (objects(0) % 3).astype(np.uint8)
            mask[0] = 255
            save(tmp_path / "masks" / split / f"{name}.png", mask)
    write(tmp_path / "data.yaml", "train: images/train\nmasks_dir: masks\nnames: {0: sky, 1: road, 2: car}\n")
    scan, _, problems = examine_dataset(tmp_path, DataOptions())
    assert not problems
    labels = scan.dataset().labels
    assert labels.names == ("sky", "road", "car")
    assert (load_case(scan.cases[0], labels, keep=False).labels[0] == 255).all()


def test_labels_of_two_programs_are_refused(tmp_path: Path) -> None:
    labelme(tmp_path)
    write(tmp_path / "annotations.xml", "<annotations></annotations>")
    with pytest.raises(DataError, match="several files tell the objects") as caught:
        scan_dataset(tmp_path, DataOptions())
    assert "LabelMe" in str(caught.value.received)
    assert "CVAT" in str(caught.value.received)


def test_a_folder_that_fits_nothing_is_told_all_programs(tmp_path: Path) -> None:
    write(tmp_path / "notes.md", "nothing")
    with pytest.raises(DataError) as caught:
        scan_dataset(tmp_path, DataOptions())
    assert all(f"- {name}: " in str(caught.value.expected) for name in TOOLS.values())


def test_labels_of_programs_are_not_written_back(tmp_path: Path) -> None:
    cvat(tmp_path)
    scan = scan_dataset(tmp_path, DataOptions())
    (found,) = [
        one
        for one in obstacles(scan.cases[0], scan.folders[0], scan.dataset().labels, tmp_path)
        if one.severity == "error"
    ]
    assert "files of CVAT" in found.message


def test_labels_of_several_people_are_kept_apart(tmp_path: Path) -> None:
    """Those of whoever labelled most count, or of whom dataset.json names; the agreement is told."""
    label_studio(tmp_path)
    path = tmp_path / "project-7-at-2026.json"
    tasks = json.loads(path.read_text())
    other = np.where(objects(0) == 2, 0, objects(0))
    other[14:26, 5:7] = 0
    tasks[0]["annotations"].append({"id": 9, "completed_by": {"email": "ben@x"}, "result": brushes(other)})
    path.write_text(json.dumps(tasks))
    scan, _, problems = examine_dataset(tmp_path, DataOptions())
    (warning,) = problems
    assert (warning.code, warning.severity) == ("several-people", "warning")
    assert "those of 1 count" in warning.message
    counts = [int(np.count_nonzero(one == 2)) for one in (objects(0), other)]
    assert counts == [91, 0]
    first = [np.isin(objects(0), (1, 3)), np.isin(other, (1, 3))]
    cells = 2 * np.count_nonzero(first[0] & first[1]) / (first[0].sum() + first[1].sum())
    dice = (cells + 2 * 1 / (91 + 2)) / 2
    assert (
        warning.received
        == f"ben@x: F1 {6 / 7:.3f} of objects at IoU 0.5, Dice {dice:.3f} of pixels, 1 image(s)"
    )
    arrays = load_case(scan.cases[0], scan.dataset().labels, keep=False)
    np.testing.assert_array_equal(arrays.objects, objects(0))
    write(tmp_path / "dataset.json", {"labels_of": "ben@x"})
    scan = scan_dataset(tmp_path, DataOptions())
    assert len(np.unique(load_case(scan.cases[0], scan.dataset().labels, keep=False).objects)) == 4
    write(tmp_path / "dataset.json", {"labels_of": "eve"})
    (problem,) = [one for one in scan_dataset(tmp_path, DataOptions()).problems if one.severity == "error"]
    assert (problem.code, problem.expected) == ("labels-of", "1, ben@x")


def test_masks_of_several_people_are_held_against_each_other(tmp_path: Path) -> None:
    for name, ids in pictures(tmp_path / "images").items():
        mask = (ids > 0).astype(np.uint8)
        save(tmp_path / "1st_manual" / f"{name}.png", mask)
        save(tmp_path / "2nd_manual" / f"{name}.png", np.where(ids == 2, 0, mask).astype(np.uint8))
    images, masks = Path("images"), Path("1st_manual")
    scan, _, (warning,) = examine_dataset(tmp_path, DataOptions(images=images, masks=masks))
    whole = sum(int((objects(i) > 0).sum()) for i in range(2))
    dice = 2 * (whole - 2 * 91) / (2 * whole - 2 * 91)
    assert scan.counts == {"train": 2}
    assert (warning.code, warning.severity) == ("several-people", "warning")
    assert warning.received == f"2nd_manual: Dice {dice:.3f} of pixels, 2 image(s)"


def voc_colours(count: int) -> np.ndarray:
    """The first colours of Pascal VOC's map, as its development kit computes them."""
    found = np.zeros((count, 3), np.uint8)
    for number in range(count):
        rest = number
        for place in range(8):
            for channel in range(3):
                found[number, channel] |= (rest >> channel & 1) << (7 - place)
            rest >>= 3
    return found


def test_masks_that_cvat_exports(tmp_path: Path) -> None:
    """Segmentation mask 1.1: classes and objects in colours, listed images only."""
    labels = ["background", *NAMES]
    colours = voc_colours(600)
    for name, ids in pictures(tmp_path / "JPEGImages", ("a", "b", "c")).items():
        if name != "c":
            classes = np.array([0, 1, 2, 1, 2])[ids]
            save(tmp_path / "SegmentationClass" / f"{name}.png", colours[classes])
            save(tmp_path / "SegmentationObject" / f"{name}.png", colours[ids * 130])
    write(tmp_path / "ImageSets" / "Segmentation" / "default.txt", "a\nb\n")
    told = [f"{name}:{','.join(map(str, colours[i]))}::" for i, name in enumerate(labels)]
    write(tmp_path / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *told[1:], told[0]]))
    scan, _, problems = examine_dataset(tmp_path, DataOptions())
    assert not problems
    assert (scan.counts, "SegmentationClass" in scan.layout) == ({"train": 2}, True)
    found = scan.dataset().labels
    assert found.names == tuple(labels)
    for number, case in enumerate(scan.cases):
        arrays = load_case(case, found, keep=False)
        np.testing.assert_array_equal(arrays.objects, objects(number) * 130)
        np.testing.assert_array_equal(arrays.labels, np.array([0, 1, 2, 1, 2])[objects(number)])
