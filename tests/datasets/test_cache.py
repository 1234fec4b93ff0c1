"""Cached arrays equal the files, always, whatever changes; and the cache may be absent, damaged or shared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.datasets import cache, reading
from reunet.datasets.case_arrays import load_case
from reunet.datasets.cases import Case, CaseFiles
from reunet.errors import DataError, LabelError
from reunet.flows.doctor import doctor

LABELS = LabelMap(classes=default_classes([0, 1]))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test alone."""
    place = tmp_path / "cache"
    monkeypatch.setattr(cache, "cache_folder", lambda: place)
    return place


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return write(tmp_path, 0)


def write(root: Path, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 255, (6, 8)).astype(np.uint8)).save(root / "i.png")
    Image.fromarray(rng.integers(0, 2, (6, 8)).astype(np.uint8)).save(root / "m.png")
    return Case("i", "train", CaseFiles(root / "i.png", root / "m.png"))


def test_second_load_reads_no_image(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_case(case, LABELS)
    monkeypatch.setattr(reading, "decode", None)
    second = load_case(case, LABELS)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert isinstance(second.image, np.memmap)
    assert not second.image.flags.writeable
    assert first.content == second.content


@pytest.mark.fault(
    "files change after they were read",
    "they are read anew: what is kept is found by the hash of the content",
)
def test_never_stale(tmp_path: Path) -> None:
    """Files that change between two loads within one clock tick and with equal size are noticed."""
    seen = set()
    for seed in range(20):
        case = write(tmp_path, seed)
        arrays = load_case(case, LABELS)
        found = reading.decode(case, tmp_path, None).arrays
        np.testing.assert_array_equal(arrays.image, found["image"])
        np.testing.assert_array_equal(arrays.labels, found["mask"])
        seen.add(arrays.content)
    assert len(seen) == 20


def test_class_list_and_fov_are_part_of_the_key(case: Case, tmp_path: Path) -> None:
    assert load_case(case, LABELS).labels.max() == 1
    swapped = LABELS.model_copy(update={"classes": LABELS.classes[::-1]})
    np.testing.assert_array_equal(load_case(case, swapped).labels, 1 - load_case(case, LABELS).labels)
    assert load_case(case, LABELS).image.shape == (6, 8, 1)
    inside = np.zeros((6, 8), np.uint8)
    inside[:3] = 1
    Image.fromarray(inside).save(tmp_path / "f.png")
    files = replace(case.files, fov=tmp_path / "f.png")
    labels = load_case(Case("i", "train", files), LABELS).labels
    assert (labels[3:] == IGNORE).all()
    assert (labels[:3] != IGNORE).all()


def test_damaged_entries_are_replaced(case: Case, folder: Path) -> None:
    before = np.array(load_case(case, LABELS).image)
    for path in folder.rglob("image.npy"):
        path.write_bytes(path.read_bytes()[:-5])
    np.testing.assert_array_equal(load_case(case, LABELS).image, before)
    assert isinstance(load_case(case, LABELS).image, np.memmap)


def test_an_entry_made_by_another_process_meanwhile_stays(
    case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one reads it: there may be no moment without it."""
    original = reading.decode

    def slow(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(reading, "decode", original)
        load_case(case, LABELS)  # the other process
        first.append(next(folder.glob("??/*")).stat().st_ino)
        return original(*arguments, **options)

    first: list[int] = []
    monkeypatch.setattr(reading, "decode", slow)
    assert isinstance(load_case(case, LABELS).image, np.memmap)
    assert [entry.stat().st_ino for entry in folder.glob("??/*")] == first


def test_a_cache_that_may_only_be_read_is_read(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    load_case(case, LABELS)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(reading, "decode", None)
    assert isinstance(load_case(case, LABELS).image, np.memmap)


def test_works_without_a_writable_cache(case: Case, folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    arrays = load_case(case, LABELS)
    assert arrays.image.shape == (6, 8, 1)
    with pytest.raises(ValueError, match="read-only"):
        arrays.image[0] = 1


def test_many_at_once(case: Case) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: load_case(case, LABELS), range(40)))
    for arrays in results:
        np.testing.assert_array_equal(arrays.image, results[0].image)


def test_loaded_cases_hold_no_open_files(case: Case) -> None:
    """A set of thousands of images must not run into the limit of open files."""
    kept = [load_case(case, LABELS) for _ in range(50)]
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    kept += [load_case(case, LABELS) for _ in range(50)]
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert after - before < 10
    assert len(kept) == 100


def test_prune_removes_the_longest_unused(tmp_path: Path, folder: Path) -> None:
    keys = []
    for seed in range(4):
        load_case(write(tmp_path, seed), LABELS)
        keys.append(next(path for path in folder.glob("??/*") if path not in keys))
        os.utime(keys[-1], (1000 + seed, 1000 + seed))
    size = sum(file.stat().st_size for file in keys[0].iterdir())
    assert cache.prune(4 * size) == 0
    assert cache.prune(2 * size, spare_seconds=1e12) == 0
    assert cache.prune(2 * size) == 2 * size
    assert [key.exists() for key in keys] == [False, False, True, True]


def test_prune_spares_what_is_in_use(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long ago a training loaded it, and however long another one did not."""
    arrays = load_case(case, LABELS)
    entry = next(folder.glob("??/*"))
    os.utime(entry, (1000, 1000))
    monkeypatch.setattr(cache, "MARK_EVERY_S", 0.0)
    assert arrays.image.shape == (6, 8, 1)
    assert cache.prune(0) == 0
    assert arrays.image.shape == (6, 8, 1)
    week = 7 * 86400
    os.utime(entry, (time.time() - week + 60,) * 2)
    assert cache.prune(0) == 0
    os.utime(entry, (time.time() - week - 60,) * 2)
    assert cache.prune(0) > 0


def test_refuses_what_must_not_reach_a_network(case: Case, tmp_path: Path) -> None:
    import tifffile

    Image.fromarray(np.zeros((5, 8), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(LabelError, match="5 x 8"):
        load_case(case, LABELS)
    pixels = np.zeros((5, 8), np.float32)
    pixels[1, 1] = np.nan
    tifffile.imwrite(tmp_path / "n.tif", pixels)
    with pytest.raises(DataError, match="not finite"):
        load_case(Case("n", "train", CaseFiles(tmp_path / "n.tif", case.files.mask)), LABELS)


def test_many_threads_may_read_at_once(case: Case) -> None:
    """Training reads from several threads; parsing file headers in them has failed on CPython 3.11."""
    load_case(case, LABELS)

    def read(_: int) -> int:
        arrays = load_case(case, LABELS)
        return sum(int(arrays.image[0, 0, 0]) for _ in range(5))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, range(400)))) == 1


def test_the_cache_can_be_shown_and_emptied(tmp_path: Path, folder: Path) -> None:
    for seed in range(3):
        load_case(write(tmp_path, seed), LABELS)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shown = doctor(cache=True)
    assert f"folder: {folder}" in shown
    assert "cases: 3" in shown
    assert f"{size:,} bytes" in shown
    emptied = doctor(clear=True)
    assert f"removed: {size:,} bytes" in emptied
    assert "cases: 0" in emptied
    assert list(folder.glob("??/*")) == []


def everything(case: Case) -> tuple[object, ...]:
    """All that reading a case gives, as values."""
    arrays = load_case(case, LABELS)
    return np.array(arrays.image).tolist(), np.array(arrays.labels).tolist(), arrays.content, arrays.spacing


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "foreign", "other", "folder"])
def test_whatever_happens_to_an_entry_results_stay(tmp_path: Path, folder: Path, harm: str) -> None:
    """Every file of an entry in turn is damaged, at many places: a bit flipped, cut off, another file."""
    case = write(tmp_path, 0)
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", 1)
    before = everything(other), everything(case)
    spare = tmp_path / "spare"  # the entry of the other case, whole
    shutil.copytree(min(folder.glob("??/*"), key=lambda path: path.stat().st_ctime_ns), spare)
    names = sorted(path.name for path in next(folder.glob("??/*")).iterdir())
    assert len(names) == 4  # image, mask, labels and facts
    rng = np.random.default_rng(0)
    for _ in range(3):
        for path in [path for path in folder.glob("??/*/*") if path.is_file()]:
            content = bytearray(path.read_bytes()) or bytearray(1)
            place = int(rng.integers(len(content)))
            kept = {one.name.split("-")[0]: one for one in spare.glob("*")}
            path.unlink()
            if harm == "folder":
                path.mkdir()
                continue
            content[place] ^= 1 << int(rng.integers(8))
            changed = {"flip": content, "cut": content[:place], "empty": b"", "foreign": b"Dear diary\n{}"}
            path.write_bytes(kept[path.name.split("-")[0]].read_bytes() if harm == "other" else changed[harm])
        cache._intact.clear()  # another process
        assert (everything(other), everything(case)) == before
        assert (everything(other), everything(case)) == before


