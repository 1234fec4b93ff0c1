"""The network of standard_run.py as one writes it in Keras, and medicai's; its work, see worker.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import layers

FILTERS = (16, 32, 64, 128, 256)
CLASSES, SIDE = 2, 256
Step = Callable[[int], None]


def plain(kind: str, classes: int = CLASSES) -> keras.Model:
    """(B, H, W, 3) to probabilities (B, H, W, classes). kind: of normalisation, `batch` or `instance`."""

    def block(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x) if kind == "batch" else layers.GroupNormalization(groups=-1)(x)
            x = layers.Activation("relu")(x)
        return x

    x = image = keras.Input((None, None, 3))
    skips = []
    for filters in FILTERS[:-1]:
        x = block(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = block(x, FILTERS[-1])
    for filters in FILTERS[-2::-1]:
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = block(layers.Concatenate()([skips.pop(), x]), filters)
    return keras.Model(image, layers.Conv2D(classes, 1, activation="softmax", dtype="float32")(x))


def medicai(kind: str) -> keras.Model:
    """With the encoder that smp's has too; its normalisation is its own."""
    from medicai.models import UNet

    return UNet(
        encoder_name="resnet18", input_shape=(SIDE, SIDE, 3), num_classes=CLASSES,
        decoder_filters=FILTERS[::-1], classifier_activation="softmax",
    )  # fmt: skip


NETWORKS: dict[str, Callable[[str], keras.Model]] = {"plain": plain, "medicai": medicai}


def _model(network: str, kind: str, how: str) -> keras.Model:
    if how:
        keras.config.set_dtype_policy("mixed_bfloat16")
    return NETWORKS[network](kind)


def prediction(network: str, kind: str, how: str = "") -> tuple[Step, dict[str, Any]]:
    """Probabilities of so many images. how: "" as it ships, `tuned` for mixed bfloat16."""
    model, rng = _model(network, kind, how), np.random.default_rng(0)

    def step(batch: int) -> None:
        model.predict_on_batch(rng.standard_normal((batch, SIDE, SIDE, 3), dtype=np.float32))

    return step, {"parameters": model.count_params()}


def training(network: str, kind: str, how: str = "") -> tuple[Step, dict[str, Any]]:
    """A step of AdamW on the cross-entropy of so many images. how: as for `prediction`."""
    model, rng = _model(network, kind, how), np.random.default_rng(0)
    model.compile(keras.optimizers.AdamW(1e-3), keras.losses.SparseCategoricalCrossentropy())

    def step(batch: int) -> None:
        images = rng.standard_normal((batch, SIDE, SIDE, 3), dtype=np.float32)
        model.train_on_batch(images, rng.integers(0, CLASSES, (batch, SIDE, SIDE)))

    return step, {"parameters": model.count_params()}


def first(network: str) -> None:
    """The first prediction in a process."""
    step, _ = prediction(network, "batch")
    step(1)


def train(data: str, output: str, minutes: float, seed: int) -> None:
    """The plain U-Net from scratch with cross-entropy; see pairs.py."""
    from pathlib import Path

    import pairs

    keras.utils.set_random_seed(seed)
    model, folder = plain("instance", pairs.classes(Path(data))), Path(data)
    optimizer = keras.optimizers.AdamW(1e-3)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy())
    steps = 0
    for share, images, masks in pairs.batches(folder, minutes, seed):
        optimizer.learning_rate = 5e-4 * (1 + np.cos(np.pi * share))
        known = masks != pairs.IGNORE
        model.train_on_batch(images, np.where(known, masks, 0), sample_weight=known.astype(np.float32))
        steps += 1
    pairs.write_masks(folder, Path(output), steps, model.predict_on_batch)
