"""`reunet predict` on videos, from files and from standard input."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.errors import ImageReadError, UsageError
from reunet.flows.predict import at_once
from reunet.flows.predict.predict import predict
from reunet.inference.load import load
from reunet.io.video import video_frames
from reunet.progress import NullProgress

from ..io.test_video import clip, write_lossless

pytest.importorskip("av")


class Messages(NullProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


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


def test_standard_input_is_the_only_input(tiny_run: Path, film: tuple[Path, np.ndarray]) -> None:
    with pytest.raises(UsageError, match="standard input"):
        predict(tiny_run, ["-", film[0]])
    with pytest.raises(UsageError, match="standard input"):
        predict(tiny_run, "-", skip_existing=True)
