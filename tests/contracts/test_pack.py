"""A run as one file: written, unpacked once, and each archive that is none refused for its reason."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reunet.contracts import pack
from reunet.contracts.pack import run_at, write_pack
from reunet.errors import ModelFileError

from .test_run import make_run, use_all

Entries = dict[str, bytes]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "packs_folder", lambda: tmp_path / "packs")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A pack of a run that holds other files, too."""
    run = make_run(tmp_path / "run").path
    (run / "history.csv").write_text("step\n1\n")
    write_pack(run, tmp_path / "a.reunet")
    return tmp_path / "a.reunet"


def changed(file: Path, change: Callable[[Entries], Entries], **how: int) -> Path:
    """The same archive with other entries."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    other = file.with_name("other.reunet")
    with zipfile.ZipFile(other, "w", **how) as archive:
        for name, content in change(entries).items():
            archive.writestr(name, content)
    return other


def test_a_pack_is_the_run_without_what_predicting_does_not_need(packed: Path) -> None:
    run = run_at(packed)
    use_all(run)
    files = {one.relative_to(run.path).as_posix() for one in run.path.rglob("*") if one.is_file()}
    assert "history.csv" not in files
    assert {"plan.json", "weights/best.weights.h5", "engine/model.bin"} <= files
    assert run_at(packed).path == run.path, "unpacked once"
    again = packed.with_name("b.reunet")
    write_pack(packed.parent / "run", again)
    assert again.read_bytes() == packed.read_bytes()


def without(name: str) -> Callable[[Entries], Entries]:
    return lambda entries: {other: content for other, content in entries.items() if other != name}


def with_entry(name: str, content: bytes = b"x") -> Callable[[Entries], Entries]:
    return lambda entries: {**entries, name: content}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("pack.json"), "not a run that `reunet pack` wrote"),
        (without("plan.json"), "(?s)not complete.*plan.json"),
        (with_entry("../plan.json"), r"(?s)files of a run only.*\.\./plan"),
        (with_entry("weights/other.h5"), "(?s)files of a run only.*other"),
        (with_entry("engine/int8.xml"), "(?s)not complete.*int8.xml"),
        (with_entry("plan.json", b"{}"), "(?s)damaged|exchanged|not the ones"),
        (with_entry("pack.json", b"{}"), "another schema version"),
        (with_entry("pack.json", b'{"files": {}, "schema_version": 2}'), "version"),
        (with_entry("pack.json", b"[" * 10_000), "not a run that `reunet pack` wrote"),
    ],
)
def test_what_is_no_pack_is_refused_and_leaves_nothing(
    change: Callable[[Entries], Entries], told: str, packed: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match=told):
        run_at(changed(packed, change))
    assert not (tmp_path / "packs").exists() or not list((tmp_path / "packs").iterdir())


def test_entries_are_neither_compressed_nor_many_nor_large(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelFileError, match=r"(?s)holds its files as they are.*compressed"):
        run_at(changed(packed, dict, compression=zipfile.ZIP_DEFLATED))
    many = {f"test/expected_{number}.npy": b"" for number in range(pack.MOST_FILES)}
    with pytest.raises(ModelFileError, match="not a run that `reunet pack` wrote"):
        run_at(changed(packed, lambda entries: {**entries, **many}))
    with pytest.raises(ModelFileError, match="too large"):
        run_at(changed(packed, with_entry("pack.json", b" " * (2**20 + 1))))
    size = sum(info.file_size for info in zipfile.ZipFile(packed).infolist())
    monkeypatch.setattr(pack, "MOST_BYTES", size)
    assert run_at(packed).path.is_dir()
    monkeypatch.setattr(pack, "MOST_BYTES", size - 1)
    with pytest.raises(ModelFileError, match="too large"):
        run_at(changed(packed, dict))


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.reunet").write_bytes(b"PK\3\4 and nothing more")
    with pytest.raises(ModelFileError, match="not a run that `reunet pack` wrote"):
        run_at(tmp_path / "a.reunet")


def test_the_manifest_holds_the_hash_of_each_file(packed: Path, tmp_path: Path) -> None:
    def harmed(entries: Entries) -> Entries:
        told = json.loads(entries["pack.json"])
        told["files"]["plan.json"] = "0" * 64
        return {**entries, "pack.json": json.dumps(told).encode()}

    with pytest.raises(ModelFileError, match=r"plan\.json"):
        run_at(changed(packed, harmed))
