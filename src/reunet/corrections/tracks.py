"""Identities in time: ids that are free in a whole sequence, and its lineage after an edit."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reunet.io.annotations.ctc import Track


def next_id(frames: Iterable[Iterable[int]]) -> int:
    """The first id above those in all frames."""
    return max((max(ids, default=0) for ids in frames), default=0) + 1


def changed_ids(before: np.ndarray, after: np.ndarray) -> set[int]:
    """Ids that are in one of two frames only."""
    old, new = set(np.unique(before).tolist()), set(np.unique(after).tolist())
    return (old ^ new) - {0}


def lineage(
    tracks: Sequence[Track], present: Mapping[int, Iterable[int]], changed: Iterable[int]
) -> list[Track]:
    """The tracks after an edit: those of `changed` ids begin and end where they are seen.

    present: the ids in each frame. A track that is nowhere any more goes, and its children have no parent; a
    parent that is seen as late as its child is none.
    """
    known = {track.id: track for track in tracks}
    for one in changed:
        frames = [frame for frame, ids in present.items() if one in ids]
        parent = known[one].parent if one in known else 0
        if frames:
            known[one] = Track(one, min(frames), max(frames), parent)
        else:
            known.pop(one, None)
    found = []
    for track in known.values():
        above = known.get(track.parent)
        is_before = above is not None and above.end < track.begin
        found.append(track if is_before or not track.parent else track._replace(parent=0))
    return sorted(found)
