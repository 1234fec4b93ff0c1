"""The description of a model as bioimage.io defines it (rdf.yaml, format 0.5)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from reunet.export.formats import Example
from reunet.inference.onnx_graph import OPSET

SPACE = {"D": "z", "H": "y", "W": "x"}


def description(facts: dict[str, Any], example: Example, hashes: dict[str, str]) -> dict[str, Any]:
    """The content of rdf.yaml.

    facts: see `describe`. example: arrays that were put in and came out. hashes: sha256 of the files of the
    package by name. Authors, licence and citations are for those who publish it to add.
    """
    outputs = {name: entry["axes"] for name, entry in facts["outputs"].items()}
    inputs = {"image": facts["input"]["axes"]}
    return {
        "format_version": "0.5.4",
        "type": "model",
        "name": f"{facts['dataset']} {facts['network']}"[:128],
        "description": f"{', '.join(facts['tasks'])} with a {facts['network']} for {facts['dataset']}",
        "tags": ["unet", *facts["tasks"]],
        "documentation": "README.md",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": [
            _tensor(name, axes, example.inputs[name], f"input_{name}.npy", hashes)
            for name, axes in {**inputs, **dict.fromkeys(facts["states"], "")}.items()
        ],
        "outputs": [
            _tensor(name, outputs.get(name, ""), values, f"output_{name}.npy", hashes, is_output=True)
            for name, values in example.outputs.items()
        ],
        "weights": {"onnx": {"source": "model.onnx", "sha256": hashes["model.onnx"], "opset_version": OPSET}},
        "attachments": [],
    }


def _tensor(
    name: str,
    axes: str,
    values: np.ndarray,
    file: str,
    hashes: dict[str, str],
    *,
    is_output: bool = False,
) -> dict[str, Any]:
    return {
        "id": name,
        "axes": [_axis(letter, side, is_output) for letter, side in zip(axes, values.shape, strict=True)],
        "test_tensor": {"source": file, "sha256": hashes[file]},
        "data": {"type": str(values.dtype)},
    }


def _axis(letter: str, side: int, is_output: bool) -> dict[str, Any]:
    if letter == "B":
        return {"type": "batch"}
    if letter == "C":
        return {"type": "channel", "channel_names": [f"channel{i}" for i in range(side)]}
    if letter == "T":
        return {"type": "time", "id": "time", "size": side, "unit": None, "scale": 1.0}
    axis = SPACE[letter]
    size = {"tensor_id": "image", "axis_id": axis, "offset": 0} if is_output else {"min": 1, "step": 1}
    return {"type": "space", "id": axis, "size": size}
