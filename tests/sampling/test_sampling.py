"""Patches: one resampling, the same change for image and labels, batch k from (seed, k) alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.augmentation import Augmentation
from reunet.contracts.boxes import Boxes, no_boxes
from reunet.contracts.labels import IGNORE, Classes, LabelMap, default_classes
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.networks.presets import configure
from reunet.sampling.appearance import change_appearance
from reunet.sampling.intensity import normalise
from reunet.sampling.patches import Batch, PatchSampler, batches
from reunet.sampling.warp import coordinate_map, resample
from reunet.tasks.detection import Detection

CLASSES = Classes(LabelMap(classes=default_classes([0, 1])))

STILL = Augmentation(
    intensity_probability=0, contrast=(1, 1), gamma=(1, 1), brightness=0, noise=0, blur=(0, 0)
)


def make_plan(**fields: object) -> Plan:
    heads = (HeadSpec(channels=2),)
    settings_ = {
        "dataset": "x",
        "labels": LabelMap(classes=default_classes([0, 1])),
        "input": InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(0.0,), scale=(1.0,))),
        "network": configure("unet", in_channels=1, filters=(4, 8), heads=heads),
        "patch": (32, 32),
        "batch": 4,
        "schedule": Schedule(steps=1),
        "inference": Inference(tile=(32, 32)),
        **fields,
    }
    return Plan(**settings_)


def make_cases(count: int = 3, size: tuple[int, int] = (50, 60)) -> list[CaseArrays]:
    """Images whose pixel value is the label times 100, so that a patch shows whether both moved alike."""
    cases = []
    for i in range(count):
        labels = np.zeros(size, np.uint8)
        labels[10 + i : 30, 15:40] = 1
        cases.append(CaseArrays(f"case{i}", (labels * 100)[..., None], labels, str(i)))
    return cases


def labelled(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a batch."""
    return batch[0], batch[1]["semantic"]


@pytest.mark.fault("two runs of one seed", "the same batches, whatever was fetched ahead")
def test_batches_depend_on_seed_and_number_alone() -> None:
    cases, plan = make_cases(), make_plan()
    one, other = PatchSampler(cases, plan), PatchSampler(cases, plan)
    for k in (5, 0, 2):
        for a, b in zip(labelled(one.batch(k)), labelled(other.batch(k)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.batch(0)[0], one.batch(1)[0])
    changed = PatchSampler(cases, make_plan(seed=1))
    assert not np.array_equal(one.batch(0)[0], changed.batch(0)[0])


@pytest.mark.parametrize("threads", [0, 2])
def test_pipeline_keeps_the_order_and_can_start_anywhere(threads: int) -> None:
    sampler = PatchSampler(make_cases(), make_plan())
    for k, (images, _) in zip(range(3, 9), batches(sampler, 3, 9, threads=threads), strict=True):
        np.testing.assert_array_equal(images, sampler.batch(k)[0])


def test_an_error_in_a_thread_names_its_cause() -> None:
    class Broken(PatchSampler):
        def batch(self, k: int) -> tuple[np.ndarray, np.ndarray]:
            raise ValueError("pixel 7 is on fire")

    with pytest.raises(ValueError, match="on fire"):
        next(batches(Broken(make_cases(), make_plan()), 0, 3))


@pytest.mark.parametrize("elastic", [0.0, 6.0])
def test_image_and_labels_move_together(elastic: float) -> None:
    augmentation = STILL.model_copy(update={"elastic": elastic, "geometry_probability": 1.0})
    sampler = PatchSampler(make_cases(), make_plan(augmentation=augmentation))
    for k in range(5):
        images, labels = labelled(sampler.batch(k))
        agree = (images[..., 0] > 50) == (labels == 1)
        assert agree.mean() > 0.97  # only pixels cut by an edge may differ
        assert set(np.unique(labels)) <= {0, 1}


def test_every_case_is_seen_once_per_epoch() -> None:
    cases = [
        CaseArrays(str(i), np.full((32, 32, 1), i, np.uint8), np.zeros((32, 32), np.uint8), "")
        for i in range(8)
    ]
    sampler = PatchSampler(cases, make_plan(augmentation=STILL))
    seen = np.concatenate([sampler.batch(k)[0][:, 0, 0, 0] for k in range(4)])
    for epoch in (seen[:8], seen[8:]):
        assert sorted(epoch) == list(range(8))


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 67), width=st.integers(1, 67), seed=st.integers(0, 1000))
def test_any_image_size_gives_a_whole_patch(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 200, (height, width, 1), dtype=np.uint8)
    case = CaseArrays("a", image, (image[..., 0] > 100).astype(np.uint8), "")
    augmentation = Augmentation(elastic=5.0, geometry_probability=1.0, intensity_probability=1.0)
    images, labels = labelled(PatchSampler([case], make_plan(augmentation=augmentation, seed=seed)).batch(0))
    assert images.shape == (4, 32, 32, 1)
    assert labels.shape == (4, 32, 32)
    assert np.isfinite(images).all()


