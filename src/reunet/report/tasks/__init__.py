"""What the report shows of each task, a file per task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reunet.report.content import Content
from reunet.report.tasks import classification, detection, instances, semantic
from reunet.tasks.scorer import Scorer

PAGES: dict[str, Callable[[Any, dict[str, Any]], Content]] = {
    "semantic": semantic.content,
    "instances": instances.content,
    "detection": detection.content,
    "classification": classification.content,
}


def content(scorer: Scorer[Any], metrics: dict[str, Any]) -> Content:
    """The parts of the page of a scorer. metrics: what it says, computed once."""
    return PAGES[scorer.task](scorer, metrics)
