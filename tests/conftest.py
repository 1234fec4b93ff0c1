"""Fixtures and options that all rooms share."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.backend import choose_backend, use_backend
from reunet.errors import BackendError

ROOT = Path(__file__).resolve().parents[1]
BACKENDS = ("tensorflow", "jax", "torch")
COSTLY = {"backend", "child_environment", "shared_data"}
"""What the tests of `make fast` do without: a training framework, new processes, the reference datasets."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend", choices=BACKENDS, default=None, help="framework under Keras; else the first installed"
    )
    parser.addoption(
        "--data",
        type=Path,
        default=None,
        help="folder of the reference datasets; else shared/data beside the repository, where it is",
    )
    parser.addoption(
        "--write-golden", action="store_true", help="write the golden outputs of the networks anew"
    )
    parser.addoption(
        "--fast",
        action="store_true",
        help="leave out the slow tests and those that use " + ", ".join(sorted(COSTLY)),
    )


def pytest_configure(config: pytest.Config) -> None:
    # Before anything imports Keras: it can be loaded on one backend only. Child processes inherit the
    # choice, unless they are given `child_environment`.
    wanted = config.getoption("--backend")
    # Tests compile more than they compute: JAX takes two thirds of the time without optimising.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    try:
        use_backend(choose_backend(wanted))
    except BackendError as missing:
        if wanted is not None:
            raise pytest.UsageError(str(missing)) from missing
    data = config.getoption("--data")
    if data is not None and not data.is_dir():
        raise pytest.UsageError(f"--data {data} is not a folder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fast"):
        config.hook.pytest_deselected(items=[item for item in items if is_costly(item)])
        items[:] = [item for item in items if not is_costly(item) and not WHOLE & set(item.path.parts)]
    # The files with costly tests first: the quick ones then fill up the time of the process that is done
    # with its long ones first.
    costly = {item.path for item in items if is_costly(item)}
    items.sort(key=lambda item: item.path not in costly)
    if "KERAS_BACKEND" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("keras") or item.get_closest_marker("keras_slow"):
            item.add_marker(pytest.mark.skip(reason="no training framework is installed"))


WHOLE = {"flows", "faults", "report", "exporting", "docs"}
"""Rooms of tests that go through many others; `--fast` leaves them out."""


