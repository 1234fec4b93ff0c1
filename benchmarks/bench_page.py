"""What the referee found, for docs/benchmarks.md: tables, and plots in docs/images/."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import accuracy
import records
from bench import NAME, best_batch, summary
from records import table

IMAGES = records.HERE.parent / "docs" / "images"
Line = dict[str, Any]

STEPS = {
    "prediction": "Predictions of 256 x 256 x 3 with a network of 16 filters at full resolution and 4 "
    "poolings, softmax included. reunet: the engine of a run in its default precision, in f32 and in int8.",
    "training": "Training steps of the same networks: AdamW on the cross-entropy.",
}
NETWORKS = (
    "*PyTorch* and *Keras* have the very network of reunet, as one writes it; *MONAI* (BasicUNet), *nnU-Net* "
    "(PlainConvUNet), *smp* and *medicai* (U-Net with a ResNet-18) have theirs with the same filters on the "
    "way up, whose parameters and operations stand beside. *As it ships* is float32 with channels first; "
    "*tuned* is bfloat16 with channels last, *compiled* torch.compile on top. Each has a process of its own, "
    "an environment of its own, and its best batch. KerasHub has no U-Net.\n\n"
)


def lines(case: str) -> list[Line]:
    """The newest line of each variant, processor and set of peers of a case."""
    newest = {
        json.dumps(line["key"], sort_keys=True): line
        for line in records.read(NAME)
        if line["key"]["case"] == case
    }
    return list(newest.values())


def heading(line: Line) -> str:
    key = line["key"]
    isa = f", with no instructions beyond {key['isa']}" if key["isa"] else ""
    return f"{key['variant']}{isa}, {key['rounds']} rounds, {line['date']}:\n\n"


def step_rows(line: Line) -> Iterable[list[object]]:
    """A row per arm: its best batch, images per second with quartiles, and what an image costs."""
    arms = line["result"]["arms"]
    own = arms.get("reunet", {})
    ours = None if "times" not in own else summary(own, (b := best_batch(own)))["seconds"] / int(b)
    for name, arm in arms.items():
        if "failed" in arm:
            yield [name, "", f"failed: {arm['failed'][:60]}", "", "", "", "", "", ""]
            continue
        batch = best_batch(arm)
        took, count = summary(arm, batch), int(batch)
        speeds = [count / took[end] for end in ("seconds", "high", "low")]
        yield [
            name, batch, f"{speeds[0]:.1f}", f"{speeds[1]:.1f} to {speeds[2]:.1f}",
            "" if ours is None else f"{took['seconds'] / count / ours:.2f}",
            f"{took['cpu'] / count:.3f}", f"{arm['peak_bytes'] / 1e6:,.0f}",
            arm.get("parameters", ""), arm.get("gflop", ""),
        ]  # fmt: skip


STEP_HEADER = [
    "what", "batch", "images/s", "quartiles", "times as long as reunet", "processor, s an image", "peak, MB",
    "parameters", "GFLOP",
]  # fmt: skip


def steps(case: str) -> str:
    """Predictions or training steps of one network in all programs."""
    found = lines(case)
    if not found:
        return ""
    parts = [f"## {case.capitalize()} of one network\n\n{STEPS[case]} {NETWORKS}`make bench ONLY={case}`\n\n"]
    for line in found:
        parts += [
            heading(line),
            table(STEP_HEADER, step_rows(line)),
            limit(line) if case == "prediction" else "",
        ]
    plot(f"bench_{case}", lambda figure: bars(figure, found))
    return "".join([*parts, f"\n![{case} of one network](images/bench_{case}.svg)\n"])


def limit(line: Line) -> str:
    """How much of the machine's matrix products the engine reaches, by the plain network's operations."""
    arms, product = line["result"]["arms"], lines("limit")
    plain, own = arms.get("PyTorch as it ships", {}), arms.get("reunet", {})
    if not product or "gflop" not in plain or "times" not in own:
        return ""
    kind = "bfloat16" if own.get("precision") == "bf16" else "float32"
    fastest = product[-1]["result"]["arms"][kind]
    most = 2 * 2048**3 / summary(fastest, "2048")["seconds"] / 1e9
    reached = plain["gflop"] * int(best_batch(own)) / summary(own, best_batch(own))["seconds"]
    return (
        f"\nA product of two matrices of 2,048 rows in {kind} makes {most:,.0f} GFLOP/s here; reunet's "
        f"engine {reached:,.0f}, {reached / most:.0%} of it.\n\n"
    )


def widths() -> str:
    """Training steps of reunet by the filters of its network."""
    rows = [
        [line["key"]["variant"], width, line["key"]["isa"] or "all", f"{1000 * took['seconds'] / count:.0f}",
         f"{1000 * took['cpu'] / count:.0f}", line["date"]]
        for line in lines("widths")
        for width, arm in line["result"]["arms"].items()
        if "times" in arm
        for count in (int(best_batch(arm)),)
        for took in (summary(arm, str(count)),)
    ]  # fmt: skip
    header = ["", "filters", "instructions", "ms a patch", "processor, ms", "date"]
    return "" if not rows else (
        "## Training by width\n\nPatches of 256 x 256, volumes of 64 x 64 x 64; the planner's table is made "
        "of these.\n\n`make bench ONLY=widths`\n\n" + table(header, rows)
    )  # fmt: skip


def wholes() -> str:
    """From a TIFF to a mask, by size."""
    rows, found = [], sorted(lines("whole"), key=lambda line: int(line["key"]["variant"]))
    for line in found:
        side, arms = int(line["key"]["variant"]), line["result"]["arms"]
        engine = arms.get("engine alone", {}).get("inner")
        for name, arm in arms.items():
            if "failed" in arm or name == "engine alone":
                continue
            took = summary(arm, "0")
            inner = f"{min(arm['inner']):.1f}" if arm["inner"] else ""
            share = f"{sorted(engine)[len(engine) // 2] / took['seconds']:.0%}" if engine else ""
            rows.append(
                [f"{side:,}", name, f"{took['seconds']:.1f}", inner, f"{side**2 / 1e6 / took['seconds']:.2f}",
                 share if name == "reunet" else "", f"{took['cpu']:.1f}", f"{arm['peak_bytes'] / 1e6:,.0f}"]
            )  # fmt: skip
    if not rows:
        return ""
    plot("bench_whole", lambda figure: curves(figure, found))
    header = [
        "side", "what", "s", "s without the start", "Mpx/s", "of the engine", "processor, s", "peak, MB"
    ]  # fmt: skip
    return (
        "## The whole path\n\nFrom a TIFF file of three channels to a mask file, from the start of the "
        "process to its end, with the sliding windows of MONAI and nnU-Net on an equal network; tiles of "
        "256 x 256 that overlap by a quarter. reunet also draws an overlay.\n\n`make bench ONLY=whole`\n\n"
        + table(header, rows)
        + "\n![time and memory by size](images/bench_whole.svg)\n"
    )


def starts() -> str:
    """From typing a command to its end, and what is installed."""
    found = lines("start")
    if not found:
        return ""
    arms, installed = found[-1]["result"]["arms"], found[-1]["result"]["installed"]
    rows = [
        [name, f"{took['seconds']:.2f}", f"{took['cpu']:.2f}", f"{arm['peak_bytes'] / 1e6:,.0f}"]
        for name, arm in arms.items()
        if "times" in arm
        for took in (summary(arm, "0"),)
    ]
    sizes = [[peer, f"{one['megabytes']:,}", one["packages"]] for peer, one in installed.items()]
    return (
        "## Start\n\nFrom typing the command to its end, files cached, a new process each time, medians.\n\n"
        "`make bench ONLY=start`\n\n"
        + table(["what", "s", "processor, s", "peak, MB"], rows)
        + "\nWhat is installed for it:\n\n"
        + table(["environment", "MB", "packages"], sizes)
    )


def accuracies() -> str:
    """Who is how good after the same minutes."""
    found = records.read(accuracy.NAME)
    if not found:
        return ""
    rows = []
    for contest in accuracy.CONTESTS:
        for peer in contest.peers:
            curve = curve_of(contest, peer)
            for minutes, score in curve:
                until = reaches(contest, peer, score, minutes)
                rows.append([contest.set, contest.task, peer, f"{minutes:g}", f"{score:.4f}", until])
    plot("bench_accuracy", races)
    return (
        "## Accuracy by minutes\n\nAll from scratch on the same images and two cores, each budget a training "
        "of its own; `reunet evaluate` scores the label images of all. The last column says after how many "
        "minutes reunet has that score, on a line between its budgets.\n\n`make bench ONLY=accuracy`\n\n"
        + table(["set", "task", "who", "minutes", "score", "reunet has it after"], rows)
        + "\n![scores by minutes](images/bench_accuracy.svg)\n"
    )


def curve_of(contest: accuracy.Contest, peer: str) -> list[tuple[float, float]]:
    """Minutes and the mean score over seeds."""
    scores: dict[float, list[float]] = {}
    for line in records.read(accuracy.NAME):
        key = line["key"]
        if (key["set"], key["task"], key["peer"]) == (contest.set, contest.task, peer):
            value = accuracy.compared(contest, line["result"])
            scores.setdefault(key["minutes"], []).append(value or 0.0)
    return sorted((minutes, sum(values) / len(values)) for minutes, values in scores.items())


def reaches(contest: accuracy.Contest, peer: str, score: float, minutes: float) -> str:
    """When reunet has a score of a peer."""
    if peer == "reunet":
        return ""
    before = (0.0, 0.0)
    for after in curve_of(contest, "reunet"):
        if after[1] >= score:
            share = (score - before[1]) / max(after[1] - before[1], 1e-9)
            return f"{before[0] + share * (after[0] - before[0]):.1f} min"
        before = after
    return f"not in {before[0]:g} min"


def plot(name: str, draw: Callable[[Any], None]) -> Path:
    """A figure as an SVG that is the same for the same lines."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": name, "font.size": 9}):
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        draw(figure)
        figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    return IMAGES / f"{name}.svg"


