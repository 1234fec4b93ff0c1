"""The network of standard_run.py in PyTorch, plain and as the peers build it; its work, see worker.py.

Each network needs torch and the package of its peer, and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

FILTERS = (16, 32, 64, 128, 256)
CLASSES, SIDE = 2, 256
Step = Callable[[int], None]


class UNet(nn.Module):
    """Double convolutions, maximum pooling, 2x2 transposed convolutions, a 1x1 head.

    kind: of normalisation, `batch` or `instance`. (B, 3, H, W) to logits (B, 2, H, W).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.down = nn.ModuleList(block(a, b, kind) for a, b in pairwise((3, *FILTERS)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * f, f, 2, stride=2) for f in FILTERS[-2::-1])
        self.join = nn.ModuleList(block(2 * f, f, kind) for f in FILTERS[-2::-1])
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(FILTERS[0], CLASSES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for i, down in enumerate(self.down):
            x = down(self.pool(x) if i else x)
            skips.append(x)
        skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([skips.pop(), up(x)], 1))
        return self.head(x)


def block(channels: int, filters: int, kind: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, filters):
        normal = nn.BatchNorm2d(filters) if kind == "batch" else nn.InstanceNorm2d(filters, affine=True)
        layers += [nn.Conv2d(inputs, filters, 3, padding=1, bias=False), normal, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


KEPT: list[Any] = []


def with_torchvision() -> None:
    """Import torchvision, which timm does. Its wheels are often made for another torch; then operators
    are not there that no network here uses, and are named here instead.
    """
    while True:
        try:
            import torchvision  # noqa: F401
        except RuntimeError as cause:
            if (missing := re.search(r"torchvision::(\w+) does not exist", str(cause))) is None:
                raise
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            KEPT.append(torch.library.Library("torchvision", "FRAGMENT"))
            KEPT[-1].define(f"{missing[1]}(Tensor boxes) -> Tensor")
        else:
            return


def smp(kind: str, classes: int = CLASSES) -> nn.Module:
    """Its smallest encoder that is made for it; it has Batch Normalisation whatever `kind` says."""
    with_torchvision()
    import segmentation_models_pytorch

    return segmentation_models_pytorch.Unet(
        "resnet18", encoder_weights=None, decoder_channels=FILTERS[::-1], classes=classes
    )


def monai(kind: str) -> nn.Module:
    from monai.networks.nets import BasicUNet

    norm = ("instance", {"affine": True}) if kind == "instance" else "batch"
    return BasicUNet(2, 3, CLASSES, features=(*FILTERS, FILTERS[0]), norm=norm)


def nnunet(kind: str) -> nn.Module:
    """With its plans' convolutions with stride, biases and leaky ReLU."""
    with_torchvision()
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    count = len(FILTERS)
    return PlainConvUNet(
        3, count, FILTERS, nn.Conv2d, 3, (1, *(2,) * (count - 1)), 2, CLASSES, 2, conv_bias=True,
        norm_op=nn.InstanceNorm2d if kind == "instance" else nn.BatchNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True},
    )  # fmt: skip


NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    "plain": UNet,
    "smp": smp,
    "monai": monai,
    "nnunet": nnunet,
}


def facts(model: nn.Module, layout: torch.memory_format) -> dict[str, Any]:
    """What a network is and does with one image."""
    from torch.utils.flop_counter import FlopCounterMode

    image = torch.zeros(1, 3, SIDE, SIDE).contiguous(memory_format=layout)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(image)
    return {
        "parameters": sum(value.numel() for value in model.parameters()),
        "gflop": round(counter.get_total_flops() / 1e9, 3),
        "threads": torch.get_num_threads(),
    }


def prediction(network: str, kind: str, how: str = "") -> tuple[Step, dict[str, Any]]:
    """Probabilities of so many images.

    how: "" as it ships, `tuned` for bfloat16 and channels last, `compiled` for both and torch.compile.
    """
    layout = torch.channels_last if how else torch.contiguous_format
    model = nn.Sequential(NETWORKS[network](kind), nn.Softmax(1)).eval().to(memory_format=layout)
    told = facts(model, layout)
    run = torch.compile(model, dynamic=False) if how == "compiled" else model

    def step(batch: int) -> None:
        images = torch.randn(batch, 3, SIDE, SIDE).contiguous(memory_format=layout)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bool(how)):
            run(images).float()

    return step, told


