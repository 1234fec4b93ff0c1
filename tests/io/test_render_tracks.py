"""Animations of tracks: colours of identities, ways, divisions."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from reunet.io.render import identity_colors
from reunet.io.render_tracks import TAIL, Trails, animation

BLACK = np.zeros((40, 60, 1), np.uint8)


def squares(**places: tuple[int, int]) -> np.ndarray:
    """Map with a square of 5 x 5 around each place, its id being the number in its name."""
    ids = np.zeros((40, 60), np.int32)
    for name, (y, x) in places.items():
        ids[y - 2 : y + 3, x - 2 : x + 3] = int(name[1:])
    return ids


def test_an_object_keeps_its_colour_and_leaves_a_way_for_some_frames() -> None:
    trails, none = Trails(side=120), np.zeros(4, np.int32)
    pictures = [trails.paint(BLACK, squares(i3=(20, 5 + 6 * min(t, 5))), none) for t in range(TAIL + 7)]
    color = identity_colors(np.array(3))
    assert pictures[0].shape == (80, 120, 3)
    for t in (0, 3, 5):
        x = 2 * (5 + 6 * t)
        np.testing.assert_array_equal(pictures[t][2 * 18, x], color)  # outline, top edge
    assert pictures[5][40:42, 20:40].max() > 100  # where it was three frames ago
    assert pictures[-1][:, :50].max() == 0  # it has stood still for longer than a tail


def test_the_ways_to_two_daughters_are_white_and_that_over_a_gap_is_not() -> None:
    for daughters, white in (((2, 3), True), ((2,), False)):
        trails = Trails(side=120)
        trails.paint(BLACK, squares(i1=(20, 30)), np.zeros(2, np.int32))
        places = {f"i{i}": (20, (10, 50)[i - 2]) for i in daughters}
        shown = trails.paint(BLACK, squares(**places), np.array([0, 0, 1, 1]))
        assert bool(shown[40:42, 30:50].max(axis=0).min() > 200) is white
        assert shown[40:42, 30:50].max() > 100
        assert bool(shown[40:42, 70:90].max() > 100) is white


def test_large_and_small_images_and_the_file() -> None:
    large = np.zeros((2000, 900, 3), np.uint16)
    assert Trails().paint(large, large[..., 0].astype(int), np.zeros(1)).shape == (512, 230, 3)
    assert Trails().paint(BLACK, squares(), np.zeros(1)).shape == (160, 240, 3)
    pictures = [np.full((20, 30, 3), 40 * t, np.uint8) for t in range(3)]
    with Image.open(BytesIO(animation(pictures))) as file:
        assert (file.format, file.n_frames, file.size, file.info["loop"]) == ("WEBP", 3, (30, 20), 0)
        for t in range(3):
            file.seek(t)
            assert abs(int(np.array(file.convert("L"))[10, 10]) - 40 * t) < 6
