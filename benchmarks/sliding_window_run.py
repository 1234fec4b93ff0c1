"""Predict a TIFF with the sliding window of MONAI or nnU-Net, in an environment of its own: whole_path.py.

python benchmarks/sliding_window_run.py monai|nnunet IMAGE OUTPUT
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise

import numpy as np
import tifffile
import torch
from torch import nn

FILTERS = (16, 32, 64, 128, 256)
SIZE = 256


def block(channels: int, filters: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, filters):
        convolution = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """The network of standard_run.py."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(block(a, b) for a, b in pairwise((3, *FILTERS)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * f, f, 2, stride=2) for f in FILTERS[-2::-1])
        self.join = nn.ModuleList(block(2 * f, f) for f in FILTERS[-2::-1])
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(FILTERS[0], 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for i, down in enumerate(self.down):
            x = down(self.pool(x) if i else x)
            skips.append(x)
        skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([skips.pop(), up(x)], 1))
        return self.head(x)


def monai(image: torch.Tensor, network: nn.Module) -> torch.Tensor:
    from monai.inferers import sliding_window_inference

    return sliding_window_inference(image[None], (SIZE, SIZE), 8, network, overlap=0.25, mode="gaussian")[0]


def nnunet(image: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """nnU-Net's predictor with its own step of half a tile replaced by the same three quarters; one tile at
    a time, as it does. It mirrors by default, which is off here.
    """
    from types import SimpleNamespace

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        tile_step_size=0.75,
        use_mirroring=False,
        device=torch.device("cpu"),
        perform_everything_on_device=False,
    )
    predictor.network = network
    predictor.configuration_manager = SimpleNamespace(patch_size=(SIZE, SIZE))
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=2)
    predictor.list_of_parameters, predictor.allowed_mirroring_axes = [], None
    return predictor.predict_sliding_window_return_logits(image[:, None])[:, 0]


def main() -> None:
    name, source, output = sys.argv[1:]
    network = UNet().eval()
    predict = {"monai": monai, "nnunet": nnunet}[name]
    with torch.inference_mode():
        predict(torch.zeros(3, 2 * SIZE, 2 * SIZE), network)  # everything is loaded
        began = time.perf_counter()
        pixels = tifffile.imread(source).astype(np.float32)
        pixels -= pixels.mean((0, 1))
        pixels /= pixels.std((0, 1))
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        del pixels
        labels = predict(image, network).argmax(0).to(torch.uint8).numpy()
        tifffile.imwrite(output, labels, compression="zlib")
        print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
