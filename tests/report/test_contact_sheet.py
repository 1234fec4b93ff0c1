"""The contact sheet shows what annotates the cases, where they lie, and says what it cannot show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import CheckResult, ClassFacts, DatasetFacts
from reunet.datasets.facts import facts_of
from reunet.datasets.problems import examine_dataset
from reunet.errors import UsageError
from reunet.flows.check import check
from reunet.io.lettering import lettering
from reunet.report.contact_sheet import COLUMNS, GAP, MARGIN, WIDTH, contact_sheet, pick
from reunet.report.understood import percent, understood

from ..datasets.layout_folders import save, write_classes, write_coco_layout, write_stage1, write_voc


def drawn(root: Path) -> tuple[np.ndarray, CheckResult]:
    scan, found, problems = examine_dataset(root, DataOptions())
    result = CheckResult(tuple(problems), scan.counts, scan.layout, (), facts_of(scan, found))
    return contact_sheet(scan, found, result), result


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    packed = np.unique(picture @ np.array([1 << 16, 1 << 8, 1]))
    return {(color >> 16, color >> 8 & 255, color & 255) for color in packed.tolist()}


def halves(root: Path, count: int = 2) -> Path:
    """Grey images, whose right halves are of a class."""
    for i in range(count):
        image = np.full((40, 60), 100 + i, np.uint8)
        image[0, 0] = 255
        save(root / "images" / f"{i}.png", image)
        save(root / "masks" / f"{i}.png", (np.arange(60) >= 30).astype(np.uint8) * np.ones((40, 1), np.uint8))
    return root


def test_the_mask_lies_where_it_is(tmp_path: Path) -> None:
    picture, result = drawn(halves(tmp_path))
    tinted = np.abs(picture.astype(int) - picture.mean(axis=-1, keepdims=True)).max(axis=-1) > 20
    rows, columns = np.nonzero(tinted)
    below = rows > rows.min() + 60  # without the legend
    side = (WIDTH - 2 * MARGIN + GAP) // COLUMNS["pixels"] - GAP
    first = columns[below & (columns < MARGIN + side + GAP)]
    assert abs(first.min() - (MARGIN + side / 2)) <= 2
    assert abs(first.max() - (MARGIN + side)) <= 2
    assert [(one.name, one.pixels) for one in result.facts.classes] == [
        ("background", 0.5),
        ("foreground", 0.5),
    ]


@pytest.mark.parametrize("write", [write_voc, write_coco_layout, write_stage1, write_classes])
def test_every_kind_of_annotation_is_drawn_in_colours(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    picture, result = drawn(write(tmp_path / "data"))
    assert picture.shape[1:] == (1800, 3)
    assert len([color for color in colours(picture) if max(color) - min(color) > 100]) > 1
    assert result.facts.sizes == ((64, 64),)


def test_what_cannot_be_used_is_shown_with_the_reason(tmp_path: Path) -> None:
    sound, _ = drawn(halves(tmp_path / "sound", 3))
    broken = halves(tmp_path / "broken", 3)
    (broken / "images" / "0.png").write_text("no image")
    save(broken / "masks" / "1.png", np.zeros((9, 9), np.uint8))
    picture, result = drawn(broken)
    assert len(result.errors) == 2
    assert (178, 24, 43) in colours(picture) - colours(sound)
    (broken / "masks" / "2.png").write_text("no mask")
    drawn(broken)  # no classes at all


def test_cases_are_picked_so_that_each_class_is_seen() -> None:
    def one(*classes: int) -> Any:
        counts = np.bincount(classes, minlength=256)
        return SimpleNamespace(class_counts=counts, case=SimpleNamespace(category=None, id=len(classes)))

    cases = [one(0) for _ in range(50)] + [one(0, 1), one(0, 2, 2)] + [one(0) for _ in range(50)]
    picked = [next(i for i, case in enumerate(cases) if case is one) for one in pick(cases, 5)]
    assert len(picked) == 5
    assert {0, 50, 51} <= set(picked)
    assert picked == sorted(picked)
    assert len(pick(cases[:3], 5)) == 3
    assert pick([], 5) == []


def test_facts_of_a_dataset(tmp_path: Path) -> None:
    root = halves(tmp_path)
    ids = np.zeros((40, 60), np.uint16)
    ids[5:10, 40:50], ids[20:30, 40:44] = 1, 2
    for i in range(2):
        save(root / "instances" / f"{i}.png", ids)
    save(root / "images" / "0.png", np.arange(80 * 120, dtype=np.uint16).reshape(80, 120))
    for folder in ("masks", "instances"):
        with Image.open(root / folder / "0.png") as small:
            save(root / folder / "0.png", np.asarray(small).repeat(2, axis=0).repeat(2, axis=1))
    result = check(root, pictures=tmp_path / "sheet.png")
    facts = result.facts
    assert result.tasks == ("instances", "semantic")
    assert facts.sizes == ((40, 60), (40, 60), (80, 120))
    assert (facts.channels, facts.dtypes, facts.values) == ({1: 2}, {"uint16": 1, "uint8": 1}, (0, 9599))
    assert facts.classes[1] == ClassFacts("foreground", images=2, pixels=0.5, objects=4)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.format == "PNG"
    with pytest.raises(UsageError, match="pictures"):
        check(root, pictures=tmp_path / "sheet.jpg")


def test_objects_have_the_class_that_the_mask_tells(tmp_path: Path) -> None:
    """Ids far apart, one object with pixels of two classes, one class in no object."""
    ids = np.zeros((20, 30), np.uint16)
    ids[2:6, 2:6], ids[2:6, 10:14], ids[10:14, 2:6] = 7, 60000, 300
    kinds = np.where(ids == 60000, 2, (ids > 0).astype(np.uint8))
    kinds[10:11, 2:6] = 3
    for name, pixels in {"images": ids % 251, "masks": kinds}.items():
        (tmp_path / name).mkdir()
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / "a.png")
    (tmp_path / "instances").mkdir()
    Image.fromarray(ids).save(tmp_path / "instances" / "a.png")
    found = check(tmp_path).facts.classes
    assert [one.objects for one in found] == [None, 2, 1, 0]
    assert [one.images for one in found] == [1, 1, 1, 1]


def test_facts_in_words() -> None:
    classes = ClassFacts("a", 1, 0.996), ClassFacts("b", 1, 0.004, 12)
    facts = DatasetFacts(
        classes, unlabelled=0.25, sizes=((1, 2), (3, 4), (5, 6)), channels={3: 9}, spacings=((0.5, 0.25),)
    )
    told = understood(CheckResult((), {}, "x", ("semantic", "detection"), facts))
    assert told == {
        "tasks": "semantic (with --task also detection)",
        "classes": "a 99.6 %, b 0.4 % of the labelled pixels, 25.0 % of all unlabelled",
        "objects": "12 b",
        "sizes": "1 x 2 to 5 x 6 pixels, median 3 x 4",
        "channels": "3",
        "spacing": "0.5 x 0.25 micrometres",
    }
    assert [percent(share) for share in (0.0, 1.0, 0.123, 0.012, 1e-5)] == [
        "0.0 %",
        "100.0 %",
        "12.3 %",
        "1.2 %",
        "0.001 %",
    ]


def test_names_are_cut_in_the_middle_and_stay_readable() -> None:
    shown, font = lettering("patient_0001_slice_0002_of_the_left_hemisphere", 17, 200)
    assert font.getlength(shown) <= 200
    assert shown.startswith("patient")
    assert shown.endswith("sphere")
    assert lettering("short", 17, 200)[0] == "short"
    assert lettering("Ω é ж", 17, 200)[0] == "Ω é ж"
    assert lettering("a\nb\x07\ud800\u2028c", 17, 200)[0] == "a b   c"
    strange = lettering("数据", 17, 400)[0]
    assert strange in ("数据", "\\u6570\\u636e")
