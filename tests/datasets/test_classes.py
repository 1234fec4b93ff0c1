"""The class list is stated, found without doubt, or asked for by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.case_arrays import load_case
from reunet.datasets.classes import read_classes, read_colors
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import open_dataset
from reunet.errors import DataError, LabelError, UsageError
from reunet.io.masks import encode_mask


def dataset(root: Path, *masks: np.ndarray, palette: list[int] | None = None) -> Path:
    for i, mask in enumerate(masks):
        for name in ("images", "masks"):
            (root / name).mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 255, mask.shape[:2]).astype(np.uint8)
        Image.fromarray(noise).save(root / "images" / f"{i}.png")
        image = Image.fromarray(mask.astype(np.uint8))
        if palette is not None:
            image.putpalette(palette)
        image.save(root / "masks" / f"{i}.png")
    return root


def labels(root: Path, **options: Path) -> LabelMap:
    return open_dataset(root, DataOptions(**options)).labels


def row(*values: int) -> np.ndarray:
    return np.array([values])


def test_0_255(tmp_path: Path) -> None:
    found = labels(dataset(tmp_path, row(0, 255), row(0, 0)))
    assert (found.encoding, found.names) == ("binary_255", ("background", "foreground"))


def test_indices_without_gaps_over_all_masks(tmp_path: Path) -> None:
    found = labels(dataset(tmp_path, row(0, 2), row(1, 0)))
    assert [entry.id for entry in found.classes] == [0, 1, 2]


def test_palette_colours_are_taken(tmp_path: Path) -> None:
    found = labels(dataset(tmp_path, row(0, 1), palette=[1, 2, 3, 40, 50, 60]))
    assert [entry.color for entry in found.classes] == [(1, 2, 3), (40, 50, 60)]


def test_another_dataset_does_not_mean_other_classes_by_the_same_colours(tmp_path: Path) -> None:
    mask, colours = row(0, 1, 2, 2), [1, 2, 3, 40, 50, 60, 7, 8, 9]
    known = labels(dataset(tmp_path / "known", mask, palette=colours))
    ours, others = dataset(tmp_path / "ours", mask, palette=colours), dataset(tmp_path / "others", mask)
    (case,) = open_dataset(ours, labels=known).cases
    np.testing.assert_array_equal(load_case(case, known).labels, mask)
    (case,) = open_dataset(others, labels=known).cases  # grey: nothing is told
    np.testing.assert_array_equal(load_case(case, known).labels, mask)
    swapped = dataset(tmp_path / "swapped", mask, palette=[1, 2, 3, 7, 8, 9, 40, 50, 60])
    (case,) = open_dataset(swapped, labels=known).cases
    with pytest.raises(LabelError, match="palette contradicts the class list") as caught:
        load_case(case, known)
    assert (caught.value.where, caught.value.received) == (case.files.mask, "index 1 is (7, 8, 9)")
    by_colour = known.model_copy(update={"encoding": "rgb"})
    np.testing.assert_array_equal(load_case(case, by_colour).labels, row(0, 2, 1, 1))


@pytest.mark.parametrize("values", [(0, 2), (1, 2), (0, 1, 255), (0, 128, 255), tuple(range(40))])
def test_doubt_is_an_error_that_names_the_option(tmp_path: Path, values: tuple[int, ...]) -> None:
    with pytest.raises(LabelError, match="--classes FILE"):
        labels(dataset(tmp_path, row(*values)))


def test_classes_file(tmp_path: Path) -> None:
    root = dataset(tmp_path, row(0, 7, 255))
    file = tmp_path / "classes.txt"
    file.write_text("id,name\n0,background\n7,cell\n255,ignore\n")
    found = labels(root, classes=file)
    assert ([entry.id for entry in found.classes], found.names, found.ignore) == (
        [0, 7],
        ("background", "cell"),
        255,
    )
    file.write_text(
        json.dumps([{"id": 0, "name": "ground"}, {"id": 7, "name": "membrane", "color": [1, 2, 3]}])
    )
    found = labels(root, classes=file)
    assert found.boundary == 1
    assert found.classes[1].color == (1, 2, 3)
    file.write_text("0,background\nseven,cell\n")
    with pytest.raises(UsageError, match="line 2"):
        labels(root, classes=file)
    file.write_text("0,background\n0,cell\n")
    with pytest.raises(DataError, match="share one id"):
        labels(root, classes=file)


def test_rgb_masks_need_and_use_colours(tmp_path: Path) -> None:
    mask = np.zeros((2, 2, 3), np.uint8)
    mask[0, 0] = (200, 0, 10)
    root = dataset(tmp_path, mask)
    with pytest.raises(LabelError, match="--colors FILE") as caught:
        labels(root)
    assert "200,0,10" in str(caught.value)
    file = tmp_path / "colors.csv"
    file.write_text("name,r,g,b\nground,0,0,0\nvessel,200,0,10\nignore,1,1,1\n")
    found = labels(root, colors=file)
    assert (found.encoding, found.names, found.ignore_color) == ("rgb", ("ground", "vessel"), (1, 1, 1))
    (root / "dataset.json").write_text(
        json.dumps(
            {
                "classes": [
                    {"id": 0, "name": "g", "color": [0, 0, 0]},
                    {"id": 1, "name": "v", "color": [200, 0, 10]},
                ]
            }
        )
    )
    assert labels(root).encoding == "rgb"
    file.write_text("ground,0,0\n")
    with pytest.raises(UsageError, match="name,red,green,blue"):
        labels(root, colors=file)


@pytest.mark.parametrize(
    "text", ['{"a": 5}', '{"a": [1, 2]}', '{"a": ["x", 2, 3]}', '{"a": [1, 2, 256]}', '{"a": [1, 2, -3]}']
)
def test_a_colour_table_that_is_wrong_is_explained(tmp_path: Path, text: str) -> None:
    file = tmp_path / "colors.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="name,red,green,blue"):
        read_colors(file)


def test_a_heading_may_follow_comments(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("# made by hand\n\nid,name\n0,ground\n1,cell\n")
    assert read_classes(file).names == ("ground", "cell")
    file.write_text("# made by hand\nname,r,g,b\nground,0,0,0\ncell,9,9,9\n")
    assert read_colors(file).names == ("ground", "cell")
    file.write_text("ground,0,0,0\nname,r,g,b\n")
    with pytest.raises(UsageError, match="line 2"):
        read_colors(file)


def write_classes(root: Path, **facts: object) -> None:
    entries = [{"id": 0, "name": "g", "color": [0, 0, 0]}, {"id": 1, "name": "v", "color": [200, 0, 10]}]
    (root / "dataset.json").write_text(json.dumps({"classes": entries, **facts}))


def test_ignore_color_of_dataset_json(tmp_path: Path) -> None:
    mask = np.zeros((2, 2, 3), np.uint8)
    mask[0, 0], mask[1, 1] = (200, 0, 10), (9, 8, 7)
    root = dataset(tmp_path, np.zeros((2, 2, 3)), mask)  # the first mask is black: it tells nothing
    write_classes(root)
    assert labels(root).encoding == "rgb"  # a colour too many is for the checks to report
    write_classes(root, ignore_color=[9, 8, 7])
    found = labels(root)
    assert found.encoding == "rgb"
    np.testing.assert_array_equal(encode_mask(mask, found, "m"), [[1, 0], [0, IGNORE]])
    for wrong in ([200, 0, 10], [1, 2], 5, [1, 2, 300]):
        write_classes(root, ignore_color=wrong)
        with pytest.raises(DataError, match="class list is not valid"):
            labels(root)


@pytest.mark.parametrize(
    ("masks", "encoding"),
    [
        ([(0, 0), (0, 255)], "binary_255"),
        ([(0, 0), (255, 255)], "binary_255"),
        ([(0, 1), (0, 255)], "index"),
        ([(0, 7), (0, 255)], "binary_255"),  # a wrong mask tells nothing: the checks report it
        ([(0, 0)], "index"),
    ],
)
def test_named_binary_classes_may_be_stored_as_0_and_255(
    tmp_path: Path, masks: list[tuple[int, ...]], encoding: str
) -> None:
    root = dataset(tmp_path, *(row(*values) for values in masks))
    write_classes(root)
    assert (labels(root).encoding, labels(root).names) == (encoding, ("g", "v"))
    write_classes(root, ignore_index=255)
    assert labels(root).encoding == "index"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"color": [0, 0, 256]}, r"classes\.1\.color\.2: .* received 256"),
        ({"color": [0, 0, -1]}, r"classes\.1\.color\.2: .* received -1"),
        ({"color": [0, 0]}, r"classes\.1\.color"),
        ({"id": 65536}, r"classes\.1\.id: .* received 65536"),
        ({"id": -1}, r"classes\.1\.id: .* received -1"),
    ],
)
def test_ids_and_colours_out_of_range_are_named(
    tmp_path: Path, entry: dict[str, object], message: str
) -> None:
    root = dataset(tmp_path, row(0, 1))
    entries = [{"id": 0, "name": "ground"}, {"id": 1, "name": "cell", **entry}]
    (root / "dataset.json").write_text(json.dumps({"classes": entries}))
    with pytest.raises(DataError, match=message):
        labels(root)


def test_dataset_json(tmp_path: Path) -> None:
    root = dataset(tmp_path, row(0, 1, 11))
    classes = [{"id": 0, "name": "sky"}, {"id": 1, "name": "road"}]
    (root / "dataset.json").write_text(json.dumps({"name": "x", "classes": classes, "ignore_index": 11}))
    assert labels(root).ignore == 11
    assert open_dataset(root).name == "x"
    for wrong in (
        '{"classes": [{"name": "a"}]}',
        '{"classes": 3}',
        "{",
        '{"classes": [{"id": 0, "name": "a"}]}',
    ):
        (root / "dataset.json").write_text(wrong)
        with pytest.raises(DataError):
            labels(root)


def test_empty_masks_still_give_a_foreground_class(tmp_path: Path) -> None:
    assert labels(dataset(tmp_path, row(0, 0), row(0, 0))).names == ("background", "foreground")


RED, GREEN, BLACK = [255, 0, 0], [0, 255, 0], [0, 0, 0]


def palette_masks(
    root: Path, *masks: tuple[list[int], list[list[int]] | None], suffix: str = "png"
) -> list[Problem]:
    """What check says of masks of one row, each values and a palette."""
    for i, (values, colors) in enumerate(masks):
        for name in ("images", "masks"):
            (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.arange(i, i + len(values), dtype=np.uint8)[None]).save(
            root / "images" / f"{i}.png"
        )
        image = Image.fromarray(np.array([values], np.uint8))
        if colors is not None:
            image.putpalette(np.ravel(colors).tolist())
        image.save(root / "masks" / f"{i}.{suffix}")
    return [one for one in examine_dataset(root, DataOptions())[-1] if one.code == "mask-palettes"]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("masks", "severity", "told"),
    [
        ([([0, 1], [BLACK, RED]), ([0, 1], [RED, BLACK])], "error", ["masks/0", "(0, 0, 0)", "(255, 0, 0)"]),
        ([([0, 1], [BLACK, RED]), ([0, 2], [BLACK, GREEN, RED])], "error", ["index 2", "index 1", "masks/0"]),
        ([([0, 1, 2], None), ([0, 1], [BLACK, [2, 2, 2]])], "error", ["index 1", "grey level 2", "masks/0"]),
        ([([0, 1], [BLACK, RED]), ([0, 1], None)], "warning", ["masks/1"]),
        ([([0, 1], [BLACK, RED]), ([0, 1], [BLACK, RED, GREEN]), ([0, 2], [BLACK, RED, GREEN])], None, []),
        ([([0, 1], [BLACK, RED, RED]), ([0, 2], [BLACK, RED, RED])], None, []),
        ([([0, 1], [BLACK, [1, 1, 1]]), ([0, 1], None)], None, []),
        ([([0, 1], [BLACK, [255, 255, 255]])] * 2, None, []),
    ],
)  # fmt: skip
def test_palettes_are_held_against_each_other(
    tmp_path: Path, masks: list[Any], severity: str | None, told: list[str], suffix: str
) -> None:
    found = palette_masks(tmp_path, *masks, suffix=suffix)
    assert {one.severity for one in found} == ({severity} if severity else set())
    for part in told:
        assert all(part in f"{one.expected} {one.received}" for one in found)


@pytest.mark.parametrize(
    ("palette", "wrong"), [([BLACK, GREEN], True), ([BLACK, RED], False), ([BLACK, [9, 9, 9]], False)]
)
def test_palettes_are_held_against_the_class_list(tmp_path: Path, palette: list[Any], wrong: bool) -> None:
    """A palette gives a value the colour that the list gives another one; other colours mean nothing."""
    classes = [{"id": i, "name": name} for i, name in enumerate(("ground", "cell", "wall"))]
    facts = {"classes": [classes[0], classes[1] | {"color": RED}, classes[2] | {"color": GREEN}]}
    (tmp_path / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    found = palette_masks(tmp_path, ([0, 1], palette), ([0, 1], palette))
    assert [(one.severity, one.expected) for one in found] == 2 * wrong * [
        ("error", "(0, 255, 0) is index 2")
    ]


def test_palette_masks_are_read_by_colour_with_colors(tmp_path: Path) -> None:
    masks = [([0, 1, 1], [BLACK, RED]), ([1, 0, 0], [RED, BLACK])]
    palette_masks(tmp_path / "data", *masks)
    file = tmp_path / "colors.csv"
    file.write_text("name;r;g;b\nground;0;0;0\ncell;255;0;0\n")
    options = DataOptions(colors=file)
    scan, _, problems = examine_dataset(tmp_path / "data", options)
    assert not [one for one in problems if one.severity == "error"]
    assert scan.labels is not None
    for case in scan.cases:
        assert np.array_equal(load_case(case, scan.labels).labels, [[0, 1, 1]])


def test_masks_that_cannot_be_read_are_all_listed_with_their_reasons(tmp_path: Path) -> None:
    root = dataset(tmp_path, row(0, 1), row(0, 1), row(0, 1))
    Image.new("RGBA", (2, 1)).save(root / "masks" / "0.png")
    (root / "masks" / "1.png").write_bytes(b"")
    (root / "masks" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    problems = examine_dataset(root, DataOptions())[-1]
    told = {one.file: one.message + one.received for one in problems if one.code == "mask-unreadable"}
    assert sorted(told) == ["masks/0.png", "masks/1.png", "masks/2.png"]
    assert "alpha" in told["masks/0.png"]


def test_a_list_of_several_classes_beside_ids_alone_is_told(tmp_path: Path) -> None:
    root = dataset(tmp_path, row(0, 1), row(1, 0))
    (root / "masks").rename(root / "instances")
    names = ("ground", "cell", "wall")
    facts = {"classes": [{"id": i, "name": name} for i, name in enumerate(names)]}
    (root / "dataset.json").write_text(json.dumps(facts))
    problems = [one for one in examine_dataset(root, DataOptions())[-1] if one.code == "class-list"]
    assert [one.severity for one in problems] == ["warning"]
    assert "cell, wall" in problems[0].received
