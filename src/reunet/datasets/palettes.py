"""Values and palettes of masks, held against each other: a value has to mean the same in every file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap
from reunet.datasets.cache import mapped
from reunet.datasets.reading import Reading
from reunet.errors import LabelError
from reunet.io.header import ImageHeader
from reunet.io.masks import is_coloured, pack_colours

Color = tuple[int, ...]


@dataclass(frozen=True)
class Used:
    """What a mask holds: its distinct values, of a coloured one its packed colours.

    table: the palette of its file, (entries, 3) uint8 RGB; None of grey files.
    """

    file: Path
    values: tuple[int, ...]
    coloured: bool
    header: ImageHeader
    table: np.ndarray | None = None

    def color(self, value: int) -> Color | None:
        """Red, green and blue of a value; None where there is none."""
        return (
            tuple(self.table[value].tolist()) if self.table is not None and value < len(self.table) else None
        )


def used_in(file: Path, reading: Reading, *, colours: bool) -> Used | None:
    """What the mask of a case holds; None where there is none that can be read, or a coloured one without
    `colours`.
    """
    if "mask" not in reading.arrays:
        return None
    raw = mapped(reading.arrays["mask"])
    if coloured := is_coloured(raw):
        if not colours:
            return None
        raw = pack_colours(raw)
    values = np.flatnonzero(np.bincount(raw.ravel())) if raw.dtype == np.uint8 else np.unique(raw)
    table = reading.arrays.get("palette")
    palette = None if table is None else mapped(table)
    return Used(file, tuple(values.tolist()), coloured, reading.headers["mask"], palette)


def _falls(one: Used) -> bool:
    """Whether a palette of greys shows lower indices brighter, as where white objects have the index 0."""
    shades = [color[0] for value in one.values if (color := one.color(value)) and len(set(color)) == 1]
    return len(shades) == len(one.values) > 1 and shades == sorted(shades, reverse=True) != sorted(shades)


def _tell_upside_down(indexed: Sequence[Used], problems: Findings) -> None:
    """Add a warning where palettes show the objects dark: whoever looked may have meant the white."""
    falling = [one for one in indexed if _falls(one)]
    if falling:
        (low, *_, high), first = falling[0].values, falling[0]
        message = f"{len(falling)} masks show index {low} brighter than index {high}: the index counts"
        shown = f"{low} is {first.color(low)}, {high} is {first.color(high)}"
        problems.warning("mask-upside-down", first.file, message, "", shown)


def check_palette(one: Used, labels: LabelMap) -> None:
    """Raise LabelError where a mask whose values are ids shows a class in the colour of another one of
    `labels`: what the values of other masks mean it need not mean.
    """
    problems = Findings(one.file.parent)
    if labels.encoding == "index":
        compare_palettes([one], labels.stated_colors, problems)
    for told in (one for one in problems if one.severity == "error"):
        fix = "number the classes as the class list does, or give --colors FILE to read masks by colour"
        raise LabelError(
            told.message, where=one.file, expected=told.expected, received=told.received, fix=fix
        )


def compare_palettes(masks: Sequence[Used], stated: Mapping[Color, int], problems: Findings) -> None:
    """Add an error for each mask in which a value has another colour, or a colour another value, than in
    masks before it; values of grey files are grey levels. Add a warning where only some masks have a palette,
    and where palettes show lower indices brighter.

    stated: values by the colours that the class list gives them: an error where one of these colours is that
    of another value. Other colours are for looking.
    """
    indexed, grey = ([one for one in masks if (one.table is None) == no] for no in (False, True))
    of_value: dict[int, Used] = {}
    of_color: dict[Color, tuple[int, Used]] = {}
    levels = {value: one for one in reversed(grey) for value in one.values}
    differ, wrong = [], 0
    for one in indexed:
        told = [(value, color) for value in one.values if (color := one.color(value)) is not None]
        shades = {value: color[0] for value, color in told if len(set(color)) == 1}
        for value, color in told:
            before = of_value.setdefault(value, one)
            other, source = of_color.setdefault(color, (value, one))
            named, against = stated.get(color, value), "another mask"
            if before.color(value) != color:
                expected = f"index {value} is {before.color(value)}, as in {problems.name(before.file)}"
            elif other != value and one.color(other) != color:
                expected = f"{color} is index {other}, as in {problems.name(source.file)}"
            elif named != value and one.color(named) != color:
                expected, against = f"{color} is index {named}", "the class list"
            elif len(shades) == len(told) and shades[value] != value and shades[value] in levels:
                level = problems.name(levels[shades[value]].file)
                expected = f"grey level {shades[value]} is value {shades[value]}, as in {level}"
            else:
                continue
            wrong += 1
            message, received = f"its palette contradicts {against}", f"index {value} is {color}"
            problems.error("mask-palettes", one.file, message, expected, received)
            break
        differ += [one] * (shades != {value: value for value in one.values})
    if not wrong:
        _tell_upside_down(indexed, problems)
    if differ and grey and not wrong:
        message = (
            f"{len(differ)} masks have a palette, {len(grey)} are grey: an index is taken for the grey value"
        )
        problems.warning("mask-palettes", differ[0].file, message, "", f"grey: {problems.name(grey[0].file)}")
