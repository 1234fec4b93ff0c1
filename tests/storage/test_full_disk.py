"""A disk that is full at any write, or refuses another call: an error that says so, all as it was."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet import storage
from reunet.contracts.labels import LabelMap, default_classes
from reunet.errors import BackendError, StorageError
from reunet.io.annotations.instances import write_instances
from reunet.io.large_masks import LargeMask, write_ome_zarr, write_tiled_tiff
from reunet.io.raster import write_png
from reunet.slices import size_of
from reunet.training.checkpoint import load_checkpoint, save_checkpoint

CALLS = ("fsync", "rename", "replace", "mkdir")
NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES)


class Refusing:
    """The call of that number below a folder, of those that write, fails; 0 for none."""

    def __init__(self, patch: pytest.MonkeyPatch, root: Path, number: int, code: int) -> None:
        self.left, self.code = number, code
        for name in CALLS:
            patch.setattr(os, name, self.wrapped(getattr(os, name)))
        opened, outer = io.open, self

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                outer.count()
                return super().write(data)

        def refusing(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
            if not set(mode) & set("wax") or isinstance(file, int) or not str(file).startswith(str(root)):
                return opened(file, mode, *rest, **more)
            outer.count()
            made = io.BufferedWriter(File(file, mode.replace("b", "")))
            return made if "b" in mode else io.TextIOWrapper(made, encoding="utf-8")

        patch.setattr(io, "open", refusing)
        patch.setattr("builtins.open", refusing)

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def refused(*arguments: Any, **more: Any) -> Any:
            self.count()
            return call(*arguments, **more)

        return refused

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code))


def large(n: int) -> LargeMask:
    labels, byte = LabelMap(classes=default_classes([0, 1])), np.dtype(np.uint8)
    return LargeMask((70, 90), byte, lambda part: np.full(size_of(part), n, byte), None, labels)


def fill(n: int) -> Callable[[Path], None]:
    def filled(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_bytes(bytes([n]) * 10_000)
        storage.write_json(folder / "b.json", {"n": n})

    return filled


def pixels(n: int) -> np.ndarray:
    return np.full((20, 30), n, np.uint8)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "text": lambda folder, n: storage.write_text(folder / "new" / "a.txt", f"{n}" * 10_000),
    "folder": lambda folder, n: storage.publish_folder(folder / "a", fill(n)),
    "PNG": lambda folder, n: write_png(folder / "a.png", pixels(n)),
    "TIFF": lambda folder, n: write_instances(folder / "a.tif", pixels(n).astype(np.int32)),
    "tiled TIFF": lambda folder, n: write_tiled_tiff(folder / "a.tif", large(n)),
    "OME-Zarr": lambda folder, n: write_ome_zarr(folder / "a.ome.zarr", large(n)),
    "checkpoint": lambda folder, n: save_checkpoint(folder, n, {"a": np.full(9, n)}, {}),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITERS)
def test_whatever_call_is_refused_the_old_is_there_and_the_error_says_why(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "OME-Zarr":
        pytest.importorskip("zarr")
    write, expected, folder = WRITERS[name], tmp_path / "expected", tmp_path / "folder"
    write(expected, 2)
    write(folder, 1)
    before = contents(folder)
    for number in range(1, 1000, 5 if name == "OME-Zarr" else 1):
        code = NUMBERS[number % len(NUMBERS)]
        with monkeypatch.context() as patch:
            refusing, told = Refusing(patch, folder, number, code), ""
            try:
                write(folder, 2)
            except StorageError as error:
                told = str(error)
        if told:
            assert all(text in told for text in (os.strerror(code), "fix:", str(folder)))
        if refusing.left > 0:
            break
        after = contents(folder)
        assert not [entry for entry in after if ".tmp-" in entry]
        if name == "checkpoint":
            assert load_checkpoint(folder)[0] in (1, 2)
        else:  # refused before it was published, or after
            assert after in (before, contents(expected))
    assert number > 4
    assert contents(folder) != before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("basic_ios::clear: iostream error"), "iostream error.*has room"),
        (BackendError("failed", received="No space left on device [Op:Save]"), "No space left.*free some"),
    ],
)
def test_what_libraries_say_of_a_full_disk(error: Exception, told: str, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise error

    with pytest.raises(StorageError, match=f"(?s){told}"):
        storage.publish_folder(tmp_path / "a", fail)
    assert os.listdir(tmp_path) == []


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise BackendError("an operation is missing")

    with pytest.raises(BackendError, match="operation"):
        storage.publish_folder(tmp_path / "a", fail)


def test_where_nothing_need_survive_nothing_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setattr(storage, "_passing", set())
    storage.never_sync(tmp_path / "passing")
    for folder, is_synced in (("passing", False), ("kept", True)):
        synced.clear()
        storage.write_text(tmp_path / folder / "new" / "a.txt", "text")
        storage.publish_folder(tmp_path / folder / "b", fill(1))
        assert bool(synced) == is_synced
        assert (tmp_path / folder / "new" / "a.txt").read_text() == "text"


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open a folder")
def test_what_is_published_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents are on the disk before their name is, and the name before the call returns."""
    done: list[tuple[str, int]] = []
    fsync, renames = os.fsync, {name: getattr(os, name) for name in ("rename", "replace")}
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(("sync", os.fstat(handle).st_ino)),
                                                     fsync(handle)))  # fmt: skip
    for name, call in renames.items():
        monkeypatch.setattr(
            os, name, lambda old, new, call=call: (done.append(("name", os.stat(old).st_ino)), call(old, new))
        )
    storage.write_text(tmp_path / "a.txt", "a")
    here, file = tmp_path.stat().st_ino, (tmp_path / "a.txt").stat().st_ino
    assert done == [("sync", file), ("name", file), ("sync", here)]
    done.clear()
    storage.publish_folder(tmp_path / "b", fill(1))
    folder = tmp_path / "b"
    inside = {path.stat().st_ino for path in (folder, *folder.rglob("*"))}
    at = done.index(("name", folder.stat().st_ino))
    assert {number for what, number in done[:at] if what == "sync"} >= inside
    assert done[at + 1 :] == [("sync", here)]
