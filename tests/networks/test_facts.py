"""Costs against counts by hand, receptive fields against what changes when a pixel changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reunet.contracts.network import NetworkConfig

pytestmark = pytest.mark.usefixtures("backend")


def network(preset: str = "unet", **fields: Any) -> NetworkConfig:
    from reunet.networks import configure

    return configure(
        preset, **{"in_channels": 1, "heads": ({"channels": 2},), "filters": (2, 3, 4), **fields}
    )


def seen_by_changing(config: NetworkConfig, side: int) -> int | None:
    """The widest stretch of columns whose change changes one output pixel; None when all columns do.

    Leaky activations let every change through. Changes of several strengths count together: a maximum may
    hide a small one, a saturated gate a large one.
    """
    import keras

    from reunet.networks import build_network

    height, frames = config.total_stride[0], () if config.time == "none" else (1,)
    model, period = build_network(config, seed=3), config.total_stride[1]
    middle = side // 2 - (side // 2) % period
    rng, reached = np.random.default_rng(1), np.zeros((period, side), bool)
    for strength in (0.5, 3, 30, 1000, 30_000):
        image = rng.normal(0, 1, (height, side, 1)).astype(np.float32)
        changed = np.tile(image, (side + 1, 1, 1, 1))
        changed[np.arange(side), :, np.arange(side)] += rng.normal(0, strength, (side, height, 1))
        outputs = model(changed.reshape(side + 1, *frames, height, side, 1))["semantic"]
        labels = np.asarray(keras.ops.convert_to_numpy(outputs)).reshape(side + 1, -1, side, 2)
        differs = (labels[:-1] != labels[-1:]).any(axis=(1, 3))  # (changed column, output column)
        reached |= differs[:, middle : middle + period].T
    extents = [int(np.ptp(np.flatnonzero(row))) + 1 for row in reached]
    return None if max(extents) == side else max(extents)


CASES = {
    "unet": ("unet", {}),
    "one stride of three": ("unet", {"strides": ((2, 3), (1, 2))}),
    "kernels of their own": ("unet", {"kernels": ((1, 5), (3, 3), (3, 1))}),
    "strided, residual": ("resunet", {}),
    "attention": ("attention_unet", {}),
    "interpolated": ("mobile_unet", {"filters": (4, 8)}),
    "full scale": ("unet3_plus", {}),
    "nested": ("unet_plus_plus", {}),
    "recurrent blocks": ("r2unet", {"filters": (2, 3), "recurrence": {"steps": 1}}),
    "recurrent skips, lstm": ("bcdu_net", {"dropout": 0.0}),
    "recurrent skips, gru": ("bcdu_net", {"filters": (4, 8), "dropout": 0.0, "recurrence": {"cell": "gru"}}),
    "recurrent skips, scanned": ("bcdu_net", {"dropout": 0.0, "recurrence": {"cell": "min_gru"}}),
    "memory in the encoder": ("conv_lstm_unet", {"recurrence": {"kernel": 3}}),
    "memory beside the encoder": ("conv_lstm_unet", {"recurrence": {"kernel": 3, "gain": 1.0}}),
    "sweeps": ("cnn_rnn_unet", {"recurrence": {"gain": 1.0}}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_receptive_field_is_what_a_pixel_depends_on(case: str) -> None:
    from reunet.networks import measure

    preset, fields = CASES[case]
    config = network(preset, **fields, activation="leaky_relu", normalisation="none")
    found = measure(config, (48, 96)).receptive_field[1]
    assert found == seen_by_changing(config, 96)


def test_an_unpadded_network_sees_as_far() -> None:
    """By hand, two levels: 5 columns; 3 of the level below; 7 before its convolutions; 14 finer; 18."""
    from reunet.networks import measure

    assert measure(network(filters=(2, 3), padding="valid"), (60, 60)).receptive_field == (18, 18)


def test_multiplications_and_feature_maps_counted_by_hand() -> None:
    from reunet.networks import measure

    facts = measure(network(in_channels=3, filters=(4, 8)), (32, 16))
    full, half = 32 * 16, 16 * 8
    convolutions = 9 * (3 * 4 + 4 * 4) + 9 * (8 * 4 + 4 * 4) + 4 * 2
    assert facts.multiplications == full * (convolutions + 8 * 4) + half * 9 * (4 * 8 + 8 * 8)
    assert facts.features == full * (4 + 4 + 4 + 4 + 4 + 2) + half * (8 + 8)


def test_separable_and_transposed_convolutions_counted_by_hand() -> None:
    from reunet.networks import measure

    light = measure(network("mobile_unet", filters=(4,)), (8, 8))
    assert light.multiplications == 64 * (9 * 1 + 1 * 4 + 9 * 4 + 4 * 4 + 4 * 2)
    no_overlap = measure(network(filters=(4, 8), strides=((2, 4),)), (8, 8))
    spread = (4 * 2) * (2 * 4) * 8 * 4  # pixels below, kernel, channels in and out
    plain = 64 * (9 * (1 * 4 + 4 * 4 + 8 * 4 + 4 * 4) + 4 * 2) + 8 * 9 * (4 * 8 + 8 * 8)
    assert no_overlap.multiplications == plain + spread


def test_recurrences_counted_by_hand() -> None:
    """A GRU has three maps of the input and three of the state; sweeps run along two axes, both ways."""
    from reunet.networks import measure

    fields = {"filters": (6,), "normalisation": "none"}
    without = measure(network(**fields), (4, 8)).multiplications
    swept = measure(network("cnn_rnn_unet", **fields), (4, 8)).multiplications
    assert swept - without == 2 * 2 * 32 * 3 * (6 * 3 + 3 * 3)
    frames = 5
    single = measure(
        network("conv_gru_unet", **fields, bottleneck="identity", decoder="plain"), (frames, 4, 8)
    )
    double = measure(network("conv_gru_unet", **fields, decoder="plain"), (frames, 4, 8))
    assert single.multiplications == frames * without
    assert double.multiplications - single.multiplications == frames * 32 * 9 * 3 * (3 * 3 + 3 * 3)


@pytest.mark.parametrize("preset", ["unet", "unet_plus_plus", "conv_gru_unet", "bcdu_net", "unet3d"])
def test_parameters_are_those_of_the_built_network(preset: str) -> None:
    from reunet.networks import build_network, measure

    config = network(preset)
    trainable = build_network(config).trainable_weights
    size = (16,) * config.spatial_dims
    size = size if config.time == "none" else (2, *size)
    assert measure(config, size).parameters == sum(int(np.prod(v.shape)) for v in trainable)


def test_measuring_leaves_nothing_behind() -> None:
    """The weights of what was measured are never made, and what is built next is what it would have been."""
    import keras

    from reunet.networks import build_network, measure

    config = network(filters=(2, 2))
    before = [np.asarray(w) for w in map(keras.ops.convert_to_numpy, build_network(config, seed=5).weights)]
    measure(network(filters=(64, 128, 256, 512, 1024, 2048, 2048)), (64, 64))
    after = build_network(config, seed=5).weights
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, np.asarray(keras.ops.convert_to_numpy(new)))
