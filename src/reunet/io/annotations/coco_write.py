"""COCO JSON, written: boxes, or objects with run lengths."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.io.annotations.outlines import object_crops
from reunet.io.annotations.rle import compress_runs, mask_runs
from reunet.storage import write_text

Entry = dict[str, Any]
"""An annotation without its ids; `category` is a class index."""


def box_entries(boxes: Boxes) -> Iterator[Entry]:
    """An annotation for each box; `area` is that of the box."""
    for i, (y0, x0, y1, x1) in enumerate(boxes.corners.tolist()):
        width, height = x1 - x0, y1 - y0
        score = {}
        if boxes.scores is not None:
            score = {"score": round(float(boxes.scores[i]), 6) if np.isfinite(boxes.scores[i]) else None}
        box = [round(number, 3) for number in (x0, y0, width, height)]
        area = round(width * height, 3)
        yield {"category": int(boxes.classes[i]), "bbox": box, "area": area, "iscrowd": 0, **score}


def object_entries(
    ids: np.ndarray, classes: np.ndarray | None = None, scores: np.ndarray | None = None
) -> Iterator[Entry]:
    """An annotation with run lengths for each object of `ids` (H, W), by id; `object_id` tells it.

    classes: (max id + 1,) class indices, None for class 0 everywhere. scores: by id, None where not known.
    """
    size = (int(ids.shape[0]), int(ids.shape[1]))
    for number, (top, left), mask in object_crops(ids):
        counts = compress_runs(mask_runs(mask, (top, left), size), size)
        yield {
            "category": 0 if classes is None else int(classes[number]),
            "bbox": [left, top, mask.shape[1], mask.shape[0]],
            "area": int(mask.sum()),
            "segmentation": {"size": list(size), "counts": counts},
            "iscrowd": 0,
            "object_id": number,
            **({} if scores is None else {"score": float(scores[number])}),
        }


def write_coco(
    path: Path,
    images: Iterable[tuple[str, tuple[int, int], Iterable[Entry]]],
    categories: Sequence[tuple[int, str]],
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write images, as file name with "/", (height, width) and annotations, atomically as COCO JSON.

    categories: id and name of each class index. facts: more of an image by file name, such as its class.
    Raises StorageError.
    """
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (file, (height, width), entries) in enumerate(images, 1):
        size = {"height": height, "width": width}
        listed.append({"id": number, "file_name": file, **size, **(facts or {}).get(file, {})})
        for entry in entries:
            category = categories[entry["category"]][0]
            rest = {key: value for key, value in entry.items() if key != "category"}
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
            annotations.append({**ids, **rest})
    named = [{"id": number, "name": name} for number, name in categories]
    data = {"images": listed, "categories": named, "annotations": annotations}
    write_text(path, json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")
