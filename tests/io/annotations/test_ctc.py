"""Folders of the Cell Tracking Challenge: read, checked, written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.findings import Findings
from reunet.errors import LabelError
from reunet.io.annotations.ctc import (
    UNTRACKED,
    Track,
    check_tracks,
    find_sequences,
    read_tracks,
    with_identities,
    write_result,
)
from reunet.io.annotations.instances import read_instances, write_instances

FRAMES = np.zeros((3, 4, 6), np.uint16)
FRAMES[0, :2, :2] = FRAMES[1, :2, 1:3] = 1
FRAMES[2, 0, 2], FRAMES[2, 2, 2] = 2, 3
TRACKS = (Track(1, 0, 1, 0), Track(2, 2, 2, 1), Track(3, 2, 2, 1))


def challenge(root: Path, truth: str = "GT") -> Path:
    """A sequence 01 of three frames with truth of every kind."""
    for number, ids in enumerate(FRAMES):
        write_instances(root / "01" / f"t{number:03d}.tif", ids)
        write_instances(root / f"01_{truth}" / "TRA" / f"man_track{number:03d}.tif", ids)
    write_instances(root / f"01_{truth}" / "SEG" / "man_seg001.tif", FRAMES[1])
    lines = "".join(" ".join(map(str, track)) + "\n" for track in TRACKS)
    (root / f"01_{truth}" / "TRA" / "man_track.txt").write_text(lines)
    return root


@pytest.mark.parametrize("truth", ["GT", "ST"])
def test_a_sequence_with_its_truth(tmp_path: Path, truth: str) -> None:
    problems = Findings(tmp_path)
    (found,) = find_sequences(challenge(tmp_path, truth), problems)
    assert not problems
    assert (found.name, sorted(found.frames), sorted(found.segmented)) == ("01", [0, 1, 2], [1])
    assert found.tracks == TRACKS
    read = {number: read_instances(path) for number, path in found.tracked.items()}
    np.testing.assert_array_equal([read[number] for number in range(3)], FRAMES)
    check_tracks(found.tracks, {t: np.unique(ids) for t, ids in read.items()}, tmp_path, problems)
    assert not problems


def test_annotated_slices_of_volumes(tmp_path: Path) -> None:
    write_instances(tmp_path / "02" / "t000.tif", np.zeros((3, 4, 5), np.uint16))
    write_instances(tmp_path / "02_GT" / "SEG" / "man_seg_000_002.tif", FRAMES[0])
    problems = Findings(tmp_path)
    (found,) = find_sequences(tmp_path, problems)
    assert not problems
    assert list(found.slices) == [(0, 2)]
    assert read_instances(found.frames[0]).shape == (3, 4, 5)


def test_objects_take_the_ids_of_the_marks_that_they_cover() -> None:
    ids = np.zeros((8, 12), np.int32)
    ids[0:4, 0:4], ids[0:4, 5:9], ids[5:8, 0:6] = 1, 2, 3
    marks = np.zeros_like(ids)
    marks[1:3, 1:3] = 40
    marks[0:2, 8:12] = 41  # a quarter of it inside: of another object
    marks[6, 0:5], marks[7, 0:2] = 43, 42  # two in one: the larger one
    found, missing = with_identities(ids, marks)
    expected = np.select([ids == 1, ids == 2, ids == 3], [40, UNTRACKED + 2, 43], 0)
    np.testing.assert_array_equal(found, expected)
    assert missing == 1
    found, missing = with_identities(ids * 0, marks)
    assert (found.any(), missing) == (False, 0)


def test_gold_truth_goes_before_silver(tmp_path: Path) -> None:
    for truth in ("ST", "GT"):
        challenge(tmp_path, truth)
    write_instances(tmp_path / "01_ST" / "SEG" / "man_seg002.tif", FRAMES[2])
    (found,) = find_sequences(tmp_path, Findings(tmp_path))
    assert [path.relative_to(tmp_path).parts[0] for path in found.segmented.values()] == ["01_GT", "01_ST"]


def test_other_folders_are_no_sequences(tmp_path: Path) -> None:
    (tmp_path / "01").mkdir()
    (tmp_path / "images").mkdir()
    assert find_sequences(tmp_path, Findings(tmp_path)) == ()


def test_missing_frames_are_listed(tmp_path: Path) -> None:
    (challenge(tmp_path) / "01" / "t001.tif").unlink()
    problems = Findings(tmp_path)
    find_sequences(tmp_path, problems)
    assert [one.code for one in problems] == 3 * ["frame-missing"]  # the gap, and two files of truth


def test_numbers_of_frames_far_apart_are_told_as_gaps(tmp_path: Path) -> None:
    folder = challenge(tmp_path) / "01"
    (folder / "t002.tif").rename(folder / "t200000000.tif")
    (folder / "t001.tif").rename(folder / "t005.tif")
    problems = Findings(tmp_path)
    find_sequences(tmp_path, problems)
    assert problems[0].received == "1 to 4, 6 to 199999999"


def test_ids_of_any_size_take_the_ids_of_marks() -> None:
    ids = np.array([[0, 2**31 - 1, 2**31 - 1, 2**31 - 2]], np.int32)
    found, missing = with_identities(ids, np.array([[0, 5, 5, 0]], np.int32))
    assert missing == 1
    assert found[0, :3].tolist() == [0, 5, 5]
    assert found[0, 3] > UNTRACKED


def test_results_come_back(tmp_path: Path) -> None:
    write_result(tmp_path / "01_RES", (ids for ids in FRAMES), TRACKS)
    problems = Findings(tmp_path)
    assert read_tracks(tmp_path / "01_RES" / "res_track.txt", problems) == TRACKS
    assert not problems
    masks = [tmp_path / "01_RES" / f"mask{number:03d}.tif" for number in range(3)]
    np.testing.assert_array_equal([read_instances(mask) for mask in masks], FRAMES)
    assert sorted(entry.name for entry in (tmp_path / "01_RES").iterdir()) == [
        "mask000.tif", "mask001.tif", "mask002.tif", "res_track.txt",
    ]  # fmt: skip


def test_results_are_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(LabelError):
        write_result(tmp_path / "01_RES", [FRAMES[0], np.array([[-1]])], ())
    assert not list(tmp_path.iterdir())
    write_result(tmp_path / "01_RES", [np.array([[70_000]])], ())
    assert read_instances(tmp_path / "01_RES" / "mask000.tif").item() == 70_000


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("1 0 1 0\n2 2 2 1\n", []),
        ("1 0 1 0\r\n\n2 2 2 1", []),
        ("1 0 1\n", ["track-line"]),
        ("1 0 1 x\n", ["track-line"]),
        ("1 0 1 -1\n", ["track-line"]),
        ("0 0 1 0\n", ["track-line"]),
        ("999999999 0 1 0\n", ["track-line"]),
        (f"1 0 {'9' * 5000} 0\n", ["track-line"]),
        ("\0 0 1 0\n", ["track-line"]),
        ("1 2 1 0\n", ["track-line"]),
        ("1 0 1 0\n1 2 3 0\n", ["track-line"]),
        ("1 0 1 7\n", ["track-parent"]),
        ("1 0 1 1\n", ["track-parent"]),
        ("1 0 2 0\n2 2 3 1\n", ["track-parent"]),
        ("1 0 1\n2 0 1 9\n", ["track-line", "track-parent"]),
    ],
)
def test_what_is_wrong_with_tracks_is_listed(tmp_path: Path, text: str, codes: list[str]) -> None:
    path = tmp_path / "man_track.txt"
    path.write_bytes(text.encode())
    problems = Findings(tmp_path)
    read_tracks(path, problems)
    assert [one.code for one in problems] == codes


def test_tracks_that_cannot_be_read(tmp_path: Path) -> None:
    problems = Findings(tmp_path)
    assert read_tracks(tmp_path / "none.txt", problems) == ()
    assert [one.code for one in problems] == ["annotations-unreadable"]


def test_tracks_and_frames_that_disagree(tmp_path: Path) -> None:
    present = {0: [0, 1], 1: [0, 1], 2: [1, 2]}
    problems = Findings(tmp_path)
    check_tracks([Track(1, 0, 2, 0), Track(2, 1, 2, 0), Track(3, 0, 0, 0)], present, tmp_path, problems)
    assert [(one.expected, one.received) for one in problems] == [
        ("frames 1 to 2", "frames 2 to 2"),
        ("frames 0 to 0", "nowhere"),
    ]
    problems.clear()
    check_tracks([Track(1, 0, 2, 0)], {0: [1], 1: [0], 2: [1]}, tmp_path, problems)
    assert [(one.severity, one.code) for one in problems] == [("warning", "track-gap")]
    problems.clear()
    check_tracks([], {0: [4]}, tmp_path, problems)
    assert [(one.expected, one.received) for one in problems] == [("no such track", "frames 0 to 0")]
