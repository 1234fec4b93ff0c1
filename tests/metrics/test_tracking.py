from __future__ import annotations

import numpy as np
import pytest

from reunet.metrics.object_overlap import object_overlap
from reunet.metrics.tracking import TrackingErrors, seg, tracking_errors

Sequence = list[np.ndarray]
Table = np.ndarray


def compare(truth: Sequence, tracks: Table, result: Sequence, result_tracks: Table) -> TrackingErrors:
    return tracking_errors(
        [object_overlap(t, r) for t, r in zip(truth, result, strict=True)], tracks, result_tracks
    )


def table_of(frames: Sequence, parents: dict[int, int]) -> Table:
    """First and last frame of each id."""
    ids = sorted({int(i) for f in frames for i in np.unique(f) if i})
    at = {i: [t for t, f in enumerate(frames) if (f == i).any()] for i in ids}
    return np.array([(i, at[i][0], at[i][-1], parents.get(i, 0)) for i in ids]).reshape(-1, 4)


def cells() -> tuple[Sequence, Table]:
    """Cell 1 divides into 2 and 3 after two frames; cell 4 stays; four frames of one row."""
    a, b = [1] * 4 + [0, 4, 4, 4, 0, 0], [2, 2, 0, 3, 0, 4, 4, 4, 0, 0]
    frames = [np.array([row]) for row in (a, a, b, b)]
    return frames, table_of(frames, {2: 1, 3: 1})


def graph(frames: Sequence, tracks: Table) -> tuple[set, dict]:
    vertices = {(t, int(i)) for t, f in enumerate(frames) for i in f.ravel() if i}
    edges = {((t, i), (t + 1, i)): "track" for t, i in vertices if (t + 1, i) in vertices}
    ends = {int(row[0]): int(row[2]) for row in tracks}
    edges |= {((ends[int(p)], int(p)), (int(b), int(i))): "parent" for i, b, _, p in tracks if p}
    return vertices, edges


def reference(truth: Sequence, tracks: Table, result: Sequence, result_tracks: Table) -> tuple[float, float]:
    """AOGM and TRA with sets of vertices and edges, every pair of objects compared by masks."""
    (v, e), (w, f) = graph(truth, tracks), graph(result, result_tracks)
    found = {b: [] for b in w}
    for t, i in v:
        mask = truth[t] == i
        for s, j in w:
            if s == t and (mask & (result[t] == j)).sum() > mask.sum() / 2:
                found[s, j].append((t, i))
    one = {b: a[0] for b, a in found.items() if len(a) == 1}
    f = {(one[a], one[b]): kind for (a, b), kind in f.items() if {a, b} <= set(one)}
    missed = v - {a for group in found.values() for a in group}
    cost = 5 * sum(len(a) - 1 for a in found.values() if a) + 10 * len(missed)
    cost += sum(not a for a in found.values()) + len(set(f) - set(e)) + 1.5 * len(set(e) - set(f))
    cost += sum(e[edge] != kind for edge, kind in f.items() if edge in e)
    empty = 10 * len(v) + 1.5 * len(e)
    return cost, 1 - min(cost, empty) / empty


def test_a_perfect_result_under_other_ids() -> None:
    truth, tracks = cells()
    names = np.array([0, 9, 3, 1, 7])
    result = [names[f] for f in truth]
    errors = compare(truth, tracks, result, table_of(result, {3: 9, 1: 9}))
    assert errors == TrackingErrors(0, 0, 0, 0, 0, 0, objects=10, edges=8)
    assert errors.tra == 1
    assert seg([object_overlap(t, r) for t, r in zip(truth, result, strict=True)]) == 1


def test_each_kind_of_error_by_hand() -> None:
    truth, tracks = cells()
    lost = [np.where(f == 4, 0, f) if t == 1 else f.copy() for t, f in enumerate(truth)]
    for frame in lost[2:]:
        frame[frame == 4] = 5  # after the gap it is another track
    errors = compare(truth, tracks, lost, table_of(lost, {2: 1, 3: 1}))
    assert (errors.missed, errors.missing_edges, errors.aogm) == (1, 2, 13)
    assert errors.tra == pytest.approx(1 - 13 / (100 + 12))

    truth, tracks = cells()
    errors = compare(truth, tracks, truth, table_of(truth, {}))  # the division is not seen
    assert (errors.missing_edges, errors.aogm) == (2, 3)

    same = [np.where(f == 3, 1, f) for f in truth]  # a daughter keeps the number of its mother
    errors = compare(truth, tracks, same, table_of(same, {}))
    assert (errors.wrong_edges, errors.missing_edges, errors.aogm) == (1, 1, 2.5)

    merged = [f.copy() for f in truth]
    merged[2][0, :4] = merged[3][0, :4] = 2  # the daughters are one object: split in each frame
    errors = compare(truth, tracks, merged, table_of(merged, {2: 1}))
    assert (errors.splits, errors.missing_edges, errors.false_edges) == (2, 4, 0)
    assert errors.aogm == 2 * 5 + 4 * 1.5

    extra = [f.copy() for f in truth]
    extra[0][0, 9] = 6
    assert compare(truth, tracks, extra, table_of(extra, {2: 1, 3: 1})).aogm == 1

    swapped = [f.copy() for f in truth]
    swapped[3][truth[3] == 2], swapped[3][truth[3] == 3] = 3, 2
    errors = compare(truth, tracks, swapped, table_of(swapped, {2: 1, 3: 1}))
    assert (errors.false_edges, errors.missing_edges, errors.aogm) == (2, 2, 5)


