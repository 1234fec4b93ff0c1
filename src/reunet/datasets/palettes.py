"""The palettes of masks held against each other: a value has to mean the same in every file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.datasets.cache import mapped
from reunet.datasets.reading import Reading
from reunet.io.masks import is_coloured

Color = tuple[int, ...]


@dataclass(frozen=True)
class UsedColors:
    """The values in a mask, and the palette of its file, (entries, 3) uint8 RGB; None of grey files."""

    file: Path
    values: tuple[int, ...]
    table: np.ndarray | None

    def color(self, value: int) -> Color | None:
        """Red, green and blue of a value; None where there is none."""
        return (
            tuple(self.table[value].tolist()) if self.table is not None and value < len(self.table) else None
        )


def used_colors(file: Path, reading: Reading) -> UsedColors | None:
    """Those of the mask of a case; None without a mask of one channel that can be read."""
    if "mask" not in reading.arrays or is_coloured(raw := mapped(reading.arrays["mask"])):
        return None
    table = reading.arrays.get("palette")
    values = np.flatnonzero(np.bincount(raw.ravel())) if raw.dtype == np.uint8 else np.unique(raw)
    return UsedColors(file, tuple(values.tolist()), None if table is None else mapped(table))


def compare_palettes(masks: Sequence[UsedColors], problems: Findings) -> None:
    """Add an error for each mask in which a value has another colour, or a colour another value, than in
    masks before it; values of grey files are grey levels. Add a warning where only some masks have a palette.
    """
    indexed, grey = ([one for one in masks if (one.table is None) == no] for no in (False, True))
    of_value: dict[int, UsedColors] = {}
    of_color: dict[Color, tuple[int, UsedColors]] = {}
    levels = {value: one for one in reversed(grey) for value in one.values}
    differ, wrong = [], 0
    for one in indexed:
        told = [(value, color) for value in one.values if (color := one.color(value)) is not None]
        shades = {value: color[0] for value, color in told if len(set(color)) == 1}
        for value, color in told:
            before = of_value.setdefault(value, one)
            other, source = of_color.setdefault(color, (value, one))
            if before.color(value) != color:
                expected = f"index {value} is {before.color(value)}, as in {problems.name(before.file)}"
            elif other != value and one.color(other) != color:
                expected = f"{color} is index {other}, as in {problems.name(source.file)}"
            elif len(shades) == len(told) and shades[value] != value and shades[value] in levels:
                level = problems.name(levels[shades[value]].file)
                expected = f"grey level {shades[value]} is value {shades[value]}, as in {level}"
            else:
                continue
            wrong += 1
            message, received = "its palette contradicts another mask", f"index {value} is {color}"
            problems.error("mask-palettes", one.file, message, expected, received)
            break
        differ += [one] * (shades != {value: value for value in one.values})
    if differ and grey and not wrong:
        message = (
            f"{len(differ)} masks have a palette, {len(grey)} are grey: an index is taken for the grey value"
        )
        problems.warning("mask-palettes", differ[0].file, message, "", f"grey: {problems.name(grey[0].file)}")
