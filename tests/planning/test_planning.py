"""The rules: what they decide, that they say why, and that a plan survives reading and writing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.contracts.plan import Plan
from reunet.contracts.sizes import valid_size
from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.cases import FrameSequence
from reunet.errors import DataError, PlanError, UsageError
from reunet.io.numbers import LARGEST
from reunet.planning import PlanRequest, make_plan, speed, take_fingerprint, width

from .datasets import masked

LABELS = LabelMap(classes=default_classes([0, 1]))


def fingerprint_of(cases: list[CaseArrays], labels: LabelMap = LABELS) -> Fingerprint:
    return take_fingerprint(masked(labels), cases, cases[:2])


def grey_cases(count: int = 6, size: tuple[int, int] = (100, 120), light: float = 0.0) -> list[CaseArrays]:
    rng = np.random.default_rng(0)
    cases = []
    for i in range(count):
        labels = np.zeros(size, np.uint8)
        labels[size[0] // 4 : size[0] // 2, size[1] // 3 : size[1] // 2] = 1
        labels = np.roll(labels, rng.integers(0, size[0], 2), axis=(0, 1))
        image = rng.normal(100 + light * i, 10, (*size, 1)) + 20 * labels[..., None]
        cases.append(CaseArrays(f"c{i}", image.clip(0, 255).astype(np.uint8), labels, f"h{i}"))
    return cases


def test_fingerprint_measures_what_it_says() -> None:
    found = fingerprint_of(grey_cases())
    assert found.channels == 1
    assert found.median_size == (100, 120)
    assert found.class_fraction[1] == pytest.approx(25 * 20 / (100 * 120), rel=1e-4)
    assert found.mean[0] == pytest.approx(100.3, abs=1)
    assert found.between_image_std[0] < 0.1
    assert (found.n_train, found.n_val) == (6, 2)
    assert [(case.split, case.id) for case in found.cases][5:] == [
        ("train", "c5"),
        ("val", "c0"),
        ("val", "c1"),
    ]


def test_statistics_of_numbers_whose_sums_32_bits_cannot_hold_are_finite() -> None:
    cases = []
    for i, one in enumerate(grey_cases(4)):
        image = np.where(one.image > 100 + i, LARGEST, -LARGEST).astype(np.float32)
        cases.append(CaseArrays(one.id, image, one.labels, one.content))
    found = fingerprint_of(cases)
    assert np.isfinite([*found.mean, *found.std, *found.between_image_std]).all()
    assert 0 < found.between_image_std[0] < 1


def test_held_out_cases_give_channels_and_content_but_no_statistics() -> None:
    """A rarer kind of image may happen to be held out only: the network must read it all the same."""
    train = grey_cases(4)
    colour = CaseArrays("rgb", np.full((40, 50, 3), 250, np.uint8), np.zeros((40, 50), np.uint8), "content")
    alone, found = (take_fingerprint(masked(LABELS), train, val) for val in ([], [colour]))
    assert (alone.channels, alone.mixed_channels) == (1, False)
    assert (found.channels, found.mixed_channels) == (3, True)
    assert found.mean == alone.mean * 3
    assert found.max_size == alone.max_size
    assert (found.cases[-1].split, found.cases[-1].content, found.cases[-1].kind) == ("val", "content", 3)
    plan = make_plan(found, PlanRequest())
    assert (plan.input.channels, plan.input.grey_to_rgb) == (3, True)
    reverse = take_fingerprint(masked(LABELS), [colour], train)
    assert (reverse.channels, reverse.mixed_channels) == (3, True)


def test_an_unlabelled_set_is_refused() -> None:
    case = CaseArrays("a", np.zeros((20, 20, 1), np.uint8), np.full((20, 20), IGNORE, np.uint8), "")
    with pytest.raises(DataError, match="no training image has a labelled pixel"):
        fingerprint_of([case, case])


def test_light_decides_the_normalisation() -> None:
    assert make_plan(fingerprint_of(grey_cases()), PlanRequest()).input.intensity.method == "fixed"
    uneven = make_plan(fingerprint_of(grey_cases(light=20)), PlanRequest())
    assert uneven.input.intensity.method == "image_zscore"


def test_mixed_grey_and_colour() -> None:
    cases = grey_cases(3)
    cases += [CaseArrays("rgb", np.repeat(cases[0].image, 3, -1), cases[0].labels, "") for _ in range(2)]
    plan = make_plan(fingerprint_of(cases), PlanRequest())
    assert (plan.input.channels, plan.input.grey_to_rgb, plan.network.in_channels) == (3, True, 3)


def test_scenes_with_an_up_are_not_turned_over() -> None:
    rng = np.random.default_rng(0)
    cases = []
    for i in range(8):
        labels = np.zeros((64, 64), np.uint8)
        labels[40 + rng.integers(0, 5) :] = 1
        cases.append(CaseArrays(str(i), rng.integers(0, 255, (64, 64, 1), dtype=np.uint8), labels, ""))
    augmentation = make_plan(fingerprint_of(cases), PlanRequest()).augmentation
    assert not augmentation.flip_vertical
    assert augmentation.flip_horizontal
    assert augmentation.rotation <= 15
    free = make_plan(fingerprint_of(grey_cases(12)), PlanRequest()).augmentation
    assert free.flip_vertical
    assert free.rotation == 180


@pytest.mark.parametrize(
    ("preset", "axis", "length", "expected"),
    [
        ("unet", "T", 12, "none"),
        ("conv_gru_unet", "T", 12, "skipped, passing"),
        ("unet_2d_t", "T", 12, "skipped, passing"),
        ("conv_gru_unet", "T", 6, "passing"),
        ("conv_gru_unet", "T", 1, "none"),
        ("conv_gru_unet", "Z", 12, "slices"),
    ],
)
def test_frames_are_spoilt_where_others_tell_what_they_showed(
    preset: str, axis: Literal["T", "Z"], length: int, expected: str
) -> None:
    cases = [replace(case, sequence=FrameSequence("film", axis)) for case in grey_cases(length)]
    plan = make_plan(fingerprint_of(cases), PlanRequest(preset=preset))
    bad, why = plan.augmentation.frames, plan.reasons.get("augmentation.frames", "")
    assert bool(why) == (preset != "unet")
    if expected == "none":
        assert bad is None
        return
    assert bad is not None
    assert bad.lost > 0
    assert [bad.skipped > 0, bad.occluded > 0] == ["skipped" in expected, "passing" in expected]
    assert ("slices are lost" in why, "are skipped" in why) == (axis == "Z", bad.skipped > 0)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (33, 40), (600, 500), (5000, 4000)])
def test_patch_and_depth_fit_any_image(size: tuple[int, int]) -> None:
    facts = fingerprint_of(grey_cases(2, (64, 64))).model_copy(update={"median_size": size})
    plan = make_plan(facts, PlanRequest())
    assert all(side % stride == 0 for side, stride in zip(plan.patch, plan.network.total_stride, strict=True))
    assert max(plan.patch) <= 256
    assert min(plan.patch) // plan.network.total_stride[0] >= min(8, min(plan.patch))


def test_more_time_means_a_wider_network_and_every_choice_has_a_reason() -> None:
    facts = fingerprint_of(grey_cases())
    short, long = (make_plan(facts, PlanRequest(minutes=minutes)) for minutes in (1, 600))
    assert long.network.filters[0] > short.network.filters[0]
    for field in (
        "patch",
        "batch",
        "network.filters",
        "network.normalisation",
        "input.intensity",
        "precision",
    ):
        assert len(short.reasons[field]) > 20


@pytest.mark.parametrize(
    ("native", "pace", "widths"),
    [
        (True, 1.0, (16, 32, 64)),
        (True, 0.4, (16, 16, 32)),
        (False, 1.0, (16, 16, 24)),
        (False, 4.0, (16, 32, 48)),
    ],
)
def test_width_follows_what_the_processor_is_fast_with(
    native: bool, pace: float, widths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 24 filters take as long as 32, so they are never chosen."""
    monkeypatch.setattr(speed, "has_cpu_bfloat16", lambda: native)
    monkeypatch.setattr(width, "cores", lambda: 2)
    facts = fingerprint_of(grey_cases(2, (256, 256)))
    requests = [PlanRequest(minutes=minutes, max_memory=2**36, pace=pace) for minutes in (5, 20, 60)]
    assert tuple(make_plan(facts, request).network.filters[0] for request in requests) == widths


