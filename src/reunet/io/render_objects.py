"""Pictures of objects for people: outlines and boxes over the image."""

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.io.render import contour, overlay_colors, to_display

_HUES = 64


def outlines(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the image with the outline of each object, inside of it, so that touching ones show.

    image: (H, W, C). ids: (H, W); neighbouring ids differ in hue.
    """
    shown = to_display(image).copy()
    edge = contour(ids, width=1 if max(ids.shape) < 1200 else 2) & (ids > 0)
    shown[edge] = identity_colors(ids[edge])
    return shown


def identity_colors(ids: np.ndarray) -> np.ndarray:
    """(..., 3) uint8: a bright colour for each id; ids that follow each other differ in hue."""
    from colorsys import hsv_to_rgb

    # Steps of the golden ratio: however many hues there are, they are spread evenly.
    rgb = [hsv_to_rgb(i * 0.618034 % 1, (0.55, 0.85)[i % 2], 1.0) for i in range(_HUES)]
    return (255 * np.array(rgb)).round().astype(np.uint8)[ids % _HUES]


def draw_boxes(image: np.ndarray, boxes: Boxes, labels: LabelMap) -> np.ndarray:
    """(H, W, 3) uint8: the image with each box in the colour of its class, its name and score above it."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(to_display(image))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    colors = overlay_colors(labels)
    for i, (y0, x0, y1, x1) in enumerate(np.round(boxes.corners).astype(int).tolist()):
        red, green, blue = colors[boxes.classes[i]]
        text = labels.names[boxes.classes[i]]
        text += "" if boxes.scores is None else f" {boxes.scores[i]:.2f}"
        draw.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=(red, green, blue))
        size = draw.textbbox((0, 0), text, font=font)
        at = (x0, max(0, y0 - size[3] - 2))
        draw.rectangle((at[0], at[1], at[0] + size[2] + 2, at[1] + size[3] + 1), fill=(red, green, blue))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
        draw.text((at[0] + 1, at[1]), text, font=font, fill=(255, 255, 255) if dark else (0, 0, 0))
    return np.asarray(picture)
