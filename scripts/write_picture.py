"""Draw the picture of README.md: test images, their truth and the prediction of a finished run.

python scripts/write_picture.py RUN DATA a.png [b.png ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

import reunet
from reunet.io.images import read_image
from reunet.io.masks import read_mask
from reunet.io.raster import write_png
from reunet.io.render import overlay, to_display

ROOT = Path(__file__).resolve().parents[1]
SIDE, GAP = 300, 8


def main(run: Path, data: Path, names: list[str]) -> None:
    model = reunet.load(run)
    rows = []
    for name in names:
        image = read_image(data / "test" / "images" / name)
        truth = read_mask((data / "test" / "masks" / name).with_suffix(".png"), model.plan.labels)
        predicted = model(image).labels
        side, labels = min(image.shape[:2]), model.plan.labels
        pictures = (to_display(image), overlay(image, truth, labels), overlay(image, predicted, labels))
        crops = [picture[:side, :side] for picture in pictures]
        small = [cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for crop in crops]
        gap = np.full((SIDE, GAP, 3), 255, np.uint8)
        rows += [
            np.hstack([small[0], gap, small[1], gap, small[2]]),
            np.full((GAP, 3 * SIDE + 2 * GAP, 3), 255, np.uint8),
        ]
    target = ROOT / "docs" / "images" / "nuclei.png"
    write_png(target, np.vstack(rows[:-1]))
    print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
