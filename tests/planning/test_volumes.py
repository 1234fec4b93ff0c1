"""Plans for volumes: voxel size, patch, network and changes, from what the volumes look like."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.plan import Plan
from reunet.datasets.case_arrays import CaseArrays
from reunet.errors import UsageError
from reunet.planning import PlanRequest, make_plan, take_fingerprint
from reunet.planning.patch import MOST_VOXELS
from reunet.sampling.intensity import normalise

from .datasets import masked

LABELS = LabelMap(classes=default_classes([0, 1, 2]))
Spacing = tuple[float, float, float]


def make_cases(
    sizes: list[tuple[int, int, int]], spacings: list[Spacing | None], channels: int = 1
) -> list[CaseArrays]:
    cases = []
    for i, (size, spacing) in enumerate(zip(sizes, spacings, strict=True)):
        rng = np.random.default_rng(i)
        labels = rng.integers(0, 3, size, np.uint8)
        image = (
            rng.normal(100, 30, (*size, channels)).astype(np.float32) + np.float32(300) * labels[..., None]
        )
        cases.append(CaseArrays(str(i), image, labels, str(i), spacing))
    return cases


def plan_of(cases: list[CaseArrays], *, names: tuple[str, ...] = (), minutes: float = 20.0) -> Plan:
    facts = take_fingerprint(masked(LABELS, channel_names=names), cases, cases[:1])
    return make_plan(facts, PlanRequest(minutes=minutes))


def enlarged(size: tuple[int, int, int], spacing: Spacing) -> Plan:
    """The plan for volumes of that size, from a fingerprint that only says so."""
    small = make_cases([(8, 8, 8)] * 2, [spacing] * 2)
    facts = take_fingerprint(masked(LABELS), small, [])
    cases = tuple(case.model_copy(update={"size": size}) for case in facts.cases)
    return make_plan(facts.model_copy(update={"median_size": size, "cases": cases}), PlanRequest(minutes=20))


def test_a_set_like_the_hippocampus() -> None:
    plan = enlarged((36, 50, 35), (1.0, 1.0, 1.0))
    assert plan.patch == plan.inference.tile == (40, 56, 40)
    assert plan.network.strides == ((2, 2, 2),) * 3
    assert (plan.network.preset, plan.network.spatial_dims, plan.network.kernels) == ("unet3d", 3, ())
    assert plan.spacing == (1.0, 1.0, 1.0)
    assert plan.input.intensity.method == "image_zscore"
    assert plan.augmentation.rotation == plan.augmentation.tilt == 30


def test_thick_slices_are_left_alone_at_first() -> None:
    plan = enlarged((20, 320, 320), (3.6, 0.61, 0.61))
    assert plan.network.strides[0] == plan.network.strides[1] == (1, 2, 2)
    assert plan.network.kernels[0] == (1, 3, 3)
    assert plan.network.kernels[-1] == (3, 3, 3)
    assert plan.augmentation.tilt == 0
    assert plan.patch[0] <= 24
    assert np.prod(plan.patch) < 1.6 * MOST_VOXELS
    assert 0.5 < plan.patch[1] / plan.patch[2] < 2


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 400, 400), (512, 512, 512), (90, 10, 700)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (0.8, 0.8, 6.0)])
def test_any_volume_gets_a_plan_that_fits(size: tuple[int, int, int], spacing: Spacing) -> None:
    plan = enlarged(size, spacing)
    total = plan.network.total_stride
    assert all(side % stride == 0 for side, stride in zip(plan.patch, total, strict=True))
    assert max(plan.network.filters) <= 320
    assert "patch" in plan.reasons
    assert "spacing" in plan.reasons


def test_the_target_is_the_median_spacing() -> None:
    spacings: list[Spacing | None] = [(1.0, 0.5, 0.5), (1.2, 0.6, 0.6), (2.0, 0.9, 0.9)]
    plan = plan_of(make_cases([(20, 24, 24)] * 3, spacings))
    assert plan.spacing == (1.2, 0.6, 0.6)
    assert "resampled" in plan.reasons["spacing"]


def test_of_thick_slices_the_thinner_ones_are_the_target() -> None:
    spacings: list[Spacing | None] = [(4.0, 0.5, 0.5), (5.0, 0.5, 0.5), (6.0, 0.5, 0.5)]
    plan = plan_of(make_cases([(4, 32, 32)] * 3, spacings))
    assert plan.spacing == (pytest.approx(4.2), 0.5, 0.5)


def test_volumes_that_do_not_say_count_as_one_millimetre() -> None:
    assert plan_of(make_cases([(12, 12, 12)] * 2, [None, None])).spacing == (1.0, 1.0, 1.0)


def test_ct_is_normalised_by_the_foreground_of_the_training_set() -> None:
    cases = make_cases([(12, 14, 16)] * 3, [(1.0, 1.0, 1.0)] * 3)
    plan = plan_of(cases, names=("CT",))
    intensity = plan.input.intensity
    values = np.concatenate([case.image[case.labels > 0] for case in cases])  # type: ignore[operator]
    assert intensity.method == "fixed"
    assert intensity.offset == (pytest.approx(values.mean(), rel=0.01),)
    assert intensity.scale == (pytest.approx(values.std(), rel=0.01),)
    image = np.array([-1000.0, values.mean(), 3000.0], np.float32).reshape(1, 1, 3, 1)
    found = normalise(image, intensity).ravel()
    low, high = (np.percentile(values, (0.5, 99.5)) - values.mean()) / values.std()
    np.testing.assert_allclose(found, [low, 0, high], atol=0.05)
    for names in ((), ("T1",), ("CT", "PET")):
        assert plan_of(cases, names=names).input.intensity.method == "image_zscore"


def test_a_class_that_lies_to_one_side_is_not_mirrored_there() -> None:
    cases = []
    for i in range(8):
        labels = np.zeros((16, 18, 20), np.uint8)
        labels[:, :, 12 + i % 3 :] = 1
        labels[4 + i : 6 + i, ::2, ::2] = 2
        image = np.random.default_rng(i).normal(size=(16, 18, 20, 1)).astype(np.float32)
        cases.append(CaseArrays(str(i), image, labels, str(i), (1.0, 1.0, 1.0)))
    plan = plan_of(cases)
    assert plan.augmentation.flips(3) == (True, True, False)
    assert "width" in plan.reasons["augmentation"]
    assert plan.augmentation.elastic > 0


def test_fingerprints_of_volumes_survive_their_file(tmp_path: object) -> None:
    cases = make_cases([(9, 10, 11)] * 2, [(2.0, 1.0, 1.0)] * 2)
    facts = take_fingerprint(masked(LABELS), cases, [])
    assert facts.median_size == (9, 10, 11)
    assert facts.cases[0].spacing == (2.0, 1.0, 1.0)
    assert facts.foreground is not None
    assert Fingerprint.model_validate_json(facts.model_dump_json()) == facts


def test_networks_of_another_kind_are_refused() -> None:
    volumes = take_fingerprint(masked(LABELS), make_cases([(16, 16, 16)] * 2, [None] * 2), [])
    flat = volumes.model_copy(update={"median_size": (64, 64)})
    network = make_plan(flat, PlanRequest(minutes=1)).network
    with pytest.raises(UsageError, match="for images, the dataset holds volumes"):
        make_plan(volumes, PlanRequest(minutes=1, network=network))
    with pytest.raises(UsageError, match="for volumes, the dataset holds images") as caught:
        make_plan(flat, PlanRequest(minutes=1, preset="unet3d"))
    assert caught.value.where == "--preset"


def test_more_time_means_a_wider_network() -> None:
    cases = make_cases([(36, 40, 32)] * 2, [(1.0, 1.0, 1.0)] * 2)
    assert plan_of(cases, minutes=600).network.filters[0] > plan_of(cases, minutes=2).network.filters[0]
