"""Values of samples: which of them can be computed with, and which are whole numbers."""

import numpy as np

LARGEST = float(np.finfo(np.float32).max) / 2
"""Networks compute in 32-bit floats, which hold the difference of two numbers up to here, such as a pixel and
the mean; differences of larger ones become infinite there.
"""

ROUNDING = 5e-7, 1e-3
"""By how much of the largest number a whole number may be off, as 32-bit floats round; and at most."""


def unusable(values: np.ndarray) -> int:
    """How many values are nan, infinite, or beyond LARGEST."""
    if values.dtype.kind != "f" or -LARGEST <= float(values.min()) <= float(values.max()) <= LARGEST:
        return 0
    if values.dtype.itemsize < 4:  # half precision holds nothing larger
        return int(values.size - np.count_nonzero(np.isfinite(values)))
    return int(values.size - np.count_nonzero(np.abs(values) <= values.dtype.type(LARGEST)))


def whole_numbers(values: np.ndarray, step: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The whole number closest to each float, int32, and whether the value is that number, bool.

    step: the file cannot tell values apart that are closer, see `ImageHeader.step`. What lies within half a
    step of a whole number is that number, unless several values of the file would become one.
    """
    with np.errstate(invalid="ignore"):
        nearest = np.round(values)
        off, largest = np.abs(values - nearest), np.nanmax(np.abs(values), initial=1)
        is_whole = off <= min(ROUNDING[0] * float(largest), ROUNDING[1])
        if step < 1 and not is_whole.all():
            close = off <= 0.5001 * step
            told = np.unique(values[close])
            if len(told) == len(np.unique(np.round(told))):
                is_whole |= close
        is_whole &= np.abs(nearest) < 2**31
    return np.where(is_whole, nearest, 0).astype(np.int32), is_whole