def test_a_plain_crop_is_the_image_itself() -> None:
    image = np.random.default_rng(0).integers(0, 255, (70, 80, 3), dtype=np.uint8)
    coordinates = coordinate_map((32, 32), (30.0, 40.0), None, np.random.default_rng(0))
    np.testing.assert_array_equal(resample(image, coordinates), image[14:46, 24:56])
    np.testing.assert_array_equal(resample(image, coordinates, nearest=True), image[14:46, 24:56])


def test_reading_a_block_equals_reading_the_whole_image() -> None:
    """Only the needed part is read from disk; mirrored edges must come out the same."""
    import cv2

    rng = np.random.default_rng(0)
    image = rng.normal(size=(90, 75)).astype(np.float32)
    for seed in range(50):
        generator = np.random.default_rng(seed)
        center = tuple(generator.uniform(-5, 95, 2))
        coordinates = coordinate_map((40, 40), center, Augmentation(geometry_probability=1.0), generator)
        whole = cv2.remap(
            image, coordinates[..., 1].copy(), coordinates[..., 0].copy(), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )  # fmt: skip
        # OpenCV rounds positions to 1/32 pixel, so a shifted origin changes them by that much.
        assert np.abs(resample(image, coordinates) - whole).mean() < 0.03


def test_flips_and_quarter_turns_keep_the_values() -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8)
    turned = Augmentation(geometry_probability=0.0)
    allowed = {np.rot90(f, k).tobytes() for f in (image, image[::-1]) for k in range(4)}
    seen = set()
    for seed in range(40):
        coordinates = coordinate_map((32, 32), (16.0, 16.0), turned, np.random.default_rng(seed))
        seen.add(resample(image, coordinates, nearest=True).tobytes())
    assert seen == allowed
    upright = Augmentation(geometry_probability=0.0, flip_vertical=False, rotation=15)
    for seed in range(20):
        coordinates = coordinate_map((32, 32), (16.0, 16.0), upright, np.random.default_rng(seed))
        assert resample(image, coordinates, nearest=True).tobytes() in {
            image.tobytes(),
            image[:, ::-1].tobytes(),
        }


def test_unlabelled_regions_are_avoided_and_kept_unlabelled() -> None:
    labels = np.full((200, 200), IGNORE, np.uint8)
    labels[:60, :60] = 0
    case = CaseArrays("a", np.zeros((200, 200, 1), np.uint8), labels, "")
    _, drawn = labelled(PatchSampler([case], make_plan(augmentation=STILL)).batch(0))
    assert ((drawn != IGNORE).mean(axis=(1, 2)) > 0.2).all()
    assert set(np.unique(drawn)) <= {0, IGNORE}


def test_classes_are_looked_for_as_often_as_their_weights_say() -> None:
    """Of three classes, one is not in the image: the two others share its patches."""
    names = LabelMap(classes=default_classes([0, 1, 2, 3]))
    labels = np.zeros((400, 400), np.uint8)
    labels[10:14, 10:390], labels[200:204, 200:204] = 1, 3
    case = CaseArrays("a", np.zeros((400, 400, 1), np.uint8), labels, "")
    for weights, share in (((), 0.5), ((1.0, 1.0, 9.0, 3.0), 0.75)):
        changes = {"augmentation": STILL, "foreground_sampling": 1.0, "class_sampling": weights}
        plan = make_plan().model_copy(update={**changes, "labels": names, "batch": 200})
        _, drawn = labelled(PatchSampler([case], plan).batch(0))
        rare = (drawn == 3).any(axis=(1, 2)).mean()
        assert rare == pytest.approx(share, abs=0.09)
        assert ((drawn > 0).any(axis=(1, 2))).all()


