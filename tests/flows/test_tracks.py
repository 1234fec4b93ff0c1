"""Identities from frames to files and scores, with a network that sees every object as it is."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import Prediction
from reunet.contracts.run import RunFolder
from reunet.errors import DataError, UsageError
from reunet.flows.check import check
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.predict.predict import predict
from reunet.io.annotations.ctc import Track, write_tracks
from reunet.io.annotations.instances import read_instances, write_instances
from reunet.tasks.work import Work

from ..datasets.synthetic_cells import Culture, Movie, make_movie, read_result, write_movies

# Five divisions; with this seed every track is found exactly.
CULTURE, SEED = Culture(size=(96, 96), cells=10, frames=8, radius=8, division=0.05, speed=1.5), 34


class Seeing:
    """Takes images whose pixels are the ids of objects; gives these objects, with ids of their own."""

    rank, tta, calibration = 2, False, Calibration()
    runtime = SimpleNamespace(name="openvino", precision="f32")

    def __init__(self, plan: Plan) -> None:
        self.plan, self.work, self._rng = plan, Work.of(plan), np.random.default_rng(0)

    def __call__(self, image: np.ndarray, **_: Any) -> Prediction:
        ids = image[..., 0].astype(np.int64)
        new = np.concatenate([[0], 1 + self._rng.permutation(int(ids.max()))])
        return Prediction(instances=new[ids].astype(np.int32))


@pytest.fixture
def run(make_bright_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = RunFolder(make_bright_run(tmp_path / "run"))
    labels = LabelMap(classes=default_classes([0, 1], ["background", "object"]))
    changes = {"tasks": ("instances",), "labels": labels}
    folder.plan().model_copy(update=changes).write(folder.plan_file)
    for flow in ("predict", "evaluate"):
        monkeypatch.setattr(f"reunet.flows.{flow}.{flow}.load", lambda *_, **__: Seeing(folder.plan()))
    return folder.path


@pytest.fixture(scope="module")
def movie() -> Movie:
    made = make_movie(CULTURE, SEED)
    return Movie(made.maps[..., None].astype(np.uint8), made.maps, made.lineage)


@pytest.fixture(scope="module")
def data(movie: Movie, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movies")
    write_movies(folder, {"train": [movie], "test": [movie, movie]})
    return folder


def check_tracks(folder: Path, movie: Movie) -> None:
    """A folder of results tells the tracks of the movie, whatever it calls them."""
    problems = Findings(folder)
    masks, tracks = read_result(folder, problems)
    assert not list(problems)
    found = np.stack([read_instances(masks[t]) for t in range(len(movie.maps))])
    pairs = np.unique(np.stack([movie.maps.ravel(), found.ravel()]), axis=1).T
    names = dict(pairs.tolist())
    assert len(names) == len(pairs) == len(movie.lineage) + 1
    expected = [[names[i] for i in (row[0], row[3])] + row[1:3] for row in movie.lineage.tolist()]
    assert sorted(expected) == sorted([row.id, row.parent, row.begin, row.end] for row in tracks)


def test_frames_listed_as_a_sequence_get_identities(
    run: Path, data: Path, movie: Movie, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict(run, data / "test/images", output=out)
    files = sorted(path.name for path in (out / "tracks").iterdir())
    assert files == ["test0.webp", "test0_RES", "test1.webp", "test1_RES"]
    for name in ("test0", "test1"):
        check_tracks(out / f"tracks/{name}_RES", movie)
        for t in range(CULTURE.frames):
            ids = read_instances(out / f"instances/{name}_{t:03d}.png")
            np.testing.assert_array_equal(ids, read_instances(out / f"tracks/{name}_RES/mask{t:03d}.tif"))
    with open(out / "objects.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["sequence"] == "test1"]
    assert len(rows) == sum(len(np.unique(ids)) - 1 for ids in movie.maps)
    lineage = np.loadtxt(out / "tracks/test1_RES/res_track.txt", int, ndmin=2)
    told = {(int(row["track"]), int(row["parent"])) for row in rows}
    assert told == {(row[0], row[3]) for row in lineage.tolist()}
    assert {int(row["frame"]) for row in rows} == set(range(CULTURE.frames))
    with Image.open(out / "tracks/test0.webp") as animation:
        assert (animation.n_frames, animation.size) == (CULTURE.frames, (384, 384))
    again = predict(run, data / "test/images", output=out, skip_existing=True)
    assert len(again.skipped) == 2 * CULTURE.frames


def test_tracks_are_written_as_a_graph_too(
    run: Path, data: Path, movie: Movie, tmp_path: Path, make_bright_run: Callable[..., Path]
) -> None:
    geff = pytest.importorskip("geff")
    from geff.validate.data import ValidationConfig

    out = tmp_path / "out"
    predict(run, data / "train/images", output=out, geff=True)
    whole = ValidationConfig(tracklet=True, lineage=True, graph=True)
    graph, told = geff.read(out / "tracks/train0.geff", data_validation=whole)
    assert [axis.name for axis in told.axes] == ["t", "y", "x"]
    lineage = np.loadtxt(out / "tracks/train0_RES/res_track.txt", int, ndmin=2)
    parents = {row[0]: row[3] for row in lineage.tolist()}
    for t in range(CULTURE.frames):
        ids = read_instances(out / f"instances/train0_{t:03d}.png")
        nodes = {node["track"]: node for _, node in graph.nodes(data=True) if node["t"] == t}
        assert set(nodes) == set(np.unique(ids).tolist()) - {0}
        for track, node in nodes.items():
            np.testing.assert_allclose((node["y"], node["x"]), np.argwhere(ids == track).mean(axis=0))
    told_edges = [
        [(graph.nodes[node]["track"], graph.nodes[node]["t"]) for node in edge] for edge in graph.edges
    ]
    divisions = {(b[0], a[0]) for a, b in told_edges if a[0] != b[0]}
    assert divisions == {(child, parent) for child, parent in parents.items() if parent}
    assert all(b[1] == a[1] + 1 for a, b in told_edges)
    assert len(told_edges) == len(graph.nodes) - sum(not parent for parent in parents.values())
    assert len(predict(run, data / "train/images", output=out, geff=True, skip_existing=True).skipped) == 8
    shutil.rmtree(out / "tracks/train0.geff")
    assert not predict(run, data / "train/images", output=out, geff=True, skip_existing=True).skipped
    predict(run, data / "train/images", output=out, overwrite=True)
    assert not (out / "tracks/train0.geff").exists()
    with pytest.raises(UsageError, match="no input is a sequence in time"):
        predict(run, shutil.copy(data / "train/images/train0_000.png", tmp_path / "a.png"), geff=True)
    with pytest.raises(UsageError, match="no effect"):
        predict(make_bright_run(tmp_path / "pixels"), data / "train/images", output=out, geff=True)


def test_a_stack_in_time_and_names_by_a_pattern_are_sequences_other_files_are_not(
    run: Path, movie: Movie, tmp_path: Path
) -> None:
    folder = tmp_path / "01"
    folder.mkdir()
    for t, frame in enumerate(movie.frames):
        Image.fromarray(frame[..., 0]).save(folder / f"t{t:03d}.png")
    predict(run, folder, output=tmp_path / "alone")
    assert not (tmp_path / "alone/tracks").exists()
    predict(run, folder, output=tmp_path / "named", sequence="t{frame}")
    check_tracks(tmp_path / "named/tracks/01_RES", movie)
    stack = tmp_path / "walk.tif"
    tifffile.imwrite(stack, movie.frames[..., 0], photometric="minisblack", metadata={"axes": "TYX"})
    predict(run, stack, output=tmp_path / "stack")
    check_tracks(tmp_path / "stack/tracks/walk_RES", movie)
    written = tifffile.imread(tmp_path / "stack/instances/walk.tif")
    masks = sorted((tmp_path / "stack/tracks/walk_RES").glob("*.tif"))
    np.testing.assert_array_equal(written, np.stack([read_instances(path) for path in masks]))
    tifffile.imwrite(stack, movie.frames[..., 0], photometric="minisblack", metadata={"axes": "ZYX"})
    predict(run, stack, output=tmp_path / "depth")
    assert not (tmp_path / "depth/tracks").exists()


def test_a_sequence_that_fails_leaves_no_tracks(run: Path, data: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for path in (data / "test/images").glob("test0_*"):
        (folder / path.name).write_bytes(path.read_bytes())
    predict(run, folder, output=out, sequence="{sequence}_{frame}")
    assert (out / "tracks/test0_RES").is_dir()
    (folder / "test0_003.png").write_bytes(b"no image")
    result = predict(run, folder, output=out, sequence="{sequence}_{frame}", overwrite=True)
    assert len(result.failures) == CULTURE.frames
    assert not [path for path in out.rglob("*") if "test0" in path.name]


def test_tracks_of_one_name_are_refused(run: Path, movie: Movie, tmp_path: Path) -> None:
    for name in ("a b", "a_b"):
        for t in range(2):
            Image.fromarray(movie.frames[t, ..., 0]).save(tmp_path / f"{name}-{t}.png")
    with pytest.raises(UsageError, match="one name"):
        predict(run, tmp_path, output=tmp_path / "out", sequence="{sequence}-{frame}")


def test_check_compares_tracks_with_frames(data: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    assert not [problem for problem in check(folder).problems if problem.code.startswith("track")]
    lineage = folder / "test/tracks/test0.txt"
    lines = lineage.read_text().splitlines()
    lineage.write_text("\n".join(["1 0 0 0", *lines[1:], "99 0 1 0", "no track"]))
    found = [(Path(p.file).name, p.code) for p in check(folder).problems if p.code.startswith("track")]
    assert sorted(found) == [("test0.txt", "track-frames")] * 2 + [("test0.txt", "track-line")]


def test_a_folder_of_the_challenge_tells_the_lineage(run: Path, movie: Movie, tmp_path: Path) -> None:
    for film in ("01", "02"):
        write_tracks(tmp_path / f"data/{film}_GT/TRA/man_track.txt", map(Track._make, movie.lineage.tolist()))
        for t, ids in enumerate(movie.maps):
            write_instances(tmp_path / f"data/{film}/t{t:03d}.tif", ids)
            write_instances(tmp_path / f"data/{film}_GT/TRA/man_track{t:03d}.tif", ids)
            counted = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
            write_instances(tmp_path / f"data/{film}_GT/SEG/man_seg{t:03d}.tif", counted)
    metrics = evaluate(run, tmp_path / "data", output=tmp_path / "out").metrics["tracking"]
    assert (metrics["seg"], metrics["tra"]) == (1, 1)
    assert list(metrics["sequences"]) == ["01", "02"]


def test_evaluation_reports_seg_and_tra(run: Path, data: Path, tmp_path: Path) -> None:
    metrics = evaluate(run, data, output=tmp_path / "out").metrics
    assert metrics["ap"]["pooled"]["0.90"] == 1
    tracking = metrics["tracking"]
    assert (tracking["seg"], tracking["tra"]) == (1, 1)
    assert list(tracking["sequences"]) == ["test0", "test1"]

    page = (tmp_path / "out/report.html").read_text()
    assert page.count("data:image/webp;base64,") == 2
    assert "Tracks in motion" in page

    lineage = data / "test/tracks/test0.txt"
    good = lineage.read_text()
    try:
        lineage.write_text("1 0 3\n")
        with pytest.raises(DataError, match="is no track"):
            evaluate(run, data, output=tmp_path / "bad")
        lineage.unlink()
        tracking = evaluate(run, data, output=tmp_path / "without").metrics["tracking"]
        assert tracking["sequences"]["test0"]["tra"] is None
        assert (tracking["seg"], tracking["tra"]) == (1, 1)
    finally:
        lineage.write_text(good)
