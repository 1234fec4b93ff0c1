"""Units of length: as files name them, as people read them, as PNG and TIFF state the size of a pixel."""

import re
from collections.abc import Sequence
from typing import Any

_NAMES = {
    -12: ("picometer", "pm"),
    -10: ("angstrom", "Å"),
    -9: ("nanometer", "nm"),
    -6: ("micrometer", "micron", "microns", "um", "µm", "μm"),
    -3: ("millimeter", "mm"),
    -2: ("centimeter", "cm"),
    -1: ("decimeter", "dm"),
    0: ("meter", "m"),
}

_MICROMETRES = {
    name: 10.0 ** (power + 6)
    for power, names in _NAMES.items()
    for name in (*names, *(one.replace("meter", "metre") for one in names if "meter" in one))
}

_SHOWN = ((1e6, 1e6, "m"), (1e3, 1e3, "mm"), (0.1, 1.0, "µm"), (0.0, 1e-3, "nm"))
"""From which length on a unit is told, and the unit, in micrometres."""

_EXACT = 1e-3
"""Share by which the resolution of a PNG, a whole number, may differ from the size of a pixel."""


_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
"""How ImageJ writes what is not ASCII."""


def micrometres(unit: object) -> float | None:
    """Of a unit by its name in English, in whatever case, or its symbol; None for any other."""
    told = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), str(unit)).strip()
    return _MICROMETRES.get(told.lower() if len(told) > 2 else told)


def lengths(*sides: float) -> str:
    """Lengths in micrometres for people, in the unit that suits the longest: `0.65 µm`, `1.5 x 2 mm`."""
    size, unit = next((size, unit) for least, size, unit in _SHOWN if max(sides) >= 0.9999 * least)
    return f"{' x '.join(f'{side / size:.4g}' for side in sides)} {unit}"


def in_micrometres(spacing: Sequence[float] | None) -> tuple[float, ...]:
    """The spacing of an `ImageHeader`, of volumes in millimetres, in micrometres; empty for None."""
    return () if spacing is None else tuple((1e3 if len(spacing) == 3 else 1.0) * side for side in spacing)


def png_resolution(spacing: Sequence[float] | None) -> dict[str, Any]:
    """What tells Pillow the size (y, x) of a pixel in micrometres; PNG stores whole pixels per metre.

    Nothing where a pixel is too large, or too small, for these.
    """
    per_metre = [] if spacing is None else [1e6 / side for side in reversed(spacing)]
    fits = all(0.5 / _EXACT <= value < 2**32 - 1 for value in per_metre)
    return {"dpi": tuple(0.0254 * value for value in per_metre)} if per_metre and fits else {}


def tiff_resolution(spacing: Sequence[float] | None) -> dict[str, Any]:
    """What tells tifffile the size (y, x) of a pixel in micrometres: pixels per centimetre."""
    if spacing is None:
        return {}
    vertical, horizontal = (1e4 / side for side in spacing[-2:])
    return {"resolution": (horizontal, vertical), "resolutionunit": "CENTIMETER"}
