"""Shapes as programs draw them beside polygons: rectangles, ellipses, masks of a part, several as one."""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO

import numpy as np

from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import ring_of
from reunet.io.annotations.rle import mask_runs, union_runs
from reunet.io.annotations.sheet import Corners

_TURN = np.linspace(0, 2 * np.pi, 128, endpoint=False)
"""Of an ellipse so many corners are taken: off by a thousandth of its radius."""

PNG_BYTES = 16, 1 << 20
"""Of a PNG for each pixel, which has 4 samples of 16 bits at most, and for everything else."""

_NO_PNG = "the mask is no PNG in base64"


def no_area(expected: str, received: object) -> LabelError:
    """The error of what encloses nothing, such as a line or a point."""
    told, fix = received and str(received)[:80], "draw its outline, or delete it"
    return LabelError("it is no area", expected=expected, received=told, fix=fix)


def ring_through(points: Iterable[Sequence[float]]) -> np.ndarray:
    """(n, 2) x, y of a polygon, told as its points. Raises LabelError."""
    return ring_of([axis for point in points for axis in point])


def corners_around(points: np.ndarray) -> Corners:
    """y0, x0, y1, x1 of the upright box between two points x, y, in either order."""
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return y0, x0, y1, x1


def rectangle(points: np.ndarray) -> Shape:
    """The area between two corners (2, 2) x, y, in either order."""
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return Shape.of(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))


def ellipse(centre: np.ndarray, radii: np.ndarray, degrees: float = 0.0) -> Shape:
    """An ellipse around x, y with two radii, turned clockwise as it is seen."""
    upright = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1) * radii
    return Shape.of(turned(upright + centre, centre, degrees))


def turned(points: np.ndarray, centre: np.ndarray, degrees: float) -> np.ndarray:
    """Points (n, 2) x, y turned around another one, clockwise as they are seen."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return np.asarray((points - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre)


def mask_shape(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> Shape:
    """A mask (h, w) bool, whose first pixel is `corner` (row, column) of an image of `size` (height, width).

    Raises LabelError for one that does not lie in the image.
    """
    height, width = mask.shape
    _check_inside((height, width), corner, size)
    return Shape(runs=mask_runs(mask, corner, size))


def _check_inside(sides: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise LabelError for a mask (height, width) at a corner that does not lie in an image of `size`."""
    (top, left), (height, width) = corner, sides
    if min(top, left) < 0 or top + height > size[0] or left + width > size[1]:
        expected = f"{size[0]} x {size[1]} pixels"
        received = f"{height} x {width} pixels at row {top}, column {left}"
        fix = "export the labels anew, with the images that they were drawn on"
        raise LabelError("the mask does not lie in its image", expected=expected, received=received, fix=fix)


def from_base64(text: object) -> bytes:
    """The bytes that a text in base64, of any number of lines, stands for. Raises LabelError."""
    try:
        return base64.b64decode("".join(str(text).split()), validate=True)
    except (binascii.Error, ValueError) as cause:
        raise LabelError(_NO_PNG, received=str(cause)[:80]) from cause


def inflated(data: bytes, most_pixels: int) -> bytes:
    """What zlib has compressed to `data`, a PNG of at most so many pixels. Raises LabelError for more."""
    most = PNG_BYTES[0] * most_pixels + PNG_BYTES[1]
    packed = zlib.decompressobj()
    try:
        found = packed.decompress(data, most)
    except zlib.error as cause:
        raise LabelError(_NO_PNG, received=str(cause)[:80]) from cause
    if packed.unconsumed_tail:
        fix = "export the labels anew, with the images that they were drawn on"
        expected, received = f"at most {most:,} bytes", "more, once they are unpacked"
        raise LabelError("the mask is larger than its image", expected=expected, received=received, fix=fix)
    return found


def png_shape(data: bytes, corner: tuple[int, int], size: tuple[int, int], most_pixels: int) -> Shape:
    """The pixels of a PNG that are not 0, or not transparent, as `mask_shape` gives them.

    Its size is compared with `size` (height, width), and with `most_pixels`, those of the image, before it is
    decoded. Raises LabelError.
    """
    from PIL.PngImagePlugin import PngImageFile

    try:
        with PngImageFile(BytesIO(data)) as image:
            _check_inside((image.height, image.width), corner, size)
            if image.width * image.height > most_pixels:
                received = f"{image.height} x {image.width} pixels"
                raise LabelError("the mask is larger than its image", received=received)
            is_clear = image.mode in ("RGBA", "LA") or "transparency" in image.info
            pixels = np.asarray(image.convert("RGBA") if is_clear else image)
    except (OSError, SyntaxError, ValueError) as cause:
        raise LabelError(_NO_PNG, received=str(cause)[:80]) from cause
    if pixels.ndim == 3 and not is_clear:
        raise LabelError("the mask is a colour image", expected="one value per pixel")
    return mask_shape(np.asarray(pixels[..., 3] > 0 if is_clear else pixels > 0), corner, size)


def united(shapes: Sequence[Shape], size: tuple[int, int]) -> Shape:
    """All that lies in one of several shapes."""
    if len(shapes) == 1:
        return shapes[0]
    return Shape(runs=union_runs([_runs(one, size) for one in shapes], size))


def _runs(shape: Shape, size: tuple[int, int]) -> np.ndarray:
    if shape.runs is not None:
        return shape.runs
    canvas = np.zeros(size, np.bool_)
    shape.paint(canvas, True)
    return mask_runs(canvas, (0, 0), size)


def object_crops(ids: np.ndarray) -> Iterator[tuple[int, tuple[int, int], np.ndarray]]:
    """For each object of `ids` (H, W), by id: id, first row and column, and (h, w) bool mask."""
    from scipy.ndimage import find_objects

    names: np.ndarray | None = None
    if ids.max(initial=0) > ids.size:  # `find_objects` makes a list of this length
        names, dense = np.unique(ids, return_inverse=True)
        ids = dense.reshape(ids.shape) + (0 if names[0] == 0 else 1)
        names = names if names[0] == 0 else np.append(0, names)
    for number, where in enumerate(find_objects(ids.astype(np.int32, copy=False)), 1):
        if where is not None:
            rows, columns = where
            name = number if names is None else int(names[number])
            yield name, (rows.start, columns.start), ids[where] == number
