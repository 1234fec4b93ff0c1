"""Pictures of images, and what was found drawn over them."""

from itertools import count, cycle

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, Color, LabelMap, class_color

_SAMPLE = 1 << 20  # pixels that are enough for percentiles
_DARK = 100  # an 8-bit image whose bright end lies below this is stretched
# One rule for all: whatever is drawn over one image must look alike, and vessels and membranes, which are
# nearly all contour, must not hide it.
_FILL, _CONTOUR = 0.35, 0.7
_BAND = 64  # rows drawn at a time
# Of channels that are no colours, told apart by people who do not see red or green, too.
_CHANNELS = ((255, 0, 255), (0, 255, 0), (0, 160, 255), (255, 255, 0), (255, 80, 0), (160, 160, 160))


def to_display(image: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """(H, W, C) or (H, W) of any real dtype to (H, W, 3) uint8.

    An ordinary 8-bit photo is left alone. Everything else, and an 8-bit image that is nearly black, is
    stretched so that its percentiles 0.5 and 99.5 become black and white, all channels alike. Channels that
    are no colours, 2 or more than 3, are stretched one by one and get a colour each, of which the brightest
    shows. like: what percentiles are taken of, where the image is a part of another.
    """
    image = image if image.ndim == 3 else image[..., None]
    whole = image if like is None else like
    step = max(1, int(np.sqrt(whole.shape[0] * whole.shape[1] / _SAMPLE)))
    sample = whole[::step, ::step]
    if image.shape[2] not in (1, 3):
        return _false_colours(image, sample)
    if image.dtype != np.uint8 or np.percentile(sample, 99.5) < _DARK:
        image = _stretch(image, sample)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def _false_colours(image: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """(H, W, C) to (H, W, 3) uint8."""
    picture = np.zeros((*image.shape[:2], 3), np.uint8)
    for channel, color in zip(range(image.shape[2]), cycle(_CHANNELS), strict=False):
        bright = _stretch(image[..., channel, None], sample[..., channel])
        np.maximum(picture, (bright * (np.array(color, np.float32) / 255)).astype(np.uint8), out=picture)
    return picture


def overlay(image: np.ndarray, labels: np.ndarray, label_map: LabelMap) -> np.ndarray:
    """(H, W, 3) uint8: the image with a translucent fill and a crisp contour for each foreground class.

    labels: (H, W) class indices; IGNORE pixels are darkened.
    """
    display = to_display(image)
    edge = contour(labels, width=1 if max(labels.shape) < 1200 else 2)
    table = _blends(label_map)
    result = np.empty_like(display)
    for rows in (slice(first, first + _BAND) for first in range(0, len(labels), _BAND)):
        index = labels[rows].astype(np.intp)
        result[rows] = table[index[..., None], edge[rows, ..., None].view(np.uint8), display[rows], range(3)]
    return result


def _blends(label_map: LabelMap) -> np.ndarray:
    """(labels, 2, 256, 3) uint8: what becomes of a value under a label, inside and on a contour."""
    values = np.arange(256, dtype=np.float32)[:, None]
    table = np.empty((IGNORE + 1, 2, 256, 3), np.float32)
    table[:] = values
    for index, color in enumerate(np.array(overlay_colors(label_map), np.float32)):
        if index in label_map.foreground:
            for on_contour, opacity in enumerate((_FILL, _CONTOUR)):
                table[index, on_contour] = values + np.float32(opacity) * (color - values)
    table[IGNORE] *= 0.4
    return np.round(table).astype(np.uint8)


def overlay_colors(label_map: LabelMap) -> list[Color]:
    """The colour of each class; grey ones vanish on a grey image and become colours not in use."""
    colors = [entry.color for entry in label_map.classes]
    for index in label_map.foreground:
        if _is_grey(colors[index]):
            free = (color for color in map(class_color, count(1)) if color not in colors)
            colors[index] = next(color for color in free if not _is_grey(color))
    return colors


def _is_grey(color: Color) -> bool:
    return max(color) - min(color) < 40


def _stretch(image: np.ndarray, sample: np.ndarray) -> np.ndarray:
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite.astype(np.float64), (0.5, 99.5)) if finite.size else (0.0, 0.0)
    if high <= low and finite.size:  # few bright pixels on a constant ground
        low, high = float(finite.min()), float(finite.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        stretched = (image.astype(np.float64) - low) * scale
    return np.round(np.clip(np.nan_to_num(stretched), 0, 255)).astype(np.uint8)


def contour(labels: np.ndarray, width: int) -> np.ndarray:
    """Pixels at most `width` away from a pixel of another label, (H, W) bool."""
    edge = np.zeros(labels.shape, bool)
    for shift in range(1, width + 1):
        rows = labels[shift:] != labels[:-shift]
        columns = labels[:, shift:] != labels[:, :-shift]
        edge[shift:] |= rows
        edge[:-shift] |= rows
        edge[:, shift:] |= columns
        edge[:, :-shift] |= columns
    return edge


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
    """(H, W, 3) uint8: the image with each box in the colour of its class, its name and score above it.

    Lines and letters grow with the image. A name that would cover an earlier one is left out: boxes come the
    surest first, and the colour tells the class.
    """
    from PIL import Image, ImageDraw, ImageFont

    from reunet.io.lettering import drawable

    picture = Image.fromarray(to_display(image))
    side = min(picture.size)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(min(max(side // 40, 9), 40))
    colors, named = overlay_colors(labels), np.zeros(picture.size[::-1], np.bool_)
    corners = np.round(boxes.corners).astype(int).tolist()
    for i, (y0, x0, _, _) in enumerate(corners):
        text = drawable(labels.names[boxes.classes[i]])
        text += "" if boxes.scores is None else f" {boxes.scores[i]:.2f}"
        _, _, width, height = draw.textbbox((0, 0), text, font=font)
        left, top = max(0, min(x0, picture.width - width - 3)), max(0, y0 - height - 2)
        part = slice(top, top + height + 2), slice(left, left + width + 3)
        if not named[part].any():
            named[part] = True
            red, green, blue = colors[boxes.classes[i]]
            draw.rectangle((left, top, left + width + 2, top + height + 1), fill=(red, green, blue))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
            draw.text((left + 1, top), text, font=font, fill=(255, 255, 255) if dark else (0, 0, 0))
    for (y0, x0, y1, x1), kind in zip(corners, boxes.classes, strict=True):
        frame = (x0, y0, max(x1 - 1, x0), max(y1 - 1, y0))
        draw.rectangle(frame, outline=colors[kind], width=max(1, side // 250))
    return np.asarray(picture)