def test_an_entry_that_changes_under_a_process_is_noticed(case: Case, folder: Path) -> None:
    before = everything(case)
    for path in folder.rglob("*.npy"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))
    assert everything(case) == before


SHARING = """
import sys
from pathlib import Path
import numpy as np
from reunet.datasets import cache

cache.cache_folder = lambda: Path(sys.argv[1])
for number in np.random.default_rng(int(sys.argv[2])).permutation(40).tolist():
    key, array = cache.key_of(number), np.full((50, 60), number)
    arrays, facts = cache.find(key) or cache.publish(key, {"a": array}, {"number": number})
    assert facts == {"number": number}, facts
    assert (cache.mapped(arrays["a"]) == array).all(), number
    beside = cache.kept_beside(arrays["a"], ["b"], "doubled", lambda: {"b": 2 * array})
    assert (cache.mapped(beside["b"]) == 2 * array).all(), number
"""


def test_many_processes_share_one_cache(folder: Path, child_environment: dict[str, str]) -> None:
    """Each makes and reads all entries, some of which lie there damaged, in an order of its own."""
    for number in range(0, 40, 3):
        cache.publish(cache.key_of(number), {"a": np.full((50, 60), number)}, {"number": number})
        (folder / cache.key_of(number)[:2] / cache.key_of(number) / "a.npy").write_bytes(b"damaged")
    cache._intact.clear()
    words = [[sys.executable, "-c", SHARING, str(folder), str(order)] for order in range(4)]
    running = [
        subprocess.Popen(one, env=child_environment, stderr=subprocess.PIPE, text=True) for one in words
    ]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    for number in range(40):
        arrays, facts = cache.find(cache.key_of(number)) or ({}, {})
        assert facts == {"number": number}
        np.testing.assert_array_equal(cache.mapped(arrays["a"]), np.full((50, 60), number))
    assert not list(folder.rglob(".tmp-*"))
