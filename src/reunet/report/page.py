"""The evaluation report: one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from reunet import __version__
from reunet.contracts.plan import Plan
from reunet.io.render import overlay_colors
from reunet.metrics.overlap import precision, recall
from reunet.report import plots
from reunet.report.examples import Example, panels
from reunet.storage import write_text
from reunet.tasks.semantic import Scorer

MOST_ROWS = 300
"""Images listed in the page; metrics.csv has them all."""

MOST_MATRIX_CLASSES = 24

SIZES = ("patch", "tile", "spacing")
"""Fields of the plan with one number per axis."""

TEXTS = {
    "dice_image": ("Dice per image", "mean foreground Dice of each image, then the mean over images"),
    "dice_pooled": ("Dice pooled", "all pixels of all images counted together"),
    "iou_pooled": ("IoU pooled", "intersection over union of the foreground, all pixels counted together"),
    "iou_mean": ("Mean IoU", "over all classes, all pixels of all images counted together"),
    "auc": ("AUC", "area under the ROC curve over all labelled pixels"),
    "average_precision": (
        "Average precision",
        "area under the precision-recall curve over all labelled pixels",
    ),
    "v_rand": ("V_rand", "agreement of the separated regions, mean over images"),
    "v_info": ("V_info", "information shared by the separated regions, mean over images"),
    "pixel_error": ("Pixel error", "share of the labelled pixels with a wrong class; lower is better"),
    "ece": ("Calibration error", "mean gap between confidence and accuracy (ECE); lower is better"),
}


@dataclass(frozen=True)
class Report:
    """What a report shows.

    title: heading, such as the name of the dataset. scorer: the scores. facts: name -> text, shown
    under the heading. examples: pictures. failures: image -> why it could not be scored. warnings: what a
    reader must know about the data. plan: its choices and their reasons. history: history.csv.
    """

    title: str
    scorer: Scorer
    facts: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    plan: Plan | None = None
    history: Path | None = None


def write_report(path: Path, report: Report) -> None:
    """Write the report atomically as one HTML file, pictures and plots inside. Raises StorageError."""
    metrics = report.scorer.metrics()
    page = render(
        "report.html",
        report=report,
        metrics=metrics,
        cards=_cards(metrics),
        classes=_class_rows(report.scorer, metrics),
        matrix=_matrix(report.scorer),
        rows=_image_rows(report.scorer),
        rows_left_out=max(0, len(report.scorer.images) - MOST_ROWS),
        curves=_curves(report.history),
        score_plots=_score_plots(report.scorer),
        pictures=_pictures(report),
        choices=_choices(report.plan),
    )
    write_text(path, page)


def render(template: str, **values: Any) -> str:
    """One of the pages beside this file, filled in."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("reunet.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"score": format_score, "interval": format_interval, "count": format_count}
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template(template).render(**values, version=__version__, written=written)


def format_score(value: float | None) -> str:
    """Three decimals, or n/a where undefined."""
    return "n/a" if value is None or math.isnan(value) else f"{value:.3f}"


def format_interval(ends: Sequence[float] | None) -> str:
    """A confidence interval, or nothing where unknown."""
    return "" if ends is None else f"{ends[0]:.3f}\u2013{ends[1]:.3f}"


def format_count(value: int) -> str:
    """Thousands apart by thin spaces."""
    return f"{int(value):,}".replace(",", "\u2009")


