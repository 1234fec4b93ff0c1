"""A contact sheet of a dataset: some cases of each split with what annotates them, its classes, its facts."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from reunet.contracts.labels import IGNORE, Color, LabelMap
from reunet.contracts.results import CheckResult, ClassFacts, Prediction
from reunet.datasets.cache import mapped
from reunet.datasets.case_arrays import CaseArrays, case_arrays
from reunet.datasets.cases import Case
from reunet.datasets.examine import Examined
from reunet.datasets.scan import Scan
from reunet.errors import ReunetError
from reunet.io.lettering import lettering
from reunet.io.planes import in_planes
from reunet.io.render import overlay_colors
from reunet.report.examples import Picture, display, drawn_over
from reunet.report.understood import amount, percent, understood

WIDTH, MARGIN, GAP = 1800, 40, 20
"""Of the sheet, in pixels."""

COLUMNS, WIDE = {"pixels": 5, "wide": 3, "boxes": 4, "classes": 8}, 1.9
"""Cases side by side, by what annotates them; fewer of pictures that are `WIDE` times as wide as high."""

MOST = {"pixels": 5, "wide": 6, "boxes": 8, "classes": 24}
"""Cases of each split."""

_INK, _FAINT, _ALARM, _PAPER = (25, 25, 25), (115, 115, 115), (178, 24, 43), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """One case: its pictures one below the other, and what is written below them, each with its colour."""

    pictures: Sequence[Picture]
    lines: Sequence[tuple[str, Color]]
    chip: Color | None = None


class Sheet:
    """Strips of the sheet's width, one below the other."""

    def __init__(self) -> None:
        self._strips: list[Image.Image] = []

    def strip(self, height: int) -> ImageDraw.ImageDraw:
        """What draws on a new strip."""
        self._strips.append(Image.new("RGB", (WIDTH, height), _PAPER))
        return ImageDraw.Draw(self._strips[-1])

    def paste(self, picture: Picture, x: int, y: int) -> None:
        """Put a picture on the last strip."""
        self._strips[-1].paste(Image.fromarray(picture), (x, y))

    def picture(self) -> Picture:
        """(H, W, 3) uint8."""
        return np.concatenate([np.asarray(one) for one in self._strips])


def contact_sheet(scan: Scan, found: Sequence[Examined], result: CheckResult) -> Picture:
    """(H, W, 3) uint8. Cases are picked so that every class is seen that a split has; one that cannot be
    read is shown with the reason.
    """
    sheet = Sheet()
    _heading(sheet, scan.root.resolve().name, result)
    _legend(sheet, scan, result)
    for split, count in result.counts.items():
        cases = [one for one in found if one.case.split == split]
        columns = COLUMNS[kind := _kind(cases)]
        picked = pick(cases, MOST[kind])
        title = f"{split}: {len(picked)} of {count}" if len(picked) < count else f"{split}: all {count}"
        _write(sheet.strip(56), MARGIN, 14, title, 24, _INK, bold=True)
        side = (WIDTH - 2 * MARGIN + GAP) // columns - GAP
        for start in range(0, len(picked), columns):
            _row(sheet, [_tile(scan, one, side) for one in picked[start : start + columns]], side)
    return sheet.picture()


def _kind(cases: Sequence[Examined]) -> str:
    """What decides how large the cases are shown."""
    sizes = [one.header.size for one in cases if one.header is not None]
    kinds = {kind for one in cases for kind in one.case.kinds}
    if (
        any(len(size) == 3 for size in sizes)
        or np.median([size[-1] / size[-2] for size in sizes] or [1]) > WIDE
    ):
        return "wide"
    if kinds & {"masks", "instances"}:
        return "pixels"
    return "boxes" if "boxes" in kinds else "classes"


def pick(cases: Sequence[Examined], most: int) -> list[Examined]:
    """Some of the cases, in their order: one for each class, the rarest first, then evenly spread ones."""
    shows = [_shown(one) for one in cases]
    chosen: dict[int, None] = {}
    rarest = sorted(
        {kind for some in shows for kind in some}, key=lambda kind: sum(kind in some for some in shows)
    )
    for kind in rarest:
        if not any(kind in shows[i] for i in chosen) and len(chosen) < most:
            chosen[next(i for i, some in enumerate(shows) if kind in some)] = None
    spread = np.linspace(0, len(cases) - 1, min(most, len(cases))).round().astype(int).tolist()
    for i in [*spread, *range(len(cases))]:
        if len(chosen) < most:
            chosen[i] = None
    return [cases[i] for i in sorted(chosen)]


def _shown(one: Examined) -> set[tuple[str, int]]:
    counts = () if one.class_counts is None else np.flatnonzero(one.class_counts[:IGNORE]).tolist()
    return {
        *(("class", i) for i in counts),
        ("category", -1 if one.case.category is None else one.case.category),
    }


def _heading(sheet: Sheet, name: str, result: CheckResult) -> None:
    """The name of the dataset, what it was understood to be, and how many problems it has."""
    facts = {"layout": result.layout} | understood(result)
    told = [
        (title, text) for title, text in facts.items() if title not in ("classes", "objects", "images of")
    ]
    errors, count = len(result.errors), len(result.problems)
    problems = f"{errors} error(s), {count - errors} warning(s)" if count else "none"
    draw = sheet.strip(MARGIN + 66 + 30 * len(told))
    _write(draw, MARGIN, MARGIN - 8, name, 38, _INK, bold=True)
    told.append(("problems", problems))
    for i, (title, text) in enumerate(told):
        y = MARGIN + 50 + 30 * i - 8
        _write(draw, MARGIN, y, title, 18, _FAINT)
        _write(draw, MARGIN + 130, y, text, 18, _ALARM if title == "problems" and errors else _INK)