def is_costly(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("keras", "keras_slow", "slow"))
    return marked or not COSTLY.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the cache folder of the person who runs the tests (children neither); in it
    stands that this machine trains as fast as the planner's table says.
    """
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    from reunet.storage import write_json
    from reunet.training.pace import remembered, this_machine

    write_json(remembered(), {"machine": this_machine(), "pace": 1.0})


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_quantised() -> None:
    """It would take longer than the trainings of the tests; `tests/exporting/test_int8.py` is about it."""
    from reunet.exporting import int8

    int8.is_installed = lambda: False


@pytest.fixture(scope="session")
def backend() -> str:
    """Name of the framework under Keras in this test process."""
    if "KERAS_BACKEND" not in os.environ:
        pytest.skip("no training framework is installed")
    return os.environ["KERAS_BACKEND"]


@pytest.fixture(scope="session")
def child_environment(_own_cache: None) -> dict[str, str]:
    """The environment of a shell that knows nothing of this test process: no backend is chosen in it."""
    chosen_here = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
    return {name: value for name, value in os.environ.items() if name not in chosen_here}


@pytest.fixture(scope="session")
def shared_data(pytestconfig: pytest.Config) -> Path:
    """The folder of the reference datasets: `--data`, or where they lie beside the repository."""
    folder: Path = pytestconfig.getoption("--data") or ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the reference datasets are not here; name their folder: pytest --data DIR")
    return folder


DatasetMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_dataset() -> DatasetMaker:
    """A function that writes a tiny dataset in the folder convention; see `write_dataset`."""
    return write_dataset


def write_dataset(
    folder: Path, *, train: int = 6, test: int = 2, size: tuple[int, int] = (64, 64), seed: int = 0
) -> Path:
    """Bright discs on a dark, noisy ground: grey PNG images, masks 0 and 1, train/ and test/."""
    import json

    from PIL import Image

    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("test", test)):
        for name in ("images", "masks"):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image, mask = _discs(rng, size)
            Image.fromarray(image).save(folder / split / "images" / f"{split}_{i:02d}.png")
            Image.fromarray(mask).save(folder / split / "masks" / f"{split}_{i:02d}.png")
    classes = [
        {"id": 0, "name": "background", "color": [0, 0, 0]},
        {"id": 1, "name": "cell", "color": [230, 159, 0]},
    ]
    facts = {"name": "discs", "task": ["semantic"], "classes": classes, "ignore_index": None}
    (folder / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make_films() -> DatasetMaker:
    """A function that writes a tiny dataset of sequences; see `write_films`."""
    return write_films


def write_films(
    folder: Path,
    *,
    train: tuple[int, ...] = (7, 8),
    test: tuple[int, ...] = (5, 4),
    size: tuple[int, int] = (40, 48),
    listed: bool = True,
) -> Path:
    """A bright disc that moves over a dark, noisy ground: frames `walk0_000`, ... of as many sequences as
    there are numbers of frames. listed: whether sequences.json tells them.
    """
    import json

    from PIL import Image

    rng, entries = np.random.default_rng(0), []
    for split, lengths in (("train", train), ("test", test)):
        for name in ("images", "masks"):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
        for number, length in enumerate(lengths):
            begin, step = rng.uniform(0.3, 0.7, 2) * size, rng.uniform(-2, 2, 2)
            stems = [f"walk{number}_{frame:03d}" for frame in range(length)]
            for frame, stem in enumerate(stems):
                y, x = np.mgrid[: size[0], : size[1]] - (begin + frame * step)[:, None, None]
                mask = (np.hypot(y, x) < 8).astype(np.uint8)
                image = np.clip(60 + 90 * mask + rng.normal(0, 12, size), 0, 255).astype(np.uint8)
                Image.fromarray(image).save(folder / split / "images" / f"{stem}.png")
                Image.fromarray(mask).save(folder / split / "masks" / f"{stem}.png")
            entries.append({"split": split, "sequence": f"walk{number}", "axis": "T", "frames": stems})
    if listed:
        (folder / "sequences.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


def _discs(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, np.uint8)
    for _ in range(3):
        centre, radius = rng.uniform(0, 1, 2) * size, rng.uniform(0.1, 0.2) * min(size)
        mask[np.hypot(y - centre[0], x - centre[1]) < radius] = 1
    image = 60 + 90 * mask + rng.normal(0, 12, size)
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 6 + 2 images, 64 x 64. Shared: do not change it, copy it."""
    return write_dataset(tmp_path_factory.mktemp("tiny") / "discs")


@pytest.fixture(scope="session")
def tiny_run(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory, backend: str) -> Path:
    """A finished run on `tiny_dataset`, trained for a few steps. Shared: do not change it, copy it."""
    from reunet.flows.train.train import train

    folder = tmp_path_factory.mktemp("runs")
    changes = {
        "network__filters": (8, 16, 32),
        "network__strides": ((2, 2), (2, 2)),
        "patch": (64, 64),
        "inference": {"tile": (64, 64)},
        "batch": 4,
        "schedule__validations": 4,
    }
    plan = write_plan(folder / "plan.json", tiny_dataset, backend=backend, steps=40, **changes)
    train(tiny_dataset, output=folder / "tiny", plan=plan)
    return folder / "tiny"


@pytest.fixture(scope="session")
def make_plan(backend: str) -> Callable[..., Path]:
    """A function that writes plan.json for a training of a few seconds; see `write_plan`."""
    return partial(write_plan, backend=backend)


def write_plan(file: Path, data: Path, *, backend: str, steps: int = 6, **changes: Any) -> Path:
    """A U-Net of two levels on patches of 32 x 32.

    changes: other values by the dotted name of their field, with two underscores for a dot.
    """
    from reunet.contracts.plan import Plan
    from reunet.flows.plan import plan

    made = plan(data, steps=steps, backend=backend).model_dump()
    made["network"].update(filters=(4, 8), strides=((2, 2),))
    made["schedule"].update(validations=2)
    made.update(patch=(32, 32), inference={"tile": (32, 32)}, batch=2)
    for name, value in changes.items():
        *parents, field = name.split("__")
        target = made
        for parent in parents:
            target = target[parent]
        target[field] = value
    Plan.parse(made, where="test").write(file)
    return file


@pytest.fixture(scope="session")
def make_bright_run() -> Callable[..., Path]:
    """A function that writes a run with a hand-made engine of known behaviour; see `write_bright_run`."""
    return write_bright_run


