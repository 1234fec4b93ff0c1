"""The one room that knows TensorFlow: its bfloat16 graph rewrite, its fused normalisation and its threads.

The rewrite turns convolutions inside compiled functions into bfloat16 without touching the model; it is
about 1.3 times as fast on processors that multiply bfloat16 natively. It also rounds what must not be
rounded, such as moving averages, so it is on for training steps and off for everything else.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import keras

from reunet.contracts.plan import Precision
from reunet.networks.normalisation import SampleNormalization

REWRITE = "auto_mixed_precision_onednn_bfloat16"

KEPT_FLOAT32 = (
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_REMOVE",
    ("DepthwiseConv2dNativeBackpropFilter", "DepthwiseConv2dNativeBackpropInput"),
)
"""The variable in which the rewrite looks for operations to leave alone, and those that are three times as
fast in float32: a step that trains EfficientNet-Lite0 takes 0.61 instead of 0.86 CPU-seconds."""

MOST_IMAGES, LEAST_VALUES = 64, 800_000
"""In a batch: up to how many images, and from how many values on, each image is normalised by an operation of
its own. With fewer values there is more to begin than to do: of 8 frames of 64 x 64 a step took 79 ms in this
way and 63 in the other."""


@contextmanager
def training_precision(precision: Precision) -> Iterator[None]:
    """Training steps inside run in `precision` where the backend can; outside everything is float32."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow

    variable, operations = KEPT_FLOAT32
    os.environ[variable] = ",".join(operations)
    tensorflow.config.optimizer.set_experimental_options({REWRITE: precision == "bfloat16"})
    SampleNormalization.fused = _normalise_each
    try:
        yield
    finally:
        SampleNormalization.fused = None
        tensorflow.config.optimizer.set_experimental_options({REWRITE: False})


def _normalise_each(images: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Instance Normalisation as Batch Normalisation of one image after another, which is one operation each
    and another for its gradients: a quarter of the time of means, squares and products of their own.

    images: (B, *space, C) float. gamma, beta: (C,). None where the shape is not known, and for large batches
    and small ones.
    """
    import tensorflow

    shape = images.shape
    if None in shape or shape[0] > MOST_IMAGES or prod(shape) < LEAST_VALUES:
        return None
    scale, offset = tensorflow.convert_to_tensor(gamma), tensorflow.convert_to_tensor(beta)
    flat = tensorflow.reshape(images, (shape[0], 1, -1, shape[-1]))
    each = [
        tensorflow.raw_ops.FusedBatchNormV3(
            x=image, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon, is_training=True
        ).y
        for image in tensorflow.split(flat, shape[0])
    ]
    return tensorflow.reshape(tensorflow.concat(each, 0), shape)


@contextmanager
def layers_in(precision: Precision) -> Iterator[None]:
    """Layers that are made inside compute in `precision`, where the backend has no rewrite for it; their
    weights, normalisations and logits stay float32.
    """
    if not needs_layers(precision):
        yield
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def needs_layers(precision: Precision) -> bool:
    """Whether a network has to be built for a precision, rather than compiled for it."""
    return precision == "bfloat16" and keras.backend.backend() != "tensorflow"


def fix_threads(count: int) -> bool:
    """Compute with `count` threads within an operation, on which bit-exact repetition depends.

    Call before the framework's first operation. Returns whether it will; frameworks other than TensorFlow
    are left as they are, and are exact with the threads they choose.
    """
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow

    threading = tensorflow.config.threading
    try:
        threading.set_intra_op_parallelism_threads(count)
    except RuntimeError:  # already running: a program called us after other work
        return bool(threading.get_intra_op_parallelism_threads() == count)
    return True
