"""A package as bioimage.io defines it: an ONNX file, its description (rdf.yaml, format 0.5), an example."""

import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from reunet.inference.onnx_graph import OPSET
from reunet.storage import sha256_file

Arrays = Mapping[str, np.ndarray]
SPACE = {"D": "z", "H": "y", "W": "x"}


def write_package(model: Path, facts: dict[str, Any], page: str, inputs: Arrays, outputs: Arrays) -> Path:
    """Write package.zip beside `model`, an ONNX file, and return it.

    facts: see `describe`. page: its README. inputs, outputs: arrays that were put in and came out, by name.
    Authors, licence and citations are for those who publish it to add.
    """
    parts = {"model.onnx": model, "README.md": model.with_name("README.md")}
    parts["README.md"].write_text(page, encoding="utf-8")
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for name, array in arrays.items():
            file = model.with_name(f"{kind}_{name}.npy")
            np.save(file, array)
            parts[file.name] = file
    hashes = {name: sha256_file(path) for name, path in parts.items()}
    package = model.with_name("package.zip")
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        told = description(facts, inputs, outputs, hashes)
        archive.writestr("rdf.yaml", json.dumps(told, indent=2))  # JSON is YAML
        archive.writestr("metadata.json", json.dumps(facts, indent=2))
        for name, path in parts.items():
            archive.write(path, name)
    return package


def description(
    facts: dict[str, Any], inputs: Arrays, outputs: Arrays, hashes: dict[str, str]
) -> dict[str, Any]:
    """The content of rdf.yaml. hashes: sha256 of the files of the package by name."""
    axes_of = {name: entry["axes"] for name, entry in facts["outputs"].items()}
    image, states = facts["input"]["axes"], facts["states"]
    given = {"image": image, **dict.fromkeys(states, image)}  # a state lies on its level of a frame

    def tensor(kind: str, name: str, axes: str, values: np.ndarray) -> dict[str, Any]:
        file = f"{kind}_{name}.npy"
        sides = zip(axes, values.shape, strict=True)
        return {
            "id": name,
            "axes": [_axis(letter, side, kind == "output", fixed=bool(states)) for letter, side in sides],
            "test_tensor": {"source": file, "sha256": hashes[file]},
            "data": {"type": str(values.dtype)},
        }

    return {
        "format_version": "0.5.4",
        "type": "model",
        "name": f"{facts['dataset']} {facts['network']}"[:128],
        "description": f"{', '.join(facts['tasks'])} with a {facts['network']} for {facts['dataset']}",
        "tags": ["unet", *facts["tasks"]],
        "documentation": "README.md",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": [tensor("input", name, axes, inputs[name]) for name, axes in given.items()],
        "outputs": [tensor("output", name, axes_of.get(name, image), x) for name, x in outputs.items()],
        "weights": {"onnx": {"source": "model.onnx", "sha256": hashes["model.onnx"], "opset_version": OPSET}},
        "attachments": [],
    }


def _axis(letter: str, side: int, is_output: bool, *, fixed: bool) -> dict[str, Any]:
    """fixed: the model is for one size, as that of its states is."""
    if letter == "B":
        return {"type": "batch"}
    if letter == "C":
        return {"type": "channel", "channel_names": [f"channel{i}" for i in range(side)]}
    if letter == "T":
        return {"type": "time", "id": "t", "size": side, "unit": None, "scale": 1.0}
    axis = SPACE[letter]
    size: Any = {"tensor_id": "image", "axis_id": axis, "offset": 0} if is_output else {"min": 1, "step": 1}
    if fixed:
        size = side
    return {"type": "space", "id": axis, "size": size}
