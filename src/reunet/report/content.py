"""What a report shows of one task: the same parts for every task, ready to be laid out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reunet.contracts.labels import Color
from reunet.contracts.results import Scored
from reunet.report.examples import Panel, choose_examples
from reunet.tasks.headline import Headline
from reunet.tasks.scorer import Scorer

UNDEFINED = "\u2013"

MOST_ROWS = 300
"""Images listed in the page; metrics.csv has them all."""

MOST_MATRIX_CLASSES = 24


@dataclass(frozen=True)
class TableCell:
    """Text of a table, small text below it, and a patch of colour in front."""

    text: str
    small: str = ""
    color: Color | None = None


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are columns; the first column names the row."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]


@dataclass(frozen=True)
class Matrix:
    """(classes, classes) counts of `unit` by true and predicted class.

    open: the last row and column stand for nothing there at all. note: what else there is to say.
    """

    names: Sequence[str]
    counts: np.ndarray
    unit: str
    note: str = ""
    open: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Counts, and shares of the true class; nothing where there are too many classes to show."""
        if len(self.counts) > MOST_MATRIX_CLASSES:
            return []
        return [
            {
                "name": name,
                "total": int(row.sum()),
                "cells": [
                    {"count": int(cell), "share": cell / max(int(row.sum()), 1), "right": self._right(i, j)}
                    for j, cell in enumerate(row)
                ],
            }
            for i, (name, row) in enumerate(zip(self.names, self.counts, strict=True))
        ]

    def _right(self, i: int, j: int) -> bool | None:
        """Whether a cell is as it should be; None for one that cannot be filled."""
        return None if self.open and i == j == len(self.counts) - 1 else i == j


Pictures = Callable[[Scored], list[Panel]]
"""Draws pictures of an image."""


@dataclass(frozen=True)
class Exhibit:
    """Something to see in one image.

    group: the heading it stands under. id: of the image. text: what is to be said of it.
    """

    group: str
    id: str
    text: str
    draw: Pictures


@dataclass(frozen=True)
class Gallery:
    """Pictures under a heading. legend: colours, and words without one. small: many side by side."""

    title: str
    note: str
    exhibits: Sequence[Exhibit]
    legend: Sequence[tuple[Color | None, str]] = ()
    small: bool = False


@dataclass(frozen=True)
class Content:
    """The parts of a page.

    name, title: of the task. cards: its headlines. images: a row per image, the worst first. plots: SVG.
    terms: definitions by name. sequences: those shown in motion, with the ids of their images.
    """

    name: str
    title: str
    cards: Sequence[Headline]
    images: Table
    tables: Sequence[Table] = ()
    plots: Sequence[str] = ()
    terms: Mapping[str, str] = field(default_factory=dict)
    galleries: Sequence[Gallery] = ()
    matrix: Matrix | None = None
    sequences: Mapping[str, Sequence[str]] = field(default_factory=dict)


def format_score(value: float | None) -> str:
    """Three decimals, or a dash where undefined."""
    return UNDEFINED if value is None or math.isnan(value) else f"{value:.3f}"


def format_interval(ends: Sequence[float] | None) -> str:
    """A confidence interval, or nothing where unknown."""
    return "" if ends is None else f"{ends[0]:.3f}\u2013{ends[1]:.3f}"


def format_count(value: int) -> str:
    """Thousands apart by thin spaces."""
    return f"{int(value):,}".replace(",", "\u2009")


def cells(*values: str | float | None) -> list[TableCell]:
    """Texts, whole numbers and scores as cells."""
    return [TableCell(_text(value)) for value in values]


def _text(value: str | float | None) -> str:
    if isinstance(value, str):
        return value
    return format_count(value) if isinstance(value, (int, np.integer)) else format_score(value)


def image_table(rows: Sequence[Mapping[str, Any]], score: str, columns: Mapping[str, str]) -> Table:
    """A row per image as in metrics.csv, the worst by a `score` first, those without it last.

    columns: titles of what is shown, by the names there.
    """
    ranked = sorted(rows, key=lambda row: (row[score] is None, row[score] or 0.0))
    shown = [cells(*(row[name] for name in columns)) for row in ranked]
    return Table("All images", "", tuple(columns.values()), shown)


def typical(
    scorer: Scorer[Any], score: str, note: str, panels: Pictures, legend: Sequence[tuple[Color | None, str]]
) -> Gallery:
    """The best, median and worst images by the main score, which is named `score`."""
    values = scorer.image_scores()
    exhibits = [
        Exhibit(group, name, f"{score} {format_score(values[name])}", panels)
        for group, name in choose_examples(values)
    ]
    return Gallery("Best, median and worst images", note, exhibits, legend)
