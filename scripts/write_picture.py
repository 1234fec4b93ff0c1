"""Draw a picture of the docs: test images, their truth and the prediction of a finished run, a row for each.

python scripts/write_picture.py RUN DATA docs/images/nuclei.png a.png [b.png ...]
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

import reunet
from reunet.contracts.labels import IGNORE
from reunet.contracts.options.records import CheckOptions
from reunet.contracts.results import Prediction
from reunet.datasets.case_arrays import case_arrays
from reunet.datasets.scan import scan_dataset
from reunet.inference.predictor import Predictor
from reunet.io.planes import in_planes
from reunet.io.raster import write_png
from reunet.report.examples import display
from reunet.sampling.boxes import resized
from reunet.tasks.work import draw_results

SIDE, GAP = 300, 8


def row(model: Predictor, data: Path, name: str) -> np.ndarray:
    """(H, W, 3): image, truth and prediction of a test image, cut to a square where it is none."""
    labels = model.plan.labels
    scan = scan_dataset(data, CheckOptions(data), labels=labels)
    case = next(one for one in scan.cases if one.split == "test" and one.id.startswith(name.split(".")[0]))
    arrays = case_arrays(case, scan.reader(case), labels)
    image = arrays.image
    found = model(image) if isinstance(model, Predictor) else frame(model(image[None]))
    if found.labels is not None and arrays.truth.labels is not None:  # as --fov does
        unknown = arrays.truth.labels == IGNORE
        found = replace(found, labels=np.where(unknown, labels.background or 0, found.labels))
    truth = Prediction(
        labels=None if found.labels is None else arrays.truth.labels,
        instances=None if found.instances is None else arrays.truth.objects,
        boxes=None if found.boxes is None else arrays.truth.boxes,
    )
    if arrays.spacing is not None:
        planes = (
            in_planes(image, truth, labels, arrays.spacing),
            in_planes(image, found, labels, arrays.spacing),
        )
        (image, truth), (_, found) = planes
    factor = SIDE / min(image.shape[:2])
    pictures = [display(image, factor=factor)[0]]
    for told in (truth, found):
        maps = [one for one in (told.labels, told.instances) if one is not None]
        ground, small = display(image, *maps, factor=factor)
        named = iter(small)
        shown = Prediction(
            labels=None if told.labels is None else next(named),
            instances=None if told.instances is None else next(named),
            boxes=None if told.boxes is None else resized(told.boxes, (factor, factor)),
        )
        over = draw_results(ground, shown, labels)
        pictures.append(ground if over is None else over)
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    crops = [np.ascontiguousarray(picture[:SIDE, : SIDE * 4 // 3]) for picture in pictures]
    return np.hstack([crops[0], gap, crops[1], gap, crops[2]])


def frame(result: Prediction) -> Prediction:
    """The first frame of what is predicted of a sequence of one."""
    return Prediction(labels=None if result.labels is None else result.labels[0])


def main(run: Path, data: Path, target: Path, names: list[str]) -> None:
    model = reunet.load(run)
    rows = [row(model, data, name) for name in names]
    width = min(one.shape[1] for one in rows)
    gap = np.full((GAP, width, 3), 255, np.uint8)
    stacked = [part for one in rows for part in (one[:, :width], gap)][:-1]
    picture = np.vstack(stacked)
    if target.suffix == ".jpg":  # photographs of noise are large as PNG
        cv2.imwrite(str(target), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    else:
        write_png(target, picture)
    print(f"wrote {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
