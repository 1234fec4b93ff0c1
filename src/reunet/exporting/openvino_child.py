"""The part of the OpenVINO export that runs in its own process: `python -m reunet.exporting.openvino_child`.

Keras' openvino backend builds the graph while the model is called, whatever backend it was trained on
and without TensorFlow. The backend of a process is fixed once, hence the process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reunet.backend import import_openvino
from reunet.contracts.plan import Calibration, Plan

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


def build_pipeline(plan: Plan, weights: Path, calibration: Calibration) -> Any:
    """The whole prediction as an `openvino.Model`, see `pipeline`, for images of any size."""
    from reunet.exporting.pipeline import whole_prediction

    whole = whole_prediction(plan, weights, calibration)
    return graph_of(whole.function, whole.shapes, plan.network.preset)


def trace(model: keras.Model, size: tuple[int, ...] | None = None) -> Any:
    """A Keras network as an `openvino.Model`. size: of the image between batch and channels if fixed."""
    single = not isinstance(model.input, dict)
    wanted = {"image": model.inputs[0]} if single else model.input
    sides: dict[str, tuple[int | None, ...]] = {name: tensor.shape for name, tensor in wanted.items()}
    if size is not None:
        sides["image"] = (None, *size, sides["image"][-1])
    return graph_of(
        lambda inputs: model(inputs["image"] if single else inputs, training=False), sides, model.name
    )


def graph_of(
    function: Callable[[dict[str, Any]], Mapping[str, Any]],
    sides: Mapping[str, tuple[int | None, ...]],
    name: str,
) -> Any:
    """What `function` computes with Keras, from float32 inputs of these shapes by name to outputs by name."""
    from openvino import opset16

    from reunet.exporting.transpositions import sink_transpositions
    from reunet.inference.openvino_runtime import AFTER

    parameters = {}
    for port, shape in sides.items():
        parameter = opset16.parameter(
            [-1 if side is None else side for side in shape], ov.Type.f32, name=port
        )
        parameter.output(0).tensor.set_names({port})
        parameters[port] = parameter
    outputs = function({port: tensor_of(entry.output(0)) for port, entry in parameters.items()})
    results = [opset16.result(port_of(tensor), name=port) for port, tensor in outputs.items()]
    graph = ov.Model(results, list(parameters.values()), name)
    sink_transpositions(graph)
    for port, output in zip(outputs, graph.outputs, strict=True):
        output.tensor.set_names({port + AFTER if port in parameters else port})
    return graph


# The two functions below are all that is known here of the inside of Keras' openvino backend, which tells of
# neither in public. tests/exporting/test_openvino_child.py says what to do when a new Keras breaks them.


def tensor_of(port: Any) -> Any:
    """An output of a node of OpenVINO as a tensor of Keras."""
    from keras import ops

    return ops.convert_to_tensor(port)


def port_of(tensor: Any) -> Any:
    """The output of a node of OpenVINO that a tensor of Keras stands for."""
    return tensor.output


def main(plan: Path, weights: Path, output: Path, calibration: Path | None = None) -> None:
    """Write `output` (.xml) and the .bin beside it, in float32: the engine, which predicts tiles, or with a
    file of calibration the whole prediction.
    """
    read = Plan.read(plan)
    if calibration is None:
        graph = build_graph(read, weights)
    else:
        graph = build_pipeline(read, weights, Calibration.read(calibration))
    ov.save_model(graph, output, compress_to_fp16=False)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
