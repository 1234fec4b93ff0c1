"""A run folder that was damaged or made to harm: every file, in every way, gives the result or an error that
says where. Nothing is computed without end, no memory is taken without measure, and no traceback is shown.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from reunet import load, train
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.run import RunFolder
from reunet.datasets.splits import Splits
from reunet.errors import CheckpointError, ModelFileError, ReunetError
from reunet.inference.openvino_runtime import OpenVINORuntime
from reunet.storage import sha256_file

ARCHIVE = Path(__file__).parents[1] / "files" / "run_0.1.0.zip"
JSON_FILES = ("plan.json", "calibration.json", "engine/engine.json", "weights/weights.json", "splits.json",
              "fingerprint.json", "environment.json")  # fmt: skip
FILES = (*JSON_FILES, "history.csv", "engine/model.xml", "engine/model.bin", "weights/best.weights.h5",
         "checkpoints/LATEST")  # fmt: skip
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "a bit": lambda content: bytes([*content[:-9], content[-9] ^ 4, *content[-8:]]),
    "no text": lambda content: b"\xff\xfe\x00" + content,
    "nothing": lambda content: b"null",
    "a list": lambda content: b"[]",
    "another object": lambda content: b'{"schema_version": 1}',
    "a later version": lambda content: content.replace(b'"schema_version": 1', b'"schema_version": 7'),
    "nested": lambda content: b"[" * 100_000,
    "a long number": lambda content: b'{"schema_version": 1, "batch": ' + b"9" * 5000 + b"}",
    "not a number": lambda content: b'{"schema_version": NaN}',
    "half a character": lambda content: b'{"schema_version": 1, "dataset": "\\ud800"}',
    "a table": lambda content: b"step,loss\n-1,x\n,\nnan,1e400\n",
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original / "finished", tmp_path / "run"))


def survives(use: Callable[[], object]) -> ReunetError | None:
    """The error that a use of a run gave, which names a place; None where it went well."""
    try:
        use()
    except ReunetError as caught:
        error = caught
    else:
        return None
    assert error.exit_code == 1
    assert error.where is not None or error.received is not None
    return error


def used(run: Path, name: str) -> None:
    """Read a run where a file of it is damaged, as predictions and evaluations do, without predicting."""
    folder = RunFolder(run)
    survives(lambda: load(run, engine="openvino", precision="f32"))
    if name in ("splits.json", "fingerprint.json", "history.csv"):
        survives(folder.history)
        survives(lambda: Splits.read(folder.splits_file))
        survives(lambda: Fingerprint.read(folder.fingerprint_file))
        survives(lambda: folder.verified_data(run / name))


@pytest.mark.parametrize("name", FILES)
def test_every_file_damaged_in_every_way(name: str, run: Path) -> None:
    file, content = run / name, (run / name).read_bytes()
    for damage in DAMAGES.values():
        file.write_bytes(damage(content))
        used(run, name)


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
@pytest.mark.parametrize("name", FILES)
def test_every_file_replaced_by_something_that_is_none(name: str, run: Path) -> None:
    file = run / name
    kinds: dict[str, Callable[[], object]] = {
        "missing": lambda: None,
        "a folder": file.mkdir,
        "a pipe": lambda: os.mkfifo(file),
        "an endless device": lambda: file.symlink_to("/dev/zero"),
        "a link to itself": lambda: file.symlink_to(file.name),
        "a link out": lambda: file.symlink_to("/etc/hostname"),
        "a large file": lambda: (file.touch(), os.truncate(file, 2**35)),
    }
    for make in kinds.values():
        shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
        make()
        used(run, name)


VALUES = (
    None,
    "x",
    "",
    -1,
    0,
    1.5,
    10**18,
    float("nan"),
    float("-inf"),
    [],
    {},
    [[1]],
    True,
    1e300,
    "9" * 5000,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON document."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def wrong_values(document: Any) -> Iterator[Any]:
    """The document with every value at every place, and with that place left out."""
    for path in places(document):
        for value in (*VALUES, KeyError):
            changed = json.loads(json.dumps(document))
            if not path:
                yield value if value is not KeyError else {}
                continue
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            if value is KeyError:
                del parent[path[-1]]
            else:
                parent[path[-1]] = value
            yield changed


@pytest.mark.parametrize("name", JSON_FILES[:4])
@pytest.mark.parametrize("count", [12, pytest.param(3000, marks=pytest.mark.slow)])
def test_every_value_of_another_type_or_size(count: int, name: str, run: Path) -> None:
    variants = list(wrong_values(json.loads((run / name).read_text())))
    chosen = np.random.default_rng(0).permutation(len(variants))[:count]
    for number in chosen:
        (run / name).write_text(json.dumps(variants[number]))
        survives(lambda: load(run, engine="openvino", precision="f32"))


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"strides": [[10**18, 10**18], [2, 2]]}},
        {"network": {"strides": [[64, 64], [64, 64]], "padding": "valid"}},
        {"network": {"filters": [4096, 4096, 4096]}},
        {"network": {"repeats": [10**9, 1, 1]}},
        {"inference": {"tile": [65536, 65536]}},
        {"inference": {"tile": [10**18, 10**18]}},
        {"inference": {"tile": [32, 32], "overlap": 0.9999999}},
        {"patch": [2**40, 2**40]},
        {"batch": 10**12},
    ],
)
def test_numbers_of_a_plan_are_bounded(changes: dict[str, Any], run: Path) -> None:
    """Each of these took hours or all memory."""
    plan = json.loads((run / "plan.json").read_text())
    for name, value in changes.items():
        plan[name] = {**plan[name], **value} if isinstance(value, dict) else value
    (run / "plan.json").write_text(json.dumps(plan))
    assert survives(lambda: load(run, engine="openvino")) is not None


# -- engines that are no networks of ours ----------------------------------------------------------


def test_an_engine_with_other_inputs_outputs_or_operations(run: Path) -> None:
    import openvino as ov
    from openvino import opset16

    def replace_by(outputs: int = 2, name: str = "semantic", side: int = 1, wide: int = 0) -> None:
        image = opset16.parameter([-1, -1, -1, side], ov.Type.f32, name="image")
        found = opset16.concat(
            [opset16.sigmoid(opset16.reduce_mean(image, [3], keep_dims=True))] * outputs, 3
        )
        if wide:
            many = opset16.broadcast(
                opset16.reduce_mean(image, [0, 1, 2, 3]), np.array([wide, wide], np.int64)
            )
            found = opset16.add(found, opset16.reduce_mean(many, [0, 1]))
        found.output(0).tensor.set_names({name})
        file = run / "engine" / "model.xml"
        ov.save_model(ov.Model([found], [image], "made"), file, compress_to_fp16=False)
        facts = json.loads((run / "engine" / "engine.json").read_text())
        facts["files"] |= {part: sha256_file(file.with_name(part)) for part in ("model.xml", "model.bin")}
        (run / "engine" / "engine.json").write_text(json.dumps(facts))

    replace_by()
    load(run, engine="openvino", precision="f32")
    wrong: list[dict[str, Any]] = [{"outputs": 5}, {"name": "other"}, {"side": 4}, {"wide": 10**6}]
    for change in wrong:
        replace_by(**change)
        with pytest.raises(ModelFileError, match="engine of this run"):
            load(run, engine="openvino", precision="f32")


def test_an_engine_of_an_input_without_a_type_is_explained(tmp_path: Path) -> None:
    """It is compiled, and refuses to be asked."""
    shape = "<dim>-1</dim><dim>-1</dim><dim>-1</dim><dim>1</dim>"
    layer = (
        '<layer id="0" name="image" type="Parameter" version="opset1"><data shape="?,?,?,1" />'
        f'<output><port id="0" precision="FP32" names="other">{shape}</port></output></layer>'
    )
    file = tmp_path / "model.xml"
    file.write_text(f'<net name="small" version="11"><layers>{layer}</layers><edges></edges></net>')
    file.with_suffix(".bin").write_bytes(b"")
    with pytest.raises(ModelFileError, match="cannot be used"):
        OpenVINORuntime(file, (8, 8))


def test_an_engine_for_another_tile_is_explained(run: Path) -> None:
    runtime = OpenVINORuntime(run / "engine" / "model.xml", (32, 32))
    with pytest.raises(ModelFileError, match="cannot be used"):
        runtime(np.zeros((1, 30, 32, 1), np.float32))


# -- weights and checkpoints -----------------------------------------------------------------------


def recorded(run: Path) -> None:
    """Make the hash right again, as somebody would who wants to do harm."""
    facts = json.loads((run / "weights" / "weights.json").read_text())
    facts["sha256"] = sha256_file(run / "weights" / "best.weights.h5")
    (run / "weights" / "weights.json").write_text(json.dumps(facts))


def first_array(file: h5py.File) -> str:
    names: list[str] = []
    file.visititems(lambda name, entry: names.append(name) if isinstance(entry, h5py.Dataset) else None)
    return names[0]


def bomb(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")


def text(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    del file[name]
    file[name] = np.full(shape, b"text")


def link(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.ExternalLink("/etc/hostname", "/x")


def elsewhere(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def missing(file: h5py.File, name: str) -> None:
    del file[name]


def circle(file: h5py.File, name: str) -> None:
    file["circle"] = file["/"]


@pytest.mark.keras
@pytest.mark.parametrize("damage", [bomb, text, link, elsewhere, missing, circle])
def test_weights_that_are_not_numbers_of_their_size(
    damage: Callable[[h5py.File, str], None], run: Path
) -> None:
    with h5py.File(run / "weights" / "best.weights.h5", "r+") as file:
        damage(file, first_array(file))
    recorded(run)
    with pytest.raises(ModelFileError, match=r"weights\.h5"):
        load(run, engine="keras")


@pytest.mark.keras
def test_a_network_too_large_for_its_weights_is_not_built(run: Path) -> None:
    plan = json.loads((run / "plan.json").read_text())
    plan["network"]["filters"] = [1024, 2048, 2048][: len(plan["network"]["filters"])]
    (run / "plan.json").write_text(json.dumps(plan))
    facts = json.loads((run / "weights" / "weights.json").read_text())
    (run / "weights" / "weights.json").write_text(json.dumps(facts | {"network": plan["network"]}))
    with pytest.raises(ModelFileError, match="too small"):
        load(run, engine="keras")


@pytest.mark.slow
@pytest.mark.keras
def test_what_trains_on_from_a_damaged_run(run: Path, original: Path) -> None:
    """--resume and --init, with each file damaged in each way."""
    data = original / "discs"
    for name in FILES:
        for damage in DAMAGES.values():
            for kind in ("interrupted", "finished"):
                here = Path(shutil.copytree(original / kind, run.with_name("damaged")))
                content = (here / name).read_bytes() if (here / name).is_file() else b"0" * 100
                (here / name).parent.mkdir(exist_ok=True)
                (here / name).write_bytes(damage(content))
                if kind == "interrupted":
                    survives(lambda here=here: train(data, output=here, resume=True))
                else:
                    new = run.with_name("new")
                    survives(lambda here=here, new=new: train(data, output=new, init=here, steps=1))
                    shutil.rmtree(new, ignore_errors=True)
                shutil.rmtree(here)


def test_a_checkpoint_that_announces_more_than_the_model_has(tmp_path: Path) -> None:
    """A few kilobytes of zeros that would take gigabytes are not unpacked."""
    from reunet.training.checkpoint import _hash, load_checkpoint, save_checkpoint

    save_checkpoint(tmp_path, 3, {"a": np.zeros(10, np.float32)}, {"x": 1})
    folder = tmp_path / "00000003"
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**11,)}
    with (
        zipfile.ZipFile(folder / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
        member.write(b"\0" * 10**7)
    state = {"step": 3, "state": {"x": 1}, "sha256": _hash(folder / "arrays.npz", 3, {"x": 1})}
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="larger than"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("step", [None, "3", 4, [], 10**30, True])
def test_a_checkpoint_of_another_step(step: object, tmp_path: Path) -> None:
    from reunet.training.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(tmp_path, 3, {"a": np.zeros(10, np.float32)}, {"x": 1})
    file = tmp_path / "00000003" / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"step": step}))
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "content", ["step\nx\n", "step\n-1\n", "step,loss\n1,nan\n", "loss\n1\n", "step\n" + "9" * 5000 + "\n"]
)
def test_a_history_that_reunet_did_not_write(content: str, run: Path) -> None:
    (run / "history.csv").write_text(content)
    with pytest.raises(ModelFileError, match="line 2"):
        RunFolder(run).history()