def bars(figure: Any, found: Sequence[Line]) -> None:
    """Images per second of each arm, with quartiles."""
    for axes, line in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        arms = {n: arm for n, arm in line["result"]["arms"].items() if "times" in arm}
        for place, (name, arm) in enumerate(arms.items()):
            took, count = summary(arm, best_batch(arm)), int(best_batch(arm))
            speed = count / took["seconds"]
            ends = [[speed - count / took["high"]], [count / took["low"] - speed]]
            color = "tab:blue" if name.startswith("reunet") else "tab:grey"
            axes.barh(place, speed, xerr=ends, color=color, ecolor="black")
        axes.set_yticks(range(len(arms)), list(arms))
        axes.invert_yaxis()
        axes.set(title=line["key"]["variant"], xlabel="images per second")


def curves(figure: Any, found: Sequence[Line]) -> None:
    """Pixels per second and memory by size."""
    speed, memory = figure.subplots(1, 2)
    names = dict.fromkeys(name for line in found for name in line["result"]["arms"] if name != "engine alone")
    for name in names:
        points = [
            (int(line["key"]["variant"]), arm)
            for line in found
            if "times" in (arm := line["result"]["arms"].get(name, {}))
        ]
        sides = [side for side, _ in points]
        speed.plot(sides, [s**2 / 1e6 / summary(a, "0")["seconds"] for s, a in points], "o-", label=name)
        memory.plot(sides, [arm["peak_bytes"] / 1e6 for _, arm in points], "o-", label=name)
    speed.set(xlabel="pixels per side", ylabel="million pixels per second")
    memory.set(xlabel="pixels per side", ylabel="peak memory, MB")
    memory.legend()


def races(figure: Any) -> None:
    """Scores by minutes, a panel per set."""
    panels = figure.subplots(1, len(accuracy.CONTESTS))
    for axes, contest in zip(panels, accuracy.CONTESTS, strict=True):
        for peer in contest.peers:
            if curve := curve_of(contest, peer):
                axes.plot(*zip(*curve, strict=True), "o-", label=peer)
        axes.set(title=f"{contest.set}\n{contest.task}", xlabel="minutes")
        axes.legend(fontsize=7)


SECTIONS: dict[str, Callable[[], str]] = {
    "prediction": lambda: steps("prediction"),
    "training": lambda: steps("training"),
    "widths": widths,
    "whole": wholes,
    "start": starts,
    "accuracy": accuracies,
}
