"""Where on the map an image lies: the tags of GeoTIFF (OGC 19-008r4), read, compared and written again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

_SCALE, _TIEPOINT, _MATRIX = 33550, 33922, 34264
_KEYS, _DOUBLES, _TEXTS = 34735, 34736, 34737
_NODATA = 42113

_TYPES = {_SCALE: 12, _TIEPOINT: 12, _MATRIX: 12, _KEYS: 3, _DOUBLES: 12, _TEXTS: 2}
"""Types of values of the tags: 2 for text, 3 for whole numbers, 12 for doubles."""

_RASTER_TYPE, _GEOGRAPHIC, _PROJECTED, _CITATION = 1025, 2048, 3072, 1026
_POINTS = 2
"""Of _RASTER_TYPE: coordinates are those of the centres of pixels, not of their corners."""

_UNKNOWN_CRS = 32_767
_AS_IT_IS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Georeference:
    """Where an image lies.

    matrix: (a, b, c, d, e, f), so that (column, row), which count the edges of pixels, lies at
    x = a column + b row + c, y = d column + e row + f of the map; None where only other tags tell that.
    crs: the map, "EPSG:32633", how the file calls one of its own, or "unknown". tags: (code, values) as they
    are stored.
    """

    matrix: tuple[float, ...] | None
    crs: str
    tags: tuple[tuple[int, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """Its fields, as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Georeference:
        """The georeference that `as_json` told."""
        matrix = None if told["matrix"] is None else tuple(told["matrix"])
        pairs = ((code, value if isinstance(value, str) else tuple(value)) for code, value in told["tags"])
        return cls(matrix, told["crs"], tuple(pairs))

    @property
    def urn(self) -> str | None:
        """The map as GeoJSON names it; None for one that only the file describes."""
        return self.crs.replace("EPSG:", "urn:ogc:def:crs:EPSG::") if self.crs.startswith("EPSG:") else None

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2), x and y in pixels, on the map; as they are without a matrix."""
        a, b, c, d, e, f = self.matrix or _AS_IT_IS
        return points @ np.array([[a, d], [b, e]]) + (c, f)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) on the map, x and y in pixels."""
        a, b, c, d, e, f = self.matrix or _AS_IT_IS
        return np.asarray((points - (c, f)) @ np.linalg.inv(np.array([[a, d], [b, e]])))

    def extended(self, columns: int, rows: int) -> Georeference:
        """Where an image lies that begins so many pixels to the left and above."""
        if self.matrix is None:
            return self
        a, b, c, d, e, f = self.matrix
        across, down = -a * columns - b * rows, -d * columns - e * rows
        tags: dict[int, Any] = dict(self.tags)
        for code, x, y in ((_TIEPOINT, 3, 4), (_MATRIX, 3, 7)):
            if code in tags:
                values = list(tags[code])
                values[x], values[y] = values[x] + across, values[y] + down
                tags[code] = tuple(values)
        return Georeference((a, b, c + across, d, e, f + down), self.crs, tuple(tags.items()))

    def distance(self, other: Georeference, size: tuple[int, ...]) -> float:
        """How many pixels apart a corner of an image (height, width) lies on two maps at most; 0 where one
        does not say where.
        """
        if self.matrix is None or other.matrix is None:
            return 0.0
        corners = np.array([*product((0.0, float(size[-1])), (0.0, float(size[-2])))])
        return float(np.linalg.norm(self.pixels(other.place(corners)) - corners, axis=1).max())


def georeference_of(keyframe: Any) -> Georeference | None:
    """Of a page of tifffile's; None where it says nothing of a map."""
    told = {code: keyframe.tags.valueof(code) for code in _TYPES}
    tags = tuple(
        (code, value if isinstance(value, str) else tuple(np.ravel(value).tolist()))
        for code, value in told.items()
        if value is not None
    )
    known: dict[int, Any] = dict(tags)
    if not {_TIEPOINT, _MATRIX, _KEYS} & set(known):
        return None
    keys = _geo_keys(known.get(_KEYS, ()))
    code = next((keys[one] for one in (_PROJECTED, _GEOGRAPHIC) if one in keys), _UNKNOWN_CRS)
    crs = f"EPSG:{code}" if 1024 <= code < _UNKNOWN_CRS else _named(str(known.get(_TEXTS, "")))
    return Georeference(_matrix(known, points=keys.get(_RASTER_TYPE) == _POINTS), crs, tags)


def _named(texts: str) -> str:
    name = texts.strip("\0 ").partition("|")[0].strip()
    return "unknown" if name.lower() in ("", "unnamed") else name


def _geo_keys(directory: Sequence[int]) -> dict[int, int]:
    """The keys whose values are in the directory itself."""
    entries = zip(*(directory[first::4] for first in range(4, 8)), strict=False)
    return {int(key): int(value) for key, place, _, value in entries if place == 0}


def _matrix(known: dict[int, Any], *, points: bool) -> tuple[float, ...] | None:
    if len(known.get(_MATRIX, ())) == 16:
        a, b, _, c, d, e, _, f = known[_MATRIX][:8]
    elif len(known.get(_SCALE, ())) >= 2 and len(known.get(_TIEPOINT, ())) == 6:
        (across, down), (column, row, _, x, y, _) = known[_SCALE][:2], known[_TIEPOINT]
        a, b, c, d, e, f = across, 0.0, x - column * across, 0.0, -down, y + row * down
    else:
        return None
    if points:
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return (a, b, c, d, e, f) if np.isfinite((a, b, c, d, e, f)).all() and a * e != b * d else None


def map_tags(georeference: Georeference | None, nodata: float | None = None) -> dict[str, Any]:
    """What tifffile writes of a place on the map, and of the value of pixels that nothing is known of."""
    found = [(_TYPES[code], code, value) for code, value in (georeference.tags if georeference else ())]
    tags = [
        (code, kind, len(value) + 1 if kind == 2 else len(value), value, True) for kind, code, value in found
    ]
    if nodata is not None:
        text = f"{nodata:g}"
        tags.append((_NODATA, 2, len(text) + 1, text, True))
    return {"extratags": tags} if tags else {}


def nodata_of(keyframe: Any) -> float | None:
    """The value of pixels of a page of tifffile's that nothing is known of; None without."""
    told = keyframe.tags.valueof(_NODATA)
    try:
        return None if told is None else float(str(told).strip("\0 ").replace(",", "."))
    except ValueError:
        return None
