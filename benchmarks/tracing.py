"""Thinking longer: which of several crossing filaments does the dot belong to? How does one leave a maze?

Networks learn it on small images and are asked on larger ones: filaments of 3 to 10 nodes on 30 x 30 pixels,
then of 20 to 40 on 60 x 60; the way between the two dots of a maze of 9 x 9 cells, then of 33 x 33. All have
the same minutes of the processor, one number of parameters, and learning rates of which the validation
set chooses. One training is one line of results/tracing.jsonl; the same command goes on where it was stopped.

    python benchmarks/tracing.py [--task mazes] [--minutes 20] [--seeds 5] [--rates 1e-3,2e-3] [--only ARM]
    python benchmarks/tracing.py [--task mazes] --summary
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cv2
import numpy as np
import records

from reunet.backend import use_backend
from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Plan
from reunet.contracts.results import PairedDifference
from reunet.machine import has_cpu_bfloat16
from reunet.metrics.bootstrap import crossed_interval
from reunet.sampling.prompt import dots

Size = tuple[int, tuple[int, int]]
"""Side of the images, and how many nodes a filament has, or cells a side of a maze."""
Example = tuple[np.ndarray, np.ndarray, np.ndarray]
"""An image with its dots, (side, side, 2) float32, what they ask for, (side, side) int32, the dots (n, 2)."""

STEP = 4
"""Pixels from node to node, at every size of image."""
FILAMENTS = (2, 4)
APART, TOGETHER = 2.5, 8
"""Nearer than so many pixels lines cannot be told apart; for a longer way no two of them are."""
BATCH, POOL, IMAGES, TRIES = 32, 8000, 200, 300
FIXED = 4
"""Iterations of the arm that always has as many."""
CONTROLS = ("no_recall", "fixed_steps", "unet", "deep")
ARMS = ("thinking", *CONTROLS)
RATES = (1e-3, 2e-3, 4e-3)


def filament(side: int, nodes: int, rng: np.random.Generator) -> np.ndarray | None:
    """A smooth curve that turns off before the border: (points, 2) float64 x, y, a pixel from point to point;
    None where it ran into it.
    """
    (x, y), heading, points = rng.uniform(5, side - 5, 2), rng.uniform(0, 2 * math.pi), []
    for bend in np.repeat(rng.normal(0, 0.1, nodes), STEP):
        near = max(0.0, 9 - min(x, y, side - 1 - x, side - 1 - y)) / 9
        inwards = math.atan2(side / 2 - y, side / 2 - x) - heading
        heading += bend + 0.6 * near**2 * math.sin(inwards)
        x, y = x + math.cos(heading), y + math.sin(heading)
        points.append((x, y))
    curve = np.array(points)
    return curve if curve.min() > 1.5 and curve.max() < side - 2.5 else None


def drawn(curve: np.ndarray, side: int) -> np.ndarray:
    """(side, side) uint8."""
    mask = np.zeros((side, side), np.uint8)
    cv2.polylines(mask, [np.round(curve * 16).astype(np.int32)], False, 255, 1, cv2.LINE_AA, 4)
    return mask


def near(curve: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(points,) bool: which of a curve cannot be told apart from another one; of itself, from other parts."""
    distance = np.hypot(*np.moveaxis(curve[:, None] - other[None], 2, 0))
    if curve is other:
        place = np.arange(len(curve))
        distance[np.abs(place[:, None] - place[None]) < TOGETHER + APART] = np.inf
    return np.asarray((distance < APART).any(axis=1))


def unclear(curve: np.ndarray, other: np.ndarray) -> bool:
    """Whether it does more than cross another curve, or itself: runs along it, or ends on it."""
    there = near(curve, other)
    longest = max(sum(run) for _, run in itertools.groupby(map(int, there)))
    return bool(longest > TOGETHER or there[0] or there[-1])


def crossing(size: Size, rng: np.random.Generator) -> Example:
    """Filaments that cross each other and themselves, none of which runs along another or itself or ends
    there, and a dot where there is but one.
    """
    side, (least, most) = size
    wanted, curves = int(rng.integers(FILAMENTS[0], FILAMENTS[1] + 1)), list[np.ndarray]()
    for _ in range(TRIES):
        if len(curves) == wanted:
            break
        curve = filament(side, int(rng.integers(least, most + 1)), rng)
        if curve is not None and not any(
            unclear(curve, other) or unclear(other, curve) for other in (*curves, curve)
        ):
            curves.append(curve)
    alone = ~np.any([near(curves[0], other) for other in curves], axis=0)
    if not alone.any():
        return crossing(size, rng)
    masks = [drawn(curve, side) for curve in curves]
    image = np.max(masks, axis=0).astype(np.float32) / 255 + rng.normal(0, 0.1, (side, side))
    x, y = curves[0][rng.choice(np.flatnonzero(alone))]
    return asked(image, masks[0] > 100, np.round([[y, x]]))


