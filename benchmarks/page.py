"""Write docs/benchmarks.md, and the tables in README.md and docs/recurrence.md, from the result lines.

`make docs` calls it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import accuracy
import bench
import bench_page
import encoder_rule
import fine_tuning
import next_labels
import records
import recurrence
import recurrence_page
from quality import ENTRIES, Entry
from records import table

ROOT = records.HERE.parent
START, END = "<!-- results: written by benchmarks/page.py -->", "<!-- end of results -->"

INTRODUCTION = """# Benchmarks

Written by `make docs` from `benchmarks/results/*.jsonl`, one line per finished run. The scripts restart where
they stopped: a run that has a line is not run again. The datasets are public but not part of the project;
`--data` names the folder they are in.

Machines are shared and noisy. Where two things are compared they ran in turns, in one process or one script,
and medians and ratios are quoted.
"""


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds, or the one value."""
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def flat(values: dict[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    """Pairs of a nested result, with names such as `predict seconds`."""
    for key, value in values.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, dict):
            yield from flat(value, f"{name} ")
        else:
            yield name, value


def quality_rows() -> list[list[object]]:
    """One row per set, task and score: seeds, minutes, the figure and what was asked."""
    rows: list[list[object]] = []
    for entry in ENTRIES:
        lines = lines_of(entry)
        for score in entry.scores:
            values = [value for line in lines if (value := score.of(line["result"])) is not None]
            if values:
                goal = "" if score.goal is None else f"{score.goal}"
                figures = [f"{lines[0]['key']['minutes']:g}", score.title, goal, spread(values), len(values)]
                rows.append([entry.set, entry.task, *figures])
    return rows


def lines_of(entry: Entry) -> list[dict[str, Any]]:
    """The lines of an entry, one per seed and label; of the longest of a set and task, while there are none,
    those with the most minutes.
    """
    like = [other for other in ENTRIES if (other.set, other.task) == (entry.set, entry.task)]
    lines = measured(entry)
    minutes = {line["key"]["minutes"] for line in lines}
    wanted = entry.minutes
    if wanted not in minutes and wanted == max(other.minutes for other in like):
        wanted = max(minutes, default=0)
    return [line for line in lines if line["key"]["minutes"] == wanted]


def measured(entry: Entry) -> list[dict[str, Any]]:
    """The lines of the set and task of an entry, of any minutes."""
    lines = records.read("quality")
    return [line for line in lines if (line["key"]["set"], line["key"]["task"]) == (entry.set, entry.task)]


QUALITY_HEADER = ["set", "task", "minutes", "score on test", "goal", "reached", "seeds"]


def quality() -> str:
    """Accuracy on real data."""
    lines = records.read("quality")
    runs = []
    for line in lines:
        key, result = line["key"], line["result"]
        filters, seconds = result["parameters_filters"][0], f"{result['seconds']:.0f}"
        about = [key["set"], key["task"], key["seed"], key["minutes"]]
        runs.append([*about, result["steps"], seconds, filters, line["date"]])
    return (
        "## Accuracy on real data\n\nTwo CPU cores, plan as `reunet plan` makes it, no test-time "
        "augmentation. All from scratch but the classes of pixels of camvid, for which the plan takes a "
        "pretrained encoder. Thresholds and weights are chosen on held-out training images alone.\n\n"
        f"`{lines[-1]['command']}`\n\n"
        + table(QUALITY_HEADER, quality_rows())
        + "\n"
        + table(["set", "task", "seed", "minutes", "steps", "seconds", "filters", "date"], runs)
    )


def encoders() -> str:
    """What a training begins with, and whether the planner's rule chooses right."""

    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    def choice(is_taken: bool | None) -> str:
        return {True: "photographs", False: "fresh", None: ""}[is_taken]

    rows = [
        [
            *(one["set"], one["task"], f"{one['minutes']:g}", one["seeds"], one["one_hue"] or ""),
            *(*map(shown, one["means"].values()), choice(one["chosen"]), choice(one["without"])),
        ]
        for one in encoder_rule.compared()
    ]
    head = ["set", "task", "minutes", "seeds", "one hue", "fresh", "photographs", "random"]
    return (
        "## A pretrained encoder against a fresh one\n\nThe same minutes and seeds; scores on held-out "
        "images of the training data (mean IoU, mAP50, AP50, balanced accuracy), not on test images. "
        "`photographs`: EfficientNet-Lite0 with the weights of the extra `photo`; `random`: the same with "
        "random ones. `one hue`: how far all colours are one (1: grey or a single stain). The last columns: "
        "what `--encoder auto` takes, and what a rule of its form would take that knows the other sets "
        "only.\n\n" + table([*head, "auto", "auto without the set"], rows)
        if rows
        else ""
    )


def normalisation() -> str:
    """Batch, Instance, Group."""
    lines = records.read("normalisation")
    rows = []
    for line in lines:
        key, result = line["key"], line["result"]
        entry = next(one for one in ENTRIES if (one.set, one.task) == (key["set"], "semantic"))
        scores = [f"{score.title} {score.of(result):.4f}" for score in entry.scores]
        rows.append(
            [
                key["set"],
                key["normalisation"],
                key["minutes"],
                key["seed"],
                result["steps"],
                ", ".join(scores),
            ]
        )
    text = (
        "## Which normalisation\n\nThe same plan, minutes and seed with Batch, Instance and Group "
        "Normalisation, one after the other. Batch Normalisation's statistics are measured again before each "
        f"use.\n\n`{lines[-1]['command']}`\n\n"
        + table(["set", "normalisation", "minutes", "seed", "steps", "scores on test"], rows)
    )
    engine = records.read("engine_normalisation")
    if engine:
        speeds = engine[-1]["result"]["images_per_second"]
        text += "\nImages of 256 x 256 per second in the OpenVINO engine, in turns, medians:\n\n"
        text += table(["normalisation and precision", "images/s"], speeds.items())
    return text


def race() -> str:
    """Recurrent networks against their controls."""
    text = (
        "## Does recurrence pay?\n\nRecurrent networks and their controls, the same network without the "
        "recurrence at equal parameters, with the same data, splits and seeds, in turns. Each has the number "
        "of steps that five minutes of the quiet machine give it (timed in turns), so that a busy machine "
        "changes nothing but the wait; the first two seeds of isbi2012_em ran by the clock. Dice is "
        "the mean over the test images; the difference is that of the pairs of one seed and image, with its "
        "95 % bootstrap interval over seeds and images (frames in time: blocks of ten). In all these races "
        "the features went through the recurrences (`recurrence.gain` null), from the first step on.\n\n"
        f"`{records.read('recurrence')[-1]['command']}`\n\n"
    )
    rows, gains = [], []
    for name in recurrence.RACES:
        runs, _ = recurrence.lines_of(name)
        for entry in dict.fromkeys(run.entry for run in runs):
            mine = [run for run in runs if run.entry == entry]
            dice, steps = spread([run.dice for run in mine]), round(mean(run.steps for run in mine))
            rows.append([name, entry, len(mine), f"{mine[0].parameters:,}", steps, dice])
        for pair in recurrence.differences(name):
            interval = "" if pair.interval is None else f"{pair.interval[0]:+.4f} to {pair.interval[1]:+.4f}"
            gains.append([name, f"{pair.entry} - {pair.reference}", f"{pair.difference:+.4f}", interval])
    won = recurrence_won()
    verdict = (
        f"Recurrence wins, with the interval above 0, on {', '.join(won)}.\n"
        if won
        else "On none of these sets did recurrence win in equal minutes: frames one by one, and plain "
        "convolutions at the bottleneck, used the same minutes better. A recurrent step costs more, and five "
        "minutes on two cores are few; what longer trainings would say is open.\n"
    )
    return (
        text
        + table(["set", "network", "seeds", "parameters", "steps", "Dice on test"], rows)
        + "\n"
        + table(["set", "difference", "mean", "95 % interval"], gains)
        + f"\n{verdict}{videos()}"
    )


def videos() -> str:
    """J and F of the sequence of davis_vehicles that is held out."""
    rows = [
        [entry, len(scores), *(spread([one[figure] for one in scores]) for figure in ("j", "f"))]
        for entry, scores in recurrence.video_scores("davis_vehicles").items()
    ]
    if not rows:
        return ""
    heading = ["network", "seeds", "J", "F"]
    return "\nThe same scored as DAVIS scores videos, on car-shadow:\n\n" + table(heading, rows)


def training_step() -> str:
    """Steps against PyTorch, and by width and processor."""
    lines = records.read("training_step")
    peers = [line for line in lines if line["key"]["what"] == "peers"]
    widths = [line for line in lines if line["key"]["what"] == "widths"]
    rows = []
    for line in peers:
        seconds = line["result"]["seconds"]
        for arm, found in seconds.items():
            ratio = f"{found['wall'] / seconds['reunet']['wall']:.2f}"
            quartiles = f"{1000 * found['low']:.0f} to {1000 * found['high']:.0f}"
            spent = [f"{1000 * found['wall']:.0f}", quartiles, f"{1000 * found['cpu']:.0f}"]
            rows.append([line["key"]["batch"], arm, *spent, ratio, line["date"]])
    text = (
        "## Training steps\n\nThe plain U-Net with 16 filters at full resolution, 4 poolings and Instance "
        "Normalisation on 256 x 256 x 3: a whole training step of reunet in its default precision against "
        "the same network in PyTorch, as it ships (float32) and tuned (bfloat16, channels last; compiled). "
        "Each in a process of its own, in turns; medians and quartiles of the clock, median of the "
        "processor's time.\n\n"
    )
    header = ["batch", "what", "ms", "quartiles", "processor, ms", "times as long", "date"]
    text += table(header, rows) + "\n"
    rows = [
        [
            line["key"]["axes"],
            line["key"]["width"],
            line["key"]["isa"] or "all",
            f"{1000 * line['result']['wall'] / line['result']['patches']:.0f}",
            f"{1000 * line['result']['cpu'] / line['result']['patches']:.0f}",
            line["date"],
        ]
        for line in widths
    ]
    text += (
        "By width (patches of 256 x 256, volumes of 64 x 64 x 64), with the instructions that oneDNN may "
        "use: all those of this processor, AMX among them, or fewer with `--isa`. The planner's table is "
        "made of these and of a shorter round with fewer.\n\n"
    )
    header = ["axes", "filters", "instructions", "ms a patch", "processor, ms", "date"]
    return text + table(header, rows)


def recurrence_cost() -> str:
    """Training steps and the parallel scan."""
    newest = {json.dumps(line["key"]): line for line in records.read("recurrence_cost")}.values()
    steps = [line for line in newest if line["key"]["what"] == "training step"]
    scans = [line for line in newest if line["key"]["what"] == "scan"]
    text = (
        "## What recurrence costs\n\nA training step of `cnn_rnn_unet` (16 base filters, batches of 4 "
        "patches of 256 x 256) and of its control at equal parameters, in turns, medians; then one recurrent "
        f"layer, forward and backward, 64 sequences of 128 units.\n\n`{steps[-1]['command']}`\n\n"
    )
    rows = [
        [
            line["key"]["cell"],
            *(f"{1000 * s:.0f}" for s in line["result"]["seconds"].values()),
            line["result"]["ratio"],
        ]
        for line in steps
    ]
    text += table(["cell", "hybrid, ms", "control, ms", "ratio"], rows) + "\n"
    rows = [
        [
            line["key"]["length"],
            *(f"{1000 * s:.1f}" for s in line["result"]["seconds"].values()),
            line["result"]["gru_over_min_gru"],
        ]
        for line in scans
    ]
    return text + table(["steps", "minGRU, parallel scan, ms", "GRU, ms", "ratio"], rows)


def instances() -> str:
    """reunet against StarDist."""
    lines = records.read("instances")
    rows = []
    for tool in dict.fromkeys(line["key"]["tool"] for line in lines):
        mine = [line for line in lines if line["key"]["tool"] == tool]
        for images in ("all", "fluorescence"):
            results = [line["result"][images] for line in mine]
            scores = [
                spread([result["ap"][f"{t:.2f}"] for result in results]) for t in (0.5, 0.6, 0.7, 0.8, 0.9)
            ]
            rows.append([tool, images, len(mine), *scores, spread([result["pq"] for result in results])])
    return (
        "## Objects: against StarDist\n\ndsb2018_nuclei, both trained from scratch for the same "
        f"{lines[0]['key']['minutes']:g} minutes on the same images, in turns; StarDist 0.9.2 with 32 rays, "
        "grid 2 and its other defaults. Average precision, TP / (TP + FP + FN), over the objects by IoU "
        f"threshold; the same code scores both.\n\n`{lines[-1]['command']}`\n\n"
        + table(["tool", "images", "seeds", "AP 0.5", "0.6", "0.7", "0.8", "0.9", "PQ"], rows)
    )


def labels_next() -> str:
    """Which images to label next."""
    lines, rows = records.read("next_labels"), []
    for arm in next_labels.ARMS:
        mine = [line["result"] for line in lines if line["key"]["arm"] == arm]
        scores = [spread([one[score] for one in mine]) for score in ("start", "test")]
        rows.append([arm, len(mine), *scores])
    gains = [
        [what, found["seeds"], f"{found['mean']:+.4f}", f"{found['low']:+.4f} to {found['high']:+.4f}"]
        for (_, what), found in next_labels.differences().items()
        if found["seeds"]
    ]
    return (
        "## Which labels next\n\ndsb2018_nuclei: a training on 8 labelled images, then another of the same "
        "minutes that goes on from it with no new labels, with 8 random images labelled, or with the 8 that "
        "`reunet suggest` picks among all others. The truth stands for what a person draws, as the page "
        "saves it. AP at IoU 0.5, pooled, on test images; differences are paired by seed, with their 95 % "
        f"bootstrap interval.\n\n`{lines[-1]['command']}`\n\n"
        + table(["new labels", "seeds", "after the first training", "after the second"], rows)
        + "\n"
        + table(["difference", "seeds", "mean", "95 % interval"], gains)
    )


def starts() -> str:
    """Whether a start from a network of other images helps."""
    lines, rows = records.read(fine_tuning.NAME), []
    for name, told in fine_tuning.differences().items():
        gain = f"{told['difference']:+.4f}" if "difference" in told else "-"
        inside = f"{told['low']:+.4f} to {told['high']:+.4f}" if "low" in told else "-"
        rows.append([name, told["seeds"], *(f"{told[arm]:.4f}" for arm in fine_tuning.ARMS), gain, inside])
    key = lines[-1]["key"]
    return (
        f"## A start from other images\n\nA network is trained for {key['before']:g} minutes on the nuclei "
        "of dsb2018 without its stained tissue. `tissue`: then, each seed, "
        f"{fine_tuning.COUNT} other images of stained tissue are learned in {key['minutes']:g} minutes, from "
        "that network (`--init`) and fresh, scored on the tissue of the test split; the difference is the "
        "mean over test images, with its 95 % interval (bootstrap over seeds and images). glas and bccd "
        "are learned whole in the same minutes; bccd fresh begins with the encoder of the extra `photo`, as "
        "the plan chooses. AP at IoU 0.5, pooled; mAP50 of bccd.\n\n"
        f"`{lines[-1]['command']}`\n\n"
        + table(["images", "seeds", "with --init", "fresh", "difference", "95 % interval"], rows)
    )


def representations() -> str:
    """The ways of learning objects that were compared."""
    lines = records.read("representations")
    names = {
        "boundary": "inside, boundary and distance; watershed from seeds",
        "offsets": "offset to the centre; pixels vote for it",
        "flows": "direction to the centre; pixels follow it",
    }
    rows = []
    for line in lines:
        result, ap = line["result"], line["result"]["ap"]["pooled"]
        low, high = result["ci95"]["ap"]["pooled"]["0.50"]
        scores = [f"{ap[f'{t:.2f}']:.3f}" for t in (0.5, 0.6, 0.7, 0.8, 0.9)]
        kind = names[line["key"]["representation"]]
        rows.append(
            [
                kind,
                scores[0],
                f"{low:.3f} to {high:.3f}",
                *scores[1:],
                *(f"{result[s]:.3f}" for s in ("pq", "aji")),
            ]
        )
    key = lines[0]["key"]
    return (
        f"## Which representation of objects\n\n{key['set']}, test: the same network, patches, seed "
        f"{key['seed']} and {key['steps']} steps of 4 patches for each, thresholds fitted on the held-out "
        "images. Average precision over the objects of all images by IoU threshold. Flows are kept; the code "
        f"of the two others is gone ({lines[0]['date']}).\n\n"
        + table(["learned and read", "AP 0.5", "95 %", "0.6", "0.7", "0.8", "0.9", "PQ", "AJI"], rows)
    )


Row = tuple[str, str, str, str, str]
"""Use with its page, set, task, title of a score in quality.py, and a figure to compare with."""
GOOD: tuple[Row, ...] = (
    ("[nuclei](docs/uses/cells.md), as pixels", "dsb2018_nuclei", "semantic", "Dice, mean over images", ""),
    ("nuclei, one by one", "dsb2018_nuclei", "instances", "AP at IoU 0.5, pooled", "peer"),
    ("[blood cells](docs/uses/cells.md), as boxes", "bccd", "detection", "mAP at IoU 0.5", ""),
    (
        "[vessels](docs/uses/vessels.md) of the eye",
        "drive",
        "semantic",
        "vessel Dice, pooled",
        "0.814: U-Net in Alom et al. 2018",
    ),
    (
        "[hippocampus](docs/uses/volumes.md), in volumes",
        "hippocampus",
        "semantic",
        "anterior Dice, mean over volumes",
        "0.901: MONAI's DynUNet, fully trained",
    ),
    (
        "membranes in [stacks](docs/uses/volumes.md) of an electron microscope",
        "isbi2012_em",
        "semantic",
        "V_rand",
        "",
    ),
    (
        "[road scenes](docs/uses/roads.md), as pixels, from an encoder that knows photographs",
        "camvid",
        "semantic",
        "mean IoU",
        "0.498: U-Net in PyTorch on a GPU",
    ),
    (
        "[state of a traffic light](docs/uses/traffic_lights.md)",
        "traffic_light_state",
        "classification",
        "accuracy",
        "",
    ),
)
WEAK: tuple[Row, ...] = (
    ("[pedestrians](docs/uses/pedestrians.md) in road scenes", "camvid", "semantic", "IoU of pedestrian", ""),
    ("[signs](docs/uses/roads.md) in road scenes", "camvid", "semantic", "IoU of sign", ""),
    ("boxes in road scenes", "camvid", "detection", "mAP at IoU 0.5, boxes derived from masks", ""),
    ("[glands](docs/uses/tissue.md), one by one", "glas", "instances", "object F1", ""),
    ("boxes that fit to the pixel, of blood cells", "bccd", "detection", "mAP", "of 0.89 at IoU 0.5"),
)


def use_rows(uses: Iterable[Row]) -> list[list[object]]:
    """The rows of a table of the README whose score has been measured."""
    rows: list[list[object]] = []
    for use, name, task, title, beside in uses:
        if (name, task) == ("dsb2018_nuclei", "instances"):
            minutes, values, beside = objects_and_peer()
        else:
            entry = next(one for one in ENTRIES if (one.set, one.task) == (name, task))
            score = next(one for one in entry.scores if one.title == title)
            lines = lines_of(entry)
            minutes = f"{lines[0]['key']['minutes']:g}" if lines else ""
            values = [value for line in lines if (value := score.of(line["result"])) is not None]
        if values:
            rows.append([use, name, minutes, title, f"**{mean(values):.3f}**", beside])
    return rows


def objects_and_peer() -> tuple[str, list[float], str]:
    """Minutes and scores of the nuclei as objects, and what StarDist reached in the same minutes."""
    lines = records.read("instances")
    found = {
        tool: [line["result"]["all"]["ap"]["0.50"] for line in lines if line["key"]["tool"] == tool]
        for tool in ("reunet", "stardist")
    }
    peer = f"{mean(found['stardist']):.3f}: StarDist, same minutes and images" if found["stardist"] else ""
    return (f"{lines[0]['key']['minutes']:g}" if lines else "", found["reunet"], peer)


def readme_tables() -> str:
    """What the project is good at, and what it is not."""
    head = ["what", "set", "minutes", "score on test images", "reached", "beside it"]
    return (
        f"**Good**, in minutes on a laptop:\n\n{table(head, use_rows(GOOD))}\n"
        f"**Not good**, in the same minutes:\n\n{table(head, use_rows(WEAK))}\n{recurrence_verdict()}"
    )


def recurrence_won() -> list[str]:
    """The sets on which a recurrent network beats its control, with the whole interval above 0."""
    return [
        name
        for name in recurrence.RACES
        for pair in recurrence.differences(name)
        if pair.interval and pair.interval[0] > 0
    ]


def recurrence_verdict() -> str:
    """Whether recurrence pays, for the README."""
    sets = sorted({line["key"]["set"] for line in records.read("recurrence")})
    won = recurrence_won()
    if won:
        return f"**Recurrence** pays on {', '.join(won)}, of {', '.join(sets)}; see docs/benchmarks.md.\n"
    return (
        "**Recurrence did not pay** on any of the sets measured, in five minutes on two cores: its steps "
        f"cost more than they gain ({', '.join(sets)}).\nLonger trainings may say otherwise; "
        "`reunet compare` measures it on your images.\n"
    )


def scaling() -> str:
    """Memory and time of large images."""
    rows = []
    for line in records.read("scaling"):
        key, result = line["key"], line["result"]
        rows.append(
            [
                " x ".join(f"{side:,}" for side in key["size"]),
                key["classes"],
                "" if key["max_memory"] is None else f"{key['max_memory'] / 1e9:g} GB",
                key["precision"],
                f"{result['seconds']:.1f}",
                f"{result['megapixels_per_second']:.2f}",
                f"{result['peak_bytes'] / 1e6:,.0f}",
                f"{result['above_engine_bytes'] / 1e6:,.0f}",
            ]
        )
    header = [
        "size",
        "classes",
        "--max-memory",
        "--precision",
        "s",
        "Mpx/s",
        "peak, MB",
        "above the engine, MB",
    ]
    commands = dict.fromkeys(line["command"] for line in records.read("scaling"))
    return (
        "## Images larger than memory\n\nCompressed OME-Zarr made here, images of three channels and a volume"
        " of one, predicted from file to file by a process of its own; that of the engine is the peak of a "
        "process that predicts a small image. Networks of 16 base filters with random weights.\n\n"
        + "".join(f"`{command}`\n\n" for command in commands)
        + table(header, rows)
    )


def plain(name: str, title: str, explanation: str) -> Callable[[], str]:
    """A section that lists every field of each measurement's newest line."""

    def section() -> str:
        parts = [f"## {title}\n\n{explanation}\n"]
        newest = {json.dumps(line["key"]): line for line in records.read(name)}
        for line in newest.values():
            facts = [fact for fact in flat(line["result"]) if not isinstance(fact[1], list)]
            rows = [[name, f"{value:.4g}" if isinstance(value, float) else value] for name, value in facts]
            parts.append(f"`{line['command']}`, {line['date']}\n\n" + table(["what", "figure"], rows))
        return "\n".join(parts)

    return section


def kills() -> str:
    signs = ("moments", "kinds", "kinds killed", "kills", "lost", "half", "differs", "unswept", "refused")
    rows = [
        (line["key"]["what"], *(line["result"][sign] or (0, "")[sign.startswith("kinds")] for sign in signs))
        for line in records.read("kills")
    ]
    total = [sum(row[1 + place] or 0 for row in rows) for place in range(len(signs))]
    return (
        "## Kills\n\n"
        "SIGKILL at the moments around every write, fsync, rename, mkdir and removal, as a first run counts "
        "them, a moment of each kind first (the same call on a file of the same name but for numbers), and "
        "of whole commands with all that they started at random moments. Then are "
        "counted: kills after which something was lost, half a file was seen, the same command (a training: "
        "--resume) gave other results, left a temporary file or refused.\n\n"
        "`python benchmarks/kills.py --minutes 600 -o kills.jsonl`\n\n"
        + table(["what is killed", *signs], [*rows, ("total", *total)])
    )


SECTIONS: dict[str, Callable[[], str]] = {
    "quality": quality,
    "encoders": encoders,
    "instances": instances,
    "next_labels": labels_next,
    "fine_tuning": starts,
    "representations": representations,
    "normalisation": normalisation,
    "recurrence": race,
    "recurrence_cost": recurrence_cost,
    "training_step": training_step,
    "engine_speed": plain(
        "engine_speed",
        "Prediction speed",
        "Images of 256 x 256 x 3 per second, U-Net with 16 base filters and 4 poolings: the engine of a run "
        "against the same network in PyTorch, float32 as it ships and bfloat16 with channels last. In turns, "
        "medians.",
    ),
    "kills": kills,
    "scaling": scaling,
    "whole_path": plain(
        "whole_path",
        "The whole path",
        "From a TIFF file to a mask file, in tiles per second; the engine alone on the same tiles in turn.",
    ),
    "serving": plain(
        "serving",
        "The server",
        "`reunet serve` under 64 clients that ask without a pause, a minute per round, against the model "
        "alone in a process of its own (1, 2 or 3 threads, the best counts), in turns; medians of rounds.",
    ),
    "cluster": plain(
        "cluster",
        "Several workers",
        "Files predicted on a local Dask cluster by one and by two processes of one thread, in turns.",
    ),
    "processes": plain(
        "processes",
        "Training on several processes",
        "The same plan and seed on one process and on two, on JAX: losses and steps per second.",
    ),
    "decoding": plain(
        "decoding",
        "From maps to objects",
        "An image with touching ellipses and noise in the maps; memory is that above the maps.",
    ),
    "many_objects": plain(
        "many_objects",
        "Many objects",
        "Matching square objects with the same moved by a pixel; linking such objects through frames.",
    ),
    "readers": plain(
        "readers",
        "Other readers",
        "A referee: every file is read by reunet and by Pillow, tifffile, imageio, nibabel or zarr, pixel by "
        "pixel. A difference is explained by a sentence of docs/data.md, or it counts as unexplained; for "
        "refused files the sentence says why. The matrix holds what these programs can write: colour space, "
        "sample type, planes, predictor, byte order and compression in all combinations, orientations and "
        "layouts in turn.",
    ),
    "cold_start": plain(
        "cold_start",
        "Start",
        "From typing the command to its end, files cached, a new process each time, median of ten.",
    ),
}


BEFORE = {
    "prediction": ("engine_speed",),
    "training": ("training_step",),
    "whole": ("whole_path",),
    "start": ("cold_start",),
}
"""By case of the referee what was measured before there was one, by scripts that it took over."""


def machine() -> str:
    """Where the newest lines were measured."""
    names = (*SECTIONS, bench.NAME, accuracy.NAME)
    lines = [line for name in names for line in records.read(name)[-1:]]
    seen = {
        f"{m['system']} {m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB memory, "
        f"{'with' if m['cpu_bfloat16'] else 'without'} bfloat16 instructions"
        for m in (line["machine"] for line in lines)
    }
    return "## Machines\n\n" + "".join(f"- {text}\n" for text in sorted(seen))


def write() -> list[Path]:
    """Write the pages; returns their paths."""
    referee = {name: text for name, section in bench_page.SECTIONS.items() if (text := section())}
    earlier = {old for case, olds in BEFORE.items() if case in referee for old in olds}
    told = (section() for name, section in SECTIONS.items() if name not in earlier and records.read(name))
    parts = [INTRODUCTION, *referee.values(), *told, machine()]
    page, readme = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
    page.write_text("\n".join(parts), encoding="utf-8")
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{START}\n{readme_tables()}{END}{after}", encoding="utf-8")
    return [page, readme, *recurrence_page.write(ROOT / "docs")]


if __name__ == "__main__":
    for path in write():
        print(f"wrote {path.relative_to(ROOT)}")