def test_steps_of_small_patches_are_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step takes before the first multiplication leaves time for a narrower network only."""
    facts = fingerprint_of(grey_cases(2, (64, 64)))
    chosen = []
    for begin in (0.0, speed.BEGIN):
        monkeypatch.setattr(speed, "BEGIN", begin)
        chosen.append(make_plan(facts, PlanRequest(minutes=2)).network.filters[0])
    assert chosen[0] > chosen[1]


@pytest.mark.parametrize("name", ["minutes", "steps", "epochs", "max_memory"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_numbers_that_make_no_sense_are_the_user_s_not_ours(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        PlanRequest(**{name: value})


def test_a_negative_seed_and_two_budgets_are_refused() -> None:
    with pytest.raises(UsageError, match="seed"):
        PlanRequest(seed=-1)
    with pytest.raises(UsageError, match="two budgets"):
        PlanRequest(minutes=1, steps=5)


def test_half_a_step_is_an_error_of_the_plan() -> None:
    with pytest.raises(PlanError, match="steps"):
        make_plan(fingerprint_of(grey_cases()), PlanRequest(steps=2.5))  # type: ignore[arg-type]


def test_a_plan_from_another_network_takes_sizes_that_fit_it() -> None:
    facts = fingerprint_of(grey_cases())
    network = make_plan(facts, PlanRequest()).network
    for changes in ({"padding": "valid"}, {"strides": ((3, 3),) * len(network.strides)}):
        plan = make_plan(facts, PlanRequest(network=network.model_copy(update=changes)))
        assert valid_size(plan.network, plan.patch) == plan.patch == plan.inference.tile


def test_plan_file_round_trip_and_typos(tmp_path: Path) -> None:
    plan = make_plan(fingerprint_of(grey_cases()), PlanRequest())
    file = tmp_path / "plan.json"
    plan.write(file)
    assert Plan.read(file) == plan
    content = json.loads(file.read_text())
    content["scedule"] = content.pop("schedule")
    file.write_text(json.dumps(content))
    with pytest.raises(PlanError, match="did you mean 'schedule'"):
        Plan.read(file)
    content["schema_version"] = 99
    file.write_text(json.dumps(content))
    with pytest.raises(PlanError, match="newer reunet"):
        Plan.read(file)


def test_a_rare_class_is_looked_for_more_often() -> None:
    names = LabelMap(classes=default_classes([0, 1, 2], ["background", "road", "sign"]))
    for side, weights in ((40, ()), (5, (1.0, 1.0, 2.0))):  # 16 % and a quarter of a percent of the pixels
        cases = []
        for i in range(4):
            labels = np.zeros((100, 100), np.uint8)
            labels[60:, :], labels[:side, i : i + side] = 1, 2
            cases.append(CaseArrays(str(i), np.full((100, 100, 1), i, np.uint8), labels, str(i)))
        made = make_plan(fingerprint_of(cases, names), PlanRequest(steps=1))
        assert made.class_sampling == weights
        assert ("class_sampling" in made.reasons) is bool(weights)
    with pytest.raises(PlanError, match="class_sampling"):
        Plan.parse(made.model_dump() | {"class_sampling": (1.0, 2.0)}, where="test")


def test_centre_lines_are_thinned_by_what_the_widest_line_needs() -> None:
    labels = np.zeros((100, 120), np.uint8)
    labels[50:56] = 1
    cases = [CaseArrays(str(i), labels[..., None] + np.uint8(i), labels, str(i)) for i in range(4)]
    made = make_plan(fingerprint_of(cases), PlanRequest(steps=1, loss="cl_dice"))
    assert made.loss.cl_dice == 0.5
    assert 3 <= made.loss.thinning <= 8


def test_a_pretrained_encoder_gets_a_light_way_up() -> None:
    plan = make_plan(
        fingerprint_of(grey_cases(size=(256, 256))), PlanRequest(minutes=10, encoder="efficientnet_lite0")
    )
    network = plan.network
    assert (network.encoder, network.decoder_block, network.output_level) == ("efficientnet_lite0", "conv", 1)
    assert network.total_stride == (32, 32)
    assert 0 < plan.schedule.encoder_rate < 1
    assert {"network.output_level", "schedule.encoder_rate"} <= plan.reasons.keys()
    small = make_plan(
        fingerprint_of(grey_cases(size=(40, 48))), PlanRequest(minutes=1, encoder="efficientnet_lite0")
    )
    assert small.patch == (48, 48)
    assert small.network.total_stride == (16, 16)
    asked = make_plan(
        fingerprint_of(grey_cases()), PlanRequest(steps=1, encoder="vgg16", preset="attention_unet")
    )
    assert (asked.network.skip, asked.network.output_level) == ("attention", 0)


def colour_cases() -> list[CaseArrays]:
    return [
        CaseArrays(case.id, np.repeat(case.image, 3, axis=-1), case.indices, case.content)
        for case in grey_cases(size=(128, 160))
    ]


def tinted(*tint: float) -> list[CaseArrays]:
    """Grey images in another colour each, or in the one that is given."""
    rng = np.random.default_rng(0)

    def painted(image: np.ndarray) -> np.ndarray:
        values = np.repeat(image.astype(np.float64), 3, axis=-1) * (tint or rng.uniform(0, 1, 3))
        return values.astype(image.dtype)

    return [
        CaseArrays(case.id, painted(case.image), case.indices, case.content)
        for case in grey_cases(size=(128, 160))
    ]


def test_photographs_have_many_hues_and_greys_or_a_stain_have_one() -> None:
    assert fingerprint_of(grey_cases()).one_hue is None
    assert fingerprint_of(colour_cases()).one_hue == 1
    assert (fingerprint_of(tinted(1, 0.4, 0.8)).one_hue or 0) > 0.95
    assert (fingerprint_of(tinted()).one_hue or 1) < 0.8


def test_photographs_of_many_sizes_are_seen_at_one() -> None:
    """As large as the median one would be; stained tissue, and what has a size in micrometres, is not."""

    def sized(cases: list[CaseArrays]) -> Fingerprint:
        small, *rest = cases
        image, labels = (np.asarray(part)[::2, ::2] for part in (small.image, small.labels))
        return fingerprint_of([CaseArrays(small.id, image, labels, small.content), *rest])

    photographs = sized(tinted())
    plan = make_plan(photographs, PlanRequest(steps=1))
    assert (plan.spacing, plan.input.longest) == (None, 160)
    assert "of like sizes" in plan.reasons["input.longest"]
    assert "spacing" not in plan.reasons
    measured, mapped = (
        photographs.model_copy(
            update={"cases": tuple(one.model_copy(update=told) for one in photographs.cases)}
        )
        for told in ({"spacing": (0.5, 0.5)}, {"on_map": True})
    )
    for other in (fingerprint_of(tinted()), sized(tinted(1, 0.4, 0.8)), measured, mapped):
        assert make_plan(other, PlanRequest(steps=1)).input.longest is None


def test_photographs_are_not_turned_upside_down() -> None:
    stained, photographs = (
        make_plan(fingerprint_of(cases), PlanRequest(steps=1)) for cases in (colour_cases(), tinted())
    )
    assert stained.augmentation.flip_vertical
    assert stained.augmentation.rotation == 180
    assert not photographs.augmentation.flip_vertical
    assert photographs.augmentation.flip_horizontal
    assert photographs.augmentation.rotation < 20
    assert "upright" in photographs.reasons["augmentation"]


def test_the_planner_chooses_an_encoder_for_colours_and_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or says what installing its weights would bring; what is asked for is done in any case."""
    colours, grey = fingerprint_of(colour_cases()), fingerprint_of(grey_cases(size=(128, 160)))
    for there in (True, False):
        monkeypatch.setattr("reunet.planning.encoder.photo_weights", lambda: Path("x") if there else None)  # noqa: B023
        made = make_plan(colours, PlanRequest(minutes=10))
        assert (made.network.encoder == "efficientnet_lite0") == there
        assert (".[photo]" in made.reasons["network.encoder"]) == (not there)
        boxes = colours.model_copy(update={"kinds": ("masks", "boxes")})
        for tasks in (("detection",), ("semantic", "detection")):
            made = make_plan(boxes, PlanRequest(minutes=10, task=tasks))
            assert (made.network.encoder == "efficientnet_lite0") == there
        objects = colours.model_copy(update={"kinds": ("masks", "instances")})
        for one_hue, wins in ((0.5, there), (0.98, False)):
            images = objects.model_copy(update={"one_hue": one_hue})
            made = make_plan(images, PlanRequest(minutes=10, task=("instances",)))
            assert (made.network.encoder == "efficientnet_lite0") == wins
        for fingerprint, request in (
            (grey, PlanRequest(minutes=10)),
            (colours, PlanRequest(steps=10)),
            (colours, PlanRequest(minutes=300)),
            (colours, PlanRequest(minutes=10, preset="attention_unet")),
            (colours, PlanRequest(minutes=10, encoder="none")),
        ):
            assert make_plan(fingerprint, request).network.encoder == "plain"


