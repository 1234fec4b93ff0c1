"""Folders of the Cell Tracking Challenge: frames, segmentations and tracks; results to upload.

Format: Maska et al. 2014, "A benchmark for comparison of cell tracking algorithms", and the challenge's
page on annotations: `NN/tTTT.tif`, `NN_GT/SEG/man_segTTT.tif` (a slice: `man_seg_TTT_ZZZ.tif`),
`NN_GT/TRA/man_trackTTT.tif` + `man_track.txt`, the same in `NN_ST` (silver truth), and `NN_RES/maskTTT.tif` +
`res_track.txt` for results. Frames are read with `read_instances`, a volume being a stack.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.findings import Findings, some_of
from reunet.errors import DataError
from reunet.io.annotations.instances import write_instances
from reunet.storage import publish_folder, read_text, write_text

UNTRACKED = 1 << 15
"""Ids above it are of objects that no track marks; they mean nothing from frame to frame."""


MOST_ID = (1 << 24) - 1
"""Highest id of a track; lineages are arrays of this length."""


class Track(NamedTuple):
    """A line of the lineage: an object's id, its first and last frame, the id it divided from or 0."""

    id: int
    begin: int
    end: int
    parent: int


@dataclass(frozen=True)
class CtcSequence:
    """The files of one sequence by frame number; truth is gold, else silver.

    segmented: whole frames. slices: single annotated slices, by frame and slice. tracked: frames in which
    every object is marked under its track's id, perhaps not to its full extent. tracks: their lineage, and
    lineage: its file.
    """

    name: str
    frames: dict[int, Path]
    segmented: dict[int, Path] = field(default_factory=dict)
    slices: dict[tuple[int, int], Path] = field(default_factory=dict)
    tracked: dict[int, Path] = field(default_factory=dict)
    tracks: tuple[Track, ...] = ()
    lineage: Path | None = None


def find_sequences(root: Path, problems: Findings) -> tuple[CtcSequence, ...]:
    """The sequences of a folder of the challenge; empty when it is none (no folder `NN` with `tTTT.tif`).

    Adds an error for gaps between frames, truth of frames that do not exist, and what `read_tracks` finds.
    """
    found = []
    for folder in sorted(entry for entry in root.iterdir() if re.fullmatch(r"[0-9]{2,}", entry.name)):
        frames = _numbered(folder, r"t([0-9]{3,})\.tif")
        if not frames:
            continue
        if len(frames) != max(frames) + 1 - min(frames):
            known = sorted(frames)
            gaps = [(a + 1, b - 1) for a, b in pairwise(known) if b > a + 1]
            received = some_of([str(a) if a == b else f"{a} to {b}" for a, b in gaps], 20)
            problems.error("frame-missing", folder, "frames are missing", "", received)
        truths = [root / f"{folder.name}_{kind}" for kind in ("GT", "ST")]
        gold, silver = (_numbered(truth / "SEG", r"man_seg([0-9]{3,})\.tif") for truth in truths)
        segmented = silver | gold
        named = [
            (re.fullmatch(r"man_seg_([0-9]+)_([0-9]+)\.tif", path.name), path)
            for path in sorted((truths[0] / "SEG").glob("man_seg_*.tif"))
        ]
        slices = {(int(match[1]), int(match[2])): path for match, path in named if match is not None}
        marked = (_numbered(truth / "TRA", r"man_track([0-9]{3,})\.tif") for truth in truths)
        tracked = next(filter(None, marked), {})
        lineages = (truth / "TRA" / "man_track.txt" for truth in truths)
        lineage = next(filter(Path.is_file, lineages), None)
        tracks = read_tracks(lineage, problems) if lineage is not None else ()
        told = [*segmented.items(), *tracked.items(), *((t, path) for (t, _), path in slices.items())]
        for number, path in told:
            if number not in frames:
                message, expected = "there is no image of this frame", f"{folder.name}/t{number:03d}.tif"
                problems.error("frame-missing", path, message, expected)
        found.append(CtcSequence(folder.name, frames, segmented, slices, tracked, tracks, lineage))
    return tuple(found)


