"""`reunet predict` on videos, from files and from standard input."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.errors import ImageReadError, PlanError, UsageError
from reunet.flows.predict import at_once
from reunet.flows.predict import live as live_flow
from reunet.flows.predict.predict import predict
from reunet.inference.load import load
from reunet.io.video import video_frames

from ..io.test_video import clip, write_lossless
from .messages import Messages

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    frames = clip(14, 1)
    path = tmp_path_factory.mktemp("film") / "clip.mkv"
    write_lossless(path, frames)
    return path, frames


def test_a_video_gives_what_its_frames_give(
    tiny_run: Path, film: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path, frames = film
    told = Messages()
    result = predict(tiny_run, path.parent, output=tmp_path, probabilities=True, on_progress=told)
    assert result.predicted == (path,)
    predictor = load(tiny_run)
    expected = [predictor(frame) for frame in frames]
    masks = tifffile.imread(tmp_path / "masks" / "clip.tif")
    np.testing.assert_array_equal(
        masks, predictor.plan.labels.to_ids(np.stack([one.labels for one in expected]))
    )
    np.testing.assert_allclose(
        np.load(tmp_path / "probabilities" / "clip.npy"), [one.probabilities for one in expected], atol=1e-5
    )
    shown = list(video_frames(tmp_path / "overlays" / "clip.mp4", "overlay"))
    assert len(shown) == 14
    assert any("14 frames" in text and "ms each" in text for text in told.texts)
    assert not list(tmp_path.glob(".tmp*"))


@pytest.mark.slow
def test_frames_do_not_stay_in_memory(
    tiny_run: Path, film: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0
    real = at_once.read_pages

    def watched(*arguments: Any) -> Iterator[np.ndarray]:
        nonlocal most
        for frame in real(*arguments):
            gc.collect()
            most = max(most, sum(one() is not None for one in alive) + 1)
            alive.append(weakref.ref(frame))
            yield frame

    monkeypatch.setattr(at_once, "read_pages", watched)
    predict(tiny_run, film[0], output=tmp_path)
    assert len(alive) == 14
    assert most <= 4


def test_a_damaged_video_leaves_nothing(
    tiny_run: Path, film: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, *_: object) -> Iterator[np.ndarray]:
        yield from film[1][:5]
        raise ImageReadError("the video cannot be read", where=path)

    monkeypatch.setattr(at_once, "read_pages", broken)
    result = predict(tiny_run, film[0], output=tmp_path)
    assert list(result.failures) == [str(film[0])]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def live(run: Path, output: Path, data: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "reunet", "predict", run, "-", "-o", output, *options]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def test_standard_input_frame_by_frame(tiny_run: Path, film: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    file = io.BytesIO()
    write_lossless(file, film[1], "nut")
    done = live(tiny_run, tmp_path / "out", file.getvalue())
    assert done.returncode == 0, done.stderr
    masks = sorted((tmp_path / "out" / "masks" / "stdin").iterdir())
    assert [path.name for path in masks[:2]] == ["000001.png", "000002.png"]
    predict(tiny_run, film[0], output=tmp_path / "file")
    whole = tifffile.imread(tmp_path / "file" / "masks" / "clip.tif")
    np.testing.assert_array_equal([np.array(Image.open(path)) for path in masks], whole)
    again = live(tiny_run, tmp_path / "out", file.getvalue())
    assert again.returncode == 1
    assert b"exist already" in again.stderr
    cut = live(tiny_run, tmp_path / "out", b"nothing", "--overwrite")
    assert cut.returncode == 1
    assert b"standard input" in cut.stderr + cut.stdout
    assert not list((tmp_path / "out" / "masks").glob("stdin/*"))


def timed(frames: np.ndarray, times: list[int]) -> bytes:
    """A NUT stream of grey frames at these tenths of a second."""
    file = io.BytesIO()
    with av.open(file, "w", format="nut") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "gray"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 10)
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels[..., 0], format="gray")
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_frames_that_a_stream_lost_have_results_and_are_told(
    tiny_run: Path, film: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, timed(film[1][:6], [0, 1, 2, 3, 6, 7]))
    told = Messages()
    result = predict(tiny_run, "-", output=tmp_path, on_progress=told)
    assert len(result.predicted) == 8
    assert not result.failures
    rows = (tmp_path / "frames.csv").read_text().splitlines()
    assert rows[0] == "frame,seconds,told"
    assert [row.split(",")[2] for row in rows[1:]] == ["seen"] * 4 + ["held"] * 2 + ["seen"] * 2
    assert [float(row.split(",")[1]) for row in rows[1:]] == pytest.approx(np.arange(8) / 10)
    masks = [np.array(Image.open(path)) for path in sorted((tmp_path / "masks" / "stdin").iterdir())]
    predictor = load(tiny_run)
    shown = [predictor.plan.labels.to_ids(predictor(frame).labels) for frame in film[1][:6]]
    np.testing.assert_array_equal(masks, [*shown[:4], shown[3], shown[3], *shown[4:]])
    assert any("2 frame(s) were lost" in text for text in told.texts)


def test_a_stream_that_ends_in_the_middle_or_changes_its_size_keeps_what_was_found(
    tiny_run: Path, film: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(*_: object) -> Iterator[tuple[float, np.ndarray]]:
        yield from ((t / 10, frame) for t, frame in enumerate(film[1][:3]))
        raise ImageReadError("the size of the frames changes", where="standard input, frame 4")

    whole = timed(film[1], list(range(14)))
    piped(monkeypatch, whole[: len(whole) // 2])
    result = predict(tiny_run, "-", output=tmp_path / "cut")
    assert 0 < len(result.predicted) < 14
    assert len(list((tmp_path / "cut" / "masks" / "stdin").iterdir())) == len(result.predicted)
    monkeypatch.setattr(live_flow, "timed_frames", changing)
    result = predict(tiny_run, "-", output=tmp_path / "changed")
    assert len(result.predicted) == 3
    assert "size of the frames changes" in result.failures["-"]
    assert len((tmp_path / "changed" / "frames.csv").read_text().splitlines()) == 4


def test_a_run_without_memory_keeps_none(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, b"")
    (tmp_path / "frames.csv").write_text("of an earlier stream")
    with pytest.raises(PlanError, match="no memory to keep"):
        predict(tiny_run, "-", output=tmp_path, state=tmp_path / "memory.npz", overwrite=True)
    assert (tmp_path / "frames.csv").exists()


def test_standard_input_is_the_only_input(tiny_run: Path, film: tuple[Path, np.ndarray]) -> None:
    with pytest.raises(UsageError, match="standard input"):
        predict(tiny_run, ["-", film[0]])
    with pytest.raises(UsageError, match="standard input"):
        predict(tiny_run, "-", skip_existing=True)
