"""Work on a cluster gives what it gives here, also when workers die or the files are of another place."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.errors import ClusterError, StorageError, UsageError
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.predict.predict import predict
from reunet.io.masks import read_raw_mask
from reunet.progress import NullProgress

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.usefixtures("child_environment")  # the workers are processes

RNG = np.random.default_rng(0)
LARGE = RNG.integers(0, 256, (2600, 700), np.uint8)


@pytest.fixture(scope="module")
def run(make_bright_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bright_run(tmp_path_factory.mktemp("run"), tile=(64, 64))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(8):
        Image.fromarray(RNG.integers(0, 256, (90, 80 + number), np.uint8)).save(folder / f"{number}.png")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """All results; a process that was killed may leave a temporary file."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".tmp-"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


class Noting(NullProgress):
    """Calls a function as often as something is finished; keeps the messages."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.then, self.messages = then, []

    def advance(self, n: int = 1, **info: object) -> None:
        self.then()

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_images_are_predicted_as_here(run: Path, images: Path, address: str, tmp_path: Path) -> None:
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    here = predict(run, images, output=tmp_path / "here")
    there = predict(run, images, output=tmp_path / "there", cluster=address, on_progress=(told := Noting()))
    (images / "broken.png").unlink()
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert len(there.predicted) == 8
    assert there.failures == here.failures
    assert "broken.png" in next(iter(there.failures))
    assert any("dashboard: http" in text for text in told.messages)


def test_a_large_image_is_predicted_piece_by_piece(run: Path, address: str, tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", LARGE)
    predict(run, tmp_path / "large.npy", output=tmp_path / "here", probabilities=True)
    told = Noting()
    predict(
        run,
        tmp_path / "large.npy",
        output=tmp_path / "there",
        cluster=address,
        probabilities=True,
        on_progress=told,
    )
    assert files(tmp_path / "here") == files(tmp_path / "there")
    mask = read_raw_mask(tmp_path / "there/masks/large.tif")
    np.testing.assert_array_equal(mask, (LARGE >= 128).astype(np.uint8))


def test_workers_measure_predict_and_write_the_parts_of_an_ome_zarr(
    run: Path, address: str, tmp_path: Path
) -> None:
    zarr = pytest.importorskip("zarr")
    own = shutil.copytree(run, tmp_path / "own")
    plan = json.loads((own / "plan.json").read_text(encoding="utf-8"))
    plan["input"]["intensity"] = {"method": "image_zscore"}
    (own / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    group = zarr.create_group(str(tmp_path / "in/large.ome.zarr"), zarr_format=3)
    group.create_array("0", shape=LARGE.shape, chunks=(300, 200), dtype="u1")[:] = LARGE
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    told = Noting()
    started: list[str] = []
    told.start = lambda what, total: started.append(what.partition(" ")[0])  # type: ignore[method-assign]
    predict(own, tmp_path / "in", output=tmp_path / "here")
    predict(own, tmp_path / "in", output=tmp_path / "there", cluster=address, on_progress=told)
    assert started == ["predicting", "measuring", "predicting", *["writing"] * 4]
    assert files(tmp_path / "here") == files(tmp_path / "there")
    mask = zarr.open(str(tmp_path / "there/masks/large.ome.zarr"), mode="r")
    above = np.greater(LARGE, LARGE.mean())
    np.testing.assert_array_equal(mask["0"][:], above)
    np.testing.assert_array_equal(mask["3"][:], above[::8, ::2])


@pytest.mark.fault("a worker of a cluster dies", "its work is done by others")
def test_a_worker_that_dies_costs_its_work_only(
    run: Path, images: Path, address: str, tmp_path: Path
) -> None:
    with distributed.Client(address, set_as_default=False) as client:
        before = client.run(os.getpid)

    def kill() -> None:
        told.then = lambda: None
        os.kill(next(iter(before.values())), signal.SIGKILL)

    np.save(tmp_path / "large.npy", LARGE)
    for given in (images, tmp_path / "large.npy"):
        told = Noting(kill)
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2)
            before = client.run(os.getpid)
        result = predict(run, given, output=tmp_path / "there", cluster=address, on_progress=told)
        assert not result.failures
        predict(run, given, output=tmp_path / "here")
        assert files(tmp_path / "here") == files(tmp_path / "there")


def test_what_is_there_is_skipped(run: Path, images: Path, address: str, tmp_path: Path) -> None:
    predict(run, images, output=tmp_path / "out")
    (tmp_path / "out/masks/3.png").unlink()
    result = predict(run, images, output=tmp_path / "out", cluster=address, skip_existing=True)
    assert [path.name for path in result.predicted] == ["3.png"]
    assert len(result.skipped) == 7


def test_scores_are_those_of_here(run: Path, address: str, tmp_path: Path) -> None:
    for number in range(5):
        for kind, values in (("images", 1), ("masks", None)):
            noise = np.random.default_rng(number).integers(0, 256, (64, 70), np.uint8)
            pixels = noise if values else (noise > 100).astype(np.uint8)
            file = tmp_path / "data/test" / kind / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    evaluate(run, tmp_path / "data", output=tmp_path / "here")
    evaluate(run, tmp_path / "data", output=tmp_path / "there", cluster=address)
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("here", "there"))
    assert one == other
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("here", "there")]
    assert rows[0] == rows[1]


def test_a_full_disk_on_a_worker_ends_all(run: Path, images: Path, address: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/masks").write_text("in the way")
    with pytest.raises(StorageError, match="masks"):
        predict(run, images, output=tmp_path / "out", cluster=address)


def test_an_address_that_does_not_answer(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.inference.cluster.PATIENCE_S", 1.0)
    predict(run, images, output=tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(ClusterError, match="does not answer"):
        predict(run, images, output=tmp_path / "out", cluster="tcp://127.0.0.1:9", overwrite=True)
    assert files(tmp_path / "out") == before


def test_a_cluster_without_workers(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.inference.cluster.PATIENCE_S", 1.0)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(ClusterError, match="no workers"),
    ):
        predict(run, images, output=tmp_path / "out", cluster=empty.scheduler_address)


@pytest.mark.parametrize("address", ["somewhere", "local:0", "local:many"])
def test_what_is_no_address(run: Path, images: Path, tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="cluster"):
        predict(run, images, output=tmp_path / "out", cluster=address)


def test_workers_must_see_the_files(
    run: Path, images: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"expected: reunet 0\.0\.1"):
        predict(run, images, output=tmp_path / "out", cluster=address)


@pytest.mark.slow
def test_the_command(run: Path, images: Path, tmp_path: Path) -> None:
    words = ["predict", run, images, "-o", tmp_path / "out", "--cluster", "local:1"]
    subprocess.run([sys.executable, "-m", "reunet", *map(str, words)], check=True, capture_output=True)
    assert len(list((tmp_path / "out/masks").glob("*.png"))) == 8
