"""OpenVINO: the engine of a finished run, without any training framework."""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from reunet.backend import import_openvino
from reunet.errors import BackendError
from reunet.inference.runtime import StateShapes, StepRuntime
from reunet.inference.signature import Shape, check_work, explained

AFTER = "_after"
"""Ending of the name of a state among the outputs: in a graph every name is there once."""


def native_bf16() -> bool:
    """Whether this CPU computes bfloat16 in hardware (AVX512-BF16 or AMX).

    OpenVINO lists the capability and prefers the precision exactly where it is faster than float32.
    """
    ov = import_openvino()
    core = ov.Core()
    preferred = core.get_property("CPU", "INFERENCE_PRECISION_HINT")
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") and preferred == ov.Type.bf16


class OpenVINORuntime(StepRuntime):
    """A network compiled for one tile size; any number of tiles per call, spread over the cores. Threads may
    share it.

    Parameters
    ----------
    model: the .xml file of an exported engine, dynamic in batch and the axes of space.
    tile: size of the tiles, frames first of windows of them; a static shape is faster than a dynamic one.
    precision: `f32`, `bf16`, or `int8` for a model that was quantised, what is left in it of real numbers
        being bf16 where the CPU has it. It is always set: OpenVINO's own default depends on the machine.
    threads: where other processes predict on this machine too; None for all cores.
    device: `CPU`, or `GPU` where OpenVINO sees one.

    Raises ModelFileError when the file cannot be used, BackendError for bf16 on a CPU without it.
    """

    name = "openvino"

    def __init__(
        self,
        model: Path,
        tile: tuple[int, ...],
        precision: str = "f32",
        threads: int | None = None,
        device: str = "CPU",
    ) -> None:
        ov = import_openvino()
        if precision == "bf16" and not native_bf16():
            raise BackendError(
                "this CPU has no bfloat16 arithmetic",
                where="--precision",
                received="bf16",
                fix="use --precision f32 or auto",
            )
        self.precision, self._model = precision, model
        with explained(model):
            core = ov.Core()
            graph = core.read_model(model)
            graph.reshape({port: _static_shape(port, tile) for port in graph.inputs})
            check_work(graph, tile, model)
            hint = precision if precision != "int8" else "bf16" if native_bf16() else "f32"
            options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "THROUGHPUT"}
            if (
                threads is not None and device == "CPU"
            ):  # others are at work here: all of them would be pinned to the first cores
                options |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
            self._compiled = core.compile_model(graph, device, options)
            self.inputs = {port.get_any_name(): _sides(port) for port in self._compiled.inputs}
            self.outputs = {
                port.get_any_name().removesuffix(AFTER): _sides(port) for port in self._compiled.outputs
            }
            self._idle: SimpleQueue[Any] = SimpleQueue()
            for _ in range(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")):
                self._idle.put(self._compiled.create_infer_request())
        self.states: StateShapes = {name: shape for name, shape in self.inputs.items() if name != "image"}

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        inputs = {"image": batch, **states}
        results: list[list[np.ndarray]] = []
        # Threads share the requests: who has none waits for one, who has some goes on with these.
        held: deque[Any] = deque()
        try:
            for i in range(len(batch)):
                try:
                    held.append(self._idle.get(block=not held))
                except Empty:
                    results.append(self._result_of(held[0]))
                    held.rotate(-1)
                tile = {name: np.ascontiguousarray(x[i : i + 1], np.float32) for name, x in inputs.items()}
                with explained(self._model):
                    held[-1].start_async(tile)
            results.extend(map(self._result_of, held))
        finally:
            for request in held:
                with suppress(RuntimeError):
                    request.wait()
                self._idle.put(request)
        return {
            head: np.concatenate([values[position] for values in results])
            for position, head in enumerate(self.outputs)
        }

    def _result_of(self, request: Any) -> list[np.ndarray]:
        """The outputs for one tile, once they are there."""
        with explained(self._model):
            request.wait()
            return [tensor.data.copy() for tensor in request.output_tensors]


def _sides(port: Any) -> Shape:
    """Without the batch; -1 where a side is not fixed."""
    return tuple(-1 if side.is_dynamic else side.get_length() for side in port.partial_shape)[1:]


def _static_shape(port: Any, tile: tuple[int, ...]) -> list[int]:
    """One tile at a time; the states of a network with memory were exported for this tile already."""
    *_, channels = shape = [-1 if side.is_dynamic else side.get_length() for side in port.partial_shape]
    return [1, *(tile if port.get_any_name() == "image" else shape[1:-1]), channels]
