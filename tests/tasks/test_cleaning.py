"""Masks that are mended: by hand, and only where it helps and no class loses."""

from __future__ import annotations

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Cleaning
from reunet.flows.folds.refining import fit_cleaning
from reunet.tasks.semantic.cleaning import cleaned

CLASSES = [
    {"id": i, "name": name, "color": [i, i, i], "foreground": i > 0}
    for i, name in enumerate(("none", "organ", "wall"))
]
LABELS = LabelMap.parse({"classes": CLASSES}, where="test")


def ring() -> np.ndarray:
    """A ring of class 1 with a hole in which a pixel of class 2 lies, and two strays of 1 and 4 pixels."""
    mask = np.zeros((20, 20), np.uint8)
    mask[2:10, 2:10], mask[4:8, 4:8], mask[5, 5] = 1, 0, 2
    mask[15, 15] = 1
    mask[12:14, 3:5] = 1
    return mask


def test_strays_and_holes() -> None:
    found = ring()
    assert cleaned(found, LABELS, {}) is found
    smallest = cleaned(found, LABELS, {"organ": Cleaning(smallest=2)})
    assert np.argwhere(smallest != found).tolist() == [[15, 15]]
    largest = cleaned(found, LABELS, {"organ": Cleaning(largest_only=True)})
    assert not largest[11:].any()
    assert np.array_equal(largest[:11], found[:11])
    filled = cleaned(found, LABELS, {"organ": Cleaning(fill_holes=True)})
    assert (filled[4:8, 4:8] == 1).sum() == 15
    assert filled[5, 5] == 2
    assert np.array_equal(
        cleaned(np.zeros((3, 3), np.uint8), LABELS, {"organ": Cleaning(largest_only=True)}),
        np.zeros((3, 3), np.uint8),
    )


def test_only_what_helps_is_taken() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[2:10, 2:10] = 1
    assert fit_cleaning([(truth, ring())] * 2, LABELS) == {"organ": Cleaning(smallest=16, fill_holes=True)}
    assert fit_cleaning([(truth, truth)], LABELS) == {}
    assert fit_cleaning([(ring(), ring())], LABELS) == {}
    assert fit_cleaning([(truth, ring())], LABELS, seconds=-1) == {}


def test_a_class_that_would_lose_keeps_its_parts() -> None:
    """Most images would gain by the largest component alone, but in one there are two."""
    one = np.zeros((12, 12), np.uint8)
    one[1:5, 1:5] = 1
    two = one.copy()
    two[8:11, 8:11] = 1
    found = one.copy()
    found[8:11, 8:11] = 1
    assert fit_cleaning([(one, found), (two, two)], LABELS) == {}
