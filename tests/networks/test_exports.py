"""Every network of the family as an OpenVINO and as an ONNX graph gives what the network gives."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .family import CASES, REPRESENTATIVES, config_of, give_weights, image_for, numpy_of

pytestmark = pytest.mark.usefixtures("backend")
PROBE = Path(__file__).with_name("export_probe.py")
TOLERANCE = 1e-4


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """Within 1e-4 in float32, of logits whose size it is relative to where they are large."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, np.abs(expected).max()))


def write_cases(folder: Path, cases: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What the probe reads, and the logits it has to find."""
    from reunet.networks import build_network

    expected = {}
    for case in cases:
        config = config_of(case)
        network = build_network(config)
        give_weights(network)
        config.write(folder / f"{case}.json")
        network.save_weights(folder / f"{case}.weights.h5")
        image = image_for(config)
        np.save(folder / f"{case}.image.npy", image)
        expected[case] = numpy_of(network(image)["semantic"])
    return expected


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(REPRESENTATIVES, id="one of each slot"),
        pytest.param(tuple(CASES), id="all", marks=pytest.mark.slow),
    ],
)
def test_openvino(cases: tuple[str, ...], tmp_path: Path, child_environment: dict[str, str]) -> None:
    expected = write_cases(tmp_path, cases)
    subprocess.run([sys.executable, str(PROBE), str(tmp_path)], check=True, env=child_environment)
    for case, logits in expected.items():
        close(np.load(tmp_path / f"{case}.openvino.npy"), logits)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("case", CASES)
def test_onnx(case: str, backend: str, tmp_path: Path) -> None:
    if backend != "torch":
        pytest.skip("the ONNX graph is made from PyTorch's")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    import torch

    from reunet.networks import build_network

    config = config_of(case)
    image = image_for(config, batch=1)
    frames = None if config.time == "none" else image.shape[1]
    network = build_network(config, size=image.shape[-1 - config.spatial_dims : -1], frames=frames)
    give_weights(network)

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x, training=False)["semantic"]

    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(Logits(), (torch.tensor(image),), dynamo=True, verbose=False)
        expected = numpy_of(network(image)["semantic"])
    program.save(tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    close(session.run(None, {session.get_inputs()[0].name: image})[0], expected)
