"""Frames that are lost, spoilt or hidden: what is shown changes, what is true does not."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from reunet.contracts.augmentation import Augmentation, BadFrames
from reunet.contracts.labels import IGNORE
from reunet.contracts.network import HeadSpec
from reunet.networks.presets import configure
from reunet.sampling.bad_frames import FAULTS, Faults, Passing, dimmed, grainy, lost, replaced
from reunet.sampling.patches import PatchSampler

from .test_windows import NO_CHANGE, film, frame_numbers, labelled, make_plan, painted

NONE = dict.fromkeys((*FAULTS, "occluded", "skipped"), 0.0)


def spoilt(**chances: float) -> Augmentation:
    """No change but to frames, of which something befalls every window."""
    bad = BadFrames.model_validate({"windows": 1.0, **NONE, **chances})
    return NO_CHANGE.model_copy(update={"frames": bad})


def sampler(augmentation: Augmentation, *lengths: int, **fields: int) -> PatchSampler:
    return PatchSampler(film(*lengths), make_plan(augmentation=augmentation, **fields))


def test_a_lost_frame_is_blank_and_keeps_its_truth() -> None:
    images, labels = labelled(sampler(spoilt(lost=1.0), 9, frames=4).batch(0))
    clean, truth = labelled(sampler(NO_CHANGE, 9, frames=4).batch(0))
    assert not images[:, 1:].any()
    np.testing.assert_array_equal(images[:, 0], clean[:, 0])  # before the first there is nothing to remember
    np.testing.assert_array_equal(labels, truth)


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_changes_what_is_shown_and_not_what_is_true(kind: str) -> None:
    images, labels = labelled(sampler(spoilt(**{kind: 1.0}), 9, frames=4).batch(0))
    clean, truth = labelled(sampler(NO_CHANGE, 9, frames=4).batch(0))
    assert images.shape == clean.shape
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    assert all(not np.array_equal(images[b, t], clean[b, t]) for b in range(2) for t in range(1, 4))
    np.testing.assert_array_equal(labels, truth)


def test_frames_are_skipped_and_their_labels_with_them() -> None:
    one = sampler(spoilt(skipped=0.5), 12, 7, frames=4)
    steps = []
    for k in range(12):
        images, labels = labelled(one.batch(k))
        numbers = frame_numbers(images)
        steps.append(np.diff(numbers, axis=1))
        assert ((labels == numbers[..., None, None] % 2) | (labels == IGNORE)).all()
    assert {1, 2, 3} == set(np.concatenate(steps).ravel().tolist())


def test_a_gap_leaves_no_window_without_a_label() -> None:
    cases = [painted(f"{i:02d}", i, "film", labelled=i % 6 == 0) for i in range(18)]
    one = PatchSampler(cases, make_plan(augmentation=spoilt(skipped=1.0)))
    for k in range(12):
        _, labels = labelled(one.batch(k))
        assert (labels != IGNORE).any(axis=(1, 2, 3)).all()


def test_a_thing_passes_in_front_of_all_windows_of_a_chain() -> None:
    still = [painted(str(i), 0, "film") for i in range(9)]
    frames, carry = 2, 3
    one, clean = (
        PatchSampler(still, make_plan(frames=frames, carry=carry, augmentation=augmentation))
        for augmentation in (spoilt(occluded=1.0), NO_CHANGE)
    )
    hidden = np.concatenate(
        [(one.batch(k)[0] != clean.batch(k)[0]).any(axis=-1) for k in range(carry)], axis=1
    )
    faults = [one._faults(slot, frames * carry) for slot in range(2)]
    for slot, found in enumerate(faults):
        assert found is not None
        assert found.passing is not None
        expected = np.stack([found.passing.hides(t, (24, 24)) for t in range(frames * carry)])
        assert not (hidden[slot] & ~expected).any()
        assert (hidden[slot] == expected).mean() > 0.95  # but where it is as bright as what it hides


def test_bad_frames_depend_on_seed_and_number_alone_and_leave_the_rest_as_it_was() -> None:
    bad = Augmentation(frames=BadFrames(windows=1.0, lost=0.3, occluded=1.0))
    one, other = (sampler(bad, 8, 6, frames=2, carry=2) for _ in range(2))
    for k in (5, 0, 2):
        for a, b in zip(labelled(one.batch(k)), labelled(other.batch(k)), strict=True):
            np.testing.assert_array_equal(a, b)
    never = bad.model_copy(update={"frames": BadFrames(windows=0.0)})
    plain = bad.model_copy(update={"frames": None})
    for k in range(3):
        a, b = (sampler(changes, 8, 6, frames=2, carry=2).batch(k)[0] for changes in (never, plain))
        np.testing.assert_array_equal(a, b)


def test_what_is_not_augmented_has_no_bad_frames() -> None:
    plan = make_plan(augmentation=spoilt(lost=1.0))
    images, _ = PatchSampler(film(8), plan, augment=False).batch(0)
    assert images[:, 1:, ..., :2].any(axis=(2, 3, 4)).all()


def test_faults_come_as_often_as_the_plan_says() -> None:
    bad, rng = BadFrames(windows=0.5, lost=0.3, grainy=0.1), np.random.default_rng(0)
    drawn = [Faults.draw(bad, 5, (16, 16), rng) for _ in range(2000)]
    kinds = np.array([faults.kinds for faults in drawn if faults is not None])
    assert len(kinds) == pytest.approx(1000, abs=80)
    assert (kinds[:, 1:] == "lost").mean() == pytest.approx(0.3, abs=0.03)
    assert (kinds == "grainy").mean() == pytest.approx(0.1, abs=0.02)
    assert not np.isin(kinds[:, 0], ("lost", "replaced")).any()


def test_photons_are_counted() -> None:
    """Poisson: of n expected photons the mean is n and so is the variance."""
    frame = np.full((200, 200, 1), 0.25, np.float32)
    seen = grainy(frame, 8.0, np.random.default_rng(0))
    assert seen.mean() == pytest.approx(0.25, rel=0.02)
    assert seen.var() == pytest.approx(2 / 8**2, rel=0.05)
    assert not grainy(frame, 8.0, np.random.default_rng(0), dark=0.25, bright=2.0).std()
    assert len(np.unique(seen)) < 15


def test_degradations_of_single_frames() -> None:
    rng = np.random.default_rng(0)
    frame = rng.uniform(1, 3, (60, 70, 2)).astype(np.float32) * [1, 10]
    np.testing.assert_allclose(dimmed(frame, 0.5, 1.0), (frame + 1) / 2, rtol=1e-6)
    noise = replaced(frame, rng)
    np.testing.assert_allclose(noise.mean((0, 1)), frame.mean((0, 1)), rtol=0.05)
    assert abs(np.corrcoef(noise[..., 0].ravel(), frame[..., 0].ravel())[0, 1]) < 0.05
    assert not lost(frame).any()


def test_a_thing_moves_as_fast_as_it_says() -> None:
    ball = Passing(np.array([10.0, 5.0]), np.array([0.0, 3.0]), 4.0)
    bar = Passing(np.array([10.0, 5.0]), np.array([0.0, 3.0]), 4.0, across=np.array([0.0, 1.0]))
    for t in range(4):
        assert np.argwhere(ball.hides(t, (21, 30))).mean(0) == pytest.approx([10, 5 + 3 * t])
        assert bar.hides(t, (21, 30)).all(axis=0).sum() == 7


@pytest.mark.parametrize(
    "fields",
    [
        {"lost": 0.9, "grainy": 0.2},
        {"windows": 1.5},
        {"sigma": (3, 1)},
        {"photons": (0, 5)},
        {"longest_gap": 0},
    ],
)
def test_impossible_chances_and_ranges_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BadFrames.model_validate(fields)


def test_single_images_have_no_bad_frames() -> None:
    network = configure("unet", in_channels=3, filters=(4, 8), heads=(HeadSpec(channels=2),))
    with pytest.raises(ValidationError, match=r"augmentation\.frames belongs to networks with time"):
        make_plan(network=network, clip=None, augmentation=spoilt(lost=0.1))