def asked(image: np.ndarray, mask: np.ndarray, points: np.ndarray) -> Example:
    """An image (side, side) with its dots."""
    seen = np.concatenate([image[..., None], dots(list(map(tuple, points)), image.shape)], axis=-1)
    return seen.astype(np.float32), mask.astype(np.int32), points


def maze(size: Size, rng: np.random.Generator) -> Example:
    """A maze without loops, dug by a walk that goes back where it cannot go on; walls are 1, a pixel thick as
    all ways are. The mask is the way between two of its cells.
    """
    side, (cells, _) = size
    image, mask, steps = (
        np.ones((side, side)),
        np.zeros((side, side), bool),
        ((0, 1), (1, 0), (0, -1), (-1, 0)),
    )
    walk = [tuple(map(int, rng.integers(0, cells, 2)))]
    before = dict.fromkeys(walk)  # of each cell the one it was reached from
    while walk:
        y, x = walk[-1]
        near = [(y + dy, x + dx) for dy, dx in steps if 0 <= y + dy < cells and 0 <= x + dx < cells]
        near = [cell for cell in near if cell not in before]
        image[2 * y + 1, 2 * x + 1] = 0
        if near:
            walk.append(near[rng.integers(len(near))])
            before[walk[-1]] = (y, x)
            image[y + walk[-1][0] + 1, x + walk[-1][1] + 1] = 0
        else:
            walk.pop()
    ends = [list(before)[k] for k in rng.choice(len(before), 2, replace=False)]
    ways = [[end] for end in ends]
    for way in ways:
        while (cell := before[way[-1]]) is not None:
            way.append(cell)
    while len(ways[0]) > 1 and len(ways[1]) > 1 and ways[0][-2] == ways[1][-2]:
        ways[0].pop(), ways[1].pop()
    for way in ways:
        for (y, x), (v, u) in itertools.pairwise([*way, way[-1]]):
            mask[2 * y + 1, 2 * x + 1] = mask[y + v + 1, x + u + 1] = True
    return asked(image, mask, 2.0 * np.array(ends) + 1)


@dataclass(frozen=True)
class Task:
    """draw: makes an example of a size. trained, tested: the sizes. name: in the keys of its lines.

    updates: of a call of the network that thinks. thinking: how it is trained, as `reunet plan` decides for
    what dots belong to; the way between two dots is no part of what is near one of them.
    """

    name: str
    draw: Callable[[Size, np.random.Generator], Example]
    trained: Size
    tested: Size
    updates: int
    thinking: dict[str, Any] = field(hash=False)

    @property
    def longest(self) -> int:
        """Updates of a training at most."""
        return int(self.updates * self.thinking["iterations"])


FOLLOWING = {"iterations": 3, "feedback": True, "reach": 8}
"""With more of them most of what is learned from is found already: to stay is learned, not to go on."""
TASKS = {
    "filaments": Task("filaments", crossing, (30, (3, 10)), (60, (20, 40)), 2, FOLLOWING),
    "mazes": Task("mazes", maze, (19, (9, 9)), (67, (33, 33)), 8, {"iterations": 8}),
}


