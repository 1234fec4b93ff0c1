"""Heads, targets, losses and decoding belong together: a small network learns to find discs."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import Classes, ClassInfo, LabelMap
from reunet.contracts.truth import Truth
from reunet.tasks.detection import decode, targets, validation_score
from reunet.tasks.work import Work

pytestmark = [pytest.mark.keras, pytest.mark.slow]

SIZE = (64, 64)
LABELS = LabelMap(
    classes=tuple(
        ClassInfo(id=i, name=name, color=(i, i, i), foreground=i > 0)
        for i, name in enumerate(["background", "large", "small"])
    )
)


def scene(rng: np.random.Generator) -> tuple[np.ndarray, Boxes]:
    """Large grey and small bright ellipses in noise, some of them cut by the edge."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    image, corners = rng.normal(0, 0.3, (*SIZE, 1)).astype("float32"), []
    classes = np.array([1, 1, 2], np.uint8)
    for index in classes:
        half, middle = rng.uniform(6, 13, 2) if index == 1 else rng.uniform(3, 6, 2), rng.uniform(4, 60, 2)
        image[((y - middle[0]) / half[0]) ** 2 + ((x - middle[1]) / half[1]) ** 2 < 1] += index
        corners.append(np.concatenate([np.maximum(middle - half, 0), np.minimum(middle + half, SIZE)]))
    return image, Boxes(np.array(corners, np.float32), classes)


def test_a_small_network_finds_discs() -> None:
    import keras

    from reunet.losses import CentreLoss, SmoothL1Loss
    from reunet.networks import build_network
    from reunet.networks.presets import configure

    rng = np.random.default_rng(0)
    config = configure(
        "unet", in_channels=1, filters=(8, 16, 32), heads=Work(("detection",), Classes(LABELS)).heads(2)
    )
    model = build_network(config, seed=0)
    model.compile(
        optimizer=keras.optimizers.AdamW(4e-3, global_clipnorm=5.0),
        loss={"centre": CentreLoss(), "box": SmoothL1Loss(0.2, weighted=True)},
        loss_weights={"centre": 1.0, "box": 4.0},
    )
    for _ in range(80):
        images, boxes = zip(*(scene(rng) for _ in range(8)), strict=True)
        maps = [targets(one, SIZE, LABELS) for one in boxes]
        model.train_on_batch(
            np.stack(images), {name: np.stack([m[name] for m in maps]) for name in ("centre", "box")}
        )
    images, boxes = zip(*(scene(rng) for _ in range(16)), strict=True)
    logits = model(np.stack(images), training=True)  # statistics of the batch: the moving ones lag behind
    centre, box = (
        keras.ops.convert_to_numpy(keras.ops.stop_gradient(logits[name])) for name in ("centre", "box")
    )
    found = [decode({"centre": 1 / (1 + np.exp(-centre[i])), "box": box[i]}, LABELS) for i in range(16)]
    pairs = [(Truth(boxes=true), one) for true, one in zip(boxes, found, strict=True)]
    assert validation_score(pairs, LABELS) > 0.75
