"""Tiles: every pixel is covered, nothing shows where they meet, any size goes in and out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.errors import ModelFileError
from reunet.inference.tiling import (
    Pixels,
    Tiling,
    cut_axis,
    gaussian_window,
    mirrored,
    predict_slabs,
    predict_tiled,
    tile_positions,
)

SIDES = st.integers(1, 67)
OVERLAPS = st.sampled_from([0.0, 0.25, 0.5, 0.75])


def identity(tiles: np.ndarray) -> dict[str, np.ndarray]:
    return {"semantic": tiles.copy()}


def blur_valid(tiles: np.ndarray) -> dict[str, np.ndarray]:
    """A 5 x 3 mean without padding: its output is smaller by 2 and 1 on each side."""
    blurred = np.stack([cv2.blur(tile, (3, 5)).reshape(tile.shape) for tile in tiles])
    return {"semantic": blurred[:, 2:-2, 1:-1]}


@given(size=st.integers(1, 300), tile=st.integers(1, 64), overlap=OVERLAPS)
def test_tiles_cover_an_axis_and_overlap_enough(size: int, tile: int, overlap: float) -> None:
    starts = tile_positions(size, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(size - tile, 0)
    steps = np.diff(starts)
    assert (steps > 0).all()
    # Rounding to whole pixels may cost one; a step of one pixel cannot be made smaller.
    assert (steps <= max(tile * (1 - overlap), 1) + 1).all()
    assert (steps <= tile).all()


@given(size=st.integers(1, 300), tile=st.integers(1, 64), overlap=OVERLAPS)
def test_weights_of_every_pixel_are_positive_and_sum_to_one(size: int, tile: int, overlap: float) -> None:
    axis = cut_axis(size, tile, overlap)
    assert (axis.weights > 0).all()
    before = -axis.starts[0]
    total = np.zeros(axis.starts[-1] + before + tile)
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        total[start + before : start + before + tile] += weights
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_the_window_is_the_gaussian_of_an_eighth() -> None:
    window = gaussian_window(64)
    assert window[31] == window[32] == window.max()
    np.testing.assert_array_equal(window, window[::-1])
    assert window[40] / window[32] == pytest.approx(np.exp(-(8.5**2 - 0.5**2) / (2 * 8**2)), rel=1e-5)
    assert gaussian_window(1) == 1


@settings(deadline=None, max_examples=150)
@given(height=SIDES, width=SIDES, overlap=OVERLAPS, batch=st.integers(1, 9))
def test_any_size_comes_back_as_it_was(height: int, width: int, overlap: float, batch: int) -> None:
    image = np.random.default_rng(height * 100 + width).random((height, width, 2), np.float32)
    result = predict_tiled(identity, image, Tiling((16, 24), overlap, batch=batch))["semantic"]
    assert result.shape == image.shape
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, image, atol=1e-6)


@settings(deadline=None, max_examples=100)
@given(height=SIDES, width=SIDES, overlap=OVERLAPS)
def test_unpadded_networks_give_what_they_would_give_on_the_whole_image(
    height: int, width: int, overlap: float
) -> None:
    """The reference blurs the whole image once, with the border mirrored by OpenCV."""
    image = np.random.default_rng(height * 100 + width).random((height, width, 1), np.float32)
    tiled = predict_tiled(blur_valid, image, Tiling((20, 16), overlap, margin=(2, 1)))["semantic"]
    if min(height, width) > 2:  # OpenCV cannot mirror a border wider than the image
        whole = cv2.blur(image[..., 0], (3, 5), borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(tiled[..., 0], whole, atol=1e-5)
    assert tiled.shape == image.shape


def test_tiles_of_the_asked_size_reach_the_network() -> None:
    seen = []

    def network(tiles: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(tiles.shape)
        return identity(tiles)

    predict_tiled(network, np.zeros((50, 90, 3), np.float32), Tiling((32, 48), 0.25, batch=4))
    assert {shape[1:] for shape in seen} == {(32, 48, 3)}
    assert [shape[0] for shape in seen] == [4, 2]


def test_tiles_overlap_by_a_quarter_unless_told() -> None:
    tiles: list[int] = []

    def counted(batch: np.ndarray) -> dict[str, np.ndarray]:
        tiles.append(len(batch))
        return identity(batch)

    predict_tiled(counted, np.zeros((16, 16 + 10 * 12, 1), np.float32), Tiling((16, 16)))
    assert sum(tiles) == 11


def test_a_seam_is_a_slope_not_a_step() -> None:
    """Tiles that disagree by 1 meet in steps far below 1, while the middle of each stays its own."""
    count = iter(range(100))

    def network(tiles: np.ndarray) -> dict[str, np.ndarray]:
        return {"semantic": np.stack([np.full_like(tile, next(count) % 2) for tile in tiles])}

    result = predict_tiled(network, np.zeros((64, 208, 1), np.float32), Tiling((64, 64), 0.25))["semantic"][
        0, :, 0
    ]
    assert result.min() < 0.01
    assert result.max() > 0.99
    assert np.abs(np.diff(result)).max() < 0.3


def test_all_heads_are_blended() -> None:
    image = np.random.default_rng(0).random((40, 40, 1), np.float32)
    heads = predict_tiled(lambda tiles: {"a": tiles, "b": 2 * tiles}, image, Tiling((16, 16), 0.5))
    np.testing.assert_allclose(heads["b"], 2 * heads["a"], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tile_that_is_not_finite_is_named(value: float) -> None:
    image = np.zeros((32, 64, 1), np.float32)
    image[5, 50] = value
    with pytest.raises(ModelFileError, match="tile at row 0, column 32"):
        predict_tiled(identity, image, Tiling((32, 32), 0.0))


@pytest.mark.fault("volumes of sizes that no stride divides", "the same in three dimensions")
@settings(deadline=None, max_examples=40)
@given(size=st.tuples(*[st.integers(1, 40)] * 3), overlap=OVERLAPS, batch=st.integers(1, 9))
def test_any_volume_comes_back_as_it_was(size: tuple[int, ...], overlap: float, batch: int) -> None:
    volume = np.random.default_rng(sum(size)).random((*size, 2), np.float32)
    result = predict_tiled(identity, volume, Tiling((8, 16, 12), overlap, batch=batch))["semantic"]
    assert result.shape == volume.shape
    np.testing.assert_allclose(result, volume, atol=1e-6)


def test_unpadded_networks_see_the_volume_around_their_tile() -> None:
    """A network that keeps only the voxel one slice, two rows and three columns further on."""
    volume = np.random.default_rng(0).random((20, 30, 40, 1), np.float32)

    def shifted(tiles: np.ndarray) -> dict[str, np.ndarray]:
        return {"semantic": tiles[:, 2:, 4:, 6:]}

    result = predict_tiled(shifted, volume, Tiling((12, 16, 20), 0.25, margin=(1, 2, 3)))["semantic"]
    np.testing.assert_allclose(result[:-1, :-2, :-3], volume[1:, 2:, 3:], atol=1e-6)


def test_a_tile_of_a_volume_that_is_not_finite_is_named() -> None:
    volume = np.zeros((16, 16, 32, 1), np.float32)
    volume[9, 5, 25] = np.nan
    with pytest.raises(ModelFileError, match="tile at slice 8, row 0, column 16, 8 x 16 x 16"):
        predict_tiled(identity, volume, Tiling((8, 16, 16), 0.0))


def of_the_whole(tiles: np.ndarray) -> dict[str, np.ndarray]:
    """A head that speaks of whole images: the mean of what it is shown, of which the tiles are told apart."""
    return {"semantic": tiles.copy(), "image": tiles.mean(axis=(1, 2)) ** 2}


@settings(deadline=None, max_examples=40)
@given(size=st.tuples(st.integers(1, 90), st.integers(1, 90)), overlap=OVERLAPS, seed=st.integers(0, 99))
def test_what_is_said_of_the_whole_image_is_the_mean_over_its_tiles(
    size: tuple[int, int], overlap: float, seed: int
) -> None:
    """Of the image as a whole, and of parts, in each of which the tiles count that begin in its core."""
    rng = np.random.default_rng(seed)
    image, tiling = rng.random((*size, 2), np.float32), Tiling((16, 24), overlap, batch=3)
    axes = tiling.cut(size)
    sides = zip(axes, tiling.tile, size, strict=True)
    padded = [mirrored(axis.starts[0], axis.starts[-1] + tile, n) for axis, tile, n in sides]
    around = image[np.ix_(*padded)]
    said = [
        around[y - axes[0].starts[0] :, x - axes[1].starts[0] :][:16, :24].mean(axis=(0, 1)) ** 2
        for y in axes[0].starts
        for x in axes[1].starts
    ]
    whole = predict_tiled(of_the_whole, image, tiling)["image"]
    np.testing.assert_allclose(whole, np.mean(said, axis=0), rtol=1e-4)
    cut = int(rng.integers(0, size[0] + 1))
    pixels, total = Pixels(size, lambda part: image[part]), np.zeros(2)
    for core in ((slice(0, cut), slice(0, size[1])), (slice(cut, size[0]), slice(0, size[1]))):
        if core[0].stop > core[0].start:
            part = (slice(max(core[0].start - 5, 0), min(core[0].stop + 5, size[0])), core[1])
            for slab in predict_slabs(of_the_whole, pixels, tiling, part, core):
                total = total + slab.whole.get("image", 0)
    np.testing.assert_allclose(total, whole, rtol=1e-4)


def test_only_the_tiles_in_which_there_is_something_say_what_the_image_is() -> None:
    image = np.random.default_rng(0).random((64, 64, 1), np.float32)
    tiling, shown = Tiling((16, 16), 0.0, batch=4), []

    def network(tiles: np.ndarray) -> dict[str, np.ndarray]:
        shown.extend(tiles)
        return of_the_whole(tiles)

    found = predict_tiled(network, image, tiling, counts=lambda part: part[0].start >= 32)
    lower = image[32:].reshape(2, 16, 4, 16).mean(axis=(1, 3)) ** 2
    np.testing.assert_allclose(found["image"], lower.mean(), rtol=1e-5)
    assert len(shown) == 8 + 1, "of the first one it is known what the network says at all"
    np.testing.assert_allclose(found["semantic"][32:], image[32:], atol=1e-6)
