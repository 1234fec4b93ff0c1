"""Plots as inline SVG that takes the text colour of the page, so it fits light, dark and print."""

import io
import re
from collections.abc import Callable, Sequence
from textwrap import fill
from threading import Lock
from typing import Any

import numpy as np

from reunet.report.examples import FALSE_ALARM, FOUND, MISSED

INK = "#010203"
"""Drawn in this colour, then replaced by the CSS `currentColor`."""

SERIES = ("#2b7bba", "#d9730d", "#12946f", "#b5529a", "#8a7a12", "#7a6fd0")
"""Line colours with enough contrast on white and on dark grey."""

STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "reunet", "font.family": "sans-serif", "font.size": 10,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "axes.grid": True,
    "grid.color": INK, "grid.alpha": 0.13, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "lines.linewidth": 1.6, "axes.titlesize": 11, "axes.titleweight": "bold",
    "axes.titlelocation": "left",
}  # fmt: skip


_one_style = Lock()
"""Held while something is drawn: Matplotlib's settings are those of the whole process."""


def draw(paint: Callable[[Any], None], width: float = 4.7, height: float = 3.0) -> str:
    """Let `paint` draw on one pair of axes; returns an `<svg>` element of flexible width."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with _one_style, mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.add_subplot())
        target = io.StringIO()
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1system-ui, sans-serif", svg)
    return re.sub(r"^<svg[^>]*>", lambda tag: re.sub(r' (width|height)="[^"]*"', "", tag[0]), svg)


def legend(axes: Any) -> None:
    """A legend below the axes, where it lies on no line."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)))


def _plain_decades(axis: Any, span: float) -> None:
    """Ticks of a logarithmic axis as plain numbers, so few that they do not touch. span: last over first."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    steps = (1.0, 2.0, 5.0) if span < 30 else (1.0, 3.0) if span < 1000 else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def loss_curve(step: np.ndarray, loss: np.ndarray) -> str:
    """Training loss over steps; the faint line is each record, the strong one a running mean."""

    def paint(axes: Any) -> None:
        width = max(1, len(loss) // 40)
        thin = max(1, len(loss) // 600)
        axes.plot(step[::thin], loss[::thin], color=SERIES[0], alpha=0.3, linewidth=1)
        smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
        at = step[width - 1 :] if width == 1 else np.convolve(step, np.ones(width) / width, mode="valid")
        axes.plot(at[::thin], smooth[::thin], color=SERIES[0])
        axes.set(title="Training loss", xlabel="step")
        if loss.size and loss.max() > 4 * np.median(loss):
            axes.set_ylim(0, float(np.percentile(loss, 99)) * 1.1)
        else:
            axes.set_ylim(bottom=0)

    return draw(paint)


def validation_curve(step: np.ndarray, score: np.ndarray, name: str) -> str:
    """Validation score over steps, the best one marked. name: of the score."""

    def paint(axes: Any) -> None:
        axes.plot(step, score, color=SERIES[2], marker="o", markersize=3.5)
        best = int(np.argmax(score))
        axes.plot(step[best], score[best], "o", markersize=9, markerfacecolor="none", color=SERIES[1])
        axes.annotate(
            f"best {score[best]:.3f}",
            (step[best], score[best]),
            xytext=(0, 9),  # above the highest point there is no curve
            textcoords="offset points",
            ha="right" if step[best] > (step[0] + step[-1]) / 2 else "left",
        )
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.16 * (high - low))
        axes.set(title="Score on held-out images", xlabel="step", ylabel=fill(name, 30))

    return draw(paint)


def rate_curve(step: np.ndarray, rate: np.ndarray) -> str:
    """Learning rate over steps."""

    def paint(axes: Any) -> None:
        axes.plot(step, rate, color=SERIES[3])
        axes.set(title="Learning rate", xlabel="step", ylim=(0, None))

    return draw(paint)


def spread(images: dict[str, float | None], name: str, title: str) -> list[str]:
    """How many images reach which score, where there are enough; scores in 0..1 by image."""
    scores = np.array([score for score in images.values() if score is not None])
    if len(scores) < 3:
        return []

    def paint(axes: Any) -> None:
        low = 0.0 if scores.min() < 0.5 else 0.5
        axes.hist(scores, bins=np.linspace(low, 1, 26), color=SERIES[0], alpha=0.85)
        for value, what, style in ((np.median(scores), "median", "-"), (scores.mean(), "mean", "--")):
            axes.axvline(value, color=INK, linewidth=1.1, linestyle=style, label=f"{what} {value:.3f}")
        axes.set(title=title, xlabel=name, ylabel="images", xlim=(low, 1))
        axes.yaxis.get_major_locator().set_params(integer=True)
        legend(axes)

    return [draw(paint)]


def precision_recall(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Precision against recall at every threshold, if there are curves: class name -> recall, precision."""
    if not curves:
        return []

    def paint(axes: Any) -> None:
        for (name, (recall, precision)), color in zip(curves.items(), SERIES, strict=False):
            thin = np.unique(np.linspace(0, len(recall) - 1, 300).astype(int))
            axes.plot(recall[thin], precision[thin], color=color, label=name)
        axes.set(
            title="Precision and recall", xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02)
        )
        legend(axes)

    return [draw(paint)]


