"""Train StarDist for some minutes and write its label images; see worker.py and accuracy.py.

32 rays on a grid of 2, else its own defaults, with the normalisation and the augmentation of its examples;
thresholds by its `optimize_thresholds` on held-out training images.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
from csbdeep.utils import normalize
from skimage.io import imread, imsave
from stardist import fill_label_holes
from stardist.models import Config2D, StarDist2D

HELD_OUT = 0.15
"""Share of the training images, as in its examples."""


class TimeLimit(tf.keras.callbacks.Callback):
    """Ends the training after so many seconds, counted from its first batch."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.started, self.steps = seconds, 0.0, 0

    def on_train_begin(self, logs: object = None) -> None:
        self.started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.steps += 1
        if time.monotonic() - self.started > self.seconds:
            self.model.stop_training = True


def image(file: Path) -> np.ndarray:
    """(H, W, 3) float32, percentiles 1 and 99.8 at 0 and 1; grey images three times the same."""
    pixels = imread(file)
    pixels = np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels[..., :3]
    return normalize(pixels, 1, 99.8, axis=(0, 1, 2)).astype(np.float32)


def augmenter(seed: int) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Flips, quarter turns, brightness and noise."""
    random = np.random.default_rng(seed)

    def augment(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        turns, axes = random.integers(4), [axis for axis in (0, 1) if random.random() < 0.5]
        x, y = (np.flip(np.rot90(values, turns, (0, 1)), axes) for values in (x, y))
        x = x * random.uniform(0.6, 2) + random.uniform(-0.2, 0.2)
        return x + random.uniform(0, 0.02) * random.normal(0, 1, x.shape), y

    return augment


def train(data: str, output: str, minutes: float, seed: int) -> None:
    """Labels of the test images in OUTPUT/found."""
    np.random.seed(seed)  # noqa: NPY002 - StarDist draws its patches from it
    tf.random.set_seed(seed)
    folder, found = Path(data), Path(output) / "found"
    files = sorted((folder / "train" / "images").iterdir())
    np.random.default_rng(seed).shuffle(files)
    truth = folder / "train" / "instances"
    images = [image(file) for file in files]
    objects = [fill_label_holes(imread(truth / f"{file.stem}.png")) for file in files]
    held_out = round(HELD_OUT * len(files))
    validation = images[:held_out], objects[:held_out]

    config = Config2D(n_rays=32, grid=(2, 2), n_channel_in=3, train_tensorboard=False)
    model = StarDist2D(config, name="model", basedir=output)
    model.prepare_for_training()
    limit = TimeLimit(60 * minutes)
    model.callbacks.append(limit)
    augment = augmenter(seed)
    model.train(images[held_out:], objects[held_out:], validation_data=validation, augmenter=augment)
    model.optimize_thresholds(*validation)

    found.mkdir(exist_ok=True)
    for file in sorted((folder / "test" / "images").iterdir()):
        labels, _ = model.predict_instances(image(file))
        imsave(found / f"{file.stem}.png", labels.astype(np.uint16), check_contrast=False)
    told = {"steps": limit.steps, "thresholds": model.thresholds._asdict()}
    (Path(output) / "told.json").write_text(json.dumps(told))
