"""Class lists: what they may say, and what follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reunet.contracts.labels import (
    BOUNDARY_NAMES,
    PALETTE,
    LabelMap,
    class_color,
    default_classes,
    is_foreground,
)
from reunet.errors import PlanError

THREE = default_classes([0, 1, 2], ["background", "edema", "core"])
WHOLE = {"name": "whole", "color": (1, 2, 3), "classes": (1, 2), "paints": 1}
INNER = {"name": "inner", "color": (4, 5, 6), "classes": (2,), "paints": 2}


def made(**more: Any) -> LabelMap:
    return LabelMap.parse({"classes": [one.model_dump() for one in THREE], **more}, where="test")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"classes": []}, "classes"),
        ({"classes": [one.model_dump() for one in default_classes([0, 0, 1], list("abc"))]}, "share one id"),
        (
            {"classes": [one.model_dump() for one in default_classes([0, 1, 2], list("aba"))]},
            "share one name",
        ),
        ({"classes": [THREE[0].model_dump() | {"id": 65536}]}, "id"),
        ({"classes": [THREE[0].model_dump() | {"id": -1}]}, "id"),
        ({"classes": [THREE[0].model_dump() | {"color": (0, 0, 256)}]}, "color"),
        ({"classes": [THREE[0].model_dump() | {"color": (0, -1, 0)}]}, "color"),
        ({"classes": [THREE[0].model_dump() | {"name": ""}]}, "name"),
        ({"ignore": 2}, "ignore value is also the id"),
        ({"ignore_color": THREE[1].color}, "ignore colour is also the colour"),
        ({"regions": [WHOLE, WHOLE]}, "share one name"),
        ({"regions": [WHOLE | {"name": "core"}]}, "share one name"),
        ({"regions": [WHOLE | {"classes": (1, 3)}]}, "not there"),
        ({"regions": [WHOLE | {"classes": (-1,)}]}, "not there"),
        ({"regions": [WHOLE | {"paints": 3}]}, "not there"),
        ({"regions": [WHOLE | {"classes": ()}]}, "classes"),
        ({"regions": [WHOLE | {"name": f"r{i}"} for i in range(9)]}, "regions"),
        ({"partial": [(0, 3)]}, "not there"),
        ({"partial": [(0, -1)]}, "not there"),
        ({"partial": [(0, 1)], "regions": [WHOLE]}, "cannot be annotated partially"),
        ({"partial": [(0, 1)] * 252}, "254 in all"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        made(**more)
    assert told in str(caught.value.received)


def test_the_most_there_may_be() -> None:
    most = default_classes(list(range(254)), [f"c{i}" for i in range(254)])
    assert len(LabelMap(classes=most).classes) == 254
    with pytest.raises(PlanError):
        LabelMap.parse(
            {"classes": [*most, most[0].model_copy(update={"id": 255, "name": "x"})]}, where="test"
        )
    assert len(made(partial=[(0, 1)] * 251).partial) == 251
    assert len(made(regions=[WHOLE | {"name": f"r{i}"} for i in range(8)]).regions) == 8
    assert (
        made(classes=[THREE[0].model_dump() | {"id": 65535, "color": (255, 255, 255)}]).classes[0].id == 65535
    )


def test_without_regions_a_network_tells_classes() -> None:
    labels = made(ignore=255)
    assert (labels.names, labels.outputs) == (("background", "edema", "core"),) * 2
    assert (labels.foreground, labels.counted, labels.background, labels.boundary) == (
        (1, 2),
        (1, 2),
        0,
        None,
    )
    np.testing.assert_array_equal(labels.membership, np.eye(3, dtype=bool))
    assert not labels.binary


def test_with_regions_it_tells_these() -> None:
    labels = made(regions=[WHOLE, INNER])
    assert (labels.outputs, labels.counted) == (("whole", "inner"), (0, 1))
    np.testing.assert_array_equal(labels.membership, [[False, False], [True, False], [True, True]])


def test_the_boundary_is_a_class_by_its_name_unless_regions_are_told_apart() -> None:
    for name in BOUNDARY_NAMES:
        labels = LabelMap(classes=default_classes([0, 1], ["cell", name.upper()]))
        assert labels.boundary == 1
    region = WHOLE | {"classes": (1,), "paints": 1}
    with_region = LabelMap(classes=labels.classes, regions=(region,))  # type: ignore[arg-type]
    assert with_region.boundary is None


def test_two_classes_may_be_stored_as_0_and_255_where_255_means_nothing_else() -> None:
    two = default_classes([0, 1])
    assert [entry.name for entry in two] == ["background", "foreground"]
    assert LabelMap(classes=two).binary
    assert LabelMap(classes=two, ignore=2).binary
    assert not LabelMap(classes=two, ignore=255).binary
    assert not LabelMap(classes=default_classes([0, 2])).binary
    assert not LabelMap(classes=default_classes([0, 1, 2])).binary


def test_ids_are_8_bit_where_all_fit() -> None:
    indices = np.array([[0, 2], [1, 0]], np.uint8)
    for ids, dtype in (((0, 7, 255), np.uint8), ((0, 7, 256), np.uint16), ((3, 1, 2), np.uint8)):
        labels = LabelMap(classes=default_classes(list(ids), list("abc")))
        found = labels.to_ids(indices)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, [[ids[0], ids[2]], [ids[1], ids[0]]])
    np.testing.assert_array_equal(made().colors(), [entry.color for entry in THREE])
    assert made().colors().dtype == np.uint8


def test_the_first_colours_are_those_of_okabe_and_ito() -> None:
    named = ["#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"]
    assert ["#" + "".join(f"{part:02X}" for part in colour) for colour in PALETTE[:8]] == named


def test_colours_are_all_different_and_never_grey() -> None:
    colours = [class_color(i) for i in range(254)]
    assert colours[: len(PALETTE)] == list(PALETTE)
    assert len(set(colours)) == 254
    assert all(len(set(colour)) > 1 for colour in colours[len(PALETTE) :])
    assert all(0 <= value <= 255 and isinstance(value, int) for colour in colours for value in colour)


@pytest.mark.parametrize(
    ("position", "name", "count", "expected"),
    [(0, "a", 2, False), (0, "a", 3, True), (0, "Background", 3, False), (0, "void", 5, False),
     (1, "background", 3, True), (1, "a", 2, True), (0, "a", 1, True)],
)  # fmt: skip
def test_the_first_class_is_background_by_number_or_name(
    position: int, name: str, count: int, expected: bool
) -> None:
    assert is_foreground(position, name, count) is expected


def test_names_of_classes_without_one() -> None:
    assert [one.name for one in default_classes([0, 1, 5])] == ["background", "class_1", "class_5"]
    assert [one.foreground for one in default_classes([0, 1, 5])] == [False, True, True]
    assert [one.id for one in default_classes([0, 1, 5])] == [0, 1, 5]
