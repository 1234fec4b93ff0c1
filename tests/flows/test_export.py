"""`reunet export`: each format gives what `reunet predict` gives, by its example and without reunet."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.errors import BackendError, ModelFileError, StorageError, UsageError
from reunet.exporting.formats import FORMATS, Run
from reunet.flows.export import export
from reunet.flows.predict.predict import predict

pytestmark = pytest.mark.usefixtures("backend")  # files are made in a process of their own
EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "saved_model": "tensorflow",
    "litert": "ai_edge_litert",
    "bioimageio": "onnxruntime",
}
MOST_DIFFERING_PPM = 200
"""Of the pixels of a mask: some lie as good as on the threshold."""


def need(form: str) -> None:
    pytest.importorskip(NEEDS[form], exc_type=ImportError)
    if form in ("litert", "saved_model"):
        pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def masks(
    tiny_run: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, np.ndarray]:
    """An image of several tiles and odd sides, and the masks that `reunet predict` writes."""
    folder = tmp_path_factory.mktemp("images")
    source = np.array(Image.open(next((tiny_dataset / "test" / "images").iterdir())))
    for number, size in enumerate([(91, 150)]):
        padded = np.pad(source, [(0, 90)] * 2, mode="symmetric")[: size[0], : size[1]]
        Image.fromarray(padded).save(folder / f"{number}.png")
    predict(tiny_run, folder, output=folder / "out", precision="f32")
    return {
        file: np.array(Image.open(folder / "out" / "masks" / file.name))
        for file in sorted(folder.glob("*.png"))
    }


@pytest.mark.parametrize(
    "form",
    [
        "onnx",
        "openvino",
        pytest.param("litert", marks=pytest.mark.slow),
        pytest.param("saved_model", marks=pytest.mark.slow),
    ],
)
def test_the_example_gives_the_mask_of_predict(
    form: str,
    tiny_run: Path,
    masks: dict[Path, np.ndarray],
    tmp_path: Path,
    child_environment: dict[str, str],
) -> None:
    need(form)
    result = export(tiny_run, format=form, output=tmp_path / "model")
    assert result.differ_ppm <= MOST_DIFFERING_PPM
    assert result.max_difference < 1e-4
    blocked = tmp_path / "blocked" / "reunet"  # what would be imported if an example needed it
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('reunet must not be needed')")
    environment = child_environment | {"PYTHONPATH": str(blocked.parent)}
    differ = pixels = 0
    for file, expected in masks.items():
        command = [
            sys.executable,
            EXAMPLES / f"run_{form}.py",
            tmp_path / "model",
            file,
            tmp_path / "mask.png",
        ]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        found = np.array(Image.open(tmp_path / "mask.png"))
        assert found.shape == expected.shape
        differ += np.count_nonzero(found != expected // 255 if expected.max() > 1 else found != expected)
        pixels += found.size
    print(f"{form}: {1e6 * differ / pixels:g} of a million pixels differ")
    assert 1e6 * differ / pixels <= MOST_DIFFERING_PPM


def test_what_the_file_is_lies_in_it(tiny_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    export(tiny_run, format="onnx", output=tmp_path / "model.onnx")
    properties = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    facts = json.loads(properties["metadata.json"])
    assert facts["outputs"].keys() == {"semantic", "mask"}
    assert "What the caller must do" in properties["README.md"]
    assert str(tiny_run) not in json.dumps(properties), "no absolute paths"


JAVA_TYPES = {"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float16", "float32", "float64"}


def test_the_package_follows_the_rules_of_deepimagej(tiny_run: Path, tmp_path: Path) -> None:
    """As its source tells them (deepImageJ 3.1 with JDLL 0.6): ONNX Runtime 1.12 or 1.13, axes b, t, z, y, x
    and c, channels by name, nothing of its own before and after the model, any size of image.
    """
    need("bioimageio")
    onnx = pytest.importorskip("onnx")
    package = tmp_path / "model.zip"
    export(tiny_run, format="bioimageio", output=package)
    with zipfile.ZipFile(package) as archive:
        told = json.loads(archive.read("rdf.yaml"))
        model = onnx.load_model_from_string(archive.read("model.onnx"))
        names = set(archive.namelist())
        arrays = {name: np.load(archive.open(name)) for name in names if name.endswith(".npy")}
    assert model.ir_version <= 8
    assert (
        [entry.version for entry in model.opset_import] == [told["weights"]["onnx"]["opset_version"]] == [17]
    )
    ports = {entry.name for entry in (*model.graph.input, *model.graph.output)}
    for tensor in (*told["inputs"], *told["outputs"]):
        assert tensor["id"] in ports, "they are found by their names"
        assert "preprocessing" not in tensor
        assert "postprocessing" not in tensor
        test = arrays[tensor["test_tensor"]["source"]]
        assert str(test.dtype) == tensor["data"]["type"] in JAVA_TYPES
        kinds = {axis["type"]: axis for axis in tensor["axes"]}
        assert tensor["axes"][0] == {"type": "batch"}
        assert all(axis["id"] in "tzyx" for axis in tensor["axes"] if axis["type"] in ("space", "time"))
        if "channel" in kinds:
            assert len(kinds["channel"]["channel_names"]) == test.shape[-1]
    assert told["inputs"][0]["data"]["type"] == "float32", "to which it converts what it gives"
    sizes = [axis["size"] for axis in told["inputs"][0]["axes"] if axis["type"] == "space"]
    assert all(size == {"min": 1, "step": 1} for size in sizes), "an image up to 4096 x 4096 is one piece"


def test_states_stand_in_the_description_with_the_size_of_their_level() -> None:
    from reunet.exporting.bioimageio import description

    facts = {
        "dataset": "films", "network": "conv_gru_unet", "tasks": ["semantic"], "states": ["gru_state0"],
        "input": {"axes": "BHWC"}, "outputs": {"semantic": {"axes": "BHWC"}, "mask": {"axes": "BHW"}},
    }  # fmt: skip
    frame, state = np.zeros((1, 32, 32, 1), np.float32), np.zeros((1, 16, 16, 6), np.float32)
    outputs = {"semantic": frame, "mask": frame[..., 0], "gru_state0_after": state}
    files = [
        f"{kind}_{name}.npy" for kind in ("input", "output") for name in (*outputs, "image", "gru_state0")
    ]
    hashes = dict.fromkeys([*files, "model.onnx"], "0" * 64)
    told = description(facts, {"image": frame, "gru_state0": state}, outputs, hashes)
    sizes = {
        tensor["id"]: [axis["size"] for axis in tensor["axes"] if axis["type"] == "space"]
        for tensor in (*told["inputs"], *told["outputs"])
    }
    assert sizes["image"] == sizes["semantic"] == sizes["mask"] == [32, 32]
    assert sizes["gru_state0"] == sizes["gru_state0_after"] == [16, 16]


@pytest.mark.slow
def test_bioimageio_core_accepts_the_package(tiny_run: Path, tmp_path: Path) -> None:
    """Asked in a process of its own: it leaves files open."""
    need("bioimageio")
    package = tmp_path / "model.zip"
    export(tiny_run, format="bioimageio", output=package)
    with zipfile.ZipFile(package) as archive:
        assert {"rdf.yaml", "model.onnx", "README.md"} <= set(archive.namelist())
    loads = subprocess.run([sys.executable, "-c", "import bioimageio.core"], capture_output=True, check=False)
    if loads.returncode:  # it does not load beside a newer pydantic
        pytest.skip("bioimageio.core is not there, or cannot be loaded")
    script = "import sys; from bioimageio.core import test_model; print('is', test_model(sys.argv[1]).status)"
    command = [sys.executable, "-c", script, str(package)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is passed" in answer.stdout, answer.stdout + answer.stderr


def test_a_wrong_export_leaves_nothing(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FORMATS["openvino"]

    @contextmanager
    def wrong(path: Path) -> Iterator[Run]:
        with real.opened(path) as run:
            yield lambda inputs: {name: x + np.float32(0.01) for name, x in run(inputs).items()}

    monkeypatch.setitem(FORMATS, "openvino", replace(real, opened=wrong))
    with pytest.raises(BackendError, match="does not compute"):
        export(tiny_run, format="openvino", output=tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_an_operation_that_a_format_lacks_leaves_nothing(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    from reunet.inference import onnx_graph

    monkeypatch.delattr(onnx_graph._Translation, "on_maxpool")
    with pytest.raises(BackendError, match="MaxPool"):
        export(tiny_run, format="onnx", output=tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "meant"), [("ONNX", "onnx"), ("open-vino", "openvino"), ("tflite", "litert")]
)
def test_an_unknown_format_is_answered_with_the_known_ones(
    given: str, meant: str, tiny_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"did you mean .*{meant}"):
        export(tiny_run, format=given, output=tmp_path / "model")


def test_what_is_not_finished_is_not_exported(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "calibration.json").unlink()
    with pytest.raises(ModelFileError, match="has not finished"):
        export(run, format="openvino", output=tmp_path / "model")
    shutil.rmtree(run / "weights")
    with pytest.raises(ModelFileError):
        export(run, format="openvino", output=tmp_path / "model")
    with pytest.raises(ModelFileError, match="not a run"):
        export(tmp_path, format="openvino", output=tmp_path / "model")


def test_what_exists_stays(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("")
    with pytest.raises(StorageError, match="exists"):
        export(tiny_run, format="openvino", output=tmp_path / "model")
    with pytest.raises(StorageError, match="something else"):
        export(tiny_run, format="openvino", output=tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "mine.txt").exists()
