"""ONNX Runtime on the CPU: another engine for a finished run, from the same graph as OpenVINO's."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra, import_openvino
from reunet.inference.onnx_graph import onnx_model
from reunet.inference.openvino_runtime import AFTER
from reunet.inference.runtime import StateShapes, StepRuntime
from reunet.inference.signature import Shape, explained


def is_installed() -> bool:
    """Whether this engine can be used here; nothing is imported."""
    return all(importlib.util.find_spec(name) is not None for name in ("onnx", "onnxruntime"))


class ONNXRuntime(StepRuntime):
    """A network in float32; any number of tiles per call.

    model: the .xml file of an exported engine, which is translated when it is opened. threads: that it may
    use; None for all. Raises BackendError for missing packages, ModelFileError when the file cannot be used.
    """

    name = "onnx"
    precision = "f32"

    def __init__(self, model: Path, threads: int | None = None) -> None:
        onnxruntime = import_extra("onnxruntime", "onnx", "--engine")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or 0
        with explained(model):
            graph = import_openvino().Core().read_model(model)
            self._session = onnxruntime.InferenceSession(
                onnx_model(graph).SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        self._model, self._outputs = model, [port.name for port in self._session.get_outputs()]
        self.inputs = {port.name: _sides(port) for port in self._session.get_inputs()}
        self.outputs = {port.name.removesuffix(AFTER): _sides(port) for port in self._session.get_outputs()}
        self.states: StateShapes = {name: shape for name, shape in self.inputs.items() if name != "image"}

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        inputs = {"image": np.asarray(batch, np.float32), **states}
        with explained(self._model):
            found = self._session.run(self._outputs, inputs)
        return {name.removesuffix(AFTER): x for name, x in zip(self._outputs, found, strict=True)}


def _sides(port: Any) -> Shape:
    """Without the batch; -1 where a side is not fixed."""
    return tuple(side if isinstance(side, int) else -1 for side in port.shape)[1:]
