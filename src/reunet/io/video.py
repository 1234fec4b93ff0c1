"""Videos, frame after frame, as FFmpeg reads and writes them (PyAV)."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError
from reunet.io.header import ImageHeader, check_size, explained

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".y4m"})
"""Suffixes of files that are taken for videos (compared in lower case)."""

RATE = Fraction(25)
"""Frames per second where a video does not say."""


def is_video(path: Path) -> bool:
    """Whether a path is named like a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def video_header(path: Path) -> ImageHeader:
    """Size and number of frames of a video, a stack (T, H, W) of grey or RGB images.

    Raises ImageReadError for a file that is missing, damaged or has no pictures, TooLargeError, UsageError
    without PyAV.
    """
    first = next(video_frames(path, path), None)
    if first is None:
        raise ImageReadError("the video has no frames", where=path)
    height, width, channels = first.shape
    with _opened(path, path) as (container, stream):
        frames = sum(packet.size > 0 for packet in container.demux(stream))
    return ImageHeader((height, width), channels, "uint8", frames, "TYXC", None, False, True)


def video_rate(path: Path) -> Fraction:
    """Frames per second. Raises as `video_header` does."""
    with _opened(path, path) as (_, stream):
        return stream.average_rate or RATE


def video_frames(source: Path | BinaryIO, where: object) -> Iterator[np.ndarray]:
    """The frames of a video, as `timed_frames`, which raises the same."""
    return (pixels for _, pixels in timed_frames(source, where))


def timed_frames(source: Path | BinaryIO, where: object) -> Iterator[tuple[float | None, np.ndarray]]:
    """The frames of a video, each (H, W, 1) or (H, W, 3) uint8, as they are read, with the seconds at which
    each is shown; None where the video does not say.

    source: a file, or a stream of any format that can be read without going back, such as NUT or Matroska.
    Raises ImageReadError where it is damaged or the size of the frames changes, UsageError without PyAV.
    """
    size: tuple[int, ...] | None = None
    with _opened(source, where) as (container, stream):
        for number, frame in enumerate(container.decode(stream), 1):
            pixels = frame.to_ndarray(
                format="gray" if (frame.format.name or "").startswith("gray") else "rgb24"
            )
            pixels = np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
            pixels = pixels[..., None] if pixels.ndim == 2 else pixels
            if size is not None and pixels.shape != size:
                raise ImageReadError(
                    "the size of the frames changes",
                    where=f"{where}, frame {number}",
                    expected=" x ".join(map(str, size)),
                    received=" x ".join(map(str, pixels.shape)),
                )
            size = pixels.shape
            yield frame.time, pixels


def write_video(path: Path, frames: Iterable[np.ndarray], rate: Fraction) -> None:
    """Write frames (H, W, 3) uint8 as H.264 in MP4, of the size of the first one."""
    av = import_extra("av", "video")
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = None
        for pixels in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                # Players expect colours at half the resolution, which has whole sides only of even ones.
                stream.height, stream.width = (side + side % 2 for side in pixels.shape[:2])
                stream.pix_fmt = "yuv420p"
            missing = [(0, stream.height - pixels.shape[0]), (0, stream.width - pixels.shape[1]), (0, 0)]
            padded = np.pad(pixels, missing, mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())


_NO_OTHERS = {"protocol_whitelist": "none"}
"""FFmpeg opens nothing by itself: a list of films would name files of others, or addresses."""


@contextmanager
def _opened(source: Path | BinaryIO, where: object) -> Iterator[tuple[Any, Any]]:
    """The container and its first stream of pictures; whatever FFmpeg says becomes ImageReadError."""
    av = import_extra("av", "video")  # its logging stays off: FFmpeg's threads would wait for Python's lock
    with ExitStack() as stack, explained(where, "video"):
        file = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        container = stack.enter_context(av.open(file, options=_NO_OTHERS))
        if not container.streams.video:
            raise ImageReadError("the file has no pictures", where=where, expected="a video")
        stream = container.streams.video[0]
        if stream.width and stream.height:  # what it announces, before a frame is decoded
            check_size(where, stream.height, stream.width)
        stream.thread_type = "AUTO"
        yield container, stream
