"""Runs on sequences from end to end: train, predict, evaluate, and what their inputs may be."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import reunet
from reunet.contracts.findings import Findings
from reunet.contracts.plan import Plan
from reunet.errors import DataError, ModelFileError, PlanError, UsageError
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.plan import plan
from reunet.flows.predict import live
from reunet.flows.predict.predict import predict
from reunet.flows.train.train import train
from reunet.inference.load import load as load_predictor
from reunet.inference.sequence import SequencePredictor
from reunet.io.annotations.ctc import check_tracks
from reunet.io.annotations.instances import read_instances
from reunet.metrics.overlap import confusion, dice, iou
from reunet.metrics.video import flicker

from ..datasets.synthetic_cells import Culture, make_movie, read_result, write_movies

pytestmark = pytest.mark.keras

PRESETS = {"conv_gru_unet": 2, "slice_unet": 1, "unet_2d_t": 1}
"""With the number of windows that the state is carried through: one causal network, two on windows."""


@pytest.fixture(scope="module")
def films(make_films: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_films(tmp_path_factory.mktemp("data") / "films")


@pytest.fixture(
    scope="module",
    params=[
        "conv_gru_unet",
        pytest.param("slice_unet", marks=pytest.mark.slow),
        pytest.param("unet_2d_t", marks=pytest.mark.slow),
    ],
)
def run(
    request: pytest.FixtureRequest, films: Path, tmp_path_factory: pytest.TempPathFactory, backend: str
) -> Path:
    if backend != "tensorflow" and request.param != "conv_gru_unet":
        pytest.skip("what depends on the backend is seen with one of the networks")
    folder = tmp_path_factory.mktemp(request.param)
    made = plan(films, steps=20, backend=backend, preset=request.param).model_dump()
    made["network"].update(filters=(4, 8), strides=made["network"]["strides"][:1])
    made["schedule"].update(validations=2)
    made["clip"].update(frames=3, carry=PRESETS[request.param])
    made.update(patch=(32, 32), inference={"tile": (32, 32)}, batch=2)
    Plan.parse(made, where="test").write(folder / "plan.json")
    train(films, output=folder / "run", plan=folder / "plan.json")
    return folder / "run"


def stack(films: Path, name: str) -> np.ndarray:
    """(T, H, W): the frames of a test sequence."""
    return np.stack(
        [np.array(Image.open(path)) for path in sorted((films / "test/images").glob(f"{name}_*"))]
    )


def masks(output: Path, name: str) -> np.ndarray:
    """(T, H, W): what was predicted for them."""
    return np.stack([np.array(Image.open(path)) for path in sorted((output / "masks").glob(f"{name}_*"))])


def test_engine_and_keras_agree_on_any_number_of_frames(run: Path, films: Path) -> None:
    assert isinstance(load_predictor(run, engine="openvino", precision="f32"), SequencePredictor)
    engine, keras_engine = (reunet.load(run, engine=name, precision="f32") for name in ("openvino", "keras"))
    film = np.concatenate([stack(films, "walk0"), stack(films, "walk1")])
    for frames in (1, 2, 3, 7):
        one, other = engine(film[:frames]), keras_engine(film[:frames])
        assert one.labels.shape == (frames, 40, 48)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
    assert one.probabilities.std() > 0.01


def test_streaming_is_for_networks_that_look_back(run: Path, films: Path) -> None:
    model, film = reunet.load(run, precision="f32"), stack(films, "walk0")
    if not model.plan.network.causal:
        with pytest.raises(PlanError, match="cannot stream"):
            model.stream()
        return
    stream, whole = model.stream(), model(film)
    for t, frame in enumerate(film):
        np.testing.assert_array_equal(stream(frame).probabilities, whole.probabilities[t])


def test_the_frames_of_a_sequence_are_predicted_together(run: Path, films: Path, tmp_path: Path) -> None:
    """By sequences.json, by a pattern, and as a stack: always what the model gives for the sequence."""
    model = reunet.load(run)
    copies = tmp_path / "copies"
    shutil.copytree(films / "test/images", copies)
    tifffile.imwrite(
        tmp_path / "walk1.tif", stack(films, "walk1"), photometric="minisblack", metadata={"axes": "TYX"}
    )
    predict(run, films / "test/images", output=tmp_path / "listed")
    predict(run, copies, output=tmp_path / "named", sequence="{sequence}_{frame}")
    predict(run, tmp_path / "walk1.tif", output=tmp_path / "stack")
    for name in ("walk0", "walk1"):
        expected = model(stack(films, name)).labels
        np.testing.assert_array_equal(masks(tmp_path / "listed", name), expected)
        np.testing.assert_array_equal(masks(tmp_path / "named", name), expected)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "stack/masks/walk1.tif"), expected)


def test_a_folder_is_one_sequence_in_the_order_of_its_numbers(run: Path, films: Path, tmp_path: Path) -> None:
    film = stack(films, "walk0")
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
    for number, frame in enumerate(film):
        Image.fromarray(frame).save(tmp_path / f"in/a/f{8 + number}.png")  # f8, f9, f10, ...
        Image.fromarray(frame[::-1]).save(tmp_path / f"in/b/f{8 + number}.png")
    predict(run, tmp_path / "in", output=tmp_path / "out", probabilities=True)
    model = reunet.load(run)
    for name, frames in (("a", film), ("b", film[:, ::-1])):
        expected = model(frames).probabilities
        for number, probabilities in enumerate(expected):
            found = np.load(tmp_path / f"out/probabilities/{name}/f{8 + number}.npy")
            np.testing.assert_allclose(found, probabilities, atol=1e-6)


def test_a_sequence_is_predicted_whole_or_not_at_all(run: Path, films: Path, tmp_path: Path) -> None:
    folder, output = shutil.copytree(films / "test/images", tmp_path / "in"), tmp_path / "out"
    options = {"output": output, "sequence": "{sequence}_{frame}"}
    broken = folder / "walk1_002.png"
    good = broken.read_bytes()
    broken.write_bytes(good[:60])
    result = predict(run, folder, **options)
    assert sorted(Path(path).name for path in result.failures) == [f"walk1_00{i}.png" for i in range(4)]
    assert all("walk1_002.png" in reason for reason in result.failures.values())
    assert not list(output.rglob("walk1*"))
    assert len(list((output / "masks").glob("walk0*"))) == 5

    broken.write_bytes(good)
    result = predict(run, folder, skip_existing=True, **options)
    assert [path.name for path in result.skipped] == [f"walk0_00{i}.png" for i in range(5)]
    complete = masks(output, "walk1")
    (output / "masks/walk1_003.png").unlink()
    result = predict(run, folder, skip_existing=True, **options)
    assert [path.name for path in result.predicted] == [f"walk1_00{i}.png" for i in range(4)]
    np.testing.assert_array_equal(masks(output, "walk1"), complete)


def test_names_that_do_not_fit_the_pattern_are_refused(run: Path, films: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not fit the pattern"):
        predict(run, films / "test/images", output=tmp_path / "out", sequence="{sequence}-{frame}")
    with pytest.raises(UsageError, match="number of a frame"):
        predict(run, films / "test/images", output=tmp_path / "out", sequence="walk")


def test_evaluation_predicts_sequences(run: Path, films: Path, tmp_path: Path) -> None:
    result = evaluate(run, films, output=tmp_path / "out")
    model, counts = reunet.load(run), np.zeros((2, 2), np.int64)
    for name in ("walk0", "walk1"):
        files = sorted((films / "test/masks").glob(f"{name}_*"))
        truth = np.stack([np.array(Image.open(path)) for path in files])
        counts += confusion(truth, model(stack(films, name)).labels, 2)
    assert result.metrics["n_images"] == 9
    found = result.metrics["dice"]["pooled"]["per_class"]
    np.testing.assert_allclose(list(found.values()), dice(counts), atol=1e-9)
    assert (run / "evaluation/val/metrics.json").is_file()


def test_evaluation_gives_j_and_f_of_each_sequence(run: Path, films: Path, tmp_path: Path) -> None:
    metrics, model = evaluate(run, films, output=tmp_path / "out").metrics, reunet.load(run)
    video = metrics["video"]
    assert list(video["sequences"]) == ["walk0", "walk1"]
    for name, scores in video["sequences"].items():
        files = sorted((films / "test/masks").glob(f"{name}_*"))
        truth = np.stack([np.array(Image.open(path)) for path in files])[1:-1]
        found = model(stack(films, name)).labels[1:-1]
        each = [confusion(*pair, 2) for pair in zip(truth, found, strict=True)]
        assert scores["j"] == pytest.approx(np.mean([iou(counts)[1] for counts in each]))
    assert video["j_and_f"] == pytest.approx((video["j"] + video["f"]) / 2)
    told = model(stack(films, "walk0"))
    masks = [np.array(Image.open(path)) for path in sorted((films / "test/masks").glob("walk0_*"))]
    pairs = zip(pairwise(masks), pairwise(told.probabilities), strict=True)
    expected = np.mean([flicker(truth, found) for truth, found in pairs])
    assert video["sequences"]["walk0"]["flicker"] == pytest.approx(expected, abs=1e-6)
    assert all(metrics[name] == video[name] for name in ("j", "f", "flicker"))


def test_a_live_stream_goes_on_from_the_state_of_another(
    run: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frames = reunet.load(run), stack(films, "walk0")
    if not model.plan.network.causal:
        return
    state, whole = tmp_path / "memory.npz", model.stream()
    expected = [whole(frame).labels for frame in frames]
    for number, part in enumerate((frames[:2], frames[2:])):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
        timed = [(t / 10, frame[..., None]) for t, frame in enumerate(part)]
        monkeypatch.setattr(live, "timed_frames", lambda *_, timed=timed: iter(timed))
        predict(run, "-", output=tmp_path / str(number), state=state)
    found = [np.array(Image.open(path)) for path in sorted(tmp_path.glob("[01]/masks/stdin/*.png"))]
    np.testing.assert_array_equal(found, model.plan.labels.to_ids(np.stack(expected)))
    state.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="no state of a stream"):
        predict(run, "-", output=tmp_path / "damaged", state=state)


@pytest.mark.parametrize("preset", ["conv_gru_unet", pytest.param("unet", marks=pytest.mark.slow)])
def test_objects_of_a_movie_are_learned_and_tracked(preset: str, tmp_path: Path, backend: str) -> None:
    if backend != "tensorflow":
        pytest.skip("what depends on the backend is seen with single images")
    culture = Culture(size=(48, 48), cells=4, frames=5, radius=6)
    movies = [make_movie(culture, seed) for seed in (1, 2, 3)]
    write_movies(tmp_path / "data", {"train": movies[:2], "test": movies[2:]})
    made = plan(tmp_path / "data", steps=3, backend=backend, preset=preset).model_dump()
    assert (made["tasks"], made["clip"] is None) == (("instances",), preset == "unet")
    made["network"].update(filters=(4, 8), strides=made["network"]["strides"][:1], kernels=())
    made["schedule"].update(validations=1)
    made.update(patch=(32, 32), inference={"tile": (32, 32)}, batch=2)
    Plan.parse(made, where="test").write(tmp_path / "plan.json")
    train(tmp_path / "data", output=tmp_path / "run", plan=tmp_path / "plan.json")
    for split in ("val", "test"):
        output = tmp_path / split
        tracking = evaluate(tmp_path / "run", tmp_path / "data", split=split, output=output).metrics[
            "tracking"
        ]
        assert all(0 <= tracking[score] <= 1 for score in ("seg", "tra"))
    predict(tmp_path / "run", tmp_path / "data/test/images", output=tmp_path / "out")
    masks, tracks = read_result(tmp_path / "out/tracks/test0_RES", problems := Findings(tmp_path))
    assert len(masks) == culture.frames
    check_tracks(tracks, {t: np.unique(read_instances(masks[t])) for t in masks}, tmp_path, problems)
    assert not list(problems)


def test_a_dataset_of_single_images_says_what_is_missing(
    make_films: Callable[..., Path], tmp_path: Path, backend: str, run: Path
) -> None:
    data = make_films(tmp_path / "films", train=(3, 3), listed=False)
    with pytest.raises(PlanError, match="needs sequences") as caught:
        plan(data, preset="conv_gru_unet", steps=1, backend=backend)
    assert "sequence" in str(caught.value.fix)
    with pytest.raises(PlanError, match="needs sequences"):
        train(data, output=tmp_path / "run", plan=run / "plan.json")
    made = plan(data, preset="conv_gru_unet", steps=1, backend=backend, sequence="{sequence}_{slice}")
    assert made.clip is not None
    assert (made.clip.axis, made.clip.frames) == ("Z", 3)
    with pytest.raises(PlanError, match="another kind"):
        train(data, output=tmp_path / "run", plan=run / "plan.json", sequence="{sequence}_{slice}")


def test_a_single_image_is_no_sequence(run: Path) -> None:
    with pytest.raises(DataError, match=r"image\[None\]"):
        reunet.load(run)(np.zeros((40, 48), np.uint8))
