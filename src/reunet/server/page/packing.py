"""Facts and arrays in one piece of bytes, as the page's `api.js` reads and writes them.

The length of a text (uint32, little-endian), the text, which is JSON and names the arrays, and the arrays,
each beginning at a multiple of 8 bytes.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from reunet.errors import UsageError

DTYPES: dict[str, np.dtype[Any]] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "int32": np.dtype("<i4"),
    "float32": np.dtype("<f4"),
}
ALIGNED = 8


def packed(told: Mapping[str, Any], arrays: Mapping[str, np.ndarray | None]) -> bytes:
    """Facts, which JSON can hold, and arrays of one of `DTYPES` in any shape; None is left out."""
    given = {name: array for name, array in arrays.items() if array is not None}
    listed = [{"name": name, "dtype": str(array.dtype), "count": array.size} for name, array in given.items()]
    text = json.dumps({**told, "arrays": listed}, allow_nan=False).encode()
    parts, length = [len(text).to_bytes(4, "little"), text], 4 + len(text)
    for array in given.values():
        gap = -length % ALIGNED
        parts += [bytes(gap), np.ascontiguousarray(array, DTYPES[str(array.dtype)]).tobytes()]
        length += gap + array.nbytes
    return b"".join(parts)


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The facts, and the arrays by name, flat. Raises UsageError for what was not packed like this."""
    try:
        end = 4 + int.from_bytes(data[:4], "little")
        told = json.loads(data[4:end])
        arrays = {}
        for entry in told.pop("arrays"):
            dtype, count = DTYPES[entry["dtype"]], int(entry["count"])
            end += -end % ALIGNED
            arrays[str(entry["name"])] = np.frombuffer(data, dtype, count, end)
            end += count * dtype.itemsize
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        what = "these are not labels as the page sends them"
        raise UsageError(what, received=f"{len(data)} bytes", fix="reload the page") from cause
    if end != len(data):
        raise UsageError("labels came incompletely", expected=f"{end} bytes", received=f"{len(data)} bytes")
    return told, arrays
