"""The class list of a dataset: from dataset.json, from the user's file, or from what the masks contain."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings, some_of, understood
from reunet.contracts.labels import BOUNDARY_NAMES, LabelMap, class_color, default_classes, is_foreground
from reunet.contracts.options.records import DataOptions
from reunet.datasets.cases import Case
from reunet.datasets.palettes import Used, plain, used_in
from reunet.datasets.reading import CaseReader, Reading
from reunet.datasets.regions import layer_names, layered_facts, nnunet_facts, read_regions
from reunet.datasets.tables import CLASSES, DESCRIPTION, described
from reunet.errors import DataError, LabelError, PlanError, UsageError
from reunet.io.annotations.settings import mask_facts
from reunet.io.annotations.table import read_rows
from reunet.io.masks import lossy_mask, mask_values
from reunet.storage import read_json

_NUMBER = re.compile(r"-?[0-9]{1,9}")
_MOST_GUESSED = 32  # more distinct values than this are object numbers rather than classes
_MOST_CLASSES = 254
_CLASSES_FIX = "name the classes with --classes FILE (lines: id,name; the name 'ignore' means unlabelled)"


def class_list(
    root: Path,
    options: DataOptions,
    cases: Sequence[Case],
    reader: CaseReader,
    problems: Findings | None = None,
) -> LabelMap:
    """The class list, from the first of: --colors, --classes, dataset.json,
    what other programs tell, the masks of `cases`.

    Adds a warning for a table that is not UTF-8. Raises LabelError when the masks do not say clearly what the
    classes are, DataError or UsageError for a file that is not understood.
    """
    if options.colors is not None:
        return read_colors(options.colors, problems)
    readings = (reader(case) for case in cases if case.files.mask is not None)
    if options.classes is not None:
        return with_encoding(read_classes(options.classes, problems), readings)
    data, file = described(root), root / DESCRIPTION
    if layer_names(data):
        return from_facts(layered_facts(layer_names(data)), file)
    if data.get("classes") is None and isinstance(data.get("labels"), dict):
        data = nnunet_facts(data, file)
    if data.get("classes") is None and (facts := mask_facts(root)):
        data, file = facts, root
    if data.get("classes") is not None:
        return with_encoding(from_facts(data, file), readings)
    return guess_classes(cases, reader)


def read_classes(path: Path, problems: Findings | None = None) -> LabelMap:
    """--classes FILE: a JSON list as in dataset.json (or an object like it), or lines `id,name`, where the
    name `ignore` means unlabelled. Adds a warning for text that is not UTF-8. Raises UsageError, DataError.
    """
    if _is_json(path):
        data = read_json(path, UsageError)
        return from_facts(data if isinstance(data, dict) else {"classes": data}, path)
    entries, facts = [], {}
    for number, row in _rows(path, problems):
        if len(row) != 2 or not _NUMBER.fullmatch(row[0]):
            raise _bad_row(path, f"line {number}", "id,name", row)
        if row[1].lower() == "ignore":
            facts["ignore_index"] = int(row[0])
        else:
            entries.append({"id": int(row[0]), "name": row[1]})
    return from_facts({"classes": entries, **facts}, path)


def read_colors(path: Path, problems: Findings | None = None) -> LabelMap:
    """--colors FILE: lines `name,red,green,blue`, or JSON {name: [r, g, b]}; `ignore` is unlabelled. Adds a
    warning for text that is not UTF-8. Raises UsageError, DataError.
    """
    table: list[tuple[str, tuple[int, int, int]]] = []
    if _is_json(path):
        data = read_json(path, UsageError)
        if not isinstance(data, dict):
            raise UsageError(
                "the colours are not understood", where=path, expected='{"cell": [255, 0, 0], ...}'
            )
        rows = [
            (0, [str(name), *map(str, color if isinstance(color, list) else [color])])
            for name, color in data.items()
        ]
    else:
        rows = _rows(path, problems)
    for number, row in rows:
        values = [int(value) for value in row[1:] if _NUMBER.fullmatch(value)]
        if len(row) != 4 or len(values) != 3 or not 0 <= min(values) <= max(values) <= 255:
            where = f"line {number}" if number else "an entry"
            raise _bad_row(path, where, "name,red,green,blue with 0 to 255", row)
        table.append((row[0], (values[0], values[1], values[2])))
    classes = [(name, color) for name, color in table if name.lower() != "ignore"]
    if len({color for _, color in table}) != len(table):
        raise UsageError("two classes share one colour", where=path)
    entries = [{"id": i, "name": name, "color": color} for i, (name, color) in enumerate(classes)]
    ignored = next((color for name, color in table if name.lower() == "ignore"), None)
    labels = from_facts({"classes": entries, "ignore_color": ignored}, path)
    return labels.model_copy(update={"encoding": "rgb"})


def _is_json(path: Path) -> bool:
    """Whether a file given with an option starts as JSON does. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            return file.read(64).decode("utf-8-sig", "ignore").lstrip()[:1] in ("[", "{")
    except OSError as cause:
        raise UsageError("could not read a file", where=path, received=cause.strerror) from cause


def _bad_row(path: Path, where: str, expected: str, row: list[str]) -> UsageError:
    return UsageError(
        f"{where} is not understood", where=path, expected=expected, received=",".join(row)[:80]
    )


