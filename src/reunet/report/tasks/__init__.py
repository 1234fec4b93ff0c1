"""What the report shows of each task: a file for each that has more to show than its scores."""

from collections.abc import Callable
from typing import Any

from reunet.report.content import Content, Table, image_table
from reunet.report.tasks import classification, detection, instances, semantic
from reunet.tasks import task
from reunet.tasks.scorer import Scorer

PAGES: dict[str, Callable[[Any, dict[str, Any], Content], Content]] = {
    "semantic": semantic.content,
    "instances": instances.content,
    "detection": detection.content,
    "classification": classification.content,
}
"""By the name of a task, what completes its page."""


def content(scorer: Scorer[Any], metrics: dict[str, Any]) -> Content:
    """The parts of the page of a scorer. metrics: what it says, computed once."""
    own = task(scorer.task)
    plain = Content(own.name, own.title, own.headlines(metrics), _images(scorer))
    complete = PAGES.get(own.name)
    return plain if complete is None else complete(scorer, metrics, plain)


def _images(scorer: Scorer[Any]) -> Table:
    """All that metrics.csv tells."""
    scores = scorer.image_scores()
    rows = [{**row, "": scores[row["id"]]} for row in scorer.rows()]
    return image_table(rows, "", {name: name for name in rows[0] if name} if rows else {})
