"""Compressed pixels of DICOM that its package alone does not decode: kinds of JPEG, by imagecodecs."""

from typing import Any

JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST = (f"1.2.840.10008.1.2.4.{n}" for n in (51, 57, 70))
JPEG_LS, JPEG_LS_NEAR = (f"1.2.840.10008.1.2.4.{n}" for n in (80, 81))

DECODER_DEPENDENCIES = dict.fromkeys(
    (JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST, JPEG_LS, JPEG_LS_NEAR), ("imagecodecs",)
)
"""By transfer syntax, as the package wants to know it of a plugin."""

_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers that tell the size of a picture in JPEG and JPEG-LS."""


def is_available(uid: str) -> bool:
    """Whether such pixels are decoded here: imagecodecs is always there."""
    return uid in DECODER_DEPENDENCIES


def register() -> None:
    """Enter these decoders where the package has no better one."""
    from pydicom.pixels import get_decoder

    for uid in DECODER_DEPENDENCIES:
        decoder = get_decoder(uid)
        if "imagecodecs" not in (*decoder.available_plugins, *decoder.missing_dependencies):
            decoder.add_plugin("imagecodecs", (__name__, "decode_frame"))


def decode_frame(content: bytes, runner: Any) -> bytes:
    """The samples of a frame, pixel after pixel. Raises ValueError for a frame of another size."""
    import imagecodecs

    size = _size(content)
    if size != (runner.rows, runner.columns):
        raise ValueError(f"a compressed frame of {size} in an image of {(runner.rows, runner.columns)}")
    is_ls = runner.transfer_syntax in (JPEG_LS, JPEG_LS_NEAR)
    pixels = imagecodecs.jpegls_decode(content) if is_ls else imagecodecs.jpeg_decode(content)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    return bytes(pixels.tobytes())


def _size(content: bytes) -> tuple[int, int]:
    """Rows and columns that a frame announces."""
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        if content[at + 1] in _FRAME:
            rows, columns = (int.from_bytes(content[at + i : at + i + 2], "big") for i in (5, 7))
            return rows, columns
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    raise ValueError("no JPEG")