def with_encoding(labels: LabelMap, readings: Iterable[Reading]) -> LabelMap:
    """The class list with the encoding of the masks: by id, by colour, or 0 and 255 for two classes.

    The first mask tells that has more than background and no value unknown to an encoding; without such
    a mask, masks in colour are read by colour, if the classes have different ones.
    """
    if labels.encoding == "rgb":
        return labels
    ways = ["index"] + ["binary_255"] * labels.binary
    ways += ["rgb"] * (len({entry.color for entry in labels.classes}) == len(labels.classes))
    candidates = {way: labels.model_copy(update={"encoding": way}) for way in ways}
    found = labels
    for content in filter(None, (used_in(Path(), reading, colours=True) for reading in readings)):
        values = set(content.values)
        for way, candidate in candidates.items():
            if content.coloured != (way == "rgb"):
                continue
            if content.coloured:
                found = candidate
            if (content.coloured or values - {0, labels.ignore}) and values <= mask_values(candidate).keys():
                return candidate
    return found


def guess_classes(cases: Sequence[Case], reader: CaseReader) -> LabelMap:
    """The class list the masks speak for: 0 and 255, 0..n without gaps, or whatever their files name. Raises
    LabelError otherwise.
    """
    folder = next((case.files.mask.parent for case in cases if case.files.mask is not None), None)
    if folder is None:
        raise DataError(
            "there are no masks to find the classes in", fix="give the class list with --classes FILE"
        )
    masks = [case for case in cases if case.files.mask is not None]
    told = reader.each(
        masks, lambda case, reading: used_in(case.files.mask or case.image, reading, colours=True)
    )
    contents = [content for content in told if content is not None]
    coloured = [content for content in contents if content.coloured]
    if coloured:
        raise _colour_error(coloured)
    values = sorted({value for content in contents for value in content.values})
    if not values:
        raise LabelError("no mask could be read", where=folder, received="the list names the reason for each")
    if 255 in values and set(values) <= {0, 255}:
        return LabelMap(classes=default_classes([0, 1]), encoding="binary_255")
    names = dict(pair for content in reversed(contents) for pair in content.names.items())
    if names and len(values) < _MOST_CLASSES and not set(values) - {0, *names}:
        values = sorted({0, *values})
    elif values != list(range(len(values))) or len(values) > _MOST_GUESSED:
        raise _unclear(values, contents)
    if len(values) == 1:
        values = [0, 1]  # every mask is empty: the checks say so, the foreground class is still there
    classes = default_classes(values)
    own = [names.get(entry.id, entry.name) for entry in classes]
    if len(set(map(plain, own))) == len(own):
        classes = default_classes(values, own)
    palette = next((content.table for content in contents if content.table is not None), None)
    colors = [] if palette is None else list(map(tuple, palette[: len(values)].tolist()))
    if len(set(colors)) == len(values):
        coloured_classes = zip(classes, colors, strict=True)
        classes = tuple(entry.model_copy(update={"color": color}) for entry, color in coloured_classes)
    return LabelMap(classes=classes)


def _unclear(values: list[int], contents: list[Used]) -> LabelError:
    lossy = next((content.file for content in contents if content.header.lossy), None)
    if lossy is not None:
        return lossy_mask(lossy)
    if len(values) > _MOST_GUESSED:
        hint = "so many values look like numbers of objects, not classes"
    elif 255 in values:
        hint = "255 may be a class or mean unlabelled"
    else:
        hint = "values are missing between them, or do not start at 0"
    return LabelError(
        f"the masks do not say clearly what the classes are: {hint}",
        where=contents[0].file.parent,
        expected="0 and 255, or 0 to n without gaps, or a class list",
        received=some_of([str(value) for value in values], 12),
        fix=_CLASSES_FIX,
    )


def _colour_error(coloured: list[Used]) -> LabelError:
    if coloured[0].header.lossy:
        return lossy_mask(coloured[0].file)
    found = sorted({value for content in coloured for value in content.values})
    lines = [f"name{i},{value >> 16},{value >> 8 & 255},{value & 255}" for i, value in enumerate(found[:12])]
    more = f" and {len(found) - 12} more" if len(found) > 12 else ""
    return LabelError(
        "the masks are colour images, and no table says which colour is which class",
        where=coloured[0].file,
        received=f"{len(found)} colours: {' '.join(lines)}{more}",
        fix="give --colors FILE with such lines (name,red,green,blue; the name 'ignore' means unlabelled)",
    )


def from_facts(facts: dict[str, Any], where: Path) -> LabelMap:
    """A LabelMap from `classes`, a list of {id, name, color, foreground, boundary} of which only id and
    name are required, and the optional `ignore_index`, `ignore_color` and `regions`.
    """
    with understood("the class list is", where, CLASSES):
        entries = facts["classes"]
        classes = [_entry(entry, position, len(entries)) for position, entry in enumerate(entries)]
    data = {
        "classes": classes,
        "ignore": facts.get("ignore_index"),
        "ignore_color": facts.get("ignore_color"),
        "regions": read_regions(facts.get("regions", ()), classes, where),
    }
    try:
        labels: LabelMap = LabelMap.parse(data, where=where)
    except PlanError as cause:
        raise DataError("the class list is not valid", where=where, received=cause.received) from cause
    if len(labels.classes) < 2:
        raise DataError(
            "the class list needs at least two classes, background included",
            where=where,
            received=labels.names[0],
            fix='list the background too, as the first: {"id": 0, "name": "background"}',
        )
    return labels


def _entry(entry: Any, position: int, count: int) -> dict[str, Any]:
    name = str(entry["name"])
    return {
        "id": entry["id"],
        "name": name,
        "color": entry.get("color", class_color(position)),
        "foreground": entry.get("foreground", is_foreground(position, name, count)),
        "boundary": entry.get("boundary", name.lower() in BOUNDARY_NAMES),
    }


def _rows(path: Path, problems: Findings | None) -> list[tuple[int, list[str]]]:
    """(line number, cells) of a table without comments and a heading. Raises UsageError."""
    rows = list(read_rows(path, problems, UsageError, comment="#"))
    heading = rows and not any(_NUMBER.fullmatch(cell) for cell in rows[0][1])
    return rows[1:] if heading else rows
