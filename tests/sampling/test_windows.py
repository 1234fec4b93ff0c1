"""Windows of frames: one coordinate map and one appearance for all of them, every frame counted as often."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.augmentation import Augmentation
from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import ClipSpec, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.cases import FrameSequence
from reunet.networks.presets import configure
from reunet.sampling.patches import Batch, PatchSampler, batches
from reunet.sampling.windows import all_windows, sequences

SIZE = (48, 56)
NO_CHANGE = Augmentation(
    intensity_probability=0, contrast=(1, 1), gamma=(1, 1), brightness=0, noise=0, blur=(0, 0)
)


def make_plan(*, frames: int = 3, carry: int = 1, **fields: object) -> Plan:
    network = configure(
        "conv_gru_unet", in_channels=3, filters=(4, 8), heads=(HeadSpec(channels=2),), normalisation="none"
    )
    values = {
        "dataset": "x",
        "labels": LabelMap(classes=default_classes([0, 1])),
        "input": InputSpec(channels=3, intensity=Intensity(method="fixed", offset=(0,) * 3, scale=(1,) * 3)),
        "network": network,
        "patch": (24, 24),
        "clip": ClipSpec(frames=frames, carry=carry),
        "batch": 2,
        "schedule": Schedule(steps=1),
        "inference": Inference(tile=(24, 24)),
        "augmentation": NO_CHANGE,
        **fields,
    }
    return Plan(**values)


def painted(name: str, frame: int, sequence: str | None, labelled: bool = True) -> CaseArrays:
    """Pixels that say where they are: row, column and 100 * frame; labels are the parity of the frame."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    image = np.stack([rows, columns, np.full(SIZE, 100.0 * frame, np.float32)], axis=-1)
    labels = np.full(SIZE, frame % 2, np.uint8) if labelled else None
    return CaseArrays(name, image, labels, name, sequence=FrameSequence(sequence, "T") if sequence else None)


def film(*lengths: int) -> list[CaseArrays]:
    return [
        painted(f"{number}_{frame:03d}", frame, f"film{number}")
        for number, length in enumerate(lengths)
        for frame in range(length)
    ]


def frame_numbers(images: np.ndarray) -> np.ndarray:
    """(B, T): the number of each frame shown, as its third channel says."""
    return np.round(images[..., 2].mean(axis=(2, 3)) / 100).astype(int)


