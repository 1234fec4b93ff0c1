"""The formats that a run is exported to: how each is built, run, and told what it is."""

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from reunet.backend import import_extra, import_openvino, require_extra
from reunet.contracts.run import RunFolder
from reunet.exporting.bioimageio import write_package
from reunet.exporting.child import open_child, run_child
from reunet.exporting.describe import readme
from reunet.inference.onnx_graph import onnx_model

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], dict[str, np.ndarray]]
OTHER = "use another --format, and report this with the output of `reunet doctor`"


@dataclass(frozen=True)
class Example:
    """Inputs and what the exported file made of them, by name."""

    inputs: Arrays
    outputs: Arrays


@dataclass(frozen=True)
class Format:
    """One format.

    is_folder: whether it is a folder or a file. build: writes the model of a run, whose weights are verified,
    at a path in an empty folder. opened: loads the model there, and gives what makes outputs of inputs. seal:
    adds metadata and README, and turns the model into what is published, whose path it returns.
    """

    is_folder: bool
    runs_with: str
    build: Callable[[RunFolder, Path], None]
    opened: Callable[[Path], AbstractContextManager[Run]]
    seal: Callable[[Path, dict[str, Any], str, Example], Path]


def build_openvino(run: RunFolder, folder: Path) -> None:
    """A folder with model.xml and model.bin."""
    folder.mkdir()
    run_child(
        "openvino", run.plan_file, run.weights_file, folder / "model.xml", run.calibration_file,
        task="the export to OpenVINO", fix=OTHER,
    )  # fmt: skip


@contextmanager
def open_openvino(folder: Path) -> Iterator[Run]:
    """What OpenVINO makes of inputs in float32."""
    core = import_openvino().Core()
    model = core.read_model(folder / "model.xml")
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    yield lambda inputs: {port.get_any_name(): np.array(x) for port, x in compiled(dict(inputs)).items()}


def build_onnx(run: RunFolder, file: Path) -> None:
    """One file, from the same graph as OpenVINO's."""
    import_extra("onnx", "onnx", "--format")  # says what is missing before the work
    graph = file.with_name("graph")
    build_openvino(run, graph)
    model = onnx_model(import_openvino().Core().read_model(graph / "model.xml"))
    file.write_bytes(model.SerializeToString())


@contextmanager
def open_onnx(file: Path) -> Iterator[Run]:
    """What ONNX Runtime makes of inputs on the CPU."""
    session = import_extra("onnxruntime", "onnx", "--format").InferenceSession(
        file, providers=["CPUExecutionProvider"]
    )
    names = [port.name for port in session.get_outputs()]
    yield lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def build_saved_model(run: RunFolder, folder: Path) -> None:
    """A folder as TensorFlow saves it, with one signature."""
    _run_tensorflow(run, folder, task="the export to a SavedModel")


def _run_tensorflow(run: RunFolder, *paths: Path, task: str) -> None:
    require_extra("tensorflow", "tensorflow", "--format")
    run_child(
        "tensorflow",
        "save",
        run.plan_file,
        run.weights_file,
        run.calibration_file,
        *paths,
        task=task,
        fix=OTHER,
    )


@contextmanager
def open_saved_model(folder: Path) -> Iterator[Run]:
    """What TensorFlow makes of inputs, in a process of its own."""
    given, found = folder.with_name("inputs.npz"), folder.with_name("outputs.npz")
    with open_child("tensorflow", "run", folder, given, found, task="running it", fix=OTHER) as ask:

        def run(inputs: Arrays) -> dict[str, np.ndarray]:
            np.savez(given, **cast(Any, inputs))
            ask("run")
            with np.load(found) as arrays:
                return dict(arrays)

        yield run


def build_litert(run: RunFolder, file: Path) -> None:
    """One file, converted from the SavedModel."""
    task = "the export to LiteRT: it may lack an operation of this network;"
    _run_tensorflow(run, file.with_name("saved_model"), file, task=task)


@contextmanager
def open_litert(file: Path) -> Iterator[Run]:
    """What the interpreter of LiteRT makes of inputs."""
    interpreter = import_extra("ai_edge_litert.interpreter", "litert", "--format").Interpreter(str(file))

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        for name, port in interpreter.get_signature_runner().get_input_details().items():
            interpreter.resize_tensor_input(port["index"], inputs[name].shape)
        return dict(interpreter.get_signature_runner()(**inputs))

    yield run


def seal_folder(folder: Path, facts: dict[str, Any], runs_with: str, example: Example) -> Path:
    """As files beside the model."""
    (folder / "metadata.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    (folder / "README.md").write_text(readme(facts, runs_with), encoding="utf-8")
    return folder


def seal_onnx(file: Path, facts: dict[str, Any], runs_with: str, example: Example) -> Path:
    """As properties of the model, which every viewer of ONNX files shows."""
    onnx = import_extra("onnx", "onnx", "--format")
    model = onnx.load(file)
    model.doc_string = readme(facts, runs_with)
    onnx.helper.set_model_props(model, {"metadata.json": json.dumps(facts), "README.md": model.doc_string})
    file.write_bytes(model.SerializeToString())
    return file


def seal_litert(file: Path, facts: dict[str, Any], runs_with: str, example: Example) -> Path:
    """As a zip archive behind the model, where LiteRT keeps what belongs to it: `unzip -l` lists it."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("metadata.json", json.dumps(facts, indent=2))
        archive.writestr("README.md", readme(facts, runs_with))
    return file


def seal_bioimageio(file: Path, facts: dict[str, Any], runs_with: str, example: Example) -> Path:
    """A package as bioimage.io defines it: the ONNX file, a description, a tested example."""
    model = seal_onnx(file, facts, runs_with, example)
    return write_package(model, facts, readme(facts, runs_with), example.inputs, example.outputs)


FORMATS = {
    "onnx": Format(False, "ONNX Runtime", build_onnx, open_onnx, seal_onnx),
    "openvino": Format(True, "OpenVINO", build_openvino, open_openvino, seal_folder),
    "saved_model": Format(True, "TensorFlow", build_saved_model, open_saved_model, seal_folder),
    "litert": Format(False, "LiteRT (the package ai-edge-litert)", build_litert, open_litert, seal_litert),
    "bioimageio": Format(False, "bioimageio.core", build_onnx, open_onnx, seal_bioimageio),
}
