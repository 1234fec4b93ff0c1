"""Videos: frames as they were written, and what is wrong with damaged ones."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from reunet.errors import BackendError, ImageReadError
from reunet.io.images import read_header, read_image, read_pages
from reunet.io.video import video_frames, video_rate, write_video

av = pytest.importorskip("av")


def clip(count: int = 12, channels: int = 3, size: tuple[int, int] = (48, 66)) -> np.ndarray:
    """(T, H, W, C) uint8, a gradient and a square that moves."""
    frames = np.zeros((count, *size, channels), np.uint8)
    frames += np.linspace(0, 200, size[1]).astype(np.uint8)[:, None]
    for t, frame in enumerate(frames):
        frame[10:30, 3 * t : 3 * t + 20] = 40 * np.arange(1, channels + 1)
    return frames


def write_lossless(path: Path | io.BytesIO, frames: np.ndarray, form: str = "matroska") -> None:
    grey = frames.shape[-1] == 1
    with av.open(path if isinstance(path, io.BytesIO) else str(path), "w", format=form) as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "gray" if grey else "bgr0"
        for pixels in frames:
            layout = ("gray", pixels[..., 0]) if grey else ("rgb24", pixels)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(layout[1], format=layout[0])))
        container.mux(stream.encode())


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_come_back(tmp_path: Path, channels: int) -> None:
    frames, path = clip(channels=channels), tmp_path / "clip.MKV"
    write_lossless(path, frames)
    header = read_header(path)
    assert (header.size, header.channels, header.pages, header.axes) == ((48, 66), channels, 12, "TYXC")
    np.testing.assert_array_equal(list(read_pages(path, header.pages)), frames)
    np.testing.assert_array_equal(read_image(path, page=7), frames[7])
    assert video_rate(path) == 10


def test_a_stream_needs_no_file() -> None:
    file = io.BytesIO()
    write_lossless(file, clip(), "nut")
    pipe = io.BytesIO(file.getvalue())
    pipe.seekable = lambda: False  # type: ignore[method-assign]
    np.testing.assert_array_equal(list(video_frames(pipe, "pipe")), clip())


def test_what_is_written_can_be_shown_anywhere(tmp_path: Path) -> None:
    """Odd sides become even: players do not show others."""
    frames = clip(9, size=(47, 65))
    write_video(tmp_path / "a.mp4", frames, Fraction(5))
    read = np.array(list(video_frames(tmp_path / "a.mp4", "a")))
    assert read.shape == (9, 48, 66, 3)
    assert np.abs(read[:, :47, :65].astype(int) - frames).mean() < 8
    assert video_rate(tmp_path / "a.mp4") == 5


def test_a_video_that_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_lossless(path, clip())
    with pytest.raises(ImageReadError, match="ends early"):
        list(read_pages(path, 13))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageReadError):
        read_header(path)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ImageReadError, match="cannot be read"):
        read_header(tmp_path / "a.mp4")
    with pytest.raises(ImageReadError, match="does not exist"):
        read_header(tmp_path / "b.mp4")


def test_frames_of_two_sizes() -> None:
    file = io.BytesIO()
    for frame in (*clip(3), *clip(3, size=(32, 40))):
        Image.fromarray(frame).save(file, "JPEG")
    file.seek(0)
    with pytest.raises(ImageReadError, match="size of the frames changes"):
        list(video_frames(file, "pipe"))


def test_videos_are_read_in_several_threads(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", clip(60), Fraction(25))

    def read() -> None:
        for _ in range(30):
            read_header(tmp_path / "a.mp4")

    threads = [Thread(target=read, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "they wait for one another"


def test_without_pyav_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BackendError, match="the package av") as error:
        read_header(tmp_path / "a.mp4")
    assert ".[video]" in str(error.value)
