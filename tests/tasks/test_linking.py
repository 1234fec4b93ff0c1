"""Identities across frames, against the exact tracks of synthetic cells and hand-made cases."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from reunet.errors import DataError, UsageError
from reunet.tasks.instances.linking import Linker, Linking

from ..datasets.synthetic_cells import Culture, Movie, make_movie

Sight = tuple[int, int]  # frame, id of the truth


def shuffled(maps: Iterable[np.ndarray], seed: int = 0) -> list[np.ndarray]:
    """The same objects with other ids in every frame, not dense."""
    rng = np.random.default_rng(seed)
    return [np.concatenate([[0], 3 * rng.permutation(m.max()) + 2]).astype(np.int32)[m] for m in maps]


def link(maps: Iterable[np.ndarray], **settings: object) -> tuple[list[np.ndarray], np.ndarray]:
    linker = Linker(Linking(**settings))
    tracked = list(linker.link(maps))
    return tracked, linker.lineage()


def edges(lineage: np.ndarray) -> tuple[set[tuple[Sight, Sight]], set[tuple[Sight, frozenset[Sight]]]]:
    """Links from sight to sight, and divisions, of a table of tracks."""
    rows = {row[0]: row for row in lineage.tolist()}
    links = {((t, i), (t + 1, i)) for i, begin, end, _ in rows.values() for t in range(begin, end)}
    children: dict[int, list[int]] = {}
    for i, _, _, parent in rows.values():
        if parent:
            children.setdefault(parent, []).append(i)
            links.add(((rows[parent][2], parent), (rows[i][1], i)))
    divisions = {
        ((rows[p][2], p), frozenset((rows[i][1], i) for i in c)) for p, c in children.items() if len(c) == 2
    }
    return links, divisions


def errors(movie: Movie, tracked: list[np.ndarray], lineage: np.ndarray) -> dict[str, int]:
    """Links and divisions that are too many or too few, in the ids of the truth."""
    names = [
        dict(np.unique(np.stack([a[a > 0], b[a > 0]]), axis=1).T.tolist())
        for a, b in zip(tracked, movie.maps, strict=True)
    ]
    links, divisions = edges(lineage)

    def name(sight: Sight) -> Sight:
        return sight[0], names[sight[0]][sight[1]]

    found = {(name(a), name(b)) for a, b in links}
    found_divisions = {(name(a), frozenset(map(name, b))) for a, b in divisions}
    true, true_divisions = edges(movie.lineage)
    return {
        "links": len(true),
        "wrong": len(found - true),
        "missed": len(true - found),
        "divisions": len(true_divisions),
        "wrong divisions": len(found_divisions - true_divisions),
        "missed divisions": len(true_divisions - found_divisions),
    }


def discs(
    places: Iterable[tuple[float, ...]], radius: float | Iterable[float], size: tuple[int, ...]
) -> np.ndarray:
    """Map with a disc or ball at every place, ids in order."""
    places = list(places)
    radii = np.broadcast_to(np.asarray(radius, float), len(places))
    drawn = np.zeros(size, np.int32)
    grid = np.indices(size)
    for i, (place, r) in enumerate(zip(places, radii, strict=True)):
        drawn[sum((g - p) ** 2 for g, p in zip(grid, place, strict=True)) <= r**2] = i + 1
    return drawn


@pytest.mark.parametrize(
    "culture",
    [
        Culture(speed=2.0),
        Culture(speed=4.0),
        Culture(drift=6.0),
        Culture(division=0.1, frames=12),
        Culture(cells=150, frames=12),
        Culture(size=(24, 64, 64), radius=6, cells=25, speed=1.5, frames=10),
    ],
    ids=["slow", "fast", "drifting", "dividing", "crowded", "volumes"],
)
def test_finds_the_tracks_of_moving_dividing_touching_cells(culture: Culture) -> None:
    movie = make_movie(culture, seed=5)
    counted = errors(movie, *link(shuffled(movie.maps)))
    assert counted["wrong"] <= max(1, 0.001 * counted["links"])
    assert counted["missed"] <= 0.005 * counted["links"]
    assert counted["wrong divisions"] <= 1
    # Those at the border, of which one daughter is half outside, are not told from a cell that enters.
    assert counted["missed divisions"] <= max(1, 0.15 * counted["divisions"])


def test_objects_stay_as_they_are_and_the_table_agrees_with_the_maps() -> None:
    movie = make_movie(Culture(size=(128, 128), cells=25, division=0.08, speed=5.0), seed=2)
    maps = shuffled(movie.maps)
    maps[7] = np.zeros_like(maps[7])
    rng = np.random.default_rng(0)
    for frame in maps[:7] + maps[8:]:  # a segmentation that misses cells, cuts some and joins others
        chosen = rng.choice(np.unique(frame)[1:], 12, replace=False)
        frame[np.isin(frame, chosen[:4])] = 0
        frame[np.isin(frame, chosen[4:8]) & (np.indices(frame.shape).sum(0) % 128 < 64)] += 100_000
        frame[frame == chosen[8]] = chosen[9]
    tracked, lineage = link(maps)
    for before, after in zip(maps, tracked, strict=True):
        assert after.dtype == np.int32
        pairs = np.unique(np.stack([before.ravel(), after.ravel()]), axis=1)
        assert len(set(pairs[0].tolist())) == len(set(pairs[1].tolist())) == pairs.shape[1]
    assert sorted(lineage[:, 0].tolist()) == list(range(1, len(lineage) + 1))
    present = [set(np.unique(frame).tolist()) - {0} for frame in tracked]
    for number, begin, end, parent in lineage.tolist():
        assert [t for t, ids in enumerate(present) if number in ids] == list(range(begin, end + 1))
        assert parent == 0 or lineage[parent - 1, 2] < begin


def test_missed_objects_are_linked_again_within_the_gap() -> None:
    places = [[(20 + 3 * t, 20), (60, 20 + 2 * t)] for t in range(8)]
    maps = [discs(p, 6, (80, 80)) for p in places]
    for t in (3, 4):
        maps[t][maps[t] == 1] = 0
    tracked, lineage = link(shuffled(maps), gap=2)
    first, again = tracked[2][26, 20], tracked[5][35, 20]
    assert lineage[first - 1].tolist() == [first, 0, 2, 0]
    assert lineage[again - 1].tolist() == [again, 5, 7, first]
    assert len(lineage) == 3
    _, lineage = link(shuffled(maps), gap=1)
    assert lineage[:, 3].max() == 0


def test_what_leaves_is_gone_and_what_enters_is_new() -> None:
    leaving = [20, 13, 6, 0, None, None, 0, 5]
    maps = [discs([(40, 40)] + ([] if y is None else [(y, 20)]), 5, (80, 80)) for y in leaving]
    _, lineage = link(shuffled(maps), gap=3)
    assert sorted(lineage[:, 1:].tolist()) == [[0, 3, 0], [0, 7, 0], [6, 7, 0]]


def test_a_division_is_two_new_tracks_with_one_parent() -> None:
    maps = [discs([(40, 40), (40, 70)], 10, (80, 100)) for _ in range(3)]
    maps += [discs([(40, 33 - t), (40, 47 + t), (40, 70 + t)], [7, 7, 10], (80, 100)) for t in range(3)]
    _, lineage = link(shuffled(maps))
    parent = lineage[lineage[:, 2] == 2, 0].item()
    assert sorted(lineage[:, 1:].tolist()) == [[0, 2, 0], [0, 5, 0], [3, 5, parent], [3, 5, parent]]


def test_a_newcomer_beside_a_cell_is_no_daughter() -> None:
    maps = [discs([(40, 40)], 10, (80, 100)) for _ in range(3)]
    maps += [discs([(40, 40), (40, 57)], [10, 6], (80, 100)) for _ in range(3)]
    _, lineage = link(shuffled(maps))
    assert sorted(lineage[:, 1:].tolist()) == [[0, 5, 0], [3, 5, 0]]


def test_one_frame_cut_in_two_is_no_division() -> None:
    maps = [discs([(40, 40)], 10, (80, 80)) for _ in range(5)]
    maps[2][(maps[2] > 0) & (np.indices((80, 80))[1] > 40)] = 2
    maps[2][:, 40] = 0
    tracked, lineage = link(shuffled(maps))
    assert len(lineage) == 2
    assert [0, 4, 0] in lineage[:, 1:].tolist()
    assert [2, 2, 0] in lineage[:, 1:].tolist()
    assert len(np.unique(tracked[2])) == 3


def test_two_cells_seen_as_one_for_a_frame_are_no_division() -> None:
    maps = [discs([(40, 30), (40, 45)], 8, (80, 80)) for _ in range(5)]
    maps[2][maps[2] == 2] = 1
    _, lineage = link(shuffled(maps))
    assert np.bincount(lineage[:, 3])[1:].max(initial=0) <= 1  # a gap has one child, a division two
    assert sorted(lineage[:, 1:3].tolist()) == [[0, 1], [0, 4], [3, 4]]


def test_spacing_of_anisotropic_volumes() -> None:
    # Balls in space, 5 um apart along z and 1 um within: flat in the array. Both jump along z by one slice
    # and the second lies where, counted in voxels, the first one's nearest neighbour is.
    def scene(z: float) -> np.ndarray:
        grid = np.indices((12, 60, 60)) * np.array([5.0, 1, 1])[:, None, None, None]
        drawn = np.zeros((12, 60, 60), np.int32)
        for i, place in enumerate([(z, 20, 20), (z, 20, 42)]):
            drawn[sum((g - p) ** 2 for g, p in zip(grid, place, strict=True)) <= 100] = i + 1
        return drawn

    maps = [scene(15 + 5 * t) for t in range(4)]
    _, lineage = link(shuffled(maps), spacing=(5.0, 1.0, 1.0))
    assert lineage[:, 1:].tolist() == [[0, 3, 0]] * 2
    with pytest.raises(UsageError, match="spacing"):
        link(maps, spacing=(1.0, 1.0))


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_empty_frames(frames: int) -> None:
    tracked, lineage = link([np.zeros((16, 16), np.uint16)] * frames)
    assert len(tracked) == frames
    assert lineage.shape == (0, 4)


def test_single_frame_and_large_ids() -> None:
    frame = np.zeros((16, 16), np.int64)
    frame[2:5, 2:5], frame[8:12, 8:12] = 2**31 - 1, 70000
    tracked, lineage = link([frame])
    assert np.unique(tracked[0]).tolist() == [0, 1, 2]
    assert lineage[:, 1:].tolist() == [[0, 0, 0]] * 2


def test_holds_one_frame_back_and_no_more() -> None:
    read = []

    def frames() -> Iterable[np.ndarray]:
        for t in range(5):
            read.append(t)
            yield discs([(20, 20)], 5, (40, 40))

    ahead = [len(read) - t for t, _ in enumerate(Linker().link(frames()))]
    assert ahead == [2, 2, 2, 2, 1]


def test_bad_maps_are_refused() -> None:
    good = np.zeros((8, 8), np.int32)
    for bad in (np.zeros((8, 9), np.int32), good.astype(float), good - 1):
        with pytest.raises(DataError, match="frame 1"):
            link([good, bad])
    with pytest.raises(DataError, match="frame 0"):
        link([np.zeros(5, int)])
    with pytest.raises(UsageError, match="impossible"):
        Linking(reach=0)


def test_five_thousand_objects_per_frame() -> None:
    rng = np.random.default_rng(0)
    side, cell = 72, 12
    base = (
        np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2) * cell + 6
    )
    maps = []
    for _ in range(4):
        drawn = np.zeros((side * cell, side * cell), np.int32)
        for i, (y, x) in enumerate(base + rng.integers(-1, 2, base.shape)):
            drawn[y - 5 : y + 5, x - 5 : x + 5] = i + 1
        maps.append(drawn)
    mixed = shuffled(maps)
    tracked, lineage = link(mixed)
    assert len(lineage) == side * side
    assert all(np.array_equal(frame > 0, mixed[t] > 0) for t, frame in enumerate(tracked))