def random_sequence(seed: int) -> tuple[Sequence, Table, Sequence, Table]:
    """Four cells that move for eight frames, two of them a divided one; the result merges, loses, swaps."""
    rng = np.random.default_rng(seed)
    truth, result = [], []
    for t in range(8):
        frame = np.zeros((16, 30), int)
        for i, row in enumerate((1, 6, 11)):
            x = 2 + t + 3 * i
            frame[row : row + 4, x : x + 8] = i + 1
            if i == 0 and t >= 4:
                frame[row : row + 4, x : x + 4], frame[row : row + 4, x + 4 : x + 8] = 10, 11
        truth.append(frame)
        seen = np.roll(frame, rng.integers(-1, 2, 2), axis=(0, 1))
        table = np.arange(12)
        if rng.random() < 0.3:
            table[3] = 0
        if rng.random() < 0.4:
            table[11] = 10
        if rng.random() < 0.3:
            table[[2, 3]] = table[[3, 2]]
        seen = table[seen]
        if rng.random() < 0.5:
            seen[0, :2] = 5
        result.append(seen)
    ids = {int(i) for f in result for i in np.unique(f)}
    parents = {10: 1, 11: 1} if rng.random() < 0.7 else {10: 1}
    parents = {i: p for i, p in parents.items() if {i, p} <= ids}
    return truth, table_of(truth, {10: 1, 11: 1}), result, table_of(result, parents)


@pytest.mark.parametrize("seed", range(12))
def test_random_sequences_against_sets_of_vertices_and_edges(seed: int) -> None:
    truth, tracks, result, result_tracks = random_sequence(seed)
    errors = compare(truth, tracks, result, result_tracks)
    assert (errors.aogm, errors.tra) == pytest.approx(reference(truth, tracks, result, result_tracks))
    assert errors.aogm > 0
    order = np.random.default_rng(seed).permutation(len(result_tracks))
    assert compare(truth, tracks, result, result_tracks[order]) == errors
    total = [
        max(
            ((t == i) & (r == j)).sum() / ((t == i) | (r == j)).sum()
            * (((t == i) & (r == j)).sum() > (t == i).sum() / 2)
            for j in np.unique(r)
            if j
        )
        for t, r in zip(truth, result, strict=True)
        for i in np.unique(t)
        if i
    ]  # fmt: skip
    overlaps = [object_overlap(t, r) for t, r in zip(truth, result, strict=True)]
    assert seg(overlaps) == pytest.approx(np.mean(total))


def test_half_an_object_is_not_found() -> None:
    truth, result = [np.array([[1, 1, 0]])], [np.array([[0, 4, 0]])]
    errors = compare(truth, table_of(truth, {}), result, table_of(result, {}))
    assert (errors.missed, errors.false) == (1, 1)
    assert errors.tra == 0  # 11 of 10: not below an empty result
    assert seg([object_overlap(truth[0], result[0])]) == 0


def test_empty() -> None:
    truth, tracks = cells()
    nothing = [np.zeros_like(f) for f in truth]
    empty = np.zeros((0, 4), int)
    assert compare(truth, tracks, nothing, empty).tra == 0
    assert np.isnan(compare(nothing, empty, truth, tracks).tra)
    assert np.isnan(seg([object_overlap(nothing[0], truth[0])]))


def test_tables_that_disagree_with_the_frames() -> None:
    truth, tracks = cells()
    for wrong in (
        tracks[:-1],
        tracks + np.array([0, 0, 1, 0]),
        np.r_[tracks, tracks[:1]],
        np.r_[tracks, [[8, 0, 1, 0]]],
    ):
        with pytest.raises(ValueError, match=r"tracks .* of the result disagree"):
            compare(truth, tracks, truth, wrong)
    for parent in (4, 77):
        wrong = tracks.copy()
        wrong[1, 3] = parent
        with pytest.raises(ValueError, match="track 2 of the truth begins before its parent"):
            compare(truth, wrong, truth, tracks)
