"""Where an engine predicts: on the processor, or on a GPU where one was asked for."""

from dataclasses import dataclass

from reunet.backend import import_openvino, use_backend
from reunet.contracts.plan import Plan
from reunet.devices import able_backend, check_seen, choose_device
from reunet.errors import BackendError, UsageError


@dataclass(frozen=True)
class Place:
    """An engine, and what OpenVINO calls the device."""

    engine: str
    device: str = "CPU"


def engine_on(device: str, engine: str, plan: Plan) -> Place:
    """The engine that predicts on `device`, of those that `engine` allows; where there is a choice, the
    network in Keras on a GPU that a framework can use, else OpenVINO on one of its own.

    device: `auto` leaves engines on the CPU, and Keras where its framework computes. Raises UsageError and
    BackendError where a device cannot be had.
    """
    if device == "cpu" and engine == "keras":
        choose_device("cpu", plan.backend)
    if device != "gpu":
        return Place(engine)
    if engine == "onnx":
        raise UsageError(
            "the onnx engine predicts on the CPU",
            where="--device gpu",
            fix="leave --engine out, or --device",
        )
    backend = able_backend(plan.backend)
    if engine in ("auto", "keras") and backend is not None:
        use_backend(backend)
        check_seen("gpu")
        return Place("keras")
    if engine == "keras":
        choose_device("gpu", plan.backend)  # which says why it cannot
    devices = import_openvino().Core().available_devices
    if not any(name.startswith("GPU") for name in devices):
        if engine == "auto":
            choose_device("gpu", plan.backend)
        raise BackendError(
            "OpenVINO sees no GPU of its own (Intel's)",
            where="--device gpu",
            received=f"its devices: {', '.join(devices)}",
            fix="leave --engine out: Keras predicts on NVIDIA GPUs" if backend else "leave --device out",
        )
    return Place("openvino", "GPU")
