"""Which cases are frames of one sequence: told by sequences.json, or by their names."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reunet.contracts.findings import Findings, some_of, understood
from reunet.datasets.cases import Axis, Case, FrameSequence
from reunet.datasets.folders import SplitFolders
from reunet.errors import DataError, UsageError
from reunet.io.images import composed
from reunet.io.listing import images_by_stem
from reunet.storage import read_json

FILE = "sequences.json"


@dataclass(frozen=True)
class SequencePattern:
    """How names tell sequence and frame, such as `{sequence}_{frame}` for `walk_0012`.

    Names are paths below the images folder without suffix, with "/". `{sequence}` is any text; left out, the
    frames of one folder are one sequence. `{frame}` is a whole number, by which the frames are ordered (gaps
    do not matter); written `{slice}` they run in depth (Z) instead of time (T). `*` is any text but "/".
    """

    text: str

    def __post_init__(self) -> None:
        names = re.findall(r"{(.*?)}", self.text)
        numbers = [name for name in names if name in ("frame", "slice")]
        if len(numbers) != 1 or names.count("sequence") > 1 or not set(names) <= {"sequence", *numbers}:
            raise UsageError(
                "this pattern does not say where the number of a frame is",
                where="--sequence",
                expected='a pattern like "{sequence}_{frame}", or "{sequence}_{slice}" for slices in depth',
                received=self.text,
            )

    @property
    def axis(self) -> Axis:
        """What the frames run through."""
        return "Z" if "{slice}" in self.text else "T"

    def place(self, name: str) -> tuple[str, int] | None:
        """Sequence and number of the frame of that name; None when it does not fit."""
        pieces = {"{sequence}": "(?P<sequence>.+)", "{frame}": r"(?P<frame>\d+)", "*": "[^/]*?"}
        pieces["{slice}"] = pieces["{frame}"]
        parts = re.split(r"({sequence}|{frame}|{slice}|\*)", self.text)
        found = re.fullmatch("".join(pieces.get(part, re.escape(part)) for part in parts), name)
        if found is None:
            return None
        folder = name.rpartition("/")[0] or "all"
        return found.groupdict().get("sequence", folder), int(found["frame"])


def with_sequences(
    cases: Sequence[Case], folders: Sequence[SplitFolders], pattern: str | None, problems: Findings
) -> list[Case]:
    """Cases with their sequences, the frames of each in its order; adds what is wrong with them.

    The order is that of `pattern` (see `SequencePattern`) where there is one, else of sequences.json. Pages
    of a stack are a sequence already. Raises UsageError for a pattern, DataError for a file, that is not
    understood.
    """
    if pattern is not None:
        ordered = _by_name(cases, SequencePattern(pattern), problems)
    else:
        places = read_places(problems.root, problems)
        by_name = {(case.split, case.id): case for case in cases}
        known = [(key, sequence) for key, sequence in places.items() if key in by_name]
        ordered = [replace(by_name.pop(key), sequence=sequence) for key, sequence in known]
        ordered += by_name.values()
        _unknown_frames(places, cases, folders, problems)
    _single_frames(ordered, problems)
    return ordered


def read_places(root: Path, problems: Findings) -> dict[tuple[str, str], FrameSequence]:
    """(split, frame) -> its sequence by sequences.json, in the order of frames; empty without that file.

    Raises DataError.
    """
    path = root / FILE
    places: dict[tuple[str, str], FrameSequence] = {}
    if not path.is_file():
        return places
    twice: list[str] = []
    form = '[{"split": "train", "sequence": "a", "axis": "T" or "Z", "frames": ["stem", ...]}]'
    with understood(f"{FILE} is", path, form):
        for entry in read_json(path, DataError):
            axis = str(entry.get("axis", "T"))
            if axis not in ("T", "Z"):
                raise DataError(f"{FILE} names an unknown axis", where=path, expected="T (time) or Z (depth)")
            for frame in entry["frames"]:
                key = str(entry.get("split", "train")), composed(str(frame))
                if key in places:
                    twice.append(f"{key[0]}: {key[1]}")
                places[key] = FrameSequence(str(entry["sequence"]), "Z" if axis == "Z" else "T")
    if twice:
        message, fix = "a frame is listed twice", "list every frame once"
        problems.error("frame-twice", path, message, "every frame once", some_of(twice), fix)
    return places


def _by_name(cases: Iterable[Case], pattern: SequencePattern, problems: Findings) -> list[Case]:
    """The frames in the order of their numbers, then all others."""
    found: list[tuple[tuple[str, str, int], Case]] = []
    others: list[Case] = []
    for case in cases:
        place = pattern.place(case.id)
        if case.page is not None:
            others.append(case)
        elif place is None:
            message = "the name does not fit the pattern of --sequence"
            fix = "correct the pattern, or rename or remove the file"
            problems.error("no-sequence", case.image, message, pattern.text, case.id, fix)
        else:
            found.append(((case.split, *place), case))
    found.sort(key=lambda item: item[0])
    for (here, case), (before, other) in zip(found[1:], found, strict=False):
        if here == before:
            message = "two files are the same frame of a sequence"
            received = f"{other.id} and {case.id}"
            problems.error("frame-twice", case.image, message, "every frame once", received, "remove one")
    placed = (replace(case, sequence=FrameSequence(name, pattern.axis)) for (_, name, _), case in found)
    return [*placed, *others]


def _unknown_frames(
    places: dict[tuple[str, str], FrameSequence],
    cases: Iterable[Case],
    folders: Sequence[SplitFolders],
    problems: Findings,
) -> None:
    if not places:
        return
    images = {(case.split, case.id) for case in cases}
    for entry in folders:  # images without a mask are no cases, but their names are right
        images |= {(entry.split, stem) for stem in images_by_stem(entry.images)}
    unknown = [f"{split}: {name}" for split, name in places if (split, name) not in images]
    if unknown:
        message = "names of frames match no image and are ignored"
        expected = "split, and path below the images folder without suffix"
        problems.warning("unknown-frame", FILE, message, expected, some_of(unknown), "correct or remove them")


def _single_frames(cases: Iterable[Case], problems: Findings) -> None:
    counts = Counter((case.split, case.sequence.name) for case in cases if case.sequence is not None)
    single = [f"{split}: {name}" for (split, name), count in counts.items() if count == 1]
    if single:
        message = "sequences have one frame only: nothing can be learned from their order"
        fix = "add their other frames, or correct what says which frames belong together"
        problems.warning("single-frame", single[0].split(": ")[0], message, "2 or more", some_of(single), fix)


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key of names by the numbers in them: a2 before a10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]