@cache
def examples(task: Task, size: Size, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Images (count, side, side, 2), labels (count, side, side) and dots (count, n, 2), always the same."""
    rng = np.random.default_rng(seed)
    return tuple(map(np.stack, zip(*(task.draw(size, rng) for _ in range(count)), strict=True)))


def batch(task: Task, seed: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Batch number k of the training: examples turned and mirrored."""
    rng = np.random.default_rng((seed, k))
    images, labels, _ = examples(task, task.trained, POOL, 10_000)
    chosen, turns, flip = rng.integers(0, POOL, BATCH), int(rng.integers(4)), int(rng.integers(2)) * 2 - 1
    turned = [np.rot90(x[chosen], turns, (1, 2))[:, :, ::flip] for x in (images, labels)]
    return np.ascontiguousarray(turned[0]), np.ascontiguousarray(turned[1])


@cache
def network_of(task: Task, arm: str) -> Any:
    """The network of an arm, at the parameters of the first one."""
    from reunet.networks import configure
    from reunet.networks.controls import count_parameters, with_parameters

    told: dict[str, Any] = {"in_channels": 2, "heads": ({"channels": 2},), "normalisation": "none"}
    updates = {"cell": "gru", "steps": task.updates}
    thinking = configure("thinking_unet", **told, recurrence=updates)
    if arm in ("thinking", "fixed_steps"):
        return thinking
    if arm == "no_recall":
        return configure("thinking_unet", **told, recurrence=updates | {"recall": False})
    if arm == "unet":
        config = configure("unet", **told | {"filters": (16, 32, 64, 128), "normalisation": "instance"})
    else:  # as many convolutions in a row as the longest training has updates, each with its own weights
        deep = {"block": "residual", "repeats": (1, task.longest // 2)}
        config = configure("unet", **told | {"filters": (24, 24), "normalisation": "instance", **deep})
    return with_parameters(config, count_parameters(thinking))


def plan_of(task: Task, arm: str, rate: float, seed: int, side: int) -> Plan:
    network = network_of(task, arm)
    spec = task.thinking | ({"iterations": FIXED, "window": FIXED} if arm == "fixed_steps" else {})
    side += -side % network.total_stride[0]
    told = ((0, "background", (0, 0, 0), False), (1, task.name, (255, 255, 255), True))
    classes = [dict(zip(("id", "name", "color", "foreground"), one, strict=True)) for one in told]
    return Plan.parse(
        {
            "dataset": task.name,
            "labels": LabelMap.parse({"classes": classes}, where="labels"),
            "input": {
                "channels": 1,
                "intensity": {"method": "fixed", "offset": (0.0,), "scale": (1.0,)},
            },
            "network": network,
            "prompt": "points",
            "thinking": spec if network.thinks else None,
            "patch": (task.trained[0] + -task.trained[0] % network.total_stride[0],) * 2,
            "batch": BATCH,
            "inference": {"tile": (side, side)},
            "schedule": {"steps": 1, "learning_rate": rate, "clip_norm": 1.0},
            "precision": "bfloat16" if has_cpu_bfloat16() else "float32",
            "seed": seed,
        },
        where=arm,
    )


def train(task: Task, plan: Plan, minutes: float) -> tuple[Any, int]:
    """A model trained for so many minutes of two cores, compilation not counted, and its steps."""
    from reunet.training.budget import WARM_UP_STEPS
    from reunet.training.carry import begin_batch
    from reunet.training.compile import compiled_network
    from reunet.training.precision import training_precision
    from reunet.training.schedule import learning_rate

    model, step, began, pad = compiled_network(plan), 0, 0.0, plan.patch[0] - task.trained[0]
    while (progress := (time.process_time() - began) / (minutes * 120) if began else 0.0) < 1:
        images, labels = batch(task, plan.seed, step)
        if pad:
            images = np.pad(images, ((0, 0), (0, pad), (0, pad), (0, 0)), mode="reflect")
            labels = np.pad(labels, ((0, 0), (0, pad), (0, pad)), constant_values=255)
        begin_batch(model, plan, step)
        model.optimizer.learning_rate = learning_rate(plan.schedule, progress)
        model.reset_metrics()
        with training_precision(plan.precision):
            loss = float(model.train_on_batch(images, {"semantic": labels}, return_dict=True)["loss"])
        if not math.isfinite(loss):
            break
        step += 1
        if step == WARM_UP_STEPS:
            began = time.process_time()
        if step % 200 == 0:
            print(f"  step {step}: loss {loss:.3f}", flush=True)
    return model, step


def dice(task: Task, model: Any, plan: Plan, size: Size, seed: int) -> dict[str, Any]:
    """Dice of each image, by the predictor that users call."""
    from reunet.inference.keras_runtime import KerasRuntime, as_predicting, copy_weights
    from reunet.inference.predictor import Predictor
    from reunet.networks import build_network, probability_model
    from reunet.training.carry import network_of as inner

    plain = build_network(plan.network)
    copy_weights(inner(model), plain)
    runtime = KerasRuntime(probability_model(as_predicting(plain, plan), plan.network))
    fixed = FIXED if plan.thinking and plan.thinking.window == FIXED else None
    predictor, found, taken = Predictor(plan, runtime, iterations=fixed), [], []
    for image, truth, points in zip(*examples(task, size, IMAGES, seed), strict=True):
        mask = predictor(image[..., :1], points=list(map(tuple, points))).labels == 1
        found.append(2 * float((mask & (truth == 1)).sum()) / max(1, int(mask.sum() + truth.sum())))
        taken.append(getattr(predictor.runtime, "taken", 0))
    return {"dice": [round(x, 4) for x in found], "iterations": float(np.mean(taken))}


def key_of(task: Task, **rest: Any) -> dict[str, Any]:
    """Lines of filaments do not name their task: they were there first."""
    return rest if task.name == "filaments" else {"task": task.name, **rest}


def run(task: Task, arm: str, rate: float, seed: int, minutes: float) -> dict[str, Any]:
    """A line: train, score on val at the size of the training and on test at the larger one."""
    key = key_of(task, arm=arm, rate=rate, seed=seed, minutes=minutes)
    for line in records.read("tracing"):
        if line["key"] == key:
            return line["result"]
    from reunet.networks.controls import count_parameters

    print(json.dumps(key), flush=True)
    small, large = (plan_of(task, arm, rate, seed, size[0]) for size in (task.trained, task.tested))
    model, steps = train(task, small, minutes)
    val = dice(task, model, small, task.trained, 10_001)
    test = dice(task, model, large, task.tested, 10_002)
    result = {"steps": steps, "parameters": count_parameters(network_of(task, arm)), "val": val, "test": test}
    records.append("tracing", key, result)
    print(
        json.dumps(
            key | {"steps": steps} | {n: float(np.mean(r["dice"])) for n, r in (("val", val), ("test", test))}
        ),
        flush=True,
    )
    return result


def chosen(task: Task) -> dict[str, list[dict[str, Any]]]:
    """By arm its lines of the rate that val chose, a line per seed."""
    lines = [line for line in records.read("tracing") if line["key"].get("task", "filaments") == task.name]
    found = {}
    for arm in ARMS:
        own = [line for line in lines if line["key"]["arm"] == arm]
        first = [line for line in own if line["key"]["seed"] == 0]
        if first:
            best = max(first, key=lambda line: np.mean(line["result"]["val"]["dice"]))["key"]
            mine = [one for one in own if one["key"] == best | {"seed": one["key"]["seed"]}]
            found[arm] = sorted(mine, key=lambda line: line["key"]["seed"])
    return found


def gains(scores: dict[str, np.ndarray]) -> list[PairedDifference]:
    """Of thinking to each control, from Dice (seeds, images) by arm."""
    found = []
    for arm in [arm for arm in CONTROLS if arm in scores and "thinking" in scores]:
        seeds = min(len(scores["thinking"]), len(scores[arm]))
        gain = scores["thinking"][:seeds] - scores[arm][:seeds]
        ends, count = crossed_interval(gain, np.ones_like(gain)), gain.shape[1]
        found.append(PairedDifference("thinking", arm, float(gain.mean()), ends, seeds, count, count))
    return found


def dice_of(lines: list[dict[str, Any]]) -> np.ndarray:
    """(seeds, images) on test."""
    return np.array([line["result"]["test"]["dice"] for line in lines])


def summary(task: Task) -> None:
    """Of each arm the rate that val chose and Dice on test; differences with paired 95 % intervals."""
    best = chosen(task)
    scores = {arm: dice_of(lines) for arm, lines in best.items()}
    for arm, lines in best.items():
        val = np.mean([line["result"]["val"]["dice"] for line in lines])
        facts = {name: lines[0]["result"][name] for name in ("parameters", "steps")}
        told = {name: lines[0]["key"][name] for name in ("rate", "minutes")} | {"seeds": len(lines)} | facts
        taken = np.mean([line["result"]["test"]["iterations"] for line in lines])
        told |= {"iterations": round(float(taken), 1), "perfect": round(float((scores[arm] == 1).mean()), 3)}
        print(f"{arm}: val {val:.3f}, test {scores[arm].mean():.3f}; {json.dumps(told)}")
    for gain in gains(scores):
        low, high = gain.interval or (np.nan, np.nan)
        ends = f"({low:+.3f} to {high:+.3f}), {gain.seeds} seeds"
        print(f"thinking - {gain.reference}: {gain.difference:+.3f} {ends}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=TASKS, default="filaments")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rates", default=",".join(map(str, RATES)))
    parser.add_argument("--only", choices=ARMS)
    parser.add_argument("--summary", action="store_true", help="print what the lines say")
    arguments = parser.parse_args()
    task = TASKS[arguments.task]
    if arguments.summary:
        summary(task)
        return
    use_backend("tensorflow")
    rates = [float(rate) for rate in arguments.rates.split(",")]
    for arm in [arguments.only] if arguments.only else ARMS:
        scores = {rate: run(task, arm, rate, 0, arguments.minutes)["val"]["dice"] for rate in rates}
        tried = {rate: float(np.mean(one)) for rate, one in scores.items()}
        for seed in range(1, arguments.seeds):
            run(task, arm, max(tried, key=lambda rate: tried[rate]), seed, arguments.minutes)


if __name__ == "__main__":
    main()
