"""Files and folders that are whole or absent, with the permissions that the umask leaves."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reunet import storage
from reunet.errors import DataError, PlanError, StorageError
from reunet.locks import temporary, temporary_name
from reunet.storage import (
    atomic_path,
    csv_text,
    publish_folder,
    read_csv,
    read_json,
    read_text,
    refuse_existing,
    refuse_foreign,
    remove_old,
    write_json,
    write_text,
)

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


def test_half_characters_are_refused_and_whole_ones_come_back(tmp_path: Path) -> None:
    """No file name could hold them; two halves are a character."""
    path = tmp_path / "a.json"
    for text in (r'"\ud83d"', r'["\uDC00"]', r'{"\ud800": 1}'):
        path.write_text(text)
        with pytest.raises(DataError, match="surrogates not allowed"):
            read_json(path, DataError)
    path.write_text(r'"\ud83d\ude00"')
    assert read_json(path, DataError) == "\U0001f600"


@posix
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="something that is not a file") as caught:
            read_text(path, DataError, "a table")
        assert "could not read a table" in str(caught.value)


def test_a_file_may_have_as_many_bytes_as_are_allowed_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("12345")
    assert read_text(tmp_path / "a", DataError, "a table", most_bytes=5) == "12345"
    with pytest.raises(DataError, match=r"(?s)expected: at most 4 bytes.*received: 5"):
        read_text(tmp_path / "a", DataError, "a table", most_bytes=4)


def test_a_table_comes_back(tmp_path: Path) -> None:
    rows = [["a,b", 1.5], ['"', None], ["two\nlines", "ü"]]
    write_text(tmp_path / "a.csv", csv_text(["name", "value"], rows))
    expected = [{"name": name, "value": "" if value is None else str(value)} for name, value in rows]
    assert read_csv(tmp_path / "a.csv", DataError) == expected


def test_old_results_go_whatever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "kept").touch()
    remove_old([tmp_path / name for name in ("folder", "file", "link", "absent", "x" * 300)])
    assert names(tmp_path) == ["kept"]

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match=r"(?s)could not remove.*kept.*Permission denied"):
        remove_old([tmp_path / "kept"])


def test_a_folder_of_something_else_is_not_written_into(tmp_path: Path) -> None:
    folder, mark = tmp_path / "run", tmp_path / "run" / "plan.json"
    refuse_foreign(folder, mark, "run")
    folder.mkdir()
    (folder / ".lock").touch()
    left = temporary_name(folder / "plan.json")
    left.touch()  # by a process that was killed before it wrote the first file
    refuse_foreign(folder, mark, "run")
    assert not left.exists()
    with temporary(folder / "plan.json", is_folder=False):  # of another one that begins
        refuse_foreign(folder, mark, "run")
    for name in "gfedcba":
        (folder / name).touch()
    with pytest.raises(StorageError, match=r"(?s)something else than a run.*received: a, b, c, d, e\n"):
        refuse_foreign(folder, mark, "run")
    mark.touch()
    refuse_foreign(folder, mark, "run")
    with pytest.raises(StorageError, match="a file, not a folder"):
        refuse_foreign(mark, mark, "run")


@pytest.mark.parametrize("is_relative", [False, True])
def test_results_that_exist_are_named_and_replaced_only_when_asked(
    is_relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("out") if is_relative else tmp_path / "out"
    places = [folder / "a", folder / "b"]
    refuse_existing(folder, places, overwrite=False)
    folder.mkdir()
    (tmp_path / "out" / "b").touch()
    refuse_existing(folder, places, overwrite=True)
    with pytest.raises(StorageError, match=r"(?s)1 result\(s\) exist already.*received: b\n.*--overwrite"):
        refuse_existing(folder, places, overwrite=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("renamex_np", (b"one", b"other", 2)), ("renameat2", (-100, b"one", -100, b"other", 2)), ("", None)],
    ids=["macOS", "Linux", "elsewhere"],
)
def test_two_folders_are_exchanged_as_the_system_can(
    name: str, expected: tuple[object, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS: RENAME_SWAP; Linux: RENAME_EXCHANGE, relative to AT_FDCWD. 0 is success."""
    for answer in (0, -1):
        asked: list[tuple[object, ...]] = []

        def call(*words: Any, answer: int = answer, asked: list[tuple[object, ...]] = asked) -> int:
            asked.append(words)
            return answer

        library = SimpleNamespace(**({name: call} if name else {}))
        monkeypatch.setattr(ctypes, "CDLL", lambda _, library=library: library)
        assert storage._swap(Path("one"), Path("other")) is (bool(name) and answer == 0)
        assert asked == ([expected] if expected else [])
