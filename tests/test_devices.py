"""Where frameworks compute, and why not on a GPU: told from the driver and from what is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reunet
from reunet import devices, machine
from reunet.errors import BackendError, UsageError
from reunet.machine import Gpu

AMPERE = Gpu("NVIDIA A100", 40 * 2**30, 8.0, "570.10")
TURING = Gpu("Tesla T4", 16 * 2**30, 7.5, "570.10")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that there is a GPU, and that these packages are installed."""

    def pretend(gpu: Gpu | None = AMPERE, system: str = "Linux", **versions: str) -> None:
        for name in devices.HIDING:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("reunet.devices.gpu", lambda: gpu)
        monkeypatch.setattr("reunet.devices.platform.system", lambda: system)
        monkeypatch.setattr("reunet.devices._version", lambda name: versions.get(name.replace("-", "_")))

    return pretend


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ("NVIDIA H100, PCIe, 81559, 9.0, 550.54.15\nTesla T4, 1, 7.5, 5\n", ("NVIDIA H100, PCIe", 9.0)),
        ("No devices were found\n", None),
        ("", None),
        ('Field "compute_cap" is not a valid field to query.\n', None),
    ],
)
def test_the_driver_is_asked_for_the_gpu(
    answer: str, known: tuple[str, float] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert "name,memory.total,compute_cap,driver_version" in command[1]
        return subprocess.CompletedProcess(command, 0, answer, "")

    monkeypatch.setattr(machine.shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr(machine.subprocess, "run", run)
    machine.gpu.cache_clear()
    found = machine.gpu()
    machine.gpu.cache_clear()
    assert (None if found is None else (found.name, found.capability)) == known
    if found is not None:
        assert found.memory_bytes == 81559 * 2**20


@pytest.mark.parametrize(
    ("facts", "backend", "why"),
    [
        ({"gpu": None}, "jax", "no NVIDIA driver answers"),
        ({"system": "Windows", "jax_cuda12_plugin": "0.10.2"}, "jax", "no GPU build for Windows"),
        ({}, "jax", "computes on the CPU only"),
        ({"torch": "2.13.0+cpu"}, "torch", "computes on the CPU only"),
        ({"tensorflow_cpu": "2.21.0"}, "tensorflow", "computes on the CPU only"),
        ({"jax_cuda12_plugin": "0.10.2"}, "jax", None),
        ({"jax_cuda13_plugin": "0.10.2"}, "jax", None),
        ({"torch": "2.13.0"}, "torch", None),
        ({"torch": "2.13.0+cu129", "system": "Windows"}, "torch", None),
    ],
)
def test_why_a_backend_computes_on_no_gpu(
    facts: dict[str, Any], backend: Any, why: str | None, here: Callable[..., None]
) -> None:
    here(**facts)
    found = devices.obstacle(backend)
    assert (found is None) if why is None else (found is not None and why in found[0])


@pytest.mark.parametrize(("name", "value"), [("CUDA_VISIBLE_DEVICES", ""), ("JAX_PLATFORMS", "cpu")])
def test_a_gpu_that_is_hidden_is_told(
    name: str, value: str, here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    here(jax_cuda12_plugin="0.10.2")
    monkeypatch.setenv(name, value)
    assert name in (devices.obstacle("jax") or ("",))[0]


def test_a_gpu_that_cannot_be_had_is_an_error_that_says_why(here: Callable[..., None]) -> None:
    here(tensorflow_cpu="2.21.0")
    with pytest.raises(BackendError) as caught:
        devices.choose_device("gpu", "jax")
    assert "computes on the CPU only" in str(caught.value)
    assert '".[gpu]"' in str(caught.value.fix)
    assert devices.choose_device("auto", "jax") == "cpu"
    here(jax_cuda12_plugin="0.10.2")
    assert devices.choose_device("auto", "jax") == devices.choose_device("gpu", "jax") == "gpu"


def test_what_is_chosen_and_then_not_seen_is_an_error(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    here(jax_cuda12_plugin="0.10.2")
    monkeypatch.setattr("reunet.devices.seen", list)
    devices.check_seen("cpu")
    with pytest.raises(BackendError, match="sees no GPU"):
        devices.check_seen("gpu")


@pytest.mark.keras
def test_this_machine_has_what_its_frameworks_see(backend: str) -> None:
    assert (devices.obstacle(backend) is None) or devices.seen() == []  # type: ignore[arg-type]


def test_a_process_that_is_to_use_the_cpu_hides_every_gpu(child_environment: dict[str, str]) -> None:
    script = (
        "import os; from reunet.devices import choose_device; choose_device('cpu', 'jax');"
        "print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['JAX_PLATFORMS'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], env=child_environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["-1", "cpu"]


@pytest.mark.keras
def test_a_framework_that_computes_on_a_gpu_already_cannot_be_told_otherwise(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras  # noqa: F401

    before = dict(os.environ)
    devices.choose_device("cpu", backend)  # it sees none: nothing is to be done
    assert dict(os.environ) == before
    monkeypatch.setattr("reunet.devices.seen", lambda: ["gpu:0"])
    with pytest.raises(UsageError, match="loaded in this process"):
        devices.choose_device("cpu", backend)


def test_the_doctor_says_what_is_used_and_why_not(here: Callable[..., None]) -> None:
    here(tensorflow_cpu="2.21.0", torch="2.13.0+cpu", jax_cuda12_plugin="0.10.2")
    assert devices.use_of("jax").startswith("installed, computes on the GPU, NVIDIA A100 (40.0 GiB")
    told = devices.use_of("tensorflow")
    assert "computes on the CPU: what is installed of tensorflow" in told
    assert '".[gpu]"' in told
    assert "jax: installed, computes on the GPU" in reunet.doctor() or not find_spec("jax")


@pytest.mark.parametrize(("gpu", "precision"), [(AMPERE, "bfloat16"), (TURING, "float32")])
def test_precision_and_memory_are_planned_for_the_device(
    gpu: Gpu, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.planning.request import PlanRequest
    from reunet.planning.rules import choose_precision

    monkeypatch.setattr("reunet.devices.gpu", lambda: gpu)
    monkeypatch.setattr("reunet.planning.rules.gpu", lambda: gpu)
    request = PlanRequest(backend="jax", device="gpu")
    assert choose_precision(request).value == precision
    assert request.memory == int(0.7 * gpu.memory_bytes)
    assert PlanRequest(backend="jax", max_memory=10**9, device="gpu").memory == 10**9


def test_prediction_on_a_gpu_that_is_not_there_says_why(tiny_run: Path) -> None:
    image = np.zeros((40, 40), np.uint8)
    with pytest.raises(BackendError, match="cannot compute on a GPU here"):
        reunet.load(tiny_run, device="gpu")
    with pytest.raises(UsageError, match="onnx engine predicts on the CPU"):
        reunet.load(tiny_run, engine="onnx", device="gpu")
    with pytest.raises(BackendError, match="OpenVINO sees no GPU"):
        reunet.load(tiny_run, engine="openvino", device="gpu")
    with pytest.raises(UsageError, match="device"):
        reunet.load(tiny_run, device="gpus")
    assert reunet.load(tiny_run, device="cpu")(image).labels.shape == (40, 40)


@pytest.mark.keras
def test_on_a_gpu_the_network_itself_predicts(
    tiny_run: Path, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.devices.gpu", lambda: AMPERE)
    monkeypatch.setattr("reunet.devices.obstacle", lambda name: None)
    monkeypatch.setattr("reunet.devices.seen", lambda: ["gpu:0"])
    model = reunet.load(tiny_run, device="gpu")
    assert model.predictor.runtime.name == "keras"
    with pytest.raises(UsageError, match="predicts in f32"):
        reunet.load(tiny_run, device="gpu", precision="int8")


@pytest.mark.keras
def test_a_batch_that_is_too_much_for_the_device_is_predicted_in_parts(
    tiny_run: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    model = reunet.load(tiny_run, engine="keras")
    runtime = model.predictor.runtime
    tiles = np.random.default_rng(0).normal(size=(3, 32, 32, 1)).astype(np.float32)
    expected, real, sizes = runtime(tiles), keras.Model.predict_on_batch, list[int]()

    def short(self: Any, images: np.ndarray) -> Any:
        sizes.append(len(images))
        if len(images) > most:
            raise MemoryError
        return real(self, images)

    monkeypatch.setattr(keras.Model, "predict_on_batch", short)
    most = 1
    found = runtime(tiles)
    np.testing.assert_allclose(found["semantic"], expected["semantic"], atol=1e-5)
    assert max(sizes) == 4
    most = 0
    with pytest.raises(BackendError, match="one tile needs more memory"):
        runtime(tiles)
