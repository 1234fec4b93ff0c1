"""Packages that may be missing, and the framework under Keras, which is chosen before Keras is imported."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any, Literal, get_args

from reunet.errors import BackendError

Backend = Literal["tensorflow", "jax", "torch"]

BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""In order of preference: TensorFlow trains fastest on a CPU (docs/benchmarks.md)."""


def import_extra(module: str, extra: str, where: object = None) -> Any:
    """A module that comes with one of reunet's extras.

    where: the option that asks for it. Raises BackendError with what to install where it is missing.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise BackendError(
            f"the package {module.partition('.')[0]} is not installed",
            where=where,
            fix=f'pip install "reunet[{extra}]"',
        ) from cause


def import_openvino() -> Any:
    """The module `openvino`, without its reports.

    On import OpenVINO tells its maker over the network that it was imported, through the package
    openvino_telemetry, where that can be imported. What is predicted here, and when, is nobody's business.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if not installed
    return importlib.import_module("openvino")


def installed_backends() -> tuple[Backend, ...]:
    """The backends that could be used here. Nothing is imported."""
    return tuple(name for name in BACKENDS if importlib.util.find_spec(name) is not None)


def choose_backend(wanted: str | None) -> Backend:
    """`wanted`, or the one Keras already runs on, or the first installed.

    Raises BackendError when it is not installed, or when this process loaded Keras on another one.
    """
    keras = sys.modules.get("keras")
    loaded = None if keras is None else str(keras.backend.backend())
    installed = installed_backends()
    name = wanted or loaded or next(iter(installed), None)
    chosen = next((backend for backend in installed if backend == name), None)
    if chosen is None or importlib.util.find_spec("keras") is None:
        raise BackendError(
            f"the backend {name} is not installed" if name else "no training framework is installed",
            where="--backend",
            expected=f"one of {', '.join(installed) or ', '.join(BACKENDS)}",
            received=name,
            fix=f'pip install "reunet[{name or "tensorflow"}]"',
        )
    if loaded not in (None, name):
        raise BackendError(
            "Keras is already loaded on another backend in this process",
            where="--backend",
            expected=loaded,
            received=name,
            fix="start a new Python process, or choose the backend that is loaded",
        )
    return chosen


def use_backend(name: str) -> None:
    """Make Keras run on `name` in this process; call before anything imports Keras."""
    choose_backend(name)
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = name
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up messages help nobody here


def use_any_backend(preferred: Backend) -> None:
    """Make Keras run on `preferred` where it is installed, else on another one.

    For predictions: the same weights give the same network on each. A Keras that is loaded, or that the
    environment has chosen a backend for, stays as it is. Raises BackendError when there is none.
    """
    if "keras" not in sys.modules and "KERAS_BACKEND" not in os.environ:
        use_backend(preferred if preferred in installed_backends() else choose_backend(None))
