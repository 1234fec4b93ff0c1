"""The plugin for napari, without napari and its screen: its manifest, and its functions on layers' data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml

import reunet
from reunet.errors import UsageError

SOURCE = Path(__file__).parents[2] / "integrations" / "napari" / "src"


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SOURCE))


def layer(data: np.ndarray, *, rgb: bool = False, **more: Any) -> Any:
    """What the functions ask of a layer of napari."""
    rank = data.ndim - rgb
    told = {"scale": (0.5,) * rank, "translate": (3.0,) * rank, "name": "cells", "multiscale": False}
    return SimpleNamespace(data=data, rgb=rgb, **told | more)


VALIDATE = """
import sys
from npe2 import PluginManifest
manifest = PluginManifest.from_file(sys.argv[1])
manifest.validate_imports()
print(*(one.command for one in manifest.contributions.widgets))
"""


def test_the_manifest_names_what_is_there() -> None:
    import reunet_napari

    manifest = yaml.safe_load((SOURCE / "reunet_napari" / "napari.yaml").read_text("utf-8"))
    commands = {one["id"]: one["python_name"] for one in manifest["contributions"]["commands"]}
    assert {one["command"] for one in manifest["contributions"]["widgets"]} == commands.keys()
    for python_name in commands.values():
        module, _, name = python_name.partition(":")
        assert module == "reunet_napari"
        told = getattr(reunet_napari, name).__annotations__
        strings = {text for text in told.values() if isinstance(text, str)}
        assert all(re.fullmatch(r"[a-z.]+\.[A-Za-z]+", text) for text in strings), "else there is no panel"


def test_npe2_takes_the_manifest() -> None:
    """In a process of its own; npe2 brings a plugin of pytest that warns, so it is no part of `dev`."""
    if find_spec("npe2") is None:
        pytest.skip("npe2 is not installed")
    file = SOURCE / "reunet_napari" / "napari.yaml"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SOURCE), *sys.path])}
    answer = subprocess.run(
        [sys.executable, "-c", VALIDATE, str(file)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.split() == ["reunet-napari.predict", "reunet-napari.train"]


def test_the_current_layer_is_predicted_and_labels_lie_on_it(tiny_run: Path, tiny_dataset: Path) -> None:
    from PIL import Image
    from reunet_napari import predict_layer

    image = np.array(Image.open(next((tiny_dataset / "test" / "images").iterdir())))
    ((data, told, kind),) = predict_layer(layer(image), tiny_run)
    expected = reunet.load(tiny_run)(image)
    assert kind == "labels"
    ids = [entry.id for entry in reunet.load(tiny_run).plan.labels.classes]
    np.testing.assert_array_equal(data, np.take(ids, expected.labels))
    assert told["scale"] == (0.5, 0.5)
    assert told["translate"] == (3.0, 3.0)
    assert told["name"] == "cells classes"


def test_channels_in_front_colours_and_resolutions_are_read_as_they_are_meant() -> None:
    from reunet_napari.predicting import pixels_of

    def model(channels: int, rank: int = 2) -> Any:
        shape = SimpleNamespace(spatial_dims=rank)
        return SimpleNamespace(
            plan=SimpleNamespace(input=SimpleNamespace(channels=channels), network=shape, clip=None)
        )

    image = np.random.default_rng(0).integers(0, 255, (2, 20, 30), np.uint8)
    assert pixels_of(layer(image), model(2)).shape == (20, 30, 2)
    assert pixels_of(layer(image[0]), model(1)).shape == (20, 30)
    opaque = np.zeros((20, 30, 4), np.uint8)
    assert pixels_of(layer(opaque, rgb=True), model(3)).shape == (20, 30, 3)
    finest = layer(image[0], multiscale=True)
    finest.data = [image[0], image[0, ::2, ::2]]
    assert pixels_of(finest, model(1)).shape == (20, 30)


def test_objects_and_boxes_become_layers() -> None:
    from reunet_napari.predicting import found_layers

    classes = [SimpleNamespace(id=0), SimpleNamespace(id=7)]
    model: Any = SimpleNamespace(
        classes=("background", "cell"), plan=SimpleNamespace(labels=SimpleNamespace(classes=classes))
    )
    boxes = SimpleNamespace(corners=np.array([[0, 0, 4, 6]]), classes=np.array([1]), scores=np.array([0.9]))
    found: Any = SimpleNamespace(instances=np.eye(4, dtype=np.uint16), labels=None, boxes=boxes)
    place = {"scale": (1.0, 0.5, 0.5), "translate": (0.0, 1.0, 2.0)}
    objects, rectangles = found_layers(found, model, "a", place)
    assert objects[2] == "labels"
    assert objects[0].dtype == np.int32
    assert objects[1]["scale"] == (0.5, 0.5)
    assert rectangles[0] == [[[-0.5, -0.5], [3.5, 5.5]]]
    assert rectangles[1]["features"] == {"class": ["cell"], "score": [0.9]}


def painted(size: int = 160) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((size, size), np.int32)
    for number, (y, x) in enumerate([(20, 20), (20, 110), (110, 20), (110, 110)], 1):
        labels[y : y + 20, x : x + 20] = number
    return (50 + 150 * (labels > 0)).astype(np.uint8), labels


def test_a_labels_layer_becomes_a_dataset_that_can_be_trained_on(tmp_path: Path) -> None:
    from reunet_napari.training import write_dataset

    image, labels = painted()
    folder = write_dataset(layer(image), layer(labels), tmp_path / "data", "objects")
    assert len(list((folder / "instances").glob("*.tif"))) == 4
    np.testing.assert_array_equal(tifffile.imread(folder / "instances" / "part_003.tif"), labels[80:, 80:])
    found = reunet.check(folder)
    assert not found.errors
    stack, truth = np.stack([image] * 5), np.stack([labels] * 4 + [labels * 0])
    write_dataset(layer(stack), layer(truth), tmp_path / "data", "objects")
    assert len(list((folder / "images").glob("*.tif"))) == 4, "the plane without labels is left out"


def test_too_few_labels_and_labels_of_another_image_are_refused(tmp_path: Path) -> None:
    from reunet_napari.training import write_dataset

    image, labels = painted()
    labels[80:] = 0
    with pytest.raises(UsageError, match="too little is labelled"):
        write_dataset(layer(image), layer(labels), tmp_path, "objects")
    with pytest.raises(UsageError, match="do not lie on this image"):
        write_dataset(layer(image[:100]), layer(labels), tmp_path, "objects")
    assert not list(tmp_path.iterdir())


def test_training_runs_beside_napari_and_gives_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`thread_worker` of napari starts what it wraps in a thread; here it is called at once."""
    from reunet_napari import train_on_labels, training

    asked: dict[str, Any] = {}

    def worker(function: Any, **options: Any) -> Any:
        assert options == {"start_thread": True, "progress": True}
        return function

    threading = SimpleNamespace(thread_worker=worker)
    for name in ("napari", "napari.qt", "napari.qt.threading"):
        monkeypatch.setitem(sys.modules, name, threading)  # type: ignore[arg-type]
    monkeypatch.setattr(
        training.reunet,
        "train",
        lambda data, **options: SimpleNamespace(run=asked.update(options, data=data) or options["output"]),
    )
    image, labels = painted()
    run: Any = train_on_labels(layer(image), layer(labels), tmp_path, "classes", minutes=1.0)
    assert run == tmp_path / "run"
    assert asked["task"] == ("semantic",)
    assert asked["minutes"] == 1.0
    assert (asked["data"] / "masks").is_dir()


def test_the_wheel_holds_what_the_manifest_names() -> None:
    import tomllib

    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["entry-points"]["napari.manifest"] == {
        "reunet-napari": "reunet_napari:napari.yaml"
    }
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/reunet_napari"]
