"""Datasets in the layouts that people have, written from the same scenes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reunet.datasets.synthetic import make_scene
from reunet.io.annotations.coco_write import object_entries
from reunet.io.annotations.instances import write_instances
from reunet.io.annotations.outlines import object_crops
from reunet.io.annotations.polygons import mask_rings

SIDE = 64
SPLITS = {"train": 4, "test": 2}


def scenes(split: str, count: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, image (H, W) and object ids (H, W) of each image of a split."""
    found = []
    for i in range(count):
        scene = make_scene(np.random.default_rng([7, len(split), i]), (SIDE, SIDE))
        found.append((f"{split}{i}", scene.image, scene.instances))
    return found


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def box(mask: np.ndarray) -> list[int]:
    """x, y, width and height."""
    y, x = np.nonzero(mask)
    return [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1]


def xml(ids: np.ndarray, name: str = "cell") -> str:
    """A VOC file about the objects in `ids`."""
    objects = ""
    for i in np.unique(ids)[1:]:
        x, y, width, height = box(ids == i)
        sides = f"<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + width}</xmax><ymax>{y + height}</ymax>"
        objects += f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"
    size = f"<size><width>{ids.shape[1]}</width><height>{ids.shape[0]}</height><depth>1</depth></size>"
    return f"<annotation><filename>other.jpg</filename>{size}{objects}</annotation>"


def with_polygons(ids: np.ndarray, classes: np.ndarray | None = None) -> list[dict[str, Any]]:
    """The entries of the objects in `ids`, with polygons for those without a hole."""
    entries = list(object_entries(ids, classes))
    for entry, (_, corner, mask) in zip(entries, object_crops(ids), strict=True):
        parts = mask_rings(mask, corner)
        if all(len(part) == 1 for part in parts):
            entry["segmentation"] = [outer.ravel().tolist() for (outer,) in parts]
    return entries


def coco(images: list[tuple[str, np.ndarray]], *, polygons: bool = True) -> dict[str, Any]:
    """COCO JSON about images, given by file name and object ids."""
    listed, annotations = [], []
    for number, (file, ids) in enumerate(images):
        listed.append({"id": number, "file_name": file, "height": ids.shape[0], "width": ids.shape[1]})
        for entry in with_polygons(ids) if polygons else object_entries(ids):
            told = {name: value for name, value in entry.items() if name != "category"}
            annotations.append({**told, "id": len(annotations) + 1, "image_id": number, "category_id": 1})
    return {"images": listed, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}


def write_voc(root: Path) -> Path:
    for split, count in SPLITS.items():
        (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (root / "Annotations").mkdir(exist_ok=True)
        for name, image, ids in scenes(split, count):
            save(root / "JPEGImages" / f"{name}.png", image)
            (root / "Annotations" / f"{name}.xml").write_text(xml(ids))
        names = "".join(f"{split}{i}\n" for i in range(count))
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(names)
    return root


def write_voc_pairs(root: Path, *, beside: bool = False) -> Path:
    """images/ with annotations/*.xml; or both in the folder of their split."""
    for split, count in SPLITS.items():
        images, annotations = (root / split / ("" if beside else name) for name in ("images", "annotations"))
        for name, image, ids in scenes(split, count):
            save(images / f"{name}.png", image)
            annotations.mkdir(exist_ok=True)
            (annotations / f"{name}.xml").write_text(xml(ids))
    return root


def write_coco_layout(root: Path, *, polygons: bool = True, own_folder: bool = False) -> Path:
    (root / "annotations").mkdir(parents=True)
    for split, count in SPLITS.items():
        listed = []
        for name, image, ids in scenes(split, count):
            save(root / ("" if own_folder else "images") / f"{split}2017" / f"{name}.png", image)
            listed.append((f"{name}.png", ids))
        text = json.dumps(coco(listed, polygons=polygons))
        (root / "annotations" / f"instances_{split}2017.json").write_text(text)
    return root


def write_roboflow(root: Path) -> Path:
    for split, count in SPLITS.items():
        listed = []
        for name, image, ids in scenes(split, count):
            save(root / split / f"{name}.png", image)
            listed.append((f"{name}.png", ids))
        (root / split / "_annotations.coco.json").write_text(json.dumps(coco(listed)))
    return root


def write_stage1(root: Path) -> Path:
    """A folder per image, with a mask per object."""
    for split, count in SPLITS.items():
        for name, image, ids in scenes(split, count):
            save(root / f"stage1_{split}" / name / "images" / f"{name}.png", image)
            (root / f"stage1_{split}" / name / "masks").mkdir()
            for i in np.unique(ids)[1:]:
                mask = (ids == i).astype(np.uint8) * 255
                save(root / f"stage1_{split}" / name / "masks" / f"object{i}.png", mask)
    return root


def write_object_masks(root: Path) -> Path:
    """images/a.png with masks/a/*.png."""
    for split, count in SPLITS.items():
        for name, image, ids in scenes(split, count):
            save(root / split / "images" / f"{name}.png", image)
            (root / split / "masks" / name).mkdir(parents=True)
            for i in np.unique(ids)[1:]:
                save(root / split / "masks" / name / f"{i}.png", (ids == i).astype(np.uint8))
    return root


def write_classes(root: Path, splits: dict[str, int] | None = None) -> Path:
    """A folder per class; without splits in the folder itself."""
    for split, count in (splits or {"": 8}).items():
        for number, (name, image, _) in enumerate(scenes(split, count)):
            kind = "dark" if number % 2 else "light"
            pixels = image // 2 if number % 2 else image
            save(root / split / kind / f"{name}.png", pixels)
    return root


def write_tracking(root: Path, *, truth: str = "GT", segmented: int = 4) -> Path:
    """Two films of four frames, in which two squares move and a third comes; SEG counts objects anew."""
    for film in ("01", "02"):
        rng = np.random.default_rng(int(film))
        for frame in range(4):
            ids = np.zeros((SIDE, SIDE), np.uint16)
            ids[10:20, 5 + 3 * frame : 15 + 3 * frame] = 1
            ids[30:42, 40 - 2 * frame : 52 - 2 * frame] = 2
            if frame >= 2:
                ids[50:60, 10:20] = 3
            image = np.clip(60 + 90 * (ids > 0) + rng.normal(0, 12, ids.shape), 0, 255).astype(np.uint8)
            save(root / film / f"t{frame:03d}.tif", image)
            marks = ids * (np.add(*np.indices(ids.shape)) % 3 > 0)  # not to their full extent
            write_instances(root / f"{film}_{truth}" / "TRA" / f"man_track{frame:03d}.tif", marks)
            if frame < segmented:
                counted = np.where(ids > 0, 4 - ids, 0)
                write_instances(root / f"{film}_{truth}" / "SEG" / f"man_seg{frame:03d}.tif", counted)
        lineage = "1 0 3 0\n2 0 3 0\n3 2 3 0\n"
        (root / f"{film}_{truth}" / "TRA" / "man_track.txt").write_text(lineage)
    return root
