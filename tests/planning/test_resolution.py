"""How large the pixels are that a network sees: chosen by what the classes are like, undone afterwards."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.labels import LabelMap, default_classes
from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.cases import FrameSequence
from reunet.planning import PlanRequest, make_plan, take_fingerprint
from reunet.sampling.resize import at_size, size_at

from .datasets import masked

SIZE = (400, 600)


def discs(diameter: int, *, line: int = 0, size: tuple[int, int] = SIZE) -> Fingerprint:
    """Images of three discs of class 1 and, where asked for, a line so many pixels wide of class 2."""
    cases = []
    for number in range(5):
        labels = np.zeros(size, np.uint8)
        for x in (100, 300, 500):
            cv2.circle(labels, (x, 120 + 10 * number), diameter // 2, 1, -1)
        if line:
            labels[340 : 340 + line] = 2
        image = (labels[..., None] * 60 + 50).astype(np.uint8)
        cases.append(CaseArrays(f"c{number}", image, labels, f"h{number}"))
    classes = LabelMap(classes=default_classes([0, 1, 2] if line else [0, 1]))
    return take_fingerprint(masked(classes), cases, cases[:1])


@pytest.mark.parametrize("diameter", [30, 60, 100])
def test_thickness_of_discs_and_ribbons(diameter: int) -> None:
    _, disc, line = discs(diameter, line=12).thickness
    assert disc == pytest.approx(2 / 3 * diameter, rel=0.06)
    assert line == pytest.approx(12, abs=2)


@pytest.mark.parametrize(("diameter", "factor"), [(20, None), (40, None), (64, 2), (95, 3), (200, 4)])
def test_large_objects_are_looked_at_from_further_away(diameter: int, factor: int | None) -> None:
    plan = make_plan(discs(diameter), PlanRequest())
    assert plan.spacing == (None if factor is None else (factor, factor))
    assert ("spacing" in plan.reasons) is (factor is not None)


def test_sizes_are_told_in_micrometres_where_files_state_them() -> None:
    plain, shown = discs(95), make_plan(discs(95), PlanRequest())
    assert shown.micrometres is None
    assert "µm" not in " ".join(shown.reasons.values())
    cases = [case.model_copy(update={"spacing": (0.5, 0.25)}) for case in plain.cases]
    plan = make_plan(plain.model_copy(update={"cases": tuple(cases)}), PlanRequest())
    assert plan.micrometres == (0.5, 0.25)
    assert plan.spacing == shown.spacing  # pixels of the file, whatever these measure
    assert "all images" in plan.reasons["micrometres"]
    assert "(200 x 150 µm)" in plan.reasons["patch"]  # of images of 400 x 600 pixels
    assert "µm) across" in plan.reasons["spacing"]
    cases[0] = cases[0].model_copy(update={"spacing": (1.0, 1.0)})
    cases[1] = cases[1].model_copy(update={"spacing": None})
    plan = make_plan(plain.model_copy(update={"cases": tuple(cases)}), PlanRequest())
    assert plan.micrometres == (0.5, 0.25)
    assert "between 0.5 x 0.25 µm and 1 x 1 µm" in plan.reasons["micrometres"]


def test_the_thinnest_class_decides() -> None:
    assert make_plan(discs(120, line=6), PlanRequest()).spacing is None


def test_small_images_are_not_made_smaller() -> None:
    assert make_plan(discs(100, size=(180, 600)), PlanRequest()).spacing is None


def at_spacing(case: CaseArrays, spacing: tuple[float, ...] | None) -> CaseArrays:
    return at_size(case, size_at(case.image.shape[:-1], case.spacing, spacing), spacing)


def test_a_frame_keeps_its_place_in_its_sequence() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[2:6, 2:6] = 1
    case = CaseArrays("f", labels[..., None] * 9, labels, "content", sequence=FrameSequence("clip", "T"))
    seen = at_spacing(case, (2.0, 2.0))
    assert (seen.sequence, seen.image.shape) == (FrameSequence("clip", "T"), (4, 4, 1))
    np.testing.assert_array_equal(seen.labels, labels[::2, ::2])
    np.testing.assert_array_equal(seen.image[..., 0], 9.0 * labels[::2, ::2])
