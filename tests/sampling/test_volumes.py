"""Patches of volumes: the same code as for images, along three axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from reunet.contracts.augmentation import Augmentation
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import Inference, InputSpec, Intensity, Plan, Schedule
from reunet.datasets.case_arrays import CaseArrays
from reunet.sampling.appearance import blur
from reunet.sampling.patches import Batch, PatchSampler
from reunet.sampling.resize import CUBIC, LINEAR, resize, resize_labels, size_at
from reunet.sampling.warp import coordinate_map, elastic_field, linear_map, plane_rotation, resample

TURNED = Augmentation(geometry_probability=1.0, rotation=30, tilt=30, elastic=3.0)
MIRRORED = Augmentation(geometry_probability=0.0)
SIDES = st.integers(1, 20)


def make_plan(patch: tuple[int, int, int] = (16, 24, 32), **fields: object) -> Plan:
    network = NetworkConfig(
        spatial_dims=3, in_channels=1, filters=(4, 8), strides=((2, 2, 2),), heads=(HeadSpec(channels=2),)
    )
    settings_ = {
        "dataset": "x",
        "labels": LabelMap(classes=default_classes([0, 1])),
        "input": InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(0.0,), scale=(1.0,))),
        "network": network,
        "patch": patch,
        "batch": 2,
        "schedule": Schedule(steps=1),
        "inference": Inference(tile=patch),
        **fields,
    }
    return Plan(**settings_)


def labelled(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a batch."""
    return batch[0], batch[1]["semantic"]


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
@pytest.mark.parametrize("center", [(15.0, 20.0, 11.0), (-9.0, 60.0, 1.0)])
def test_reading_agrees_with_scipy(channels: tuple[int, ...], center: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    volume = rng.normal(size=(30, 37, 23, *channels)).astype(np.float32)
    for seed in range(4):
        coordinates = coordinate_map(
            (9, 12, 14), center, TURNED, np.random.default_rng(seed), (3.0, 1.0, 1.0)
        )
        points = np.moveaxis(coordinates, -1, 0).astype(np.float64)
        layers = np.moveaxis(volume.reshape(30, 37, 23, -1), -1, 0)
        expected = [ndimage.map_coordinates(one, points, order=1, mode="mirror") for one in layers]
        found = resample(volume, coordinates)
        assert found.shape == (9, 12, 14, *channels)
        np.testing.assert_allclose(found.reshape(9, 12, 14, -1), np.stack(expected, -1), atol=1e-4)


def test_labels_are_read_at_the_nearest_voxel() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (20, 18, 22), np.uint8)
    coordinates = coordinate_map((16, 16, 16), (10.0, 9.0, 11.0), TURNED, np.random.default_rng(1))
    whole = np.rint(coordinates).astype(int)
    inside = ((whole >= 0) & (whole < labels.shape)).all(-1)
    found = resample(labels, coordinates, nearest=True)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[inside], labels[tuple(whole[inside].T)])


def test_a_plain_crop_is_the_volume_itself() -> None:
    volume = np.random.default_rng(0).integers(0, 255, (30, 40, 50, 2), dtype=np.uint8)
    coordinates = coordinate_map((8, 16, 32), (12.0, 20.0, 25.0), None, np.random.default_rng(0))
    np.testing.assert_array_equal(resample(volume, coordinates), volume[8:16, 12:28, 9:41])


def test_all_eight_mirrorings_occur_and_only_those_allowed() -> None:
    volume = np.random.default_rng(0).integers(0, 255, (8, 8, 8), dtype=np.uint8)

    def seen(augmentation: Augmentation) -> set[bytes]:
        maps = (
            coordinate_map((8, 8, 8), (4.0, 4.0, 4.0), augmentation, np.random.default_rng(seed))
            for seed in range(60)
        )
        return {resample(volume, coordinates, nearest=True).tobytes() for coordinates in maps}

    def flipped(*axes: int) -> bytes:
        return np.flip(volume, axes).tobytes()

    every = {flipped(), flipped(0), flipped(1), flipped(2), flipped(0, 1), flipped(0, 2), flipped(1, 2)}
    assert seen(MIRRORED) == every | {flipped(0, 1, 2)}
    upright = MIRRORED.model_copy(update={"flip_depth": False, "flip_horizontal": False})
    assert seen(upright) == {flipped(), flipped(1)}


def test_angles_are_true_in_millimetres_and_small_across_thick_slices() -> None:
    """Without flips, scale and shear the map preserves distances once voxels are counted in millimetres."""
    spacing = np.array([3.0, 1.0, 0.5])
    rigid = Augmentation(
        geometry_probability=1.0, rotation=40, tilt=5, scale=(1, 1), shear=0,
        flip_depth=False, flip_vertical=False, flip_horizontal=False,
    )  # fmt: skip
    tilts, turns = [], []
    for seed in range(200):
        matrix = linear_map(rigid, np.random.default_rng(seed), 3, tuple(spacing))
        physical = matrix * spacing[:, None] / spacing
        np.testing.assert_allclose(physical @ physical.T, np.eye(3), atol=1e-12)
        tilts.append(np.degrees(np.arccos(physical[0, 0])))
        turns.append(np.degrees(np.arctan2(physical[2, 1], physical[1, 1])))
    assert max(tilts) < 5 * np.sqrt(2) + 0.1
    assert max(np.abs(turns)) > 30