def labelled(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a batch."""
    return batch[0], batch[1]["semantic"]


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3), frames=st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_every_frame_counts_in_as_many_windows_as_a_window_has_frames(
    lengths: list[int], frames: int
) -> None:
    windows = all_windows(film(*lengths), ClipSpec(frames=frames))
    counted = Counter(
        frame
        for window in windows
        for frame, counts in zip(window.frames, window.counted, strict=True)
        if counts
    )
    assert set(counted) == set(range(sum(lengths)))
    assert set(counted.values()) == {frames}
    assert all(len(window.frames) == frames and window.anchors for window in windows)


def test_frames_of_a_window_follow_each_other_in_one_sequence() -> None:
    for window in all_windows(film(9, 6), ClipSpec(frames=4)):
        steps = np.diff(window.frames)
        assert (steps == 1).all()
        assert len({number < 9 for number in window.frames}) == 1


def test_a_short_sequence_is_mirrored_and_its_copies_do_not_count() -> None:
    windows = all_windows(film(3), ClipSpec(frames=6))
    assert {window.frames for window in windows} == {(0, 1, 2, 1, 0, 1)}
    assert not any(any(window.counted[3:]) for window in windows)
    assert {window.frames for window in all_windows(film(1), ClipSpec(frames=3))} == {(0, 0, 0)}


def test_single_images_are_windows_of_one() -> None:
    cases = [painted("a", 0, None), painted("b", 1, "film"), painted("c", 2, None)]
    assert [window.frames for window in all_windows(cases, None)] == [(0,), (1,), (2,)]
    assert sequences(cases) == [[0], [1], [2]]


@pytest.mark.parametrize("elastic", [0.0, 6.0])
def test_all_frames_of_a_window_are_read_along_one_map(elastic: float) -> None:
    augmentation = NO_CHANGE.model_copy(update={"elastic": elastic, "geometry_probability": 1.0})
    sampler = PatchSampler(film(8, 5), make_plan(augmentation=augmentation))
    for k in range(6):
        images, labels = labelled(sampler.batch(k))
        assert images.shape == (2, 3, 24, 24, 3)
        assert labels.shape == (2, 3, 24, 24)
        np.testing.assert_array_equal(images[:, 1:, ..., :2], np.repeat(images[:, :1, ..., :2], 2, axis=1))
        assert (np.diff(frame_numbers(images), axis=1) == 1).all()
        parity = frame_numbers(images)[..., None, None] % 2
        assert ((labels == parity) | (labels == IGNORE)).all()
    one, other = (sampler.batch(k)[0][0, 0, ..., :2] for k in (0, 1))
    assert not np.array_equal(one, other)


def test_appearance_changes_alike_and_noise_does_not() -> None:
    still = [painted(str(i), 0, "film") for i in range(6)]  # the same picture six times
    quiet = Augmentation(intensity_probability=1.0, noise=0, geometry_probability=0)
    images, _ = PatchSampler(still, make_plan(augmentation=quiet)).batch(0)
    np.testing.assert_allclose(images[:, 1:], np.repeat(images[:, :1], 2, axis=1), rtol=1e-5, atol=1e-4)
    loud = quiet.model_copy(update={"noise": 50.0})
    images, _ = PatchSampler(still, make_plan(augmentation=loud)).batch(0)
    assert np.abs(images[:, 1] - images[:, 0]).mean() > 0.1


def test_windows_depend_on_seed_and_number_alone() -> None:
    cases, plan = film(8, 5), make_plan(carry=2, augmentation=Augmentation())
    one, other = PatchSampler(cases, plan), PatchSampler(cases, plan)
    for k in (5, 0, 2):
        for a, b in zip(labelled(one.batch(k)), labelled(other.batch(k)), strict=True):
            np.testing.assert_array_equal(a, b)
    for k, (images, _) in zip(range(3, 7), batches(one, 3, 7, threads=2), strict=True):
        np.testing.assert_array_equal(images, other.batch(k)[0])


def test_every_frame_is_seen_equally_often_by_the_batches() -> None:
    sampler = PatchSampler(film(8, 5), make_plan(frames=3))
    windows = len(sampler.windows)
    assert windows % 2 == 1  # so that an epoch ends within a batch
    assert sampler.patches_per_epoch == pytest.approx((8 + 5 + 2 * 2) / 3)
    seen: Counter[int] = Counter()
    for k in range(windows):  # two batches of two windows each: two rounds through all windows
        images, labels = labelled(sampler.batch(k))
        for number, truth in zip(frame_numbers(images).ravel(), labels.reshape(-1, 24, 24), strict=True):
            seen[int(number)] += int((truth != IGNORE).any())
    assert {seen[i] for i in range(5)} == {2 * 2 * 3}  # in both films
    assert {seen[i] for i in range(5, 8)} == {2 * 3}


def test_windows_of_a_chain_go_on_where_the_one_before_ended() -> None:
    carry, frames = 3, 2
    augmentation = Augmentation(noise=0.0, gamma=(1, 1))
    sampler = PatchSampler(film(11, 9), make_plan(frames=frames, carry=carry, augmentation=augmentation))
    positions = PatchSampler(film(11, 9), make_plan(frames=frames, carry=carry))
    for chain in range(4):
        shown = [positions.batch(chain * carry + j)[0] for j in range(carry)]
        numbers = np.concatenate([frame_numbers(images) for images in shown], axis=1)
        assert (np.diff(numbers, axis=1) == 1).all()
        for images in shown[1:]:
            np.testing.assert_array_equal(images[..., :2], shown[0][..., :2])
        changed = [sampler.batch(chain * carry + j)[0] for j in range(carry)]
        for images in changed[1:]:
            np.testing.assert_allclose(
                images[..., :2].std((2, 3)), changed[0][..., :2].std((2, 3)), rtol=1e-3
            )


def test_frames_without_a_mask_are_shown_and_do_not_count() -> None:
    cases = [painted(str(i), i, "film", labelled=i % 2 == 0) for i in range(6)]
    images, labels = labelled(PatchSampler(cases, make_plan()).batch(0))
    odd = frame_numbers(images) % 2 == 1
    assert odd.any()
    assert (labels[odd] == IGNORE).all()


def test_what_is_unlabelled_everywhere_is_context_and_no_batch_is_spent_on_it() -> None:
    blank = np.full(SIZE, IGNORE, np.uint8)
    cases = [painted(str(i), i, "film") for i in range(30)]
    cases = [case if number == 7 else replace(case, indices=blank) for number, case in enumerate(cases)]
    sampler = PatchSampler(cases, make_plan())
    assert len(sampler.windows) == 3
    for k in range(3):
        _, labels = labelled(sampler.batch(k))
        assert (labels != IGNORE).any((1, 2, 3)).all()
    one = configure("unet", in_channels=3, filters=(4, 8), heads=(HeadSpec(channels=2),))
    alone = PatchSampler(cases, make_plan(network=one, clip=None))
    assert [window.frames for window in alone.windows] == [(7,)]
