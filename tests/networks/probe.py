"""Run in a process of its own per backend: forward pass and three SGD steps from given weights.

python probe.py BACKEND NORMALISATION FILE
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def main(backend: str, normalisation: str, file: str) -> None:
    from reunet.backend import use_backend

    use_backend(backend)
    np.savez(file, **numbers(backend, normalisation))


def numbers(backend: str, normalisation: str) -> dict[str, Any]:
    import keras

    from reunet.contracts.plan import LossSpec
    from reunet.losses import SegmentationLoss
    from reunet.networks import build_network, configure

    config = configure(
        "unet", in_channels=3, filters=(4, 8, 16), heads=({"channels": 3},), normalisation=normalisation
    )
    model = build_network(config)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if not weight.path.endswith(("moving_mean", "moving_variance")):
            weight.assign(rng.normal(0, 0.2, weight.shape).astype("float32"))
    images = rng.normal(size=(2, 32, 24, 3)).astype("float32")
    labels = rng.integers(0, 3, (2, 32, 24)).astype("int32")
    labels[:, :3] = 255
    logits = keras.ops.convert_to_numpy(model(images, training=False)["semantic"])
    model.compile(
        keras.optimizers.SGD(0.05),
        {"semantic": SegmentationLoss(LossSpec(), (1, 2))},
        jit_compile=False if backend == "tensorflow" else "auto",
    )
    losses = [float(model.test_on_batch(images, {"semantic": labels}, return_dict=True)["loss"])]
    for _ in range(3):
        model.train_on_batch(images, {"semantic": labels})
    trained = np.concatenate([keras.ops.convert_to_numpy(v.value).ravel() for v in model.trainable_variables])
    return {"logits": logits, "losses": losses, "trained": trained, "count": model.count_params()}


if __name__ == "__main__":
    main(*sys.argv[1:])
