"""A scale bar for people: how long a round length is in a picture."""

from math import floor, log10

import numpy as np

from reunet.io.lettering import plain_font
from reunet.io.units import lengths

SHARE = 0.22
"""Of the width of a picture, what a bar takes at most."""

SMALLEST = 80
"""Pixels across from which a picture has a bar."""

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def round_length(longest: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not longer."""
    power = 10.0 ** floor(log10(longest))
    return max(step for step in (power, 2 * power, 5 * power) if step <= longest * (1 + 1e-9))


def with_scale_bar(picture: np.ndarray, across: float | None) -> np.ndarray:
    """The picture (H, W, 3) uint8 with a white bar and its length at the lower left.

    across: micrometres from its left edge to its right one; None, where that is not known, draws nothing.
    Pictures too small for a bar stay as they are.
    """
    height, width = picture.shape[:2]
    if not across or min(height, width) < SMALLEST:
        return picture
    from PIL import Image, ImageDraw

    told = round_length(SHARE * across)
    margin, thick = max(6, round(0.02 * min(height, width))), max(2, round(0.008 * min(height, width)))
    drawn = Image.fromarray(np.ascontiguousarray(picture))
    draw, font = ImageDraw.Draw(drawn), plain_font(max(11, round(0.03 * min(height, width))))
    right, bottom = margin + max(1, round(told / across * width)) - 1, height - 1 - margin
    draw.rectangle((margin - 1, bottom - thick, right + 1, bottom + 1), fill=_BLACK)
    draw.rectangle((margin, bottom - thick + 1, right, bottom), fill=_WHITE)
    place, text = ((margin + right) / 2, bottom - thick - 2), lengths(told)
    left = draw.textbbox(place, text, font=font, anchor="md", stroke_width=1)[0]
    inside = (place[0] + max(0, 1 - left), place[1])
    draw.text(inside, text, _WHITE, font, anchor="md", stroke_width=1, stroke_fill=_BLACK)
    return np.asarray(drawn)
