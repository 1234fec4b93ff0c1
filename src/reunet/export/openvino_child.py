"""The part of the OpenVINO export that runs in its own process: `python -m reunet.export.openvino_child`.

Keras' openvino backend builds the graph while the model is called, whatever backend it was trained on
and without TensorFlow. The backend of a process is fixed once, hence the process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from reunet.contracts.plan import Plan


def build_graph(plan: Plan, weights: Path) -> Any:
    """The network from (B, *space, C) to probabilities as an `openvino.Model`, all but C dynamic.

    Needs KERAS_BACKEND=openvino. Outputs are named after the heads.
    """
    import openvino as ov
    from keras.src.backend.openvino.core import OpenVINOKerasTensor
    from openvino import opset16

    from reunet.export.layout import sink_transpositions
    from reunet.networks import build_network, probability_model

    network = build_network(plan.network)
    network.load_weights(weights)
    shape = [-1] * (plan.network.spatial_dims + 1) + [plan.network.in_channels]
    image = opset16.parameter(shape, ov.Type.f32, name="image")
    image.output(0).tensor.set_names({"image"})
    outputs: dict[str, Any] = probability_model(network, plan.network)(
        OpenVINOKerasTensor(image.output(0)), training=False
    )
    results = [opset16.result(output.output, name=head) for head, output in outputs.items()]
    graph = ov.Model(results, [image], plan.network.preset)
    sink_transpositions(graph)
    for head, output in zip(outputs, graph.outputs, strict=True):
        output.tensor.set_names({head})
    return graph


def main(plan: Path, weights: Path, output: Path) -> None:
    """Write the engine: `output` (.xml) and the .bin beside it, in float32."""
    import openvino as ov

    ov.save_model(build_graph(Plan.read(plan), weights), output, compress_to_fp16=False)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