def training(network: str, kind: str, how: str = "") -> tuple[Step, dict[str, Any]]:
    """A step of AdamW on the cross-entropy of so many images. how: as for `prediction`."""
    torch.manual_seed(0)
    layout = torch.channels_last if how else torch.contiguous_format
    model = NETWORKS[network](kind).to(memory_format=layout)
    told = facts(model, layout)
    model.train()
    run = torch.compile(model, dynamic=False) if how == "compiled" else model
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def step(batch: int) -> None:
        images = torch.randn(batch, 3, SIDE, SIDE).contiguous(memory_format=layout)
        labels = torch.randint(0, CLASSES, (batch, SIDE, SIDE))
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(how)):
            logits = run(images)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    return step, told


def product(dtype: str) -> tuple[Step, dict[str, Any]]:
    """A product of two square matrices of that many rows: the limit of the machine."""

    def step(rows: int) -> None:
        a, b = (torch.ones(rows, rows, dtype=getattr(torch, dtype)) for _ in range(2))
        a @ b

    return step, {"threads": torch.get_num_threads()}


def monai_window(image: torch.Tensor, network: nn.Module) -> torch.Tensor:
    from monai.inferers import sliding_window_inference

    return sliding_window_inference(image[None], (SIDE, SIDE), 8, network, overlap=0.25, mode="gaussian")[0]


def nnunet_window(image: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """nnU-Net's predictor with its own step of half a tile replaced by the same three quarters; one tile at
    a time, as it does. It mirrors by default, which is off here.
    """
    with_torchvision()
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        tile_step_size=0.75,
        use_mirroring=False,
        device=torch.device("cpu"),
        perform_everything_on_device=False,
    )
    predictor.network = network
    predictor.configuration_manager = SimpleNamespace(patch_size=(SIDE, SIDE))
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=CLASSES)
    predictor.list_of_parameters, predictor.allowed_mirroring_axes = [], None
    return predictor.predict_sliding_window_return_logits(image[:, None])[:, 0]


WINDOWS = {"monai": monai_window, "nnunet": nnunet_window}


def whole(network: str, image: str, output: str, told: str) -> None:
    """From a TIFF to a mask with the sliding window of a peer; its seconds without the start into `told`."""
    import tifffile

    model, window = UNet("batch").eval(), WINDOWS[network]
    with torch.inference_mode():
        window(torch.zeros(3, 2 * SIDE, 2 * SIDE), model)  # everything is loaded
        began = time.perf_counter()
        pixels = tifffile.imread(image).astype(np.float32)
        pixels -= pixels.mean((0, 1))
        pixels /= pixels.std((0, 1))
        labels = window(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))), model)
        tifffile.imwrite(output, labels.argmax(0).to(torch.uint8).numpy(), compression="zlib")
        Path(told).write_text(json.dumps({"seconds": time.perf_counter() - began}))


def first(network: str) -> None:
    """The first prediction in a process."""
    step, _ = prediction(network, "batch")
    step(1)


def train(data: str, output: str, minutes: float, seed: int) -> None:
    """smp's U-Net from scratch, tuned, with its Dice loss and cross-entropy; see pairs.py."""
    import pairs

    with_torchvision()
    from segmentation_models_pytorch.losses import DiceLoss

    torch.manual_seed(seed)
    model = smp("batch", pairs.classes(Path(data))).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    dice = DiceLoss("multiclass", ignore_index=pairs.IGNORE)

    def said(images: np.ndarray) -> torch.Tensor:
        given = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        with torch.autocast("cpu", torch.bfloat16):
            return model(given.contiguous(memory_format=torch.channels_last)).float()

    steps = 0
    for share, images, masks in pairs.batches(Path(data), minutes, seed):
        optimizer.param_groups[0]["lr"] = 5e-4 * (1 + np.cos(np.pi * share))
        logits, labels = said(images), torch.from_numpy(masks)
        loss = dice(logits, labels) + nn.functional.cross_entropy(logits, labels, ignore_index=pairs.IGNORE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
    model.eval()
    with torch.inference_mode():
        pairs.write_masks(Path(data), Path(output), steps, lambda x: said(x).permute(0, 2, 3, 1).numpy())
