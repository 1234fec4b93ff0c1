"""The panel that trains: an image and labels painted over it become a dataset, and the dataset a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tifffile

import reunet
from reunet.errors import UsageError

if TYPE_CHECKING:
    import napari.layers
    import napari.qt.threading

FEWEST = 3
"""Parts of images with labels in them: some are held out, to see how good the network is."""

SMALLEST = 64
"""Pixels a side of a part of an image."""


def train_on_labels(
    image: "napari.layers.Image",
    labels: "napari.layers.Labels",
    output: Annotated[Path, {"mode": "d"}],
    labels_are: Literal["objects", "classes"] = "objects",
    minutes: float = 5.0,
) -> "napari.qt.threading.FunctionWorker":
    """Train for some minutes, while napari goes on; the run is `output`/run, for the other panel.

    The dataset is written to `output`/data: planes of a stack, or quarters of a plane, that hold labels.
    What is left unpainted in these is background.
    """
    from napari.qt.threading import thread_worker

    data = write_dataset(image, labels, output / "data", labels_are)
    return thread_worker(train, start_thread=True, progress=True)(data, output / "run", labels_are, minutes)


def train(data: Path, run: Path, labels_are: str, minutes: float) -> Path:
    """The folder of the run."""
    task = "instances" if labels_are == "objects" else "semantic"
    return reunet.train(data, output=run, task=(task,), minutes=minutes, overwrite=True).run


def write_dataset(
    image: "napari.layers.Image", labels: "napari.layers.Labels", folder: Path, labels_are: str
) -> Path:
    """Image and labels as a dataset of reunet, with a part of them as an image each. Raises UsageError."""
    planes, painted = np.asarray(image.data), np.asarray(labels.data)
    if planes.shape[: painted.ndim] != painted.shape or painted.ndim not in (2, 3):
        raise UsageError(
            "the labels do not lie on this image",
            where=f"{labels.name} on {image.name}",
            expected=f"labels of shape {planes.shape[: planes.ndim - bool(image.rgb)]}, two or three axes",
            received=f"shape {painted.shape}",
            fix="make a new labels layer while the image is chosen",
        )
    parts = [(one, truth) for one, truth in _parts(planes, painted) if truth.any()]
    if len(parts) < FEWEST:
        raise UsageError(
            "too little is labelled to train on and to hold out",
            where=labels.name,
            expected=f"labels in {FEWEST} planes of a stack, or quarters of a plane of {2 * SMALLEST} pixels",
            received=f"labels in {len(parts)}",
            fix="label more of it",
        )
    place = "instances" if labels_are == "objects" else "masks"
    for old in folder.glob("*/part_[0-9]*.tif"):
        old.unlink()
    for number, (one, truth) in enumerate(parts):
        for kind, pixels in (("images", one), (place, truth.astype(np.uint16))):
            file = folder / kind / f"part_{number:03d}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    return folder


def _parts(planes: np.ndarray, painted: np.ndarray) -> list[tuple[Any, Any]]:
    """The planes of a stack, or the quarters of a plane that is large enough for them."""
    if painted.ndim == 3:
        return list(zip(planes, painted, strict=True))
    height, width = painted.shape
    if min(height, width) < 2 * SMALLEST:
        return [(planes, painted)]
    rows = (slice(0, height // 2), slice(height // 2, height))
    columns = (slice(0, width // 2), slice(width // 2, width))
    return [(planes[row, column], painted[row, column]) for row in rows for column in columns]
