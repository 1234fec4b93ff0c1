"""What every evaluation does: score images one by one, then write metrics and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reunet.contracts.plan import Calibration
from reunet.contracts.results import EvaluateResult, Scored
from reunet.errors import DataError, ReunetError
from reunet.progress import Progress
from reunet.storage import csv_text, write_json, write_text
from reunet.tasks.scorer import Scorer
from reunet.tasks.work import Work

if TYPE_CHECKING:  # scoring elsewhere needs no pages
    from reunet.report.page import Report

FILES = ("metrics.json", "metrics.csv", "report.html")

Loaders = Mapping[str, Callable[[], Scored]]
"""Image id -> a function that reads and predicts it; called again for the pictures of the report."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of some images by task, the main one first, and why others could not be scored."""

    scorers: Sequence[Scorer[Any]]
    failures: dict[str, str]

    def merge(self, other: Evaluation) -> None:
        """Add those of other images."""
        for one, more in zip(self.scorers, other.scorers, strict=True):
            one.merge(more)
        self.failures.update(other.failures)


def collect(
    loaders: Loaders, work: Work, calibration: Calibration, split: str, progress: Progress
) -> Evaluation:
    """Score every image; one that cannot be read or scored is kept in `failures`, the others go on."""
    scores = Evaluation([one.scorer(work.classes, calibration, split) for one in work.tasks], {})
    for name, load in loaders.items():
        try:
            scored = load()
            truth = replace(scored.truth, spacing=scored.spacing)
            for scorer in scores.scorers:
                scorer.add(name, truth, scored.prediction)
        except ReunetError as error:
            scores.failures[name] = _reason(error)
            progress.message(f"{name}: {scores.failures[name]}")
        progress.advance(1)
    return scores


def of_split(scores: Evaluation, images: int, work: Work, split: str) -> Evaluation:
    """What was collected of the `images` of a split.

    An image counts for the tasks whose annotation it has. Raises DataError when there is no image, or none
    could be scored for the main task; another task without images is left out.
    """
    scorers, failures = scores.scorers, scores.failures
    if len(failures) == images:
        first = "\n" + next(iter(failures.values())) if failures else ""
        raise DataError(f"none of the {images} images could be scored{first}", where=f"split {split}")
    if not scorers[0].image_scores():
        raise DataError(
            "no image has the annotation that its task is scored by",
            where=f"split {split}",
            expected=f"annotations for the task {work.main.name}",
        )
    return Evaluation([scorer for scorer in scorers if scorer.image_scores()], failures)


def score_images(
    loaders: Loaders, work: Work, calibration: Calibration, split: str, progress: Progress
) -> Evaluation:
    """Score every image of a split. Raises as `of_split`."""
    progress.start(f"evaluating {split}", len(loaders))
    return of_split(collect(loaders, work, calibration, split, progress), len(loaders), work, split)


def _reason(error: ReunetError) -> str:
    """An error in one line, with the name of the file but not its folder: results may be passed on."""
    where = error.where.name if isinstance(error.where, Path) else None
    parts = [
        f"{label}{value}"
        for label, value in (("", where), ("expected ", error.expected), ("received ", error.received))
        if value is not None
    ]
    return error.what + (f" ({'; '.join(parts)})" if parts else "")


def write_evaluation(
    evaluation: Evaluation, report: Report, output: Path, also: Path | None = None
) -> EvaluateResult:
    """Write metrics.json, metrics.csv and report.html into `output`, each atomically.

    In metrics.json, scores of another than the main task stand under its name.
    report: what it tells beside the scores. also: a second place for it. Raises StorageError.
    """
    from reunet.report.page import write_report

    scores = [(scorer, scorer.metrics()) for scorer in evaluation.scorers]
    (_, metrics), *others = scores
    metrics = metrics | {scorer.task: own for scorer, own in others}
    page = output / "report.html"
    write_json(output / "metrics.json", metrics)
    rows = _rows(evaluation.scorers)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_text(
        output / "metrics.csv", csv_text(columns, ([row.get(name) for name in columns] for row in rows))
    )
    write_report(page, replace(report, scores=scores, failures=evaluation.failures))
    if also is not None:
        write_text(also, page.read_text(encoding="utf-8"))
    return EvaluateResult(output, metrics, page, evaluation.failures)


def _rows(scorers: Sequence[Scorer[Any]]) -> list[dict[str, Any]]:
    """A row per image; columns of the other tasks begin with the name of the task."""
    rows = {row["id"]: row for row in scorers[0].rows()}
    for scorer in scorers[1:]:
        for row in scorer.rows():
            own = {f"{scorer.task}.{name}": value for name, value in row.items() if name != "id"}
            rows[row["id"]] = rows.get(row["id"], {"id": row["id"]}) | own
    return list(rows.values())