def read_tracks(path: Path, problems: Findings) -> tuple[Track, ...]:
    """The lineage in man_track.txt or res_track.txt, lines "id begin end parent".

    Adds an error for lines that are no four whole numbers, ids below 1, above MOST_ID or doubled, tracks that
    end before they begin, and parents that do not exist or live on when their child begins.
    """
    lines: list[str] = []
    with problems.noting("annotations-unreadable", path, "the file of tracks is"):
        lines = read_text(path, DataError, "the tracks").splitlines()
    tracks: dict[int, Track] = {}
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 4 or not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
            message = f"line {number} is no track"
            problems.error("track-line", path, message, "four whole numbers: id begin end parent", line[:80])
            continue
        track = Track(*map(int, parts))
        if not 1 <= track.id <= MOST_ID or track.id in tracks or track.end < track.begin:
            message = f"line {number}: the id is 0 or used before, or the track ends before it begins"
            problems.error("track-line", path, message, f"an id from 1 to {MOST_ID:,}", line[:80])
            continue
        tracks[track.id] = track
    for track in tracks.values():
        parent = tracks.get(track.parent)
        if track.parent and parent is None:
            message = f"track {track.id}: its parent {track.parent} does not exist"
            problems.error("track-parent", path, message)
        elif parent is not None and parent.end >= track.begin:
            message = f"track {track.id}: its parent {track.parent} lives on when it begins"
            expected = f"the parent to end before frame {track.begin}"
            problems.error("track-parent", path, message, expected, f"frame {parent.end}")
    return tuple(tracks.values())


def with_identities(ids: NDArray[np.int32], markers: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
    """Objects under the ids of their tracks, and how many have none: those get ids above UNTRACKED.

    ids, markers: (*space) segmented objects, and marks of the tracks. As in the challenge, a mark belongs to
    the object that covers more than half of it; of several, an object takes the one it covers most of.
    """
    inside = markers > 0
    marks, areas = np.unique(markers[inside], return_counts=True)
    pairs, counts = np.unique(np.stack([ids[inside], markers[inside]]), axis=1, return_counts=True)
    names, places = np.unique(ids, return_inverse=True)
    table = np.where(names > 0, np.arange(len(names), dtype=np.int32) + UNTRACKED, 0).astype(np.int32)
    for i in np.argsort(counts, kind="stable"):
        one, mark = pairs[:, i]
        if one > 0 and 2 * counts[i] > areas[np.searchsorted(marks, mark)]:
            table[np.searchsorted(names, one)] = mark
    return table[places].reshape(ids.shape), int((table > UNTRACKED).sum())


def check_tracks(
    tracks: Sequence[Track], present: Mapping[int, Iterable[int]], path: Path, problems: Findings
) -> None:
    """Add an error where frames and lineage disagree, a warning for tracks that are gone in between.

    present: the ids (0 does not count) in each frame.
    """
    seen: dict[int, list[int]] = {}
    for frame, ids in sorted(present.items()):
        for one in ids:
            seen.setdefault(int(one), []).append(frame)
    seen.pop(0, None)
    told = {track.id: (track.begin, track.end) for track in tracks}
    for one in sorted(seen.keys() | told.keys()):
        span = (seen[one][0], seen[one][-1]) if one in seen else None
        if span is not None and span == told.get(one):
            gone = span[1] + 1 - span[0] - len(seen[one])
            if gone:
                message, fix = f"track {one} is gone in {gone} of its frames", "make two tracks of it"
                problems.warning("track-gap", path, message, "an object in every frame", "", fix)
        else:
            expected, received = (
                none if ends is None else f"frames {ends[0]} to {ends[1]}"
                for ends, none in ((told.get(one), "no such track"), (span, "nowhere"))
            )
            message = f"track {one} is not where the lineage says"
            problems.error("track-frames", path, message, expected, received)


def write_result(folder: Path, masks: Iterable[np.ndarray], tracks: Iterable[Track], digits: int = 3) -> None:
    """Write the folder `NN_RES` in one step: mask000.tif ... and res_track.txt.

    masks: per frame (H, W) or (D, H, W) track ids. digits: of the frame numbers, as in the names of the
    images. Ids above 65,535, which the challenge does not take, make 32-bit files. Raises StorageError.
    """

    def fill(temporary: Path) -> None:
        for number, ids in enumerate(masks):
            write_instances(temporary / f"mask{number:0{digits}d}.tif", ids)
        write_tracks(temporary / "res_track.txt", tracks)

    publish_folder(folder, fill)


def write_tracks(path: Path, tracks: Iterable[Track]) -> None:
    """Write a lineage atomically, lines "id begin end parent". Raises StorageError."""
    write_text(path, "".join(" ".join(map(str, track)) + "\n" for track in sorted(tracks)))


def _numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """Files of a folder by the number in their name; empty without the folder."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    matches = [(re.fullmatch(pattern, path.name), path) for path in entries]
    return {int(match[1]): path for match, path in matches if match is not None}
