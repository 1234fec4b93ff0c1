"""Text in pictures: fonts that every installation has, names in any script, cut to a width."""

import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

_OTHERS = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf",
    "msyh.ttc", "YuGothM.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc", "Arial Unicode.ttf",
)  # fmt: skip
"""Fonts of systems that have what DejaVu lacks."""

_NOT_DRAWN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode: control characters, halves of characters, ends of lines and paragraphs."""


def lettering(
    text: str, size: int, width: float, *, bold: bool = False
) -> tuple[str, ImageFont.FreeTypeFont]:
    """What is written of a text in `width` pixels, its middle left out where it is longer, and the font.

    Letters that no font here has are told by their numbers.
    """
    text = drawable(text)
    font, lacks = plain_font(size, bold), set(text) - _letters(bold)
    if lacks:
        other = _other(size)
        font = other or font
        text = text if other else "".join(_number(one) if one in lacks else one for one in text)
    shown, keep = text, len(text)
    while font.getlength(shown) > width and keep > 2:
        keep -= 1
        shown = f"{text[: (keep + 1) // 2]}\u2026{text[len(text) - keep // 2 :]}"
    return shown, font


def drawable(text: str) -> str:
    """A text on one line: spaces for line breaks and other control characters, which fonts cannot measure."""
    return "".join(" " if unicodedata.category(one) in _NOT_DRAWN else one for one in text)


def _number(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode("ascii")


@cache
def plain_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings; it is not imported for that."""
    return ImageFont.truetype(_file(bold), size)


def _file(bold: bool) -> Path:
    found = find_spec("matplotlib")
    data = Path(found.origin or "").parent if found is not None else Path()
    return data / "mpl-data" / "fonts" / "ttf" / f"DejaVuSans{'-Bold' * bold}.ttf"


@cache
def _letters(bold: bool) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    return frozenset(map(chr, FT2Font(str(_file(bold))).get_charmap()))


@cache
def _other(size: int) -> ImageFont.FreeTypeFont | None:
    for name in _OTHERS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None
