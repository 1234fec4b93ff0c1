"""Run in a process of its own: build the graphs of a folder's cases on Keras' openvino backend, and run them.

python export_probe.py FOLDER, which holds for every case NAME its NAME.json, NAME.weights.h5, NAME.image.npy
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "openvino"

import numpy as np
import openvino as ov

from reunet.contracts.network import NetworkConfig
from reunet.exporting.openvino_child import trace
from reunet.networks import build_network


def main(folder: Path) -> None:
    for file in sorted(folder.glob("*.json")):
        config = NetworkConfig.read(file)
        network = build_network(config)
        network.load_weights(folder / f"{file.stem}.weights.h5")
        image = np.load(folder / f"{file.stem}.image.npy")
        graph = trace(network, image.shape[1:-1] if config.fixed_when_exported else None)
        compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        np.save(folder / f"{file.stem}.openvino.npy", compiled([image])["semantic"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
