"""How a comparison stands: what each training reached, the differences, and the files that tell of them."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from reunet.contracts.results import ComparedRun, CompareResult, PairedDifference
from reunet.datasets.scan import open_dataset
from reunet.errors import ModelFileError
from reunet.flows.compare.contest import Contender, Contest
from reunet.metrics.bootstrap import crossed_interval
from reunet.storage import csv_text, read_csv, read_json, write_json, write_text

BLOCK = 10
"""Consecutive frames of a sequence in time that are drawn together: neighbours are nearly the same image."""

DICE = "dice.mean_foreground"
"""The column of metrics.csv that differences are taken of."""

VIDEO = ("j", "f", "flicker")
"""Scores that only sequences in time have."""

COLUMNS = (
    "entry", "seed", "dice", "dice_pooled", "iou", "steps", "seconds", "parameters", "multiplications",
    *VIDEO,
)  # fmt: skip


def read_run(contest: Contest, contender: Contender, seed: int) -> ComparedRun:
    """What one finished training reached. Raises ModelFileError when its files are not whole."""
    from reunet.networks import measure

    run = contest.run(contender, seed)
    folder, plan = run.evaluation(contest.options.split), run.plan()
    metrics = read_json(folder / "metrics.json", ModelFileError)
    rows, history = read_csv(folder / "metrics.csv", ModelFileError), run.history()
    if not history or not rows:
        raise ModelFileError("a finished training without results", where=run.path)
    facts = measure(plan.network, plan.patch if plan.clip is None else (plan.clip.frames, *plan.patch))
    try:
        return ComparedRun(
            entry=contender.name,
            seed=seed,
            run=run.path.relative_to(contest.options.output),
            dice=metrics["dice"]["per_image"]["mean_foreground"],
            dice_pooled=metrics["dice"]["pooled"]["mean_foreground"],
            iou=metrics["iou"]["pooled"]["mean"],
            steps=int(history[-1]["step"]),
            seconds=float(history[-1]["time_s"]),
            parameters=facts.parameters,
            multiplications=facts.multiplications,
            images={row["id"]: float(row[DICE]) if row[DICE] else None for row in rows},
            race=tuple(
                (float(row["time_s"]), float(row["val_score"])) for row in history if row["val_score"]
            ),
            **{name: metrics.get(name) for name in VIDEO},
            flickers={name: one.get("flicker") for name, one in _sequences(metrics).items()},
        )
    except (KeyError, TypeError, ValueError) as cause:
        raise ModelFileError("the results of a training are not whole", where=folder) from cause


def _sequences(metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = metrics.get("video", {}).get("sequences", {})
    return found


def summarise(contest: Contest, runs: Sequence[ComparedRun], failures: dict[str, str]) -> CompareResult:
    """The differences between the networks, from the trainings that are finished."""
    units = image_units(contest)
    finished = {run.entry for run in runs}
    found = [pair for pair in pairs_of(contest.contenders) if finished.issuperset(pair)]
    pairs = [difference(runs, pair, units) for pair in found]
    return CompareResult(
        contest.options.output,
        tuple(runs),
        tuple(pair for pair in pairs if pair is not None),
        contest.options.output / "report.html",
        dict(failures),
    )


def pairs_of(contenders: Sequence[Contender]) -> list[tuple[str, str]]:
    """What is compared with what: every network with the first one, and a recurrent one with its control."""
    first, *others = contenders
    own = Contender(first.preset, control=True)
    pairs = [(other.name, first.name) for other in others if other != own]
    for contender in contenders:
        control = Contender(contender.preset, control=True)
        if not contender.control and control in contenders and (contender.name, control.name) not in pairs:
            pairs.append((contender.name, control.name))
    return pairs


def image_units(contest: Contest) -> dict[str, str]:
    """For each image id what it is drawn with: blocks of frames of a sequence in time, else by itself."""
    units: dict[str, str] = {}
    dataset, split = open_dataset(contest.options.data, contest.options), contest.options.split
    scored = {"train", "val"} if split == "val" else dataset.given_splits & {"test"} or {"train"}
    cases = [case for case in dataset.cases if case.split in scored]
    for (part, sequence), frames in itertools.groupby(cases, key=lambda case: (case.split, case.sequence)):
        for number, case in enumerate(frames):
            alone = sequence is None or sequence.axis != "T"
            units[case.id] = case.id if alone else f"{part} {sequence.name} {number // BLOCK}"
    return units


def difference(
    runs: Sequence[ComparedRun], pair: tuple[str, str], units: dict[str, str]
) -> PairedDifference | None:
    """Mean differences over the seeds and images that both networks have; None without any."""
    dice = _paired([{run.seed: run.images for run in runs if run.entry == name} for name in pair], units)
    still = _paired([{run.seed: run.flickers for run in runs if run.entry == name} for name in pair], {})
    if dice is None:
        return None
    found = PairedDifference(pair[0], pair[1], *dice)
    return found if still is None else replace(found, flicker=still[0], flicker_interval=still[1])


def _paired(
    by_entry: list[dict[int, dict[str, float | None]]], units: dict[str, str]
) -> tuple[float, tuple[float, float] | None, int, int, int] | None:
    """Mean difference of the scores of two networks, by seed and name, its interval, and over how many seeds,
    names and units; None without any.
    """
    values: dict[tuple[int, str], list[float]] = {}
    for seed in sorted(by_entry[0].keys() & by_entry[1].keys()):
        one, other = by_entry[0][seed], by_entry[1][seed]
        for image in one.keys() & other.keys():
            a, b = one[image], other[image]
            if a is not None and b is not None:
                values.setdefault((seed, units.get(image, image)), []).append(a - b)
    if not values:
        return None
    seeds, names = (sorted({key[axis] for key in values}) for axis in (0, 1))
    sums, counts = np.zeros((2, len(seeds), len(names)))
    for (seed, name), differences in values.items():
        at = seeds.index(seed), names.index(name)
        sums[at], counts[at] = sum(differences), len(differences)
    mean = float(sums.sum() / counts.sum())
    return mean, crossed_interval(sums, counts), len(seeds), int(counts.max(axis=0).sum()), len(names)


def write_standings(result: CompareResult, settings: dict[str, Any]) -> None:
    """compare.json, compare.csv (a line per training) and report.html. Raises StorageError."""
    from reunet.report.comparison import write_comparison

    networks = table(result.runs)
    facts = {
        **settings,
        "networks": networks,
        "pairs": [asdict(pair) for pair in result.pairs],
        "runs": [asdict(run) | {"run": run.run.as_posix()} for run in result.runs],
        "failures": result.failures,
    }
    write_json(result.output / "compare.json", facts)
    rows = ([getattr(run, name) for name in COLUMNS] for run in result.runs)
    write_text(result.output / "compare.csv", csv_text(COLUMNS, rows))
    write_comparison(result, networks, settings)


def table(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """For each network its mean score, the spread over seeds and its cost."""
    rows = []
    for name in dict.fromkeys(run.entry for run in runs):
        own = [run for run in runs if run.entry == name]
        scores = [run.dice for run in own if run.dice is not None]
        rows.append({
            "entry": name,
            "seeds": len(own),
            "dice": float(np.mean(scores)) if scores else None,
            "deviation": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
            "lowest": min(scores, default=None),
            "highest": max(scores, default=None),
            "dice_pooled": _mean([run.dice_pooled for run in own]),
            "iou": _mean([run.iou for run in own]),
            **{name: _mean([getattr(run, name) for run in own]) for name in VIDEO},
            "parameters": own[0].parameters,
            "multiplications": own[0].multiplications,
            "steps": round(float(np.mean([run.steps for run in own]))),
            "seconds": float(np.mean([run.seconds for run in own])),
        })  # fmt: skip
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
