"""The files of a dataset are read once: what is done of them is counted around what planning does first."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.datasets import cache
from reunet.flows.check import check
from reunet.flows.prepare import prepare
from reunet.io import images
from reunet.io.annotations.instances import write_instances
from reunet.progress import NullProgress

_opened: list[Counter[str]] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened and isinstance(arguments[0], str):
        _opened[-1][arguments[0]] += 1


sys.addaudithook(_listen)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A context that counts decodes and opens of each file in a folder."""
    decoded: Counter[str] = Counter()
    for name in ("read_raster", "read_tiff", "read_nifti"):
        real = getattr(images, name)

        def counting(path: Path, *arguments: Any, real: Any = real, **options: Any) -> Any:
            decoded[str(path)] += 1
            return real(path, *arguments, **options)

        monkeypatch.setattr(images, name, counting)

    @contextmanager
    def count(root: Path) -> Iterator[tuple[Counter[str], Counter[str]]]:
        decoded.clear()
        opened: Counter[str] = Counter()
        _opened.append(opened)
        try:
            yield decoded, opened
        finally:
            _opened.remove(opened)
            for name in [name for name in opened if not name.startswith(str(root))]:
                del opened[name]

    return count


def data_files(root: Path) -> list[str]:
    kinds = (".png", ".tif", ".gz")
    return [str(path) for path in root.rglob("*") if path.suffix in kinds and "test" not in path.parts]


def once_and_never(root: Path, counted: Callable[..., Any], options: DataOptions | None = None) -> None:
    """Cold: each file is decoded once and opened three times at most; warm: nothing is decoded."""
    files = data_files(root)
    assert files
    with counted(root) as (decoded, opened):
        cold = prepare(root, options or DataOptions(), NullProgress())
    assert decoded == Counter(files)
    assert {opened[file] for file in files} <= {1, 2, 3}, opened
    with counted(root) as (decoded, opened):
        warm = prepare(root, options or DataOptions(), NullProgress())
    assert not decoded
    assert {opened[file] for file in files} <= {1, 2}, opened
    for one, other in zip(cold.train + cold.val, warm.train + warm.val, strict=True):
        for name in ("image", "labels", "objects"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert cold.fingerprint == warm.fingerprint
    assert cold.warnings == warm.warnings


@pytest.mark.parametrize("is_described", [True, False])
def test_images(
    make_dataset: Callable[..., Path], tmp_path: Path, counted: Callable[..., Any], is_described: bool
) -> None:
    root = make_dataset(tmp_path / "data")
    if not is_described:  # the classes are guessed from the masks
        (root / "dataset.json").unlink()
    once_and_never(root, counted)


def test_palettes_fields_of_view_and_tiff(
    make_dataset: Callable[..., Path], tmp_path: Path, counted: Callable[..., Any]
) -> None:
    root = make_dataset(tmp_path / "data")
    (root / "dataset.json").unlink()
    (root / "train" / "fov").mkdir()
    for file in sorted((root / "train" / "images").iterdir()):
        tifffile.imwrite(file.with_suffix(".tif"), np.asarray(Image.open(file)))
        mask = Image.open(root / "train" / "masks" / file.name)
        mask.putpalette([0, 0, 0, 255, 0, 0])
        mask.save(root / "train" / "masks" / file.name)
        Image.fromarray(np.full((64, 64), 255, np.uint8)).save(root / "train" / "fov" / file.name)
        file.unlink()
    once_and_never(root, counted)


def test_objects(make_dataset: Callable[..., Path], tmp_path: Path, counted: Callable[..., Any]) -> None:
    root = make_dataset(tmp_path / "data")
    for split in ("train", "test"):
        (root / split / "masks").rename(root / split / "instances")
        for file in (root / split / "instances").iterdir():
            write_instances(file, np.asarray(Image.open(file)))
    once_and_never(root, counted)


def test_volumes(make_volumes: Callable[..., Path], tmp_path: Path, counted: Callable[..., Any]) -> None:
    root = make_volumes(tmp_path / "data", test=0)
    once_and_never(root, counted)


def test_a_stack_is_decoded_page_by_page(tmp_path: Path, counted: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    for folder, high in (("images", 255), ("masks", 2)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        pages = rng.integers(0, high, (8, 40, 48)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "data" / folder / "a.tif", pages)
    options = DataOptions(axes="ZYX")
    with counted(tmp_path / "data") as (decoded, _):
        prepare(tmp_path / "data", options, NullProgress())
    assert set(decoded.values()) == {8}
    with counted(tmp_path / "data") as (decoded, _):
        prepare(tmp_path / "data", options, NullProgress())
    assert not decoded


def test_check_reads_what_train_uses(
    make_dataset: Callable[..., Path], tmp_path: Path, counted: Callable[..., Any]
) -> None:
    """And it finds the same a second time, also in a copy whose files have other names."""
    root = make_dataset(tmp_path / "data")
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(root / "train" / "images" / "train_00.png")
    first = check(root)
    assert [problem.code for problem in first.problems] == ["constant-image"]
    with counted(root) as (decoded, _):
        prepare(root, DataOptions(), NullProgress())
        assert check(root) == first
    assert {Path(name).parent.parent.name for name in decoded} == {"test"}
    for folder in ("images", "masks"):
        old = root / "train" / folder / "train_00.png"
        old.rename(old.with_name("other.png"))
    (problem,) = check(root).problems
    assert problem.file == "train/images/other.png"