def reliability(curve: Sequence[np.ndarray], unit: str) -> list[str]:
    """Accuracy against mean confidence per bin, if there is any; the area of a dot grows with its share of
    the `unit`. curve: confidence, accuracy and share, (bins,) each.
    """
    confidence, accuracy, share = curve
    if not len(share):
        return []

    def paint(axes: Any) -> None:
        low = min(0.5, float(confidence.min()))
        axes.plot([low, 1], [low, 1], color=INK, linewidth=0.8, linestyle="--", label="perfectly calibrated")
        axes.plot(confidence, accuracy, color=SERIES[0])
        axes.scatter(confidence, accuracy, s=14 + 220 * share, color=SERIES[0], alpha=0.8, label=unit)
        axes.set(title="Are the probabilities right?", xlabel="confidence", ylabel="share correct")
        axes.set(xlim=(low - 0.02, 1.02), ylim=(min(low, float(accuracy.min())) - 0.02, 1.03))
        legend(axes)

    return [draw(paint)]


def by_threshold(series: dict[str, dict[str, float | None]]) -> str:
    """Scores over the IoU that an object must reach. series: name -> threshold -> score."""

    def paint(axes: Any) -> None:
        for (name, values), color in zip(series.items(), SERIES, strict=False):
            known = {float(t): value for t, value in values.items() if value is not None}
            axes.plot(list(known), list(known.values()), color=color, marker="o", markersize=3.5, label=name)
        axes.set(title="How exact the outlines are", xlabel="IoU that counts as found", ylabel="score")
        axes.set(ylim=(0, 1.02))
        legend(axes)

    return draw(paint)


def sizes(fates: Sequence[np.ndarray], unit: str) -> list[str]:
    """How many objects of which size were found, missed and invented, if there are any; sizes in `unit`."""
    found, missed, invented = fates
    known = np.concatenate(fates).astype(np.float64)
    if not known.size:
        return []

    def paint(axes: Any) -> None:
        bins = np.geomspace(known.min(), max(known.max(), 2 * known.min()), 22)
        colors = ["#{:02x}{:02x}{:02x}".format(*color) for color in (FOUND, MISSED, FALSE_ALARM)]
        axes.hist([found, missed], bins=bins, stacked=True, color=colors[:2], label=["found", "missed"])
        axes.hist(invented, bins=bins, histtype="step", color=colors[2], linewidth=1.6, label="false alarms")
        axes.set(title="Size of the objects", xlabel=unit, ylabel="objects", xscale="log")
        _plain_decades(axes.xaxis, float(bins[-1] / bins[0]))
        axes.yaxis.get_major_locator().set_params(integer=True)
        legend(axes)

    return [draw(paint)]


def _float(cell: str | None) -> float:
    try:
        return float(cell) if cell else float("nan")
    except ValueError:
        return float("nan")
