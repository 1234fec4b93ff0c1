"""A run as one file, taken wherever a run is; nothing but the files of a run comes out of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest

import reunet
from reunet.cli import main
from reunet.contracts.pack import MANIFEST, packs_folder, run_at
from reunet.errors import ModelFileError, StorageError, UsageError


@pytest.fixture(scope="module")
def packed(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reunet.pack(tiny_run, output=tmp_path_factory.mktemp("packs") / "nuclei.reunet").output


def test_a_pack_predicts_what_the_run_predicts(packed: Path, tiny_run: Path, tiny_dataset: Path) -> None:
    image = next((tiny_dataset / "test" / "images").iterdir())
    found, expected = (reunet.load(one, precision="f32")(image) for one in (packed, tiny_run))
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def test_it_is_taken_where_a_run_is(packed: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.reunet"
    shutil.copy(packed, own)
    assert main(["predict", str(own), str(tiny_dataset / "test" / "images")]) == 0
    assert len(list((tmp_path / "mine-predictions" / "masks").iterdir())) == 2
    assert main(["evaluate", str(own), str(tiny_dataset)]) == 0
    assert list(tmp_path.rglob("metrics.json"))
    assert main(["export", str(own), "--format", "openvino", "-o", str(tmp_path / "exported")]) == 0


def test_it_holds_no_name_of_an_image_and_no_code(packed: Path, tiny_run: Path) -> None:
    with ZipFile(packed) as archive:
        names = archive.namelist()
        content = b"".join(archive.read(name) for name in names if name.endswith(".json"))
    assert {
        "plan.json",
        "weights/best.weights.h5",
        "engine/model.bin",
        "model_card.md",
        "test/input.npy",
    } <= set(names)
    assert not [name for name in names if name.startswith(("checkpoints", "evaluation", "splits"))]
    assert b"train_00" not in content


def test_the_same_run_gives_the_same_file(packed: Path, tiny_run: Path, tmp_path: Path) -> None:
    again = reunet.pack(tiny_run, output=tmp_path / "again.reunet")
    assert again.output.read_bytes() == packed.read_bytes()
    with pytest.raises(StorageError, match="overwrite=True"):
        reunet.pack(tiny_run, output=again.output)
    with pytest.raises(UsageError, match=r"\.reunet"):
        reunet.pack(tiny_run, output=tmp_path / "again.zip")


def test_what_exists_stays(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "p.reunet").write_text("mine")
    for output in ("sub/p.reunet", tmp_path / "sub" / "p.reunet"):
        with pytest.raises(StorageError, match=r"received: p\.reunet"):
            reunet.pack(tiny_run, output=output)
    assert (tmp_path / "sub" / "p.reunet").read_text() == "mine"


def test_what_is_gone_of_an_unpacked_run_is_unpacked_again(packed: Path) -> None:
    folder = run_at(packed).path
    (folder / "plan.json").unlink()
    (folder / "engine" / "model.bin").write_bytes(b"cut")
    run = run_at(packed)
    assert run.path == folder
    run.verified_engine(run.plan())


def test_a_damaged_engine_is_not_packed(tiny_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy)
    expected = next((copy / "test").glob("expected_*.npy"))
    np.save(expected, 1 - np.load(expected))
    with pytest.raises(ModelFileError, match="does not say what it should"):
        reunet.pack(copy)
    assert not (tmp_path / "run.reunet").exists()


@pytest.mark.parametrize("name", ["expected_*.npy", "input.npy"])
def test_a_run_without_its_test_image_is_not_packed(tiny_run: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy)
    (file,) = (copy / "test").glob(name)
    content = np.load(file)
    file.unlink()
    with pytest.raises(ModelFileError, match="no test image"):
        reunet.pack(copy)
    if name != "input.npy":
        np.save(file, content[:, 1:])
        with pytest.raises(ModelFileError, match="is damaged"):
            reunet.pack(copy)
    np.save(file, np.full(content.shape, "a"))
    with pytest.raises(ModelFileError, match="is damaged"):
        reunet.pack(copy)


def rewritten(
    packed: Path, file: Path, change: Callable[[dict[str, bytes]], None], how: int = ZIP_STORED
) -> Path:
    with ZipFile(packed) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    change(content)
    with ZipFile(file, "w", how) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file


CHANGES = {
    "a file exchanged": lambda files: files.update({"weights/weights.json": b"{}"}),
    "a name that leads out": lambda files: files.update({"../evil.py": b"print()"}),
    "code": lambda files: files.update({"weights/hook.py": b"print()"}),
    "no manifest": lambda files: files.pop(MANIFEST),
    "no plan": lambda files: files.pop("plan.json"),
    "a manifest that is none": lambda files: files.update({MANIFEST: b"[]"}),
    "a manifest of another version": lambda files: files.update({MANIFEST: b'{"schema_version": 9}'}),
}


@pytest.mark.fault("a packed run was changed, or is made to write elsewhere", "refused; nothing is unpacked")
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_pack_is_refused(name: str, packed: Path, tmp_path: Path) -> None:
    before = set(packs_folder().rglob("*"))
    with pytest.raises(ModelFileError):
        run_at(rewritten(packed, tmp_path / "changed.reunet", CHANGES[name]))
    assert set(packs_folder().rglob("*")) == before


def test_what_is_no_pack_is_refused(packed: Path, tmp_path: Path) -> None:
    packed_tighter = rewritten(packed, tmp_path / "deflated.reunet", lambda files: None, ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match="as they are"):
        run_at(packed_tighter)
    cut = tmp_path / "cut.reunet"
    cut.write_bytes(packed.read_bytes()[:-1000])
    with pytest.raises(ModelFileError, match="copy the file again"):
        run_at(cut)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    assert main(["predict", str(tmp_path / "photo.png"), str(tmp_path), "-o", str(tmp_path / "out")]) == 1