def _cards(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The headline numbers that are defined; the first two always are shown."""
    ci = metrics["ci95"]
    values = {
        "dice_image": (
            metrics["dice"]["per_image"]["mean_foreground"],
            ci["dice"]["per_image"]["mean_foreground"],
        ),
        "dice_pooled": (
            metrics["dice"]["pooled"]["mean_foreground"],
            ci["dice"]["pooled"]["mean_foreground"],
        ),
        "iou_pooled": (metrics["iou"]["pooled"]["mean_foreground"], ci["iou"]["pooled"]["mean_foreground"]),
        "iou_mean": (metrics["iou"]["pooled"]["mean"], ci["iou"]["pooled"]["mean"]),
        **{name: (metrics[name], ci.get(name)) for name in TEXTS if name in metrics},
    }
    values.pop("iou_mean" if len(metrics["classes"]) == 2 else "iou_pooled")
    return [
        {"name": TEXTS[key][0], "text": TEXTS[key][1], "value": value, "interval": ends}
        for key, (value, ends) in values.items()
        if value is not None or key in ("dice_image", "dice_pooled")
    ]


def _class_rows(scorer: Scorer, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    counts = scorer.confusion
    total = max(int(counts.sum()), 1)
    columns = (counts.sum(axis=1) / total, precision(counts), recall(counts))
    colors = overlay_colors(scorer.labels).tolist()
    rows = []
    for i, entry in enumerate(scorer.labels.classes):
        scores = {
            f"{score}_{kind}": (
                metrics[score][kind]["per_class"][entry.name],
                metrics["ci95"][score][kind]["per_class"][entry.name],
            )
            for score, kind in (("dice", "per_image"), ("dice", "pooled"), ("iou", "pooled"))
        }
        share, exact, found = (float(column[i]) for column in columns)
        absent = metrics["undefined"]["per_class"][entry.name]
        rows.append({
            "name": entry.name, "color": tuple(colors[i]), "foreground": entry.foreground, "scores": scores,
            "share": f"{100 * share:.2f} %", "precision": exact, "recall": found, "absent": absent,
        })  # fmt: skip
    return rows


def _matrix(scorer: Scorer) -> list[dict[str, Any]]:
    """Rows of the confusion matrix: counts, and shares of the true class."""
    counts = scorer.confusion
    if len(counts) > MOST_MATRIX_CLASSES:
        return []
    return [
        {
            "name": name,
            "total": int(row.sum()),
            "cells": [
                {"count": int(cell), "share": cell / max(int(row.sum()), 1), "right": i == j}
                for j, cell in enumerate(row)
            ],
        }
        for i, (name, row) in enumerate(zip(scorer.labels.names, counts, strict=True))
    ]


def _image_rows(scorer: Scorer) -> list[dict[str, Any]]:
    """Scores per image, the worst first, those without a score last."""
    rows = scorer.rows()
    rows.sort(key=lambda row: (row["dice.mean_foreground"] is None, row["dice.mean_foreground"] or 0.0))
    return rows[:MOST_ROWS]


def _curves(history: Path | None) -> list[str]:
    if history is None or not history.is_file():
        return []
    columns = plots.read_history(history)
    drawings = (
        ("loss", plots.loss_curve),
        ("val_score", plots.validation_curve),
        ("learning_rate", plots.rate_curve),
    )
    usable = {name for name, values in columns.items() if np.isfinite(values).sum() > 0}
    return [draw(columns) for name, draw in drawings if {name, "step"} <= usable]


def _score_plots(scorer: Scorer) -> list[str]:
    scores = np.array([score for score in scorer.image_scores().values() if score is not None])
    drawn = [plots.score_histogram(scores)] if len(scores) > 2 else []
    if not scorer.has_probabilities:
        return drawn
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for index, histogram in scorer.ranking.items():
        true, false = histogram.curve()
        if true.size and true[-1] and len(curves) < len(plots.SERIES):
            thin = np.unique(np.linspace(0, true.size - 1, 300).astype(int))
            curves[scorer.labels.names[index]] = (
                (true / true[-1])[thin],
                (true / (true + false))[thin],
            )
    if curves:
        drawn.append(plots.precision_recall(curves))
    if scorer.reliability.count.any():
        drawn.append(plots.reliability(*scorer.reliability.curve()))
    return drawn


def _pictures(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "id": example.id,
            "group": example.group,
            "score": example.score,
            "first": position == 0 or report.examples[position - 1].group != example.group,
            "panels": panels(example, report.scorer.labels),
        }
        for position, example in enumerate(report.examples)
    ]


def _choices(plan: Plan | None) -> list[tuple[str, str, str]]:
    """Field, value and reason for each reason the plan gives."""
    if plan is None:
        return []
    return [(name, _value(plan, name), reason) for name, reason in plan.reasons.items()]


def _value(plan: Plan, name: str) -> str:
    """The value of a dotted field of the plan as short text, empty when it has none of that name."""
    value: Any = plan.model_dump(mode="json")
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return ""
        value = value[part]
    if isinstance(value, dict):
        value = ", ".join(f"{key} {item}" for key, item in value.items())
    elif isinstance(value, list):
        value = " \u00d7 ".join(map(str, value)) if name.endswith(SIZES) else ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
