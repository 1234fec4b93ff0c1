"""What commands write beside the folders they were given, whom they talk to, and what libraries print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WATCH = """
import atexit, json, os, sys

log, allowed = os.environ["WATCH_LOG"], tuple(os.environ["WATCH_ALLOWED"].split(os.pathsep))

def told(*what):
    with_os = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(with_os, (json.dumps(what) + "\\n").encode())
    os.close(with_os)

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        told(event, repr(arguments))
    elif event == "open":
        path, mode, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and isinstance(path, (str, bytes)):
            path = os.path.abspath(os.fsdecode(path))
            if path != log and not path.startswith(allowed):
                told(event, path)
    elif event in ("os.mkdir", "os.rename"):
        path = os.path.abspath(os.fsdecode(arguments[0 if event == "os.mkdir" else 1]))
        if not path.startswith(allowed):
            told(event, path)

def sockets():
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{entry}").startswith("socket:"):
                told("socket", entry)
        except OSError:
            pass

sys.addaudithook(watch)
if os.path.isdir("/proc/self/fd"):
    atexit.register(sockets)
"""

ALLOWED = (".cache/reunet", ".cache/matplotlib", ".config/matplotlib")
"""What may be there in a home: our cache, in which Keras' is too, and the list of fonts of Matplotlib."""


@pytest.fixture
def watched(tmp_path: Path, child_environment: dict[str, str]) -> Callable[..., list[list[str]]]:
    """Runs Python in an empty home, its children too; all that it wrote elsewhere and all it talked to."""
    site, home = tmp_path / "site", tmp_path / "home"
    site.mkdir()
    home.mkdir()
    (site / "sitecustomize.py").write_text(WATCH)
    ours = [
        str(tmp_path / "work"),
        os.devnull,
        "/dev/",
        "/proc/",
        *(str(home / part) for part in (".cache", ".config")),
    ]

    def run(*words: str, told: str = "") -> list[list[str]]:
        environment = {name: x for name, x in child_environment.items() if not name.startswith("XDG_")}
        environment |= {
            "HOME": str(home),
            "TMPDIR": str(tmp_path / "work"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(site), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "WATCH_LOG": str(tmp_path / "log"),
            "WATCH_ALLOWED": os.pathsep.join(ours),
        }
        (tmp_path / "work").mkdir(exist_ok=True)
        answer = subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, text=True, check=False,
            cwd=tmp_path / "work",
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        assert told in answer.stdout + answer.stderr
        for noise in ("absl", "oneDNN", "cpu_feature_guard", "cuda"):
            assert noise not in answer.stderr, answer.stderr
        left = [path.relative_to(home) for path in home.rglob("*")]
        assert not [path for path in left if not is_allowed(path)], left
        log = tmp_path / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return run


def is_allowed(path: Path) -> bool:
    return any(Path(one).is_relative_to(path) or path.is_relative_to(one) for one in ALLOWED)


ENGINES = """
from reunet.backend import import_extra, import_openvino
import numpy as np
import_openvino().Core()
onnx = import_extra("onnx", "onnx")
x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
session = import_extra("onnxruntime", "onnx").InferenceSession(model.SerializeToString())
print("said:", session.run(None, {"x": np.ones(1, np.float32)}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="an empty HOME is not one on Windows")
def test_engines_write_nothing_and_talk_to_nobody(watched: Callable[..., list[list[str]]]) -> None:
    pytest.importorskip("onnxruntime")
    assert watched("-c", ENGINES, told="said: [array([-1.]") == []


KERAS = """
from reunet.backend import use_backend
use_backend("tensorflow")
import keras
print("said:", keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="an empty HOME is not one on Windows")
def test_a_training_a_prediction_and_exports_keep_to_their_folders(
    watched: Callable[..., list[list[str]]],
    tiny_dataset: Path,
    tmp_path: Path,
    make_plan: Callable[..., Path],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    plan = make_plan(work / "plan.json", tiny_dataset, steps=2)
    ran = ("-m", "reunet")
    assert watched(*ran, "train", str(tiny_dataset), "-o", "run", "--plan", str(plan), told="run:") == []
    for engine in ("auto", "onnx"):
        words = ("predict", "run", str(tiny_dataset / "test" / "images"), "-o", engine, "--engine", engine)
        assert watched(*ran, *words, told="predicted: 2") == []
    for kind in ("onnx", "openvino", "saved_model", "bioimageio"):
        words = ("export", "run", "--format", kind, "-o", f"exported-{kind}")
        assert watched(*ran, *words, told="output:") == []


FAKE = """
import os, sys
open("tensorflow.py", "w").write("import os; os.write(2, b'I0000 port.cc:153] oneDNN is on')")
sys.path.insert(0, os.getcwd())
from reunet.backend import installed_backends, keep_private
keep_private()
installed_backends()
import tensorflow
os.write(2, b"said: after")
"""


def test_what_is_written_while_tensorflow_is_imported_goes_nowhere(
    watched: Callable[..., list[list[str]]],
) -> None:
    assert watched("-c", FAKE, told="said: after") == []


@pytest.mark.slow
def test_tensorflow_starts_without_a_word(watched: Callable[..., list[list[str]]], backend: str) -> None:
    if backend != "tensorflow":
        pytest.skip("only TensorFlow talks while it is imported")
    assert watched("-c", KERAS, told="said: tensorflow") == []
