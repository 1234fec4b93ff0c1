"""Draw a picture of the docs: test images, their truth and the prediction of a finished run, a row for each.

python scripts/write_picture.py RUN DATA docs/images/nuclei.png a [b ...]      - for RUN: without a prediction
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import reunet
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options.records import CheckOptions
from reunet.contracts.results import Prediction
from reunet.datasets.case_arrays import CaseArrays, case_arrays
from reunet.datasets.scan import scan_dataset
from reunet.inference.predictor import Predictor
from reunet.io.planes import in_planes
from reunet.io.raster import write_png
from reunet.report.examples import display
from reunet.sampling.boxes import resized
from reunet.tasks.work import draw_results

SIDE, GAP = 300, 8


def arrays_of(data: Path, name: str) -> tuple[CaseArrays, LabelMap]:
    """A test image with its annotation, and the classes."""
    scan = scan_dataset(data, CheckOptions(data))
    assert scan.labels is not None
    case = next(one for one in scan.cases if one.split == "test" and one.id.startswith(name.split(".")[0]))
    return case_arrays(case, scan.reader(case), scan.labels), scan.labels


def row(model: Predictor | None, arrays: CaseArrays, labels: LabelMap) -> np.ndarray:
    """(H, W, 3): image, truth and prediction side by side."""
    truth = Prediction(labels=arrays.truth.labels, instances=arrays.truth.objects, boxes=arrays.truth.boxes)
    shown = [truth]
    if model is not None:
        found = model(arrays.image)
        if found.labels is not None and truth.labels is not None:  # as --fov does
            unknown = truth.labels == IGNORE
            found = replace(found, labels=np.where(unknown, labels.background or 0, found.labels))
        kinds = {name: None for name in ("labels", "instances", "boxes") if getattr(found, name) is None}
        shown = [replace(truth, **kinds), found]
    image = arrays.image
    if arrays.spacing is not None:
        shown = [in_planes(image, one, labels, arrays.spacing)[1] for one in shown]
        image = in_planes(image, truth, labels, arrays.spacing)[0]
    factor = SIDE / min(image.shape[:2])
    pictures = [display(image, factor=factor)[0], *(drawn(image, one, labels, factor) for one in shown)]
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    crops = [np.ascontiguousarray(picture[:SIDE, : SIDE * 4 // 3]) for picture in pictures]
    return np.hstack([part for crop in crops for part in (crop, gap)][:-1])


def drawn(image: np.ndarray, told: Prediction, labels: LabelMap, factor: float) -> np.ndarray:
    """The image with a result over it, so many times as large."""
    maps = [one for one in (told.labels, told.instances) if one is not None]
    ground, small = display(image, *maps, factor=factor)
    named = iter(small)
    shown = Prediction(
        labels=None if told.labels is None else next(named),
        instances=None if told.instances is None else next(named),
        boxes=None if told.boxes is None else resized(told.boxes, (factor, factor)),
    )
    over = draw_results(ground, shown, labels)
    return ground if over is None else over


def main(run: str, data: Path, target: Path, names: list[str]) -> None:
    model = None if run == "-" else reunet.load(run)
    assert model is None or isinstance(model, Predictor), "a network for sequences"
    rows = [row(model, *arrays_of(data, name)) for name in names]
    width = min(one.shape[1] for one in rows)
    gap = np.full((GAP, width, 3), 255, np.uint8)
    picture = np.vstack([part for one in rows for part in (one[:, :width], gap)][:-1])
    if target.suffix == ".jpg":  # photographs and noise are large as PNG
        cv2.imwrite(str(target), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    else:
        write_png(target, picture)
    print(f"wrote {target}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
