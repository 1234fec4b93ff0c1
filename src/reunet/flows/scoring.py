"""What every evaluation does: score images one by one, then write metrics and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import EvaluateResult, Prediction
from reunet.contracts.truth import Truth
from reunet.errors import DataError, ReunetError, StorageError
from reunet.progress import Progress
from reunet.storage import csv_text, write_json, write_text
from reunet.tasks import Scorer, Work

if TYPE_CHECKING:
    from reunet.report.examples import Example

FILES = ("metrics.json", "metrics.csv", "report.html")


@dataclass(frozen=True)
class Scored:
    """One image with what is compared on it.

    image: (*space, C) as read, or None. spacing: of a volume, in mm per axis.
    """

    image: np.ndarray | None
    truth: Truth
    prediction: Prediction
    spacing: tuple[float, ...] | None = None


Loaders = Mapping[str, Callable[[], Scored]]
"""Image id -> a function that reads and predicts it; called again for the pictures of the report."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of one split, and the images that could not be scored with the reason."""

    scorer: Scorer
    failures: dict[str, str]
    loaders: Loaders


@dataclass(frozen=True)
class Context:
    """What the report tells beside the scores."""

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    plan: Plan | None = None
    history: Path | None = None


def score_images(
    loaders: Loaders, work: Work, calibration: Calibration, split: str, progress: Progress
) -> Evaluation:
    """Score every image; one that cannot be read or scored is kept in `failures`, the others go on.

    Raises DataError when there is no image, or none could be scored.
    """
    scorer = work.main.scorer(work.classes, calibration, split)
    failures: dict[str, str] = {}
    progress.start(f"evaluating {split}", len(loaders))
    for name, load in loaders.items():
        try:
            scored = load()
            scorer.add(name, scored.truth, scored.prediction)
        except ReunetError as error:
            failures[name] = _reason(error)
            progress.message(f"{name}: {failures[name]}")
        progress.advance(1)
    if len(failures) == len(loaders):
        first = "\n" + next(iter(failures.values())) if failures else ""
        raise DataError(f"none of the {len(loaders)} images could be scored{first}", where=f"split {split}")
    return Evaluation(scorer, failures, loaders)


def _reason(error: ReunetError) -> str:
    """An error in one line, with the name of the file but not its folder: results may be passed on."""
    where = error.where.name if isinstance(error.where, Path) else None
    parts = [
        f"{label}{value}"
        for label, value in (("", where), ("expected ", error.expected), ("received ", error.received))
        if value is not None
    ]
    return error.what + (f" ({'; '.join(parts)})" if parts else "")


def refuse_existing(output: Path, *, overwrite: bool) -> None:
    """Raise StorageError when results would be replaced and nobody asked for it."""
    present = [name for name in FILES if (output / name).exists()]
    if present and not overwrite:
        raise StorageError(
            "the results of an evaluation are here already",
            where=output,
            received=", ".join(present),
            fix="use --overwrite, or another folder with -o",
        )


def write_evaluation(
    evaluation: Evaluation, context: Context, output: Path, also: Path | None = None
) -> EvaluateResult:
    """Write metrics.json, metrics.csv and report.html into `output`, each atomically.

    also: a second place for the same report. Raises StorageError.
    """
    metrics, page = evaluation.scorer.metrics(), output / "report.html"
    write_json(output / "metrics.json", metrics)
    rows = evaluation.scorer.rows()
    columns = list(rows[0]) if rows else ["id"]
    write_text(output / "metrics.csv", csv_text(columns, ([row[name] for name in columns] for row in rows)))
    _write_report(evaluation, context, page)
    if also is not None:
        write_text(also, page.read_text(encoding="utf-8"))
    return EvaluateResult(output, metrics, page, evaluation.failures)


def _write_report(evaluation: Evaluation, context: Context, page: Path) -> None:
    from reunet.report.page import Report, write_report

    report = Report(
        title=context.title,
        scorer=evaluation.scorer,
        facts=context.facts,
        examples=_examples(evaluation),
        failures=evaluation.failures,
        warnings=context.warnings,
        plan=context.plan,
        history=context.history,
    )
    write_report(page, report)


def _examples(evaluation: Evaluation) -> list[Example]:
    from reunet.report.examples import Example
    from reunet.report.tasks import choose

    scores = evaluation.scorer.image_scores()
    examples: list[Example] = []
    for group, name in choose(evaluation.scorer):
        scored = evaluation.loaders[name]()
        shown = (scored.image, scored.truth, scored.prediction, scored.spacing)
        examples.append(Example(name, group, scores[name] or 0.0, *shown))
    return examples
