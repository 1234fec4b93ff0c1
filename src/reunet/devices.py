"""What a training framework computes on here: the processor, or an NVIDIA GPU, and why not on one.

All of it is told from the driver and from what is installed; `seen` alone imports the framework.
"""

import os
import platform
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Literal

from reunet.backend import BACKENDS, Backend, installed_backends
from reunet.errors import BackendError, UsageError, installing
from reunet.machine import gpu, memory_bytes

Device = Literal["cpu", "gpu"]

HIDING = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
"""Environment variables, and what keeps frameworks that are not loaded yet, also of child processes, from
every GPU.
"""
JAX_PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin")
ON_JAX = installing("gpu")


def obstacle(backend: Backend) -> tuple[str, str | None] | None:
    """Why a backend would not compute on a GPU here, and how to mend it; None where it would."""
    if gpu() is None:
        return "no NVIDIA driver answers (nvidia-smi)", "install the driver of the GPU, and restart"
    if platform.system() == "Windows" and backend != "torch":
        return f"{backend} has no GPU build for Windows", "install reunet in WSL2, where nvidia-smi works too"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        return f"CUDA_VISIBLE_DEVICES is {visible!r}: the GPU is hidden", "unset CUDA_VISIBLE_DEVICES"
    if backend == "jax" and os.environ.get("JAX_PLATFORMS", "") == "cpu":
        return "JAX_PLATFORMS is 'cpu': the GPU is hidden", "unset JAX_PLATFORMS"
    if is_cpu_build(backend):
        return f"what is installed of {backend} computes on the CPU only", ON_JAX
    return None


def is_cpu_build(backend: Backend) -> bool:
    """Whether the installed packages of a backend lack what computes on NVIDIA GPUs."""
    if backend == "jax":
        return not any(map(_version, JAX_PLUGINS))
    if backend == "torch":
        version = _version("torch") or "+cpu"
        return version.endswith("+cpu") or (platform.system() != "Linux" and "+cu" not in version)
    return _version("tensorflow") is None or find_spec("nvidia") is None


def choose_device(wanted: str, backend: Backend) -> Device:
    """What `backend`, which is not loaded yet, is to compute on: `wanted`, or a GPU where it can.

    With `cpu` GPUs are hidden from this process and its children. Raises BackendError for a GPU that cannot
    be used, and UsageError for the CPU where the framework is loaded already and has a GPU.
    """
    if wanted == "cpu":
        _hide(backend)
        return "cpu"
    hindered = obstacle(backend)
    if wanted == "gpu" and hindered is not None:
        why, fix = hindered
        if (other := able_backend()) is not None:
            fix = f"give --backend {other}, which can"
        raise BackendError(
            f"{backend} cannot compute on a GPU here", where="--device gpu", received=why, fix=fix
        )
    return "cpu" if hindered else "gpu"


def able_backend(first: Backend | None = None) -> Backend | None:
    """A backend that computes on a GPU here: the one that is loaded, else `first`, else another that is
    installed; None without.
    """
    if gpu() is None:
        return None
    installed = installed_backends()
    if "keras" in sys.modules:
        loaded = sys.modules["keras"].backend.backend()
        installed = tuple(name for name in installed if name == loaded)
    ordered = sorted(installed, key=lambda name: name != first)
    return next((name for name in ordered if obstacle(name) is None), None)


def seen() -> list[str]:
    """The GPUs that the framework under Keras sees; it is imported."""
    keras = import_module("keras")
    if keras.backend.backend() == "torch":
        return [f"gpu:{i}" for i in range(import_module("torch").cuda.device_count())]
    try:
        return [str(name) for name in keras.distribution.list_devices("gpu")]
    except RuntimeError:  # JAX raises where there is none
        return []


def check_seen(device: Device) -> None:
    """Raise BackendError where a GPU was chosen that the framework, once loaded, does not see."""
    if device == "gpu" and not seen():
        raise BackendError(
            "the training framework sees no GPU",
            where="--device gpu",
            received=f"the driver tells of {gpu()}",
            fix="a driver that is too old for the installed CUDA packages is the usual cause: update it; "
            "or give --device cpu",
        )


def memory_of(device: Device) -> int | None:
    """Bytes that a training may use there at most; None where nothing tells."""
    found = gpu()
    return memory_bytes() if device == "cpu" or found is None else found.memory_bytes


def use_of(backend: Backend) -> str:
    """Which device a backend computes on here, and why not on a GPU: for `reunet doctor`."""
    hindered = obstacle(backend)
    if hindered is None:
        return f"installed, computes on the GPU, {gpu()}"
    why, fix = hindered
    return f"installed, computes on the CPU: {why}" + (f"; {fix}" if fix and gpu() is not None else "")


def _hide(backend: Backend) -> None:
    if {"keras", *BACKENDS}.isdisjoint(sys.modules):
        os.environ.update(HIDING)
    elif "keras" in sys.modules and seen():
        raise UsageError(
            f"{backend} is loaded in this process and computes on a GPU already",
            where="--device cpu",
            fix="start a new Python process, and give the device to its first call",
        )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
