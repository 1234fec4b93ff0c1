"""Predict a TIFF with the sliding window of MONAI or nnU-Net, in an environment of its own: whole_path.py.

python benchmarks/sliding_window_run.py monai|nnunet IMAGE OUTPUT
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import tifffile
import torch
from torch import nn
from torch_unet import UNet

SIZE = 256


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
    network = UNet("batch").eval()
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
