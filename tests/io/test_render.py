"""Pictures for people: right range, right colours, nothing breaks on odd images."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.contracts.plan import InputSpec, Intensity
from reunet.errors import PlanError
from reunet.io.channels import fit_channels
from reunet.io.images import read_image
from reunet.io.raster import write_png
from reunet.io.render import overlay, overlay_colors, to_display

LABELS = LabelMap(classes=default_classes([0, 1, 2]))
ZSCORE = Intensity(method="image_zscore")


def test_an_ordinary_photo_is_left_alone() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    np.testing.assert_array_equal(to_display(photo), photo)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_dark_and_deep_images_use_the_whole_range(dtype: str) -> None:
    image = (np.random.default_rng(0).random((50, 50, 1)) * 30).astype(dtype)
    shown = to_display(image)
    assert shown.shape == (50, 50, 3)
    assert shown.dtype == np.uint8
    assert shown.min() == 0
    assert shown.max() == 255


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan, np.inf, -1e38, 3e38])
def test_constant_and_odd_values_give_a_picture(value: float) -> None:
    image = np.full((8, 8, 1), value, np.float32)
    image[0, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_display(image).shape == (8, 8, 3)


def test_a_few_bright_pixels_stay_visible() -> None:
    image = np.zeros((100, 100, 1), np.uint16)
    image[5, 5] = 40_000
    assert to_display(image)[5, 5, 0] == 255


def test_overlay_colours_foreground_and_leaves_background() -> None:
    image = np.full((40, 40, 1), 120, np.uint8)
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    labels[0, 0] = IGNORE
    shown = overlay(image, labels, LABELS)
    colour = np.array(LABELS.classes[1].color)
    assert np.abs(shown[10, 15] - colour).sum() < np.abs(shown[20, 20] - colour).sum()  # contour
    np.testing.assert_array_equal(shown[5, 5], [120, 120, 120])
    inside = shown[20, 20].astype(int)
    assert (np.abs(inside - 120) <= np.abs(colour - 120)).all()
    assert (inside != 120).any()
    assert shown[0, 0].max() < 60


def test_what_is_drawn_at_a_pixel_depends_on_its_surroundings_only() -> None:
    """Truth and prediction of one image are compared by eye: a thin prediction must not look bolder."""
    image = np.full((40, 40, 1), 120, np.uint8)
    thin = np.zeros((40, 40), np.uint8)
    thin[5] = 1
    thick = thin.copy()
    thick[10:38] = 1
    np.testing.assert_array_equal(overlay(image, thin, LABELS)[5], overlay(image, thick, LABELS)[5])


@pytest.mark.parametrize("count", [2, 11, 30, 254])
def test_no_two_classes_look_alike(count: int) -> None:
    labels = LabelMap(classes=default_classes(list(range(count))))
    assert len(np.unique(labels.colors(), axis=0)) == count
    shown = np.array(overlay_colors(labels), int)
    assert len(np.unique(shown, axis=0)) == count
    assert np.ptp(shown[list(labels.foreground)], axis=1).min() >= 40  # grey vanishes on a grey image


def test_picture_round_trip(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    write_png(tmp_path / "p.png", rgb)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), rgb)


def test_channels_fit_only_as_the_plan_says() -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    rgb = np.repeat(grey, 3, -1)
    allowed = InputSpec(channels=3, grey_to_rgb=True, intensity=ZSCORE)
    np.testing.assert_array_equal(fit_channels(grey, allowed, "f"), rgb)
    with pytest.raises(PlanError, match="channels"):
        fit_channels(grey, InputSpec(channels=3, intensity=ZSCORE), "f")
    single = InputSpec(channels=1, intensity=ZSCORE)
    np.testing.assert_array_equal(fit_channels(rgb, single, "f"), grey)
    rgb[0, 0, 1] = 77
    with pytest.raises(PlanError, match=r"3 channel\(s\)"):
        fit_channels(rgb, single, "f")


@pytest.mark.parametrize("count", [2, 4, 7, 20])
def test_channels_that_are_no_colours_are_told_apart(count: int) -> None:
    """Each channel is bright in a column of its own, in a range of its own."""
    image = np.zeros((40, count, count), np.uint16)
    for channel in range(count):
        image[:, channel, channel] = 10 ** (channel % 4 + 1)
    shown = to_display(image)
    assert shown.shape == (40, count, 3)
    assert (shown.max(axis=2) >= 150).all()
    first = {tuple(map(int, shown[0, column])) for column in range(min(count, 6))}
    assert len(first) == min(count, 6)
    labels = LabelMap(classes=default_classes([0, 1]))
    assert overlay(image, np.ones(image.shape[:2], np.uint8), labels).shape == shown.shape
