"""The part of the OpenVINO export that runs in its own process: `python -m reunet.export.openvino_child`.

Keras' openvino backend builds the graph while the model is called, whatever backend it was trained on
and without TensorFlow. The backend of a process is fixed once, hence the process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reunet.backend import import_openvino
from reunet.contracts.plan import Plan

if TYPE_CHECKING:
    import keras

ov = import_openvino()  # before Keras' backend does


def build_graph(plan: Plan, weights: Path) -> Any:
    """The network from (B, *space, C) to probabilities as an `openvino.Model`, all but C dynamic.

    Of a network with time: from a window of the plan's frames and tile, or, where it is causal, from one
    frame and the states it was left with to probabilities and states. There, and wherever else the graph has
    one size, only B is dynamic.
    Needs KERAS_BACKEND=openvino. Outputs are named after the heads and states.
    """
    from reunet.inference.keras_runtime import load_network
    from reunet.networks import probability_model

    model = probability_model(load_network(plan, weights), plan.network)
    return trace(model, plan.engine_input if plan.network.fixed_when_exported else None)


def trace(model: keras.Model, size: tuple[int, ...] | None = None) -> Any:
    """A Keras network as an `openvino.Model`. size: of the image between batch and channels if fixed."""
    from keras.src.backend.openvino.core import OpenVINOKerasTensor
    from openvino import opset16

    from reunet.export.layout import sink_transpositions
    from reunet.inference.openvino_runtime import AFTER

    wanted = model.input if isinstance(model.input, dict) else {"image": model.inputs[0]}
    sides: dict[str, tuple[int | None, ...]] = {name: tensor.shape for name, tensor in wanted.items()}
    if size is not None:
        sides["image"] = (None, *size, sides["image"][-1])
    parameters = {}
    for name, shape in sides.items():
        parameter = opset16.parameter(
            [-1 if side is None else side for side in shape], ov.Type.f32, name=name
        )
        parameter.output(0).tensor.set_names({name})
        parameters[name] = parameter
    inputs = {name: OpenVINOKerasTensor(parameter.output(0)) for name, parameter in parameters.items()}
    outputs: dict[str, Any] = model(
        inputs if isinstance(model.input, dict) else inputs["image"], training=False
    )
    results = [opset16.result(output.output, name=name) for name, output in outputs.items()]
    graph = ov.Model(results, list(parameters.values()), model.name)
    sink_transpositions(graph)
    for name, output in zip(outputs, graph.outputs, strict=True):
        output.tensor.set_names({name + AFTER if name in parameters else name})
    return graph


def main(plan: Path, weights: Path, output: Path) -> None:
    """Write the engine: `output` (.xml) and the .bin beside it, in float32."""
    ov.save_model(build_graph(Plan.read(plan), weights), output, compress_to_fp16=False)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