def test_an_encoder_rests_at_first_and_always_where_minutes_are_few() -> None:
    fingerprint = fingerprint_of(colour_cases())
    for minutes, learns in ((2, False), (20, True)):
        schedule = make_plan(fingerprint, PlanRequest(minutes=minutes, encoder="efficientnet_lite0")).schedule
        assert (schedule.encoder_rate > 0) == learns
        assert (schedule.encoder_from > 0) == learns


def test_pixels_of_rare_classes_count_more() -> None:
    """By the fourth root of their shares; the mean over all labelled pixels is 1; few classes stay alike."""
    labels = np.zeros((96, 96), np.uint8)
    for index, height in enumerate((40, 16, 8, 2), start=1):
        labels[height : 2 * height, : 48 // index] = index
    cases = [CaseArrays(str(i), labels[..., None] + np.uint8(i), labels, str(i)) for i in range(4)]
    many = LabelMap(classes=default_classes(list(range(5))))
    made = make_plan(fingerprint_of(cases, many), PlanRequest(steps=1))
    shares = np.bincount(labels.ravel(), minlength=5) / labels.size
    weights = np.array(made.loss.class_weights)
    np.testing.assert_allclose(weights @ shares, 1, atol=1e-3)
    np.testing.assert_allclose(weights / weights[0], (shares / shares[0]) ** -0.25, rtol=2e-3)
    assert make_plan(fingerprint_of(grey_cases()), PlanRequest(steps=1)).loss.class_weights == ()
    with pytest.raises(PlanError, match="class_weights needs 5"):
        Plan.parse(
            made.model_dump() | {"loss": made.loss.model_dump() | {"class_weights": (1.0,)}}, where="test"
        )
