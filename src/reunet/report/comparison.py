"""The page of a comparison: the race over wall time, the scores with their spread, the differences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reunet.contracts.results import ComparedRun, CompareResult
from reunet.report import plots
from reunet.report.page import render
from reunet.storage import write_text


def write_comparison(
    result: CompareResult, networks: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Write `result.report`, one HTML file that needs nothing else. Raises StorageError."""
    drawn = [race(result.runs)] if any(run.race for run in result.runs) else []
    if any(pair.interval for pair in result.pairs):
        drawn.append(differences(result))
    budget = ", ".join(f"{value:g} {unit}" for unit, value in settings["budget"].items())
    page = render(
        "comparison.html",
        title=f"{settings['dataset']}: comparison",
        facts={
            "Networks": str(len(networks)),
            "Seeds": str(max(network["seeds"] for network in networks)),
            "Budget of each training": budget,
            "Scored on": settings["split"],
            "Backend": settings["backend"],
        },
        result=result,
        networks=networks,
        drawn=drawn,
        video=any(network["flicker"] is not None for network in networks),
        swatches={network["entry"]: color for network, color in zip(networks, _colors(), strict=False)},
        single=max(pair.seeds for pair in result.pairs) == 1 if result.pairs else False,
        blocks=any(pair.units < pair.images for pair in result.pairs),
    )
    write_text(result.report, page)


def race(runs: Sequence[ComparedRun]) -> str:
    """Validation score over wall time: trainings faint, the mean of a network strong, its range as a band."""

    def paint(axes: Any) -> None:
        for name, color in zip(dict.fromkeys(run.entry for run in runs), _colors(), strict=False):
            curves = [np.array(run.race) for run in runs if run.entry == name and run.race]
            for curve in curves:
                axes.plot(curve[:, 0] / 60, curve[:, 1], color=color, alpha=0.3, linewidth=0.9)
            if not curves:
                continue
            first, last = max(curve[0, 0] for curve in curves), min(curve[-1, 0] for curve in curves)
            times = np.linspace(first, last, 80) if last > first else np.array([first])
            scores = np.stack([np.interp(times, *curve.T) for curve in curves])
            axes.fill_between(times / 60, scores.min(axis=0), scores.max(axis=0), color=color, alpha=0.13)
            axes.plot(times / 60, scores.mean(axis=0), color=color, linewidth=2, label=name)
        axes.set(title="The race", xlabel="minutes", ylabel="score on held-out images")
        axes.legend(loc="lower right")

    return plots.draw(paint, width=7.2, height=3.9)


def differences(result: CompareResult) -> str:
    """Each mean difference with its interval, and where no difference would be."""
    pairs = [pair for pair in result.pairs if pair.interval is not None]

    def paint(axes: Any) -> None:
        for row, pair in enumerate(reversed(pairs)):
            low, high = pair.interval or (0.0, 0.0)
            color = plots.SERIES[2] if low > 0 else plots.SERIES[1] if high < 0 else plots.INK
            axes.plot([low, high], [row, row], color=color, linewidth=2.2)
            axes.plot(pair.difference, row, "o", color=color, markersize=6)
        axes.axvline(0, color=plots.INK, linewidth=0.8, linestyle="--")
        axes.set_yticks(
            range(len(pairs)), [f"{pair.entry}\n\u2212 {pair.reference}" for pair in reversed(pairs)]
        )
        axes.set(title="Difference in Dice", xlabel="better \u2192", ylim=(-0.7, len(pairs) - 0.3))

    return plots.draw(paint, width=7.2, height=1.5 + 0.6 * len(pairs))


def _colors() -> list[str]:
    return list(plots.SERIES) * 4
