"""Parameter counts: those of the papers and of the code that people know, and those of the controls."""

from __future__ import annotations

from typing import Any

import pytest

from reunet.networks.presets import PRESETS, configure

pytestmark = pytest.mark.usefixtures("backend")

# The popular PyTorch port of R2U-Net: biases beside Batch Normalisation, nearest upsampling and a 3x3
# convolution up; 3 channels in, 1 out.
PORT = {"in_channels": 3, "normalisation": "batch", "bias": True, "upsampling": "nearest_conv", "channels": 1}
BCDU = {"in_channels": 1, "recurrence": {"merge": "forward"}, "channels": 1}


@pytest.mark.parametrize(
    ("preset", "options", "published"),
    [
        ("unet", {"in_channels": 1, "padding": "valid", "channels": 2}, 31_030_658),
        ("unet", PORT, 34_527_041),
        ("r2unet", PORT, 39_091_393),
        ("attention_unet", PORT, 34_878_573),
    ],
)
def test_published_counts(preset: str, options: dict[str, Any], published: int) -> None:
    from reunet.networks.controls import count_parameters

    options = dict(options)
    heads = ({"channels": options.pop("channels")},)
    assert count_parameters(configure(preset, heads=heads, **options)) == published


@pytest.mark.parametrize(("blocks", "published"), [(1, 8.86e6), (3, 20.66e6)])
def test_bcdu_net_with_one_direction_is_as_large_as_the_published_code(blocks: int, published: float) -> None:
    """Within 1 %: the published network normalises after the up-convolutions alone, and has one more 3x3
    convolution, to two maps, before its output.
    """
    from reunet.networks.controls import count_parameters

    config = configure(
        "bcdu_net",
        heads=({"channels": 1},),
        bottleneck_blocks=blocks,
        in_channels=1,
        recurrence={"merge": "forward"},
    )
    assert count_parameters(config) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if preset.control])
def test_a_control_has_as_many_parameters_and_no_recurrence(preset: str) -> None:
    from reunet.networks import build_network
    from reunet.networks.controls import control_of, count_parameters
    from reunet.networks.recurrence import Recurrence

    levels = len(PRESETS[preset].fields["filters"])
    config = configure(
        preset,
        in_channels=1,
        heads=({"channels": 2},),
        filters=tuple((24 if levels < 3 else 8) * 2**i for i in range(levels)),
    )
    control = control_of(config)
    assert count_parameters(control) == pytest.approx(count_parameters(config), rel=0.01)
    assert control.time == config.time
    assert control.block != "recurrent"
    assert not any(isinstance(layer, Recurrence) for layer in build_network(control).layers)


def test_gru_sweeps_have_the_weights_of_one_convolution() -> None:
    """Two axes, two directions, three gates of half the width: 4 * 3 * f/2 * (f + f/2) = 9 f^2."""
    from reunet.networks.controls import count_parameters

    tiny = {"in_channels": 1, "heads": ({"channels": 2},), "filters": (8, 16), "normalisation": "none"}
    sweep, conv = (
        count_parameters(configure("cnn_rnn_unet", bottleneck=b, recurrence={"gain": None}, **tiny))
        for b in ("sweep", "conv")
    )
    assert sweep - conv == 12 * 8 - 16  # only the biases differ
