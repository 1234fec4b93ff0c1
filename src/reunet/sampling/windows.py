"""Which frames are shown together: a single image, or a window of consecutive frames of one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reunet.contracts.plan import ClipSpec
from reunet.datasets.cases import FrameSequence


@dataclass(frozen=True)
class Window:
    """Frames that share one coordinate map and one change of appearance.

    frames: numbers of the cases, in order. counted: which of them enter the loss; the others are context,
    or mirrored where the sequence is shorter than the window.
    """

    frames: tuple[int, ...]
    counted: tuple[bool, ...]

    @property
    def anchors(self) -> tuple[int, ...]:
        """The frames that count: a patch is placed where one of them shows something."""
        return tuple(frame for frame, counts in zip(self.frames, self.counted, strict=True) if counts)

    def part(self, number: int, of: int) -> Window:
        """One of `of` parts of equal length that follow each other."""
        length = len(self.frames) // of
        here = slice(number * length, (number + 1) * length)
        return Window(self.frames[here], self.counted[here])

    def skipping(self, skipped: Sequence[int], sequence: Sequence[int]) -> Window:
        """The same with so many frames of its sequence left out before each, as far as there is room."""
        room = max(0, len(sequence) - len(self.frames))
        if not room or not any(skipped):
            return self
        places = sequence.index(self.frames[0]) + np.arange(len(self.frames))
        places += np.minimum(np.cumsum(skipped), room)
        places -= max(0, int(places[-1]) - (len(sequence) - 1))
        return Window(tuple(sequence[int(place)] for place in places), self.counted)


def all_windows(cases: Sequence[Frame], clip: ClipSpec | None) -> tuple[Window, ...]:
    """Every case alone; or, with `clip`, every window of each sequence, `clip.carry` windows in one piece.

    Windows begin at every frame and, shifted into the sequence, also before its first: of such a window only
    the frames count that lie in it before the shift. So every frame counts in exactly as many windows as a
    window has frames, at its beginning, middle and end, and none has more say than another.
    """
    if clip is None:
        return tuple(Window((number,), (True,)) for number in range(len(cases)))
    return tuple(
        window for sequence in sequences(cases) for window in _windows_of(sequence, clip.frames * clip.carry)
    )


def _windows_of(sequence: Sequence[int], length: int) -> list[Window]:
    count, windows = len(sequence), []
    for wanted in range(1 - length, count):
        first = max(0, min(wanted, count - length))
        places = np.arange(first, min(first + length, count))
        counted = (places >= wanted) & (places < wanted + length)
        missing = length - len(places)
        # Played backwards, so motion stays smooth, as where a short sequence is predicted.
        places = np.pad(places, (0, missing), mode="reflect")
        frames = tuple(sequence[int(place)] for place in places)
        windows.append(Window(frames, (*map(bool, counted), *(False,) * missing)))
    return windows


class Frame(Protocol):
    """A case, as far as sequences are concerned."""

    @property
    def id(self) -> str: ...

    @property
    def sequence(self) -> FrameSequence | None: ...


def sequences(cases: Sequence[Frame]) -> list[list[int]]:
    """Numbers of the cases, sequence by sequence and in their order; a case of none is one by itself."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, case in enumerate(cases):
        key = ("image", case.id) if case.sequence is None else ("sequence", case.sequence.name)
        found.setdefault(key, []).append(number)
    return list(found.values())
