"""Named networks as data: a preset is a set of `NetworkConfig` fields, not a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reunet.contracts.network import NetworkConfig
from reunet.errors import known_name

WIDE = (64, 128, 256, 512, 1024)
LIGHT = (32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Preset:
    """A network by name.

    summary: one sentence. fields: what differs from `NetworkConfig`'s defaults. paper: where it is from.
    control: fields that take the recurrence out, for the network it is compared with at equal parameters;
    None for networks without one. differs: how it differs from what was published.
    """

    summary: str
    fields: Mapping[str, Any]
    paper: str
    control: Mapping[str, Any] | None = None
    differs: str = ""


PRESETS: dict[str, Preset] = {
    # Ronneberger et al. 2015 with padded convolutions; with padding="valid" it is the paper's own.
    "unet": Preset(
        "the plain U-Net",
        {"filters": WIDE, "normalisation": "none"},
        "Ronneberger, Fischer, Brox, MICCAI 2015, arXiv 1505.04597",
        differs="padded convolutions; padding 'valid' gives the paper's own",
    ),
    "unet3d": Preset(
        "the plain U-Net for volumes",
        {"filters": LIGHT, "spatial_dims": 3},
        "Çiçek et al., MICCAI 2016, arXiv 1606.06650",
        differs="both convolutions of a level have as many filters, and four levels down instead of three",
    ),
    "unet_2d_t": Preset(
        "the plain U-Net with time as one more axis: the control of the networks with memory",
        {"filters": LIGHT, "time": "axis", "normalisation": "instance"},
        "Çiçek et al., MICCAI 2016, arXiv 1606.06650, with time for depth",
    ),
    "resunet": Preset(
        "residual blocks with the activation before the convolution, strided",
        {"filters": (64, 128, 256, 512), "block": "pre_residual", "downsampling": "stride"},
        "Zhang, Liu, Wang, IEEE GRSL 2018, arXiv 1711.10684",
        differs="the first block too begins with normalisation; transposed convolutions go up",
    ),
    "attention_unet": Preset(
        "skips weighted by attention gates",
        {"filters": WIDE, "skip": "attention", "upsampling": "nearest_conv"},
        "Oktay et al., MIDL 2018, arXiv 1804.03999",
        differs="gates at every level, at the resolution of the skip, as in the popular port",
    ),
    "unet_plus_plus": Preset(
        "nested dense skips, with deep supervision",
        {"filters": LIGHT, "decoder": "nested", "deep_supervision": True},
        "Zhou et al., DLMIA 2018, arXiv 1807.10165",
    ),
    "unet3_plus": Preset(
        "every decoder level sees every scale, with deep supervision",
        {"filters": WIDE, "decoder": "full_scale", "deep_supervision": True},
        "Huang et al., ICASSP 2020, arXiv 2004.08790",
        differs="without the classification-guided module; the bottleneck is not supervised",
    ),
    "nnunet": Preset(
        "the network of nnU-Net: instance normalisation, leaky ReLU, strided convolutions",
        {
            "filters": LIGHT,
            "normalisation": "instance",
            "activation": "leaky_relu",
            "downsampling": "stride",
            "bias": True,
            "deep_supervision": True,
        },
        "Isensee et al., Nature Methods 2021",
        differs="with block 'residual' and `repeats` it has the residual encoder of nnU-Net's later presets",
    ),
    "mobile_unet": Preset(
        "depthwise separable convolutions, for CPUs and phones",
        {"filters": LIGHT, "block": "separable", "upsampling": "linear"},
        "blocks of Howard et al. 2017, arXiv 1704.04861",
    ),
    "cnn_rnn_unet": Preset(
        "the hybrid: recurrences that sweep over rows and columns add to the deepest features",
        {"filters": WIDE, "bottleneck": "sweep", "recurrence": {"cell": "gru", "gain": 0.0}},
        "ReNet sweeps (Visin et al. 2015, arXiv 1505.00393) in a U-Net, with the gains of ReZero",
        control={"bottleneck": "identity"},
        differs="the sweeps are beside the path; with recurrence.gain null they are the path, as published",
    ),
    "thinking_unet": Preset(
        "for what must be followed: features at half resolution, thought over for as long as it takes",
        {
            "filters": (24, 48),
            "bottleneck": "thinking",
            "recurrence": {"cell": "gru", "steps": 8},
            "normalisation": "none",
        },
        "the weight-tied recurrence with recall of Bansal et al., NeurIPS 2022, arXiv 2202.05826, in a U-Net",
        control={"bottleneck": "conv"},
        differs="a GRU for the residual blocks, at half resolution, between an encoder and a decoder",
    ),
    "reseg": Preset(
        "convolutions, two sweeps of GRUs, upsampling, softmax; no skips",
        {
            "filters": (64, 128, 256),
            "bottleneck": "sweep",
            "recurrence": {"cell": "gru", "units": 100, "layers": 2},
            "skip": "none",
            "decoder_block": "none",
            "upsampling": "transpose_norm",
            "normalisation": "none",
        },
        "Visin et al., CVPR workshops 2016, arXiv 1511.07053",
        control={"bottleneck": "conv"},
        differs="trained from scratch, where the paper starts from VGG-16 (encoder 'vgg16' does)",
    ),
    "r2unet": Preset(
        "recurrent convolutions in every block, residual",
        {"filters": WIDE, "block": "recurrent", "upsampling": "nearest_conv"},
        "Alom et al. 2018, arXiv 1802.06955",
        control={"block": "residual"},
        differs="one kernel for input and state, as in the popular port; two with recurrence.tied false",
    ),
    "attention_r2unet": Preset(
        "recurrent convolutions and attention gates",
        {"filters": WIDE, "block": "recurrent", "skip": "attention", "upsampling": "nearest_conv"},
        "R2U-Net (arXiv 1802.06955) with the gates of arXiv 1804.03999",
        control={"block": "residual"},
    ),
    "bcdu_net": Preset(
        "skip and decoder joined by a ConvLSTM in both directions, dense bottleneck",
        {
            "filters": (64, 128, 256, 512),
            "bottleneck": "dense",
            "skip": "recurrent",
            "recurrence": {"cell": "lstm"},
            "upsampling": "transpose_norm",
            "dropout": 0.5,
        },
        "Azad et al., ICCV workshops 2019, arXiv 1909.00166",
        control={"skip": "concat"},
        differs="both directions, summed, where the published code has one; any image size; "
        "bottleneck_blocks 3 is the variant D3; normalisation after every convolution",
    ),
    "conv_lstm_unet": Preset(
        "for time-lapse: a ConvLSTM before every block of the encoder",
        {
            "filters": (32, 64, 128, 256),
            "encoder": "recurrent",
            "recurrence": {"cell": "lstm", "kernel": 5},
            "upsampling": "linear",
            "time": "frames",
        },
        "Arbelle and Raviv, ISBI 2019, arXiv 1805.11247",
        control={"encoder": "plain"},
        differs="narrower: the paper has 128, 256, 256, 512 filters",
    ),
    "conv_gru_unet": Preset(
        "for video: half of the channels recur from frame to frame, at the bottleneck and in the decoder",
        {
            "filters": LIGHT,
            "bottleneck": "half_recurrence",
            "decoder": "half_recurrence",
            "recurrence": {"cell": "gru", "gain": 0.0},
            "time": "frames",
        },
        "the recurrent decoder of Lin et al., WACV 2022, arXiv 2108.11515, in a U-Net; the gains of ReZero",
        control={"bottleneck": "identity", "decoder": "plain"},
        differs="the memory is beside the path; with recurrence.gain null it is the path, as published",
    ),
    "leak_unet": Preset(
        "for video whose frames are not enough: what was seen is kept, until a gate lets new features in",
        {
            "filters": LIGHT,
            "bottleneck": "half_recurrence",
            "decoder": "half_recurrence",
            "recurrence": {"cell": "leak", "gain": 1.0, "share": 1.0},
            "time": "frames",
        },
        "conv_gru_unet with leaky integrators (Jaeger et al., Neural Networks 2007) of all channels",
        control={"bottleneck": "identity", "decoder": "plain"},
        differs="the leak is a gate of a GRU; no paper has this network",
    ),
    "slice_unet": Preset(
        "for stacks of thick slices: a U-Net per slice, then a ConvLSTM through the slices, both ways",
        {"filters": LIGHT, "decoder": "slices", "recurrence": {"cell": "lstm"}, "time": "frames"},
        "Chen et al., NeurIPS 2016, arXiv 1609.01006",
        control={"decoder": "plain"},
        differs="one U-Net where the paper has one per scale",
    ),
    "slice_gru_unet": Preset(
        "for stacks of thick slices: a U-Net per slice; minGRUs through the slices, both ways, add to it",
        {
            "filters": LIGHT,
            "decoder": "slices",
            "recurrence": {"cell": "min_gru", "gain": 0.0},
            "time": "frames",
        },
        "slice_unet with the cell of Feng et al. 2024, arXiv 2410.01201, and the gains of ReZero",
        control={"decoder": "plain"},
    ),
}


def configure(preset: str, **fields: Any) -> NetworkConfig:
    """The configuration of a preset with some fields set. Raises PlanError for unknown names or values."""
    chosen = PRESETS[known_name(preset, PRESETS, where="preset")]
    settings = {"preset": preset, **chosen.fields, **fields}
    if isinstance(settings.get("recurrence"), Mapping):
        settings["recurrence"] = {**chosen.fields.get("recurrence", {}), **settings["recurrence"]}
    if "strides" not in settings:
        over_time = (1,) if settings.get("time") == "axis" else ()
        stride = (*over_time, *(2,) * settings.get("spatial_dims", 2))
        settings["strides"] = (stride,) * (len(settings["filters"]) - 1)
    return NetworkConfig.parse(settings, where=f"network {preset}")
