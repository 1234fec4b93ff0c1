"""The numbers of metrics.json that people see first: on the screen, in the report, on the model card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Headline:
    """One number. text: what it is. value: None where undefined. interval: of 95 % confidence, None where
    unknown. by_class: the same of each class, where it is told.
    """

    title: str
    text: str
    value: float | None
    interval: Sequence[float] | None = None
    by_class: Mapping[str, float | None] = field(default_factory=dict)


def headlines(metrics: Mapping[str, Any], texts: Mapping[str, tuple[str, str]]) -> list[Headline]:
    """What a task's part of metrics.json tells, undefined where it does not.

    texts: by place in metrics.json, such as `iou/pooled/mean`, title and meaning.
    """
    found = []
    for place, text in texts.items():
        above, _, _ = place.rpartition("/")
        by_class = _at(metrics, f"{above}/per_class") if above else None
        interval = _at(metrics.get("ci95", {}), place)
        found.append(Headline(*text, _at(metrics, place), interval, by_class or {}))
    return found


def _at(values: Any, place: str) -> Any:
    """What stands at a place; an interval may stand one level above it."""
    for name in place.split("/"):
        values = values.get(name) if isinstance(values, Mapping) else values
    return values
