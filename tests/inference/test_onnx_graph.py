"""From OpenVINO graphs to ONNX ones: every network computes the same, unknown operations are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset16

from reunet.errors import BackendError
from reunet.inference.onnx_graph import onnx_model

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

CHILD = """
import os, sys
os.environ["KERAS_BACKEND"] = "openvino"
from pathlib import Path
import openvino as ov
from tests.networks.family import CASES, config_of, give_weights, image_for
from reunet.exporting.openvino_child import trace
from reunet.networks import build_network
for case in CASES if "all" in sys.argv else {cases}:
    config = config_of(case)
    network = build_network(config)
    give_weights(network)
    size = image_for(config).shape[1:-1] if config.fixed_when_exported else None
    ov.save_model(trace(network, size), Path(sys.argv[1], case + ".xml"), compress_to_fp16=False)
"""
FEW = ("unet valid", "nnunet residual", "mobile_unet", "attention_unet", "unet3_plus", "conv_gru_unet 3d")


@pytest.mark.parametrize("which", ["few", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.keras
def test_every_network_computes_the_same(
    which: str, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    from tests.networks.family import config_of, image_for

    root = Path(__file__).parents[2]
    environment = child_environment | {"PYTHONPATH": f"{root}:{root / 'src'}"}
    code = CHILD.format(cases=FEW)
    subprocess.run([sys.executable, "-c", code, str(tmp_path), which], check=True, env=environment)
    files = sorted(tmp_path.glob("*.xml"))
    assert len(files) >= len(FEW)
    for file in files:
        graph, image = ov.Core().read_model(file), image_for(config_of(file.stem), batch=1)
        compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        expected = compiled([image])["semantic"]
        session = ort.InferenceSession(onnx_model(graph).SerializeToString())
        (found,) = session.run(["semantic"], {"image": image})
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale, err_msg=file.stem)


def test_whole_numbers_are_divided_downwards() -> None:
    x, y = (opset16.parameter([-1], ov.Type.i32, name=name) for name in "xy")
    for node, name in ((x, "x"), (y, "y")):
        node.output(0).tensor.set_names({name})
    result = opset16.result(opset16.divide(x, y), name="quotient")
    graph = ov.Model([result], [x, y], "divide")
    graph.outputs[0].tensor.set_names({"quotient"})
    session = ort.InferenceSession(onnx_model(graph).SerializeToString())
    one = np.array([7, -7, 6, -6, 0, 16777217], np.int32)
    other = np.array([2, 2, -3, 3, 5, 1], np.int32)
    np.testing.assert_array_equal(session.run(None, {"x": one, "y": other})[0], one // other)


def test_an_operation_that_is_not_known_is_named() -> None:
    x = opset16.parameter([3], ov.Type.f32, name="x")
    graph = ov.Model([opset16.result(opset16.erf(x))], [x], "odd")
    with pytest.raises(BackendError, match="Erf"):
        onnx_model(graph)
