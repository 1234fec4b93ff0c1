"""The networks that the tests of the family go through, tiny, and weights that every backend can have."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from reunet.contracts.network import NetworkConfig
from reunet.networks.presets import PRESETS, configure

FILTERS = (4, 8, 16)
FRAMES = 4

PUBLISHED: dict[str, Any] = {"gain": None}
"""Features go through the recurrence, as in the papers and in the runs of earlier versions."""

# Beside every preset as it is: the values of the slots that no preset has by default.
VARIANTS: dict[str, dict[str, Any]] = {
    "unet valid": {"preset": "unet", "padding": "valid"},
    "unet group": {"preset": "unet", "normalisation": "group"},
    "unet add": {"preset": "unet", "skip": "add"},
    "unet anisotropic": {
        "preset": "unet3d",
        "strides": ((1, 2, 2), (2, 2, 2)),
        "kernels": ((1, 3, 3), (3, 3, 3), (3, 3, 3)),
    },
    "nnunet residual": {
        "preset": "nnunet",
        "block": "residual",
        "decoder_block": "conv",
        "repeats": (1, 2, 1),
    },
    "nnunet 3d": {"preset": "nnunet", "spatial_dims": 3},
    "cnn_rnn_unet published": {"preset": "cnn_rnn_unet", "recurrence": PUBLISHED},
    "cnn_rnn_unet simple_rnn": {"preset": "cnn_rnn_unet", "recurrence": PUBLISHED | {"cell": "simple_rnn"}},
    "cnn_rnn_unet lstm": {"preset": "cnn_rnn_unet", "recurrence": PUBLISHED | {"cell": "lstm"}},
    "cnn_rnn_unet min_gru": {"preset": "cnn_rnn_unet", "recurrence": PUBLISHED | {"cell": "min_gru"}},
    "cnn_rnn_unet raster": {"preset": "cnn_rnn_unet", "bottleneck": "raster", "recurrence": PUBLISHED},
    "cnn_rnn_unet 3d": {"preset": "cnn_rnn_unet", "spatial_dims": 3, "recurrence": PUBLISHED},
    "cnn_rnn_unet control": {"preset": "cnn_rnn_unet", "bottleneck": "conv"},
    "thinking_unet lstm": {"preset": "thinking_unet", "recurrence": {"cell": "lstm", "steps": 2}},
    "thinking_unet 3d": {"preset": "thinking_unet", "spatial_dims": 3, "recurrence": {"steps": 2}},
    "thinking_unet forgets": {"preset": "thinking_unet", "recurrence": {"recall": False, "steps": 2}},
    "r2unet separate": {"preset": "r2unet", "recurrence": {"tied": False}},
    "r2unet step statistics": {"preset": "r2unet", "recurrence": {"step_statistics": True}},
    "bcdu_net d3": {"preset": "bcdu_net", "bottleneck_blocks": 3},
    "bcdu_net concat": {"preset": "bcdu_net", "recurrence": {"merge": "concat"}},
    "bcdu_net residual": {"preset": "bcdu_net", "recurrence": {"gain": 0.1, "levels": 2}},
    "conv_lstm_unet residual": {"preset": "conv_lstm_unet", "recurrence": {"gain": 0.1, "levels": 2}},
    "conv_gru_unet published": {"preset": "conv_gru_unet", "recurrence": PUBLISHED},
    "conv_gru_unet bottleneck": {
        "preset": "conv_gru_unet",
        "bottleneck": "recurrence",
        "decoder": "plain",
        "recurrence": PUBLISHED,
    },
    "conv_gru_unet 3d": {"preset": "conv_gru_unet", "spatial_dims": 3, "recurrence": {"share": 1.0}},
}
CASES = {**{name: {"preset": name} for name in PRESETS}, **VARIANTS}
REPRESENTATIVES = (  # one for each value of a slot
    "unet add", "unet3d", "unet_2d_t", "resunet", "attention_unet", "unet_plus_plus", "unet3_plus",
    "nnunet residual", "mobile_unet", "cnn_rnn_unet min_gru", "cnn_rnn_unet raster", "thinking_unet", "reseg",
    "r2unet", "bcdu_net d3", "conv_lstm_unet", "conv_gru_unet", "conv_gru_unet bottleneck", "slice_unet",
    "cnn_rnn_unet", "bcdu_net residual", "conv_lstm_unet residual", "slice_gru_unet", "leak_unet",
)  # fmt: skip


def config_of(case: str) -> NetworkConfig:
    """The tiny configuration of a case: 2 channels in, 3 classes."""
    settings: dict[str, Any] = {"in_channels": 2, "filters": FILTERS, "heads": ({"channels": 3},)}
    if case.startswith("reseg"):
        settings["recurrence"] = {"units": 6}
    return configure(**settings | CASES[case])


def image_for(config: NetworkConfig, *, small: bool = False, batch: int = 2) -> np.ndarray:
    """A fixed input that fits, one of two uneven sizes."""
    from reunet.contracts.sizes import valid_size

    wanted = ((9, 13, 7), (21, 14, 10))[0 if small else 1]
    space = valid_size(config, wanted[-config.spatial_dims :])
    time = () if config.time == "none" else (FRAMES,)
    shape = (batch, *time, *space, config.in_channels)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def give_weights(model: Any) -> None:
    """The same weights on every backend, each from its own name; outputs stay of the order of 1."""
    for variable in model.weights:
        rng, shape = np.random.default_rng(zlib.crc32(variable.path.encode())), variable.shape
        kind = variable.path.rsplit("/", 1)[-1]
        if kind in ("gamma", "moving_variance", "gain"):
            values = rng.uniform(0.8, 1.2, shape)
        elif len(shape) == 1:
            values = rng.normal(0, 0.1, shape)
        else:
            values = rng.normal(0, np.sqrt(1.5 / np.prod(shape[:-1])), shape)
        variable.assign(values.astype("float32"))


def numpy_of(tensor: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))
