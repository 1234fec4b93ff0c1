"""A stream whose frames tell when they were taken: which are missing, which come late, where it paused."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, Literal

from reunet.contracts.results import Prediction
from reunet.inference.stream import Singles, Stream

REMEMBERED, AGREE = 15, 8
"""Steps in time from which the usual one is told; so many that agree are a new rate."""

LONGEST = 100
"""Frames that may be missing; more are a pause, after which nothing before it counts."""


class Pace:
    """Tells from the times of frames how many are missing before each one."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._steps: deque[float] = deque(maxlen=REMEMBERED)

    def missing(self, time: float | None) -> int | None:
        """How many frames are missing before the one of this time, in seconds; -1 for one that comes late,
        and None after a pause, or where the clock begins anew. time: None where it is not told.
        """
        last = self._last
        if time is None or last is None:
            self._last = time
            return 0
        step, usual = time - last, self._usual()
        if usual is not None and abs(step) > (LONGEST + 1.5) * usual:
            self._last = time
            return None
        if step <= 0:
            return -1
        self._last = time
        self._steps.append(step)
        return 0 if usual is None else max(0, round(step / usual) - 1)

    def _usual(self) -> float | None:
        """The time between two frames of which none is missing between them. Many steps are longer where many
        frames are lost, so it is the median of those that are about as short as the shortest.
        """
        if not self._steps:
            return None
        steps = list(self._steps)
        if len(steps) >= AGREE and max(steps[-AGREE:]) < 1.25 * min(steps[-AGREE:]):
            return median(steps[-AGREE:])
        short = sorted(steps)[min(2, (len(steps) - 1) // 4)]
        return median(step for step in steps if step < 1.5 * short)


@dataclass(frozen=True)
class Followed:
    """One frame of a stream. seconds: when it was taken, of a lost one when it should have been; None where
    that is not told. frame, result: None where there is none. begins: the memory began anew with it.
    took: seconds that its prediction took.
    """

    kind: Literal["seen", "lost", "late"]
    seconds: float | None
    frame: Any | None
    result: Prediction | None
    begins: bool = False
    took: float = 0.0


def follow(stream: Stream | Singles, frames: Iterable[tuple[float | None, Any]]) -> Iterator[Followed]:
    """What a stream says of frames, each with its time in seconds, as soon as it comes.

    Missing frames are told as lost before the one after them. A frame that comes after a later one is not
    predicted: its place has been told. Raises as the stream and `frames` do.
    """
    pace = Pace()
    before: float | None = None
    for seconds, frame in frames:
        missing = pace.missing(seconds)
        if missing == -1:
            yield Followed("late", seconds, frame, None)
            continue
        if missing is None:
            stream.reset()
        elif missing and seconds is not None and before is not None:
            step = (seconds - before) / (missing + 1)
            for number in range(1, 1 + missing):
                yield _told(stream, "lost", before + number * step, None)
        yield _told(stream, "seen", seconds, frame, begins=missing is None)
        before = seconds


def _told(
    stream: Stream | Singles,
    kind: Literal["seen", "lost"],
    seconds: float | None,
    frame: Any | None,
    *,
    begins: bool = False,
) -> Followed:
    began = perf_counter()
    result = stream(frame)
    return Followed(kind, seconds, frame, result, begins, perf_counter() - began)
