"""Files and folders that are whole or absent, with the permissions that the umask leaves."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reunet import storage
from reunet.errors import DataError, PlanError, StorageError
from reunet.storage import atomic_path, publish_folder, read_json, write_json, write_text

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")


@pytest.fixture
def umask() -> Iterator[int]:
    old = os.umask(0o027)
    yield 0o027
    os.umask(old)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def fill_with(text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)

    return fill


@posix
def test_permissions_follow_the_umask(umask: int, tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "a")
    publish_folder(tmp_path / "folder", fill_with("a"))
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_the_umask_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of the whole process: changed for a moment, it opens the files of other threads to anybody."""
    monkeypatch.setattr(os, "umask", None)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: write_text(tmp_path / f"{i}", "a"), range(8)))
    publish_folder(tmp_path / "folder", fill_with("a"))


@pytest.mark.parametrize("name", ["a.weights.h5", "x" * 251 + ".png", "a." + "ü" * 120 + ".png", "no suffix"])
def test_the_temporary_name_ends_like_the_file_and_is_never_too_long(name: str, tmp_path: Path) -> None:
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.suffix == Path(name).suffix
        assert name != "a.weights.h5" or temporary.name.endswith(".weights.h5")
        temporary.write_text("a")
    assert names(tmp_path) == [name]


@pytest.mark.fault("permission lost while a file is written", "the old file is intact")
def test_a_file_stays_as_it_was_when_writing_fails(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")

    def fail() -> None:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_the_system_refusing_is_a_storage_error_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a", tmp_path / ("x" * 300)):
        with pytest.raises(StorageError, match="could not write"):
            write_text(path, "a")
    with pytest.raises(StorageError, match="shorter"):
        publish_folder(tmp_path / ("x" * 300), fill_with("a"))
    assert names(tmp_path) == ["file"]


def test_an_old_folder_is_whole_until_the_new_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    publish_folder(path, fill_with("old"))
    removed = []

    def rmtree(folder: Path, **options: bool) -> None:
        assert (path / "sub" / "file").read_text() == "new"
        removed.append(folder)
        original(folder, **options)

    original = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    publish_folder(path, fill_with("new"))
    assert len(removed) == 1
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_an_old_folder_comes_back_when_it_cannot_be_replaced(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "folder", 0
    publish_folder(path, fill_with("old"))

    def rename(old: Path, new: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(errno.EIO, "Input/output error")
        original(old, new)

    original = os.rename
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(storage, "_swap", lambda *_: False)  # as on a disk that cannot exchange folders
    if failing < 3:
        with pytest.raises(StorageError, match="Input/output"):
            publish_folder(path, fill_with("new"))
    else:  # there are only two
        publish_folder(path, fill_with("new"))
    assert (path / "sub" / "file").read_text() == ("old" if failing < 3 else "new")
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_is_to_stay_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    publish_folder(path, fill_with("first"), replace=False)
    before = path.stat().st_ino
    with pytest.raises(StorageError):
        publish_folder(path, fill_with("second"), replace=False)
    assert (path / "sub" / "file").read_text() == "first"
    assert path.stat().st_ino == before
    assert names(tmp_path) == ["folder"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("a")
    with pytest.raises(StorageError):
        publish_folder(tmp_path / "precious", fill_with("b"))
    assert (tmp_path / "precious").read_text() == "a"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"\x00", b"[" * 100_000, b"9" * 5000, None], ids=range(7)
)
def test_what_is_no_json_raises_the_error_asked_for(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    for error in (PlanError, DataError):
        with pytest.raises(error, match="JSON") as caught:
            read_json(path, error)
        assert str(path) in str(caught.value)


def test_json_comes_back_also_from_an_editor_that_marks_utf_8(tmp_path: Path) -> None:
    value = {"ü": [1, 2.5, None]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", PlanError) == value
    (tmp_path / "b.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.json").read_bytes())
    assert read_json(tmp_path / "b.json", PlanError) == value
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