def write_bright_run(
    folder: Path,
    *,
    channels: int = 1,
    grey_to_rgb: bool = False,
    tile: tuple[int, int] = (32, 32),
    ids: tuple[int, int] = (0, 1),
    bf16_ppm: float | None = None,
    logit: float = 0.05,
) -> Path:
    """Foreground is where the mean of the channels is at least 128: no framework, no training, exact.

    The engine computes softmax((-z, z)) with z = logit * (mean of the channels - 127.5) / 2.
    """
    import openvino as ov
    from openvino import opset16

    from reunet.contracts.labels import LabelMap, default_classes
    from reunet.contracts.network import HeadSpec, NetworkConfig
    from reunet.contracts.plan import Calibration, Inference, InputSpec, Intensity, Plan, Schedule
    from reunet.storage import sha256_file, write_json

    fixed = Intensity(method="fixed", offset=(127.5,) * channels, scale=(1.0,) * channels)
    plan = Plan(
        dataset="bright",
        labels=LabelMap(classes=default_classes(list(ids), ["background", "bright"])),
        input=InputSpec(channels=channels, grey_to_rgb=grey_to_rgb, intensity=fixed),
        network=NetworkConfig(
            in_channels=channels, filters=(4, 8), strides=((2, 2),), heads=(HeadSpec(channels=2),)
        ),
        patch=tile,
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=tile),
    )
    plan.write(folder / "plan.json")
    Calibration().write(folder / "calibration.json")
    image = opset16.parameter([-1, -1, -1, channels], ov.Type.f32, name="image")
    mean = opset16.reduce_mean(image, [3], keep_dims=True)
    z = opset16.multiply(mean, np.float32(logit / 2))
    softmax = opset16.softmax(opset16.concat([opset16.negative(z), z], 3), 3)
    softmax.output(0).tensor.set_names({"semantic"})
    engine = folder / "engine"
    engine.mkdir(parents=True)
    ov.save_model(ov.Model([softmax], [image], "bright"), engine / "model.xml", compress_to_fp16=False)
    facts = {
        "schema_version": 1,
        "network": plan.network.model_dump(mode="json"),
        "files": {name: sha256_file(engine / name) for name in ("model.xml", "model.bin")},
        "precision": {"bf16": None if bf16_ppm is None else {"labels_differ_ppm": bf16_ppm}},
    }
    write_json(engine / "engine.json", facts)
    return folder


@pytest.fixture(scope="session")
def make_volumes() -> DatasetMaker:
    """A function that writes a tiny dataset of NIfTI volumes in nnU-Net's layout; see `write_volumes`."""
    return write_volumes


def write_volumes(
    folder: Path,
    *,
    train: int = 5,
    test: int = 2,
    size: tuple[int, int, int] = (20, 18, 16),
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    channels: int = 1,
    seed: int = 0,
) -> Path:
    """Bright balls, whose right half is another class, in volumes of odd orientations.

    size, spacing: along the axes of the files; every second file has them stored in another order.
    """
    import json

    for split, count in (("Tr", train), ("Ts", test)):
        for i in range(count):
            rng = np.random.default_rng([seed, split == "Ts", i])
            write_volume(folder, split, f"{'train' if split == 'Tr' else 'test'}_{i:02d}", rng,
                         size, spacing, channels)  # fmt: skip
    facts = {
        "channel_names": {str(number): "T1" for number in range(channels)},
        "labels": {"background": 0, "right": 1, "left": 2},
        "numTraining": train,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def write_volume(
    folder: Path,
    split: str,
    name: str,
    rng: np.random.Generator,
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    channels: int,
) -> None:
    grid = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in size), indexing="ij"), -1) * spacing
    extent = np.array(size) * spacing
    centre, radius = extent * rng.uniform(0.4, 0.6, 3), 0.3 * extent.min()
    inside = np.linalg.norm(grid - centre, axis=-1) < radius
    mask = (inside * (1 + (grid[..., 0] < centre[0]))).astype(np.uint8)  # the first axis leads to the right
    affine = np.diag([*spacing, 1.0])
    for kind in (f"images{split}", f"labels{split}"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in range(channels):
        voxels = (60 + 90 * inside - 40 * (mask == 2) + rng.normal(0, 8, size)).astype(np.float32)
        _save_turned(folder / f"images{split}" / f"{name}_{number:04d}.nii.gz", voxels, affine, name)
    _save_turned(folder / f"labels{split}" / f"{name}.nii.gz", mask, affine, name)


def _save_turned(path: Path, voxels: np.ndarray, affine: np.ndarray, name: str) -> None:
    """Save as NIfTI, for every second name with the axes stored in another order and direction."""
    import nibabel as nib

    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    if int(name[-1]) % 2:
        image = image.as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    nib.save(image, path)
