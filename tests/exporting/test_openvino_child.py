"""What the export knows of the inside of Keras' openvino backend still holds."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

pytest.importorskip("keras")

CODE = """
import numpy as np
from openvino import Model, Type, compile_model, opset16
from reunet.exporting.openvino_child import port_of, tensor_of
from keras import ops

given = opset16.parameter([-1, 2], Type.f32)
doubled = ops.add(tensor_of(given.output(0)), 1.0) * 2.0
made = compile_model(Model([opset16.result(port_of(doubled))], [given]), "CPU")
np.testing.assert_allclose(made(np.ones((3, 2), np.float32))[0], np.full((3, 2), 4.0), rtol=1e-2)
"""


def test_keras_takes_and_gives_ports_of_openvino() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "KERAS_BACKEND": "openvino"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, (
        f"Keras {version('keras')} has changed its openvino backend. Read in its file "
        "keras/src/backend/openvino/core.py how an openvino.Output is wrapped, mend tensor_of and port_of "
        "in reunet/exporting/openvino_child.py; until then hold Keras below this version in pyproject.toml.\n"
        + answer.stderr
    )
