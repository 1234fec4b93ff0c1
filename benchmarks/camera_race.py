"""Races on films, of a simulated camera or real ones: memory against single frames, and what they may do.

A pair has equal parameters and minutes. Single frames are scored as they are, with the last mask held where a
frame is lost, as a running mean of probabilities, and as one that is shifted by the measured motion; all
three are told which frames are lost, and what they need is chosen on val, as are all thresholds.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import records
from recordings import RECORDINGS, write_recording
from simulated_camera import CONDITIONS, SOURCES, Film, read_films, write_films
from training_runs import edit

from reunet.contracts.plan import Plan
from reunet.contracts.results import PairedDifference
from reunet.metrics.bootstrap import crossed_interval

ENTRIES = ("frame", "memory", "memory_first", "window")
"""Single frames; memory late; memory from the first step; convolutions over time and space."""
DECAYS, THRESHOLDS = (0.3, 0.5, 0.7, 0.8, 0.9), (0.3, 0.4, 0.5, 0.6)
Scores = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Footage:
    """A folder of films, with the preset whose memory is raced and how names tell film and frame.

    block: so many frames in a row are scored together; 0 for those of a film.
    """

    folder: Path
    preset: str = "leak_unet"
    pattern: str = "{sequence}_{frame}"
    block: int = 0


def footage(data: Path, source: str, condition: str, side: int) -> Footage:
    """The films of a source under a condition, which are made unless they are there."""
    folder = records.RUNS / f"camera-{source}-{condition}-{side}"
    real = RECORDINGS.get(source)
    if not (folder / "lost.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        if real:
            write_recording(data, real, condition, side, folder)
        else:
            write_films(data, SOURCES[source], CONDITIONS[condition], side, folder)
    if real is None:
        return Footage(folder)
    return Footage(folder, real.preset, "{sequence}_{slice}" if real.slices else Footage.pattern, real.block)


def plan_of(entry: str, made: Plan) -> Plan:
    """What an entry trains: `made` is that of memory late. All have its parameters and frames per batch."""
    from reunet.networks.controls import control_of, count_parameters, with_parameters
    from reunet.networks.presets import configure

    if entry == "memory" or made.clip is None:
        return made
    told = made.model_dump()
    told["schedule"]["memory_from"] = 0.0
    told["clip"]["carry"] = 1
    if entry == "frame":
        told["network"] = control_of(made.network).model_dump() | {"time": "none"}
        told |= {"clip": None, "batch": made.batch * made.clip.frames}
        told["augmentation"]["frames"] = None
    if entry == "window":
        own = ("in_channels", "heads", "filters", "normalisation")
        window = configure("unet_2d_t", **{name: getattr(made.network, name) for name in own})
        told["network"] = with_parameters(window, count_parameters(made.network)).model_dump()
        told["augmentation"]["frames"] = made.model_dump()["augmentation"]["frames"]
    return Plan.parse(told, where=entry)


def train(
    entry: str, films: Footage, run: Path, minutes: float, seed: int, changes: dict[str, Any] | None = None
) -> Plan:
    """Train an entry on films, or go on where it was cut off.

    changes: plan fields by dotted name that differ from the entry's.
    """
    import reunet

    if (run / "checkpoints" / "LATEST").is_file():
        records.reunet("train", films.folder, "-o", run, "--resume", "--sequence", films.pattern)
    else:
        shutil.rmtree(run, ignore_errors=True)
        wishes = {"preset": films.preset, "sequence": films.pattern}
        made = reunet.plan(films.folder, minutes=minutes, seed=seed, **wishes)
        file = run.with_suffix(".plan.json")
        plan_of(entry, made).write(file)
        edit(file, changes or {})
        records.reunet("train", films.folder, "-o", run, "--plan", file, "--sequence", films.pattern)
    return Plan.read(run / "plan.json")


def probabilities(run: Path, films: dict[str, Film]) -> dict[str, np.ndarray]:
    """Of the foreground, (T, side, side) for each film."""
    import reunet

    model = reunet.load(run)
    if model.plan.clip is None:
        return {
            name: np.stack([model(x).probabilities[..., 1] for x in one.frames])
            for name, one in films.items()
        }
    return {name: model(one.frames).probabilities[..., 1] for name, one in films.items()}


# -- what may be done with single frames ---------------------------------------------------------------


def held(film: Film, found: np.ndarray) -> np.ndarray:
    """The last frame that arrived, where one is lost."""
    kept = list(itertools.accumulate(range(len(found)), lambda last, t: last if film.lost[t] else t))
    return found[kept]


def averaged(film: Film, found: np.ndarray, decay: float, *, shifted: bool = False) -> np.ndarray:
    """The mean of the probabilities of the frames that arrived, weighted by decay^age; where `shifted`, moved
    along with the image, as far as the phases of the two last frames that arrived tell.
    """
    total, weight, last, means = np.zeros_like(found[0]), 0.0, None, []
    for t, (frame, now) in enumerate(zip(film.frames, found, strict=True)):
        if not film.lost[t]:
            if shifted and last is not None:
                total = moved(total, last, frame)
            total, weight, last = decay * total + now, decay * weight + 1, frame
        means.append(total / weight)
    return np.stack(means)


def moved(values: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Values (H, W) moved by the shift between two images (Kuglin and Hines 1975)."""
    grey = [one.reshape(*values.shape, -1).mean(-1, dtype=np.float32) for one in (before, after)]
    smooth = [cv2.GaussianBlur(one, (0, 0), 2) for one in grey]
    window = cv2.createHanningWindow(values.shape[::-1], cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(*smooth, window)
    matrix = np.array([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(values, matrix, values.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


def methods(entry: str) -> dict[str, Any]:
    """By name, what makes the probabilities that are scored of a film and those of the network."""
    if entry != "frame":
        return {entry: lambda film, found: found}
    told = {"frame": lambda film, found: found, "held": held}
    for decay in DECAYS:
        told[f"mean {decay}"] = lambda film, found, decay=decay: averaged(film, found, decay)
        told[f"shifted {decay}"] = lambda film, found, decay=decay: averaged(film, found, decay, shifted=True)
    return told


# -- scores --------------------------------------------------------------------------------------------


def dice(masks: np.ndarray, truth: np.ndarray) -> float | None:
    """Of the pixels of some frames together; None where there is nothing in either."""
    both = int(masks.sum()) + int(truth.sum())
    return 2 * int((masks & truth).sum()) / both if both else None


def scores_by_block(key: str, film: Film, found: np.ndarray, threshold: float, block: int) -> Scores:
    """Of a film, or of every `block` frames of it."""
    if not block:
        return {key: scores_of(film, found, threshold)}
    told = {}
    for first in range(0, len(found), block):
        at = slice(first, first + block)
        part = Film(film.frames[at], film.masks[at], film.lost[at])
        told[f"{key}/{first}"] = scores_of(part, found[at], threshold)
    return told


def scores_of(film: Film, found: np.ndarray, threshold: float) -> dict[str, float | None]:
    """Dice over all frames, over those that arrived and over those that were lost; and flicker."""
    masks, truth, lost = found >= threshold, film.masks.astype(bool), np.array(film.lost)
    parts = {"all": lost | True, "seen": ~lost, "lost": lost}
    told = {name: dice(masks[chosen], truth[chosen]) for name, chosen in parts.items()}
    changes = np.abs(np.diff(found, axis=0))[truth[1:] == truth[:-1]]
    return told | {"flicker": float(changes.mean()) if changes.size else None}


def chosen(entry: str, val: dict[str, Film], on_val: dict[str, np.ndarray]) -> dict[str, tuple[str, float]]:
    """For each kind of method the one and the threshold that are best on val."""
    best: dict[str, tuple[float, str, float]] = {}
    for (name, method), threshold in itertools.product(methods(entry).items(), THRESHOLDS):
        values = [scores_of(film, method(film, on_val[key]), threshold)["all"] for key, film in val.items()]
        score, kind = float(np.mean([v for v in values if v is not None])), name.split()[0]
        best[kind] = max(best.get(kind, (-1.0, "", 0.0)), (score, name, threshold))
    return {kind: (name, threshold) for kind, (_, name, threshold) in best.items()}


def score(entry: str, run: Path, films: Footage) -> dict[str, Any]:
    """By kind of method: what was chosen, and the scores of test."""
    val, test = read_films(films.folder, "val"), read_films(films.folder, "test")
    on_val, on_test = probabilities(run, val), probabilities(run, test)
    told = {}
    for kind, (name, threshold) in chosen(entry, val, on_val).items():
        method = methods(entry)[name]
        scores: Scores = {}
        for key, film in test.items():
            scores |= scores_by_block(key, film, method(film, on_test[key]), threshold, films.block)
        told[kind] = {"method": name, "threshold": threshold, "films": scores}
    return told


def race(
    data: Path, source: str, condition: str, *, side: int, minutes: float, seeds: int, entries: Sequence[str]
) -> None:
    """Train and score what has no line yet; one line per training."""
    films = footage(data, source, condition, side)
    for seed, entry in itertools.product(range(seeds), entries):
        key = {
            "source": source,
            "condition": condition,
            "side": side,
            "entry": entry,
            "seed": seed,
            "minutes": minutes,
        }
        if records.is_done("camera", key):
            continue
        run = records.RUNS / f"{films.folder.name}-{entry}-{minutes:g}-{seed}"
        plan = train(entry, films, run, minutes, seed)
        records.append("camera", key, facts(run, plan) | {"methods": score(entry, run, films)})
        shutil.rmtree(run)


def facts(run: Path, plan: Plan) -> dict[str, Any]:
    from reunet.networks.controls import count_parameters

    last = (run / "history.csv").read_text().splitlines()[-1].split(",")
    return {
        "steps": int(last[0]),
        "filters": plan.network.filters,
        "parameters": count_parameters(plan.network),
    }


# -- the summary ---------------------------------------------------------------------------------------


Place = tuple[str, str, int, float]
"""Source, condition, side and minutes of a race."""


def races() -> dict[Place, dict[str, dict[int, Scores]]]:
    """By race, kind of method and seed the scores of its films."""
    told: dict[Place, dict[str, dict[int, Scores]]] = {}
    for line in records.read("camera"):
        key = line["key"]
        place = told.setdefault((key["source"], key["condition"], key["side"], key["minutes"]), {})
        for kind, found in line["result"]["methods"].items():
            place.setdefault(kind, {})[key["seed"]] = found["films"]
    return told


def differences(kinds: dict[str, dict[int, Scores]]) -> Iterator[tuple[str, PairedDifference]]:
    """Of memory to all else in a race, by part of the frames."""
    for kind in [kind for kind in kinds if kind != "memory" and "memory" in kinds]:
        for part in ("all", "seen", "lost"):
            found = difference(kinds, ("memory", kind), part)
            if found is not None:
                yield part, found


def difference(
    kinds: dict[str, dict[int, Scores]], pair: tuple[str, str], part: str
) -> PairedDifference | None:
    """Mean difference over the seeds and films of both, with its interval; None without any."""
    one, other = (kinds[name] for name in pair)
    seeds = sorted(one.keys() & other.keys())
    films = sorted({name for seed in seeds for name in one[seed]})
    sums, counts = np.zeros((2, len(seeds), len(films)))
    for at in np.ndindex(sums.shape):
        a, b = (told[seeds[at[0]]][films[at[1]]][part] for told in (one, other))
        if a is not None and b is not None:
            sums[at], counts[at] = a - b, 1
    if not counts.any():
        return None
    mean, count = float(sums.sum() / counts.sum()), int(counts.max(0).sum())
    return PairedDifference(*pair, mean, crossed_interval(sums, counts), len(seeds), count, count)


def summary() -> str:
    """Each race: mean scores, and the differences of memory to all else with their 95 % intervals."""
    return "".join(_race_text(place, kinds) for place, kinds in races().items())


def _race_text(place: Place, kinds: dict[str, dict[int, Scores]]) -> str:
    source, condition, side, minutes = place
    text = f"\n{source}, {condition}, {side} pixels, {minutes:g} minutes\n"
    for kind, by_seed in kinds.items():
        text += f"  {kind:14} {len(by_seed)} seed(s)"
        for part in ("all", "seen", "lost", "flicker"):
            values = [
                film[part] for films in by_seed.values() for film in films.values() if film[part] is not None
            ]
            text += f"  {part} {np.mean(values):.4f}" if values else ""
        text += "\n"
    for part, found in differences(kinds):
        ends = f" ({found.interval[0]:+.4f} to {found.interval[1]:+.4f})" if found.interval else ""
        text += f"  memory - {found.reference:14} {part:5} {found.difference:+.4f}{ends}, "
        text += f"{found.seeds} seed(s), {found.images} films\n"
    return text
