"""The evaluation report: one HTML file that needs nothing else."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np

from reunet import __version__
from reunet.contracts.history import COLUMNS
from reunet.contracts.plan import Plan
from reunet.contracts.results import Scored
from reunet.report import plots
from reunet.report.content import MOST_ROWS, Content, Exhibit, format_count, format_interval, format_score
from reunet.report.examples import data_uri
from reunet.report.sentence import sentence
from reunet.report.tasks import content
from reunet.report.tasks.tracks import moving
from reunet.storage import write_text
from reunet.tasks import task
from reunet.tasks.scorer import Scorer
from reunet.texts import Language, Translate, translator

SIZES = ("patch", "tile", "spacing", "micrometres")
"""Fields of the plan with one number per axis."""

View = dict[str, Any]
"""What the page shows of something."""


@dataclass(frozen=True)
class Report:
    """What a report shows.

    title: heading, such as the name of the dataset. scores: scorer and metrics of each task, the main one
    first. facts: name -> text, shown under the heading. images: what reads the images that are shown, by id.
    failures: image -> why it could not be scored. warnings: what a reader must know about the data. plan: its
    choices and their reasons. history: the rows of history.csv. language: of the page.
    """

    title: str
    scores: Sequence[tuple[Scorer[Any], dict[str, Any]]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Callable[[], Scored]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    plan: Plan | None = None
    history: Sequence[Mapping[str, str]] = ()
    language: Language = "en"


def write_report(path: Path, report: Report) -> None:
    """Write the report atomically as one HTML file, pictures and plots inside. Raises StorageError."""
    contents = [content(scorer, metrics) for scorer, metrics in report.scores]
    (main, metrics), *_ = report.scores
    page = render(
        "report.html",
        report.language,
        sentence=sentence(metrics, translator(report.language)),
        report=report,
        facts=report.facts,
        metrics=metrics,
        contents=list(zip(contents, _galleries(report.images, contents), strict=True)),
        films={c.name: _films(report.images, c) for c in contents},
        most_rows=MOST_ROWS,
        curves=_curves(report.history, task(main.task).score),
        choices=[] if report.plan is None else choices_of(report.plan),
        terms={name: text for parts in contents for name, text in parts.terms.items()},
    )
    write_text(path, page)


def render(template: str, language: Language = "en", **values: Any) -> str:
    """One of the pages beside this file, filled in; filters `t` and `plot` put its texts into a language."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("reunet.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"score": format_score, "interval": format_interval, "count": format_count}
    say = translator(language)
    environment.filters |= {"t": say, "plot": partial(_plot_texts, say=say)}
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template(template).render(
        **values, language=language, version=__version__, written=written
    )


def _plot_texts(svg: str, say: Translate) -> str:
    """A plot with its texts in another language."""
    return re.sub(r">([^<>\n]+)</text>", lambda found: f">{escape(say(unescape(found[1])))}</text>", svg)


def _curves(history: Sequence[Mapping[str, str]], score: str) -> list[str]:
    columns = {name: np.array([float(row[name] or "nan") for row in history]) for name in COLUMNS}
    curves: dict[str, Callable[[np.ndarray, np.ndarray], str]] = {
        "loss": plots.loss_curve,
        "val_score": partial(plots.validation_curve, name=score),
        "learning_rate": plots.rate_curve,
    }
    drawn = []
    for name, curve in curves.items():
        known = np.isfinite(columns[name])
        if known.any():
            drawn.append(curve(columns["step"][known], columns[name][known]))
    return drawn


def _galleries(images: Mapping[str, Callable[[], Scored]], contents: Sequence[Content]) -> list[list[View]]:
    """The galleries of each task with their pictures drawn; each image is read once, whoever shows it."""
    waiting: dict[str, list[tuple[Exhibit, View]]] = {}
    found: list[list[View]] = []
    for parts in contents:
        found.append([])
        for gallery in parts.galleries:
            groups: dict[str, list[View]] = {}
            for exhibit in gallery.exhibits:
                if exhibit.id in images:
                    view: View = {"id": exhibit.id, "text": exhibit.text}
                    groups.setdefault(exhibit.group, []).append(view)
                    waiting.setdefault(exhibit.id, []).append((exhibit, view))
            if groups:
                found[-1].append({"gallery": gallery, "groups": groups})
    for name, some in waiting.items():
        scored = images[name]()
        for exhibit, view in some:
            shown = exhibit.draw(scored)
            shown[:1] = [panel.scaled(scored) for panel in shown[:1]]
            view["panels"] = [(panel.caption, data_uri(panel.picture)) for panel in shown]
    return found


def _films(images: Mapping[str, Callable[[], Scored]], content: Content) -> dict[str, str]:
    """The sequences of a task in motion, by name."""
    films = {name: moving(ids, images) for name, ids in content.sequences.items()}
    return {name: source for name, source in films.items() if source}


def choices_of(plan: Plan) -> list[tuple[str, str, str]]:
    """Field, value and reason for each reason the plan gives."""
    values = plan.model_dump(mode="json")
    return [(name, _value(values, name), reason) for name, reason in plan.reasons.items()]


def _value(value: Any, name: str) -> str:
    """The value of a dotted field of the plan as short text, empty when it has none of that name."""
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return ""
        value = value[part]
    if isinstance(value, dict):
        told = {key: item for key, item in value.items() if item not in (None, False, [], {})}
        value = ", ".join(key if item is True else f"{key} {item}" for key, item in told.items())
    elif isinstance(value, list):
        value = " \u00d7 ".join(map(str, value)) if name.endswith(SIZES) else ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