def _legend(sheet: Sheet, scan: Scan, result: CheckResult) -> None:
    """The colour of each class, and how much there is of it."""
    facts, entries = result.facts, []
    for labels, classes in ((scan.labels, facts.classes), (scan.categories, facts.categories)):
        if labels is not None and classes:
            entries += list(_entries(labels, classes))
    if facts.unlabelled:
        entries.append(((60, 60, 60), "unlabelled", f"{percent(facts.unlabelled)}, darkened"))
    x = WIDTH
    for color, name, much in entries:
        shown, font = lettering(name, 18, 400, bold=True)
        width = round(34 + font.getlength(shown) + 8 + lettering(much, 18, 400)[1].getlength(much) + 36)
        if x + width > WIDTH - MARGIN:
            draw, x = sheet.strip(38), MARGIN
        draw.rectangle((x, 10, x + 22, 32), fill=color, outline=_FAINT)
        draw.text((x + 34, 10), shown, fill=_INK, font=font)
        _write(draw, x + 34 + round(font.getlength(shown)) + 8, 10, much, 18, _FAINT)
        x += width


def _entries(labels: LabelMap, classes: Sequence[ClassFacts]) -> Iterator[tuple[Color | None, str, str]]:
    """Colour, name and amount of each class; background is not coloured."""
    colors = overlay_colors(labels)
    for i, one in enumerate(classes):
        objects = f", {one.objects:,} objects" if one.objects is not None and one.pixels is not None else ""
        yield colors[i] if i in labels.foreground else None, one.name, amount(one) + objects


def _row(sheet: Sheet, tiles: Sequence[Tile], side: int) -> None:
    """Cases side by side, their lines at one height."""
    heights = [sum(len(one) + 4 for one in tile.pictures) for tile in tiles]
    below = max(heights) + 4
    draw = sheet.strip(below + 26 * max(len(tile.lines) for tile in tiles) + GAP)
    for column, tile in enumerate(tiles):
        x, y = MARGIN + column * (side + GAP), 0
        for picture in tile.pictures:
            sheet.paste(picture, x, y)
            y += len(picture) + 4
        for i, (text, color) in enumerate(tile.lines):
            indent = 26 if tile.chip is not None and i == 0 else 0
            if indent:
                draw.rectangle((x, below + 3, x + 17, below + 20), fill=tile.chip, outline=_FAINT)
            _write(draw, x + indent, below + 26 * i, text, 17, color, bold=i == 0, width=side - indent)


def _tile(scan: Scan, one: Examined, side: int) -> Tile:
    """A case with what annotates it, and what is wrong with it."""
    case, header = one.case, one.header
    facts = [] if header is None else [" x ".join(map(str, header.size))]
    facts += [] if one.object_counts is None else [f"{one.object_counts.sum()} objects"]
    facts += [] if case.sequence is None else [f"of {case.sequence.name}"]
    lines: list[tuple[str, Color]] = [
        (case.id, _INK),
        *((text, _FAINT) for text in [", ".join(facts)] if text),
    ]
    lines += [(problem.message, _ALARM) for problem in one if problem.severity == "error"][:2]
    chip = None
    if case.category is not None and scan.categories is not None:
        chip = overlay_colors(scan.categories)[case.category]
        lines.insert(0, (scan.categories.names[case.category], _INK))
    return Tile(_seen(scan, case, side), lines, chip)


def _seen(scan: Scan, case: Case, side: int) -> list[Picture]:
    """The pictures of a case; only its image where its annotations cannot be used, grey without that."""
    reading = scan.reader(case)
    if scan.labels is not None:
        with suppress(ReunetError):  # what is wrong with the case is written below
            return _pictures(case_arrays(case, reading, scan.labels), scan.labels, side)
    image = reading.arrays.get("image")
    if image is None or len(image.shape) != 3:
        return [np.full((side // 2, side, 3), 235, np.uint8)]
    return [display(mapped(image), factor=side / max(image.shape[:2]))[0]]


def _pictures(arrays: CaseArrays, labels: LabelMap, side: int) -> list[Picture]:
    """The image, and the same with what annotates its pixels; its boxes are drawn over the image itself."""
    image, truth = arrays.image, arrays.truth
    has_maps = truth.labels is not None or truth.objects is not None
    known = Prediction(truth.labels, instances=truth.objects, boxes=None if has_maps else truth.boxes)
    if arrays.spacing is not None:
        image, known = in_planes(image, known, labels, arrays.spacing)
    ground, over = drawn_over(image, known, labels, min(side / image.shape[1], side / image.shape[0]))
    return [ground] if over is None else [over] if known.boxes is not None else [ground, over]


def _write(
    draw: ImageDraw.ImageDraw,
    x: int,
    y: int,
    text: str,
    size: int,
    color: Color,
    *,
    bold: bool = False,
    width: int = WIDTH,
) -> None:
    shown, font = lettering(text, size, min(width, WIDTH - MARGIN - x), bold=bold)
    draw.text((x, y), shown, fill=color, font=font)