@pytest.mark.parametrize("method", ["image_zscore", "image_percentile"])
def test_constant_and_huge_images_stay_finite(method: str) -> None:
    intensity = Intensity(method=method)
    for image in (
        np.full((8, 8, 1), 7, np.uint8),
        np.full((8, 8, 1), 65535, np.uint16),
        np.full((8, 8, 1), 1e30, np.float32),
        np.linspace(-1e6, 1e6, 64, dtype=np.float32).reshape(8, 8, 1),
        np.zeros((1, 1, 1), np.float32),
    ):
        assert np.isfinite(normalise(image, intensity)).all()


def test_zscore_is_blind_to_brightness_and_gain() -> None:
    image = np.random.default_rng(0).integers(0, 100, (20, 30, 3)).astype(np.uint16)
    one = normalise(image, Intensity(method="image_zscore"))
    other = normalise(image * 300 + 1000, Intensity(method="image_zscore"))
    np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(one.mean((0, 1)), 0, atol=1e-5)


def test_counted_values_have_the_moments_of_all_pixels() -> None:
    """8 bits are counted value by value; the image is larger than what is added up at a time."""
    image = np.random.default_rng(0).integers(0, 200, (300, 301, 3), np.uint8)
    image[..., 2] = 9
    zscore = Intensity(method="image_zscore")
    found, wide = normalise(image, zscore), image.astype(np.float64)
    deviation = np.maximum(wide.std((0, 1)), 1)
    np.testing.assert_allclose(found, (wide - wide.mean((0, 1))) / deviation, atol=1e-5)
    np.testing.assert_allclose(found, normalise(image.astype(np.uint16), zscore), atol=1e-6)


def test_appearance_leaves_the_original_alone() -> None:
    patch = np.random.default_rng(0).normal(size=(16, 16, 3)).astype(np.float32)
    before = patch.copy()
    changed = change_appearance(patch, Augmentation(intensity_probability=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(patch, before)
    assert changed.dtype == np.float32
    assert not np.allclose(changed, before)


@pytest.mark.parametrize("by_labels", [False, True])
def test_what_is_unknown_of_boxes_moves_with_the_image(by_labels: bool) -> None:
    told = np.ones((60, 70), bool)
    told[20:40, 30:60] = False
    boxes = Boxes(np.array([[2, 2, 18, 18]], np.float32), np.ones(1, np.uint8))
    labels = np.where(told, 0, IGNORE).astype(np.uint8) if by_labels else None
    image = (told * 100.0).astype(np.float32)[..., None]
    known = None if by_labels else told
    case = CaseArrays("a", image, labels, "", beside=Truth(boxes=boxes), told=known)
    plan = make_plan(augmentation=STILL.model_copy(update={"geometry_probability": 1.0}), batch=2)
    sampler = PatchSampler([case], plan, targets=lambda truth: Detection().targets(truth, CLASSES))
    seen = 0
    for k in range(10):
        images, targets = sampler.batch(k)
        unknown = np.isnan(targets["centre"][..., 0])
        assert unknown[images[..., 0] < 1].all()
        inside = images[..., 0] > 99  # and not beyond the edge of the image
        seen += int((inside & ~unknown).sum())
        assert (targets["box"][unknown] == 0).all()
    assert seen > 1000


def test_patches_are_centred_on_what_is_known_of_boxes() -> None:
    told = np.zeros((200, 200), bool)
    told[150:180, 20:60] = True
    image = told[..., None].astype(np.uint8)
    case = CaseArrays("a", image, None, "", beside=Truth(boxes=no_boxes()), told=told)
    sampler = PatchSampler([case], make_plan(), targets=lambda truth: Detection().targets(truth, CLASSES))
    for k in range(5):
        for one in sampler.batch(k)[1]["centre"]:
            assert not np.isnan(one).all()
