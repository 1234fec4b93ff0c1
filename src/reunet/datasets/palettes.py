"""Values of masks, by their names and palettes: a value has to mean the same in every file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap
from reunet.datasets.cache import mapped
from reunet.datasets.reading import Reading
from reunet.errors import MeaningError
from reunet.io.header import ImageHeader
from reunet.io.images import read_header
from reunet.io.masks import is_coloured, pack_colours, read_mask_file

Color = tuple[int, ...]

_CLASS_LIST_FIXES = {
    "mask-palettes": "number classes as the class list does, or give --colors FILE to read masks by colour",
    "mask-segments": "number the segments as the class list does, or give class and segment one name",
}


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

    @property
    def names(self) -> dict[int, str]:
        """What its file calls those of its values that it names."""
        return {value: name for value, name in self.header.value_names if value in self.values}

    def meaning(self, value: int) -> Color | str | None:
        """Red, green and blue of a value, or its name but for capitals; None where there is neither."""
        if self.header.value_names:
            return plain(self.names[value]) if value in self.names else None
        return (
            tuple(self.table[value].tolist()) if self.table is not None and value < len(self.table) else None
        )


class _Before:
    """What values mean in the masks so far. word: what a value is called where it means that."""

    def __init__(self, word: str, problems: Findings) -> None:
        self._word, self._problems = word, problems
        self._of_value: dict[int, Used] = {}
        self._of_meaning: dict[Color | str, tuple[int, Used]] = {}

    def differs(self, one: Used, value: int, meaning: Color | str) -> str:
        """What a mask before this one tells of the value, or of what it means; empty where it is the same."""
        before = self._of_value.setdefault(value, one)
        other, source = self._of_meaning.setdefault(meaning, (value, one))
        if (told := before.meaning(value)) != meaning:
            return f"{self._word} {value} is {told}, as in {self._problems.name(before.file)}"
        if other != value and one.meaning(other) != meaning:
            return f"{meaning} is {self._word} {other}, as in {self._problems.name(source.file)}"
        return ""


def plain(name: str) -> str:
    """A name but for capitals and what stands between its words."""
    return " ".join(re.findall(r"[^\W_]+", name.casefold())) or name


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
    shades = [color[0] for value in one.values if (color := one.meaning(value)) and len(set(color)) == 1]
    return len(shades) == len(one.values) > 1 and shades == sorted(shades, reverse=True) != sorted(shades)


def _tell_upside_down(indexed: Sequence[Used], problems: Findings) -> None:
    """Add a warning where palettes show the objects dark: whoever looked may have meant the white."""
    falling = [one for one in indexed if _falls(one)]
    if falling:
        (low, *_, high), first = falling[0].values, falling[0]
        message = f"{len(falling)} masks show index {low} brighter than index {high}: the index counts"
        shown = f"{low} is {first.meaning(low)}, {high} is {first.meaning(high)}"
        problems.warning("mask-upside-down", first.file, message, "", shown)


def check_used(one: Used, labels: LabelMap) -> None:
    """Raise MeaningError where a mask whose values are ids names or shows a class as another one than
    `labels` do: what the values of other masks mean it need not mean.
    """
    problems = Findings(one.file.parent)
    compare_used([one], labels, problems)
    for told in (one for one in problems if one.severity == "error"):
        raise MeaningError(
            told.message,
            where=one.file,
            expected=told.expected,
            received=told.received,
            fix=_CLASS_LIST_FIXES[told.code],
        )


def check_named(path: Path, labels: LabelMap, page: int | None = None, axes: str | None = None) -> None:
    """As `check_used`, of a mask that is no part of a dataset, if its file names values. Raises
    ImageReadError.
    """
    if read_header(path, axes).value_names:
        header, raw = read_mask_file(path, page, axes)
        check_used(Used(path, tuple(np.unique(raw).tolist()), False, header), labels)


def compare_used(masks: Sequence[Used], labels: LabelMap | None, problems: Findings) -> None:
    """Add an error for each mask in which a value means something else than in masks before it, or in the
    class list: by the names of its segments, or its palette.
    """
    if labels is not None and labels.encoding == "rgb":
        return
    names, colors = ({}, {}) if labels is None else (labels.stated_names, labels.stated_colors)
    is_index = labels is not None and labels.encoding == "index"
    _compare_names(masks, names if is_index else {}, problems)
    _compare_palettes(masks, colors if is_index else {}, problems)


def _compare_names(masks: Sequence[Used], stated: Mapping[int, str], problems: Findings) -> None:
    """Add an error for each mask whose file gives a value another name, or a name another value, than those
    before it, or another name than the class list states. Words of both are compared, capitals are not.
    """
    so_far = _Before("segment", problems)
    for one in masks:
        for value, label in one.names.items():
            name, listed = plain(label), stated.get(value, label)
            expected, against = so_far.differs(one, value, name), "another mask"
            if not expected and plain(listed) != name:
                expected, against = f"segment {value} is {listed}", "the class list"
            if expected:
                message = f"the labels of its segments contradict {against}"
                problems.error("mask-segments", one.file, message, expected, f"segment {value} is {label}")
                break


def _compare_palettes(masks: Sequence[Used], stated: Mapping[Color, int], problems: Findings) -> None:
    """Add an error for each mask in which a value has another colour, or a colour another value, than in
    masks before it; values of grey files are grey levels. Add a warning where only some masks have a palette,
    and where palettes show lower indices brighter.

    stated: values by the colours that the class list gives them: an error where one of these colours is that
    of another value. Other colours are for looking.
    """
    indexed, grey = ([one for one in masks if (one.table is None) == no] for no in (False, True))
    so_far = _Before("index", problems)
    levels = {value: one for one in reversed(grey) for value in one.values}
    differ, wrong = [], 0
    for one in indexed:
        told = [(value, color) for value in one.values if isinstance(color := one.meaning(value), tuple)]
        shades = {value: color[0] for value, color in told if len(set(color)) == 1}
        for value, color in told:
            named = stated.get(color, value)
            expected, against = so_far.differs(one, value, color), "another mask"
            if expected:
                pass
            elif named != value and one.meaning(named) != color:
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
