"""The figures of docs/recurrence.md, in every language it has, from the result lines; `page.py` calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import camera_race
import records
import recurrence
import tracing
from records import table

from reunet.contracts.fingerprint import FrameFacts
from reunet.contracts.results import PairedDifference
from reunet.planning.memory import LIMITS

START, END = "<!-- figures: {} -->", "<!-- end of figures -->"

CHINESE = {
    "data": "数据", "network": "网络", "against": "对照", "seeds": "种子", "difference in Dice": "Dice 之差",
    "95 % interval": "95 % 区间", "says": "结论", "won": "赢", "lost": "输", "open": "未定",
    "frames": "帧数", "scored": "计分的帧", "all": "全部", "seen": "看到的", "missing": "丢失的",
    "way": "方式", "ms per frame": "每帧毫秒", "first mask, ms": "首个掩膜的毫秒", "memory, MiB": "内存 MiB",
    "noise": "噪声", "unseen": "看不见的变化", "film": "影片", "proposed": "建议", "memory": "记忆",
    "a frame is enough": "一帧就够", "steps": "步数", "iterations": "迭代", "Dice": "Dice", "perfect": "全对",
    "Not measured yet.": "尚未测量。",
}  # fmt: skip

SCORED = {"all": "all", "seen": "seen", "lost": "missing"}

Cells = Iterable[object]


def verdict(found: PairedDifference) -> list[str]:
    """Difference, interval, and which side of 0 that lies on."""
    ends = found.interval
    if ends is None:
        return [f"{found.difference:+.4f}", "", "open"]
    said = "won" if ends[0] > 0 else "lost" if ends[1] < 0 else "open"
    return [f"{found.difference:+.4f}", f"{ends[0]:+.4f} … {ends[1]:+.4f}", said]


def stills() -> tuple[list[str], Iterator[Cells]]:
    """Recurrent networks against their controls, where every image shows all."""
    rows = (
        [name, found.entry, found.seeds, *verdict(found)]
        for name in recurrence.RACES
        for found in recurrence.differences(name)
    )
    return ["data", "network", "seeds", "difference in Dice", "95 % interval", "says"], rows


def films() -> tuple[list[str], Iterator[Cells]]:
    """Memory against what single frames may do."""
    rows = (
        [
            f"{place[0]}, {place[1]}",
            found.reference,
            {"lost": "missing"}.get(part, part),
            found.seeds,
            *verdict(found),
        ]
        for place, kinds in camera_race.races().items()
        for part, found in camera_race.differences(kinds)
    )
    return ["data", "against", "scored", "seeds", "difference in Dice", "95 % interval", "says"], rows


def costs() -> tuple[list[str], Iterator[Cells]]:
    """What a frame of a stream costs."""
    rows = (
        [
            key["way"],
            f"{key['frames']:,}",
            *(f"{result[name]:.1f}" for name in ("ms", "first_ms", "peak_mib")),
        ]
        for key, result in ((line["key"], line["result"]) for line in records.read("streams"))
    )
    return ["way", "frames", "ms per frame", "first mask, ms", "memory, MiB", "Dice"], rows


def thinking(task: str) -> Callable[[], tuple[list[str], Iterator[Cells]]]:
    """Networks that think against those that do not."""

    def made() -> tuple[list[str], Iterator[Cells]]:
        lines = tracing.chosen(tracing.TASKS[task])
        dice = {arm: tracing.dice_of(mine) for arm, mine in lines.items()}
        gains = {found.reference: verdict(found) for found in tracing.gains(dice)}
        rows = (
            [
                arm,
                len(mine),
                f"{dice[arm].mean():.3f}",
                f"{(dice[arm] == 1).mean():.2f}",
                *gains.get(arm, ["", "", ""]),
            ]
            for arm, mine in lines.items()
        )
        return ["network", "seeds", "Dice", "perfect", "difference in Dice", "95 % interval", "says"], rows

    return made


def frames() -> tuple[list[str], Iterator[Cells]]:
    """What the planner measures, and what it proposes."""

    def row(line: dict[str, dict[str, float]]) -> Cells:
        key, facts = line["key"], FrameFacts.model_validate(line["result"])
        about = [f"{value:g} {name}" for name, value in key.items() if name != "film" and value]
        values = [getattr(facts, name) for name in LIMITS]
        needs = any(value >= limit for value, limit in zip(values, LIMITS.values(), strict=True))
        said = "memory" if needs else "a frame is enough"
        return [", ".join([str(key["film"]), *about]), *(f"{value:.3f}" for value in values), said]

    return ["film", "noise", "unseen", "missing", "proposed"], map(row, records.read("frames_enough"))


FIGURES: dict[str, Callable[[], tuple[list[str], Iterator[Cells]]]] = {
    "stills": stills,
    "films": films,
    "streams": costs,
    "filaments": thinking("filaments"),
    "mazes": thinking("mazes"),
    "frames": frames,
}


def figures(name: str, words: dict[str, str]) -> str:
    """A table in the language of `words`, which lack nothing where that is not English."""
    header, rows = FIGURES[name]()
    cells = [[words.get(str(cell), str(cell)) for cell in row] for row in rows]
    if not cells:
        return words.get("Not measured yet.", "Not measured yet.") + "\n"
    return table([words.get(one, one) for one in header], cells)


def write(docs: Path) -> list[Path]:
    """Write the figures into the page of each language; returns their paths."""
    pages = {docs / "recurrence.md": {}, docs / "zh" / "recurrence.md": CHINESE}
    for page, words in pages.items():
        text = page.read_text(encoding="utf-8")
        for name in FIGURES:
            before, rest = text.split(START.format(name))
            after = rest.split(END, 1)[1]
            text = f"{before}{START.format(name)}\n\n{figures(name, words)}\n{END}{after}"
        page.write_text(text, encoding="utf-8")
    return list(pages)