def test_a_plane_rotation_turns_its_plane_alone() -> None:
    turned = plane_rotation(3, (1, 2), np.pi / 2) @ np.array([5.0, 0.0, 2.0])
    np.testing.assert_allclose(turned, [5.0, -2.0, 0.0], atol=1e-12)


def test_elastic_fields_are_smooth_and_as_strong_as_asked() -> None:
    field = elastic_field((40, 56, 48), 2.0, np.random.default_rng(0))
    assert field.shape == (40, 56, 48, 3)
    assert 0.5 < field.std() < 3.0
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in range(3)) < 1.0  # nothing folds over


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(SIDES, SIDES, SIDES), seed=st.integers(0, 1000))
def test_any_size_gives_a_whole_patch_with_image_and_labels_alike(
    size: tuple[int, int, int], seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, size, np.uint8)
    case = CaseArrays("a", labels[..., None] * np.float32(100), labels, "")
    plan = make_plan(augmentation=TURNED, seed=seed, spacing=(2.0, 1.0, 1.0))
    images, drawn = labelled(PatchSampler([case], plan).batch(0))
    assert images.shape == (2, 16, 24, 32, 1)
    assert drawn.shape == (2, 16, 24, 32)
    assert np.isfinite(images).all()
    still = plan.augmentation.model_copy(
        update={"intensity_probability": 0.0, "geometry_probability": 0.0, "invert": 0.0}
    )
    images, drawn = labelled(PatchSampler([case], plan.model_copy(update={"augmentation": still})).batch(0))
    np.testing.assert_array_equal(images[..., 0], drawn * 100)


def test_labels_lose_the_margin_on_every_axis() -> None:
    case = CaseArrays("a", np.zeros((30, 30, 40, 1), np.uint8), np.zeros((30, 30, 40), np.uint8), "")
    _, labels = labelled(PatchSampler([case], make_plan(), margin=(2, 3, 5)).batch(0))
    assert labels.shape == (2, 12, 18, 22)


def test_blur_agrees_with_scipy() -> None:
    volume = np.random.default_rng(0).normal(size=(20, 24, 28, 2)).astype(np.float32)
    expected = ndimage.gaussian_filter(volume, (1.3, 1.3, 1.3, 0), mode="mirror")
    assert np.abs(blur(volume, 1.3) - expected)[4:-4, 4:-4, 4:-4].max() < 0.02


@settings(max_examples=40, deadline=None)
@given(
    old=st.tuples(SIDES, SIDES, SIDES), new=st.tuples(SIDES, SIDES, SIDES), channels=st.integers(1, 7),
    interpolation=st.sampled_from([LINEAR, CUBIC]),
)  # fmt: skip
def test_resizing_keeps_constants_and_their_place(
    old: tuple[int, ...], new: tuple[int, ...], channels: int, interpolation: int
) -> None:
    """A constant stays, per channel; mirrored input gives the mirrored output: no shift of half a voxel."""
    constant = np.broadcast_to(np.arange(channels, dtype=np.float32), (*old, channels)).copy()
    found = resize(constant, new, interpolation)
    assert found.shape == (*new, channels)
    np.testing.assert_allclose(found, np.broadcast_to(np.arange(channels), found.shape), atol=1e-4)
    volume = np.random.default_rng(0).normal(size=(*old, channels)).astype(np.float32)
    mirrored = resize(np.flip(volume, (0, 1, 2)).copy(), new, interpolation)
    np.testing.assert_allclose(np.flip(mirrored, (0, 1, 2)), resize(volume, new, interpolation), atol=1e-4)


def test_linear_resizing_agrees_with_scipy() -> None:
    volume = np.random.default_rng(0).normal(size=(10, 12, 14)).astype(np.float32)
    expected = ndimage.zoom(volume, 2, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(resize(volume[..., None], (20, 24, 28))[..., 0], expected, atol=1e-4)


def test_labels_survive_a_finer_grid_and_back() -> None:
    labels = np.zeros((12, 20, 16), np.uint8)
    labels[3:9, 4:14, 5:12] = 1
    labels[6:9, 8:14, 5:12] = 2
    labels[:, :2] = 255
    finer = resize_labels(labels, (36, 20, 32))
    assert finer.shape == (36, 20, 32)
    np.testing.assert_array_equal(resize_labels(finer, labels.shape), labels)


def test_sizes_follow_the_spacing() -> None:
    assert size_at((20, 320, 320), (3.6, 0.6, 0.6), (1.8, 1.2, 0.6)) == (40, 160, 320)
    assert size_at((1, 1, 1), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0)) == (1, 1, 1)
