"""Write docs/command_line.md and docs/models.md from the program, docs/reliability.md from the tests,
docs/benchmarks.md from the results.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reunet.errors import shortened

ROOT = Path(__file__).resolve().parents[1]
VERBS = (
    "",
    "check",
    "plan",
    "train",
    "predict",
    "evaluate",
    "export",
    "pack",
    "compare",
    "models",
    "correct",
    "suggest",
    "open",
    "serve",
    "demo",
    "doctor",
)
INTRODUCTION = """# The command line

Every verb is also a function of the same name with the same arguments: `reunet.train(...)`.
`make docs` writes this page from `reunet VERB --help`.

Exit codes: 0 done, 1 wrong input or usage, 2 partly done (failures are listed), 3 a bug,
130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP. A training that is interrupted ends after its step,
with a checkpoint; a second signal ends any command at once.
"""

MODELS = """# The networks

One builder makes all of these networks; each is a preset, that is, data. `make docs` writes this page from
`reunet models`; `reunet models NAME` prints the same for one network and, with `-o FILE.svg`, draws it. You
can change any field of the configuration in `plan.json` (`network`), or give it to `reunet.unet_model`.

If you do not want to choose, do not: the planner takes the plain U-Net, or its form for volumes, in the
width that fits your minutes.

The numbers hold for one channel in and two classes out at the filters shown; the planner chooses the
filters by the time there is. Multiplications are multiply-adds of one forward pass per pixel of every
frame. *Sees* is the side of the square, or cube, of input pixels that one output pixel depends on, in its
own frame; *all* is the whole image. A *control* is the same network without its recurrence, with all
filters scaled by one factor until it has as many parameters: `reunet compare DATA --presets NAME,control`
races the two.
"""

GOOD_FOR = {
    "unet": "almost everything; start here",
    "unet3d": "volumes whose voxels are about as deep as wide",
    "unet_2d_t": "films, where later frames may be used: the yardstick for networks with memory",
    "resunet": "deep networks and long trainings",
    "attention_unet": "small structures before a busy background",
    "unet_plus_plus": "objects of very different size, if you can wait",
    "unet3_plus": "the same with fewer filters; the most arithmetic per pixel here",
    "nnunet": "comparing with nnU-Net",
    "mobile_unet": "phones, and speed before accuracy",
    "cnn_rnn_unet": "patterns that run across the whole image; the network of the chapter of equations",
    "thinking_unet": "lines that must be followed, mazes: what needs more steps the larger it is",
    "reseg": "regions without fine detail; it has no skips",
    "r2unet": "comparing with the paper; it costs three times the plain U-Net",
    "attention_r2unet": "comparing with the paper",
    "bcdu_net": "comparing with the paper",
    "conv_lstm_unet": "time-lapse of cells, where what was seen before helps",
    "conv_gru_unet": "video and cameras: it answers each frame as it comes",
    "leak_unet": "frames that are dark, grainy, lost or hidden, so that one is not enough",
    "slice_unet": "stacks whose slices are thick",
    "slice_gru_unet": "the same, at little more than the cost of single slices",
}
"""What each preset is worth trying for."""

HONEST = """## What we measured

Recurrent networks against their controls, trained alike for five minutes on two cores
([Benchmarks](benchmarks.md#does-recurrence-pay) has steps and parameters). A difference above 0 would mean
that the recurrence pays.

"""

RELIABILITY = """# What can go wrong, and what happens then

A test holds each row; `make docs` writes this page from the marker `fault` of the tests.
[SECURITY.md](../SECURITY.md) says what a file from somebody else can and cannot do.

| fault | what happens | test |
| --- | --- | --- |
"""


def command_line_page() -> str:
    """The help texts as one Markdown page."""
    parts = [INTRODUCTION]
    for verb in VERBS:
        words = [verb] if verb else []
        text = subprocess.run(
            [sys.executable, "-m", "reunet", *words, "--help"],
            capture_output=True, text=True, check=True, encoding="utf-8",
            env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        ).stdout  # fmt: skip
        title = f"reunet {verb}".strip()
        parts.append(f"## {title}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(parts)


def translated(page: str, english: str) -> str:
    """A page of commands in another language, with the present help below each of its headings."""
    for title, block in re.findall(r"^## (reunet[ a-z]*)\n\n(```text\n.*?^```)$", english, re.M | re.S):
        section = re.compile(rf"(^## {title}\n\n(?:[^#`][^\n]*\n\n)*)(```text\n.*?^```)$", re.M | re.S)
        if not section.search(page):
            page += f"\n## {title}\n\n{block}\n"
        page = section.sub(lambda found, block=block: found[1] + block, page)
    return page


def chinese_commands() -> str:
    """docs/zh/command_line.md: its text is written by hand."""
    return translated((ROOT / "docs" / "zh" / "command_line.md").read_text("utf-8"), command_line_page())


def models_pages() -> dict[str, str]:
    """The page of the presets and the drawing of each, by path below docs/."""
    from reunet import models
    from reunet.console import model_facts, model_numbers
    from reunet.drawing.network import draw
    from reunet.flows.models import preset_config

    found = models()
    assert GOOD_FOR.keys() == {one.name for one in found}, "GOOD_FOR names each preset"
    table = ["| preset | axes | parameters | multiplications per pixel | sees | what it is |"]
    table.append("| --- | --- | ---: | ---: | ---: | --- |")
    sections, pages = [], {}
    for one in found:
        cells = [f"[{one.name}](#{one.name})", one.axes, *model_numbers(one), one.summary]
        table.append(f"| {' | '.join(cells)} |")
        figure = f"images/models/{one.name}.svg"
        pages[figure] = draw(preset_config(one.name))
        facts = {name: text for name, text in model_facts(one).items() if name != "preset"}
        lines = [f"- **{name}**: {text}" for name, text in facts.items()]
        summary = one.summary[0].upper() + one.summary[1:]
        sections.append(
            f"## {one.name}\n\n{summary}. Good for: {GOOD_FOR[one.name]}.\n\n![{one.name}]({figure})\n\n"
            + "\n".join(lines)
            + "\n"
        )
    pages["models.md"] = "\n".join([MODELS, *table, "", HONEST + honest_table(), *sections])
    return pages


def honest_table() -> str:
    """The differences to controls that docs/benchmarks.md has."""
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    section = page.partition("## Does recurrence pay?")[2].partition("\n## ")[0]
    start = section.find("| set | difference |")
    return section[start:].partition("\n\n")[0] + "\n" if start >= 0 else "Nothing yet.\n"


def reliability_page() -> str:
    """The faults that tests are marked with, those of tests/faults first."""
    files = sorted((ROOT / "tests").rglob("test_*.py"), key=lambda file: (file.parent.name != "faults", file))
    return RELIABILITY + "".join(row for file in files for row in _faults(file)) + _fuzzed() + _mutated()


FUZZED = """
## Fuzzing

`python benchmarks/fuzz.py --executions 300000 --seed 3 --record` (see there) reads files that are nearly
right, {total:,} of them so far. Executions and findings of a row are those of all runs of a reader; every
finding is mended (benchmarks/results/fuzz.jsonl names them), and what was mended is run again: time, memory
(of the file that took most) and branches are those of the last run. The two hangs of `tiff` were those of a
busy machine: reunet refuses both files in 0.01 s.

| reader | executions | found | slowest | memory | branches reached |
| --- | ---: | ---: | ---: | ---: | ---: |
"""

MUTATED = """
## Faults put into the code

`python benchmarks/mutants.py --seed 1 --count 400` changes the code at random and runs the tests of the room:

| room | faults | noticed |
| --- | ---: | ---: |
"""

SURVIVED = """
What no test of the room noticed, and why:

| file | before | after | why |
| --- | --- | --- | --- |
"""


def _lines(name: str) -> list[dict[str, Any]]:
    file = ROOT / "benchmarks" / "results" / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def _fuzzed() -> str:
    """What benchmarks/results/fuzz.jsonl tells, a row per reader."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in _lines("fuzz"):
        found.setdefault(line["key"]["reader"], []).append(line["result"])
    rows = [
        f"| {name} | {sum(one['executions'] for one in runs):,} "
        f"| {len({what for one in runs for what in one['findings']})} "
        f"| {runs[-1]['slowest_s']:.2f} s "
        f"| {runs[-1]['most_mb']} MB | {runs[-1].get('branches_reached', 0):.0%} |\n"
        for name, runs in sorted(found.items())
    ]
    total = sum(one["executions"] for runs in found.values() for one in runs)
    return FUZZED.format(total=total) + "".join(rows)


def _mutated() -> str:
    """What benchmarks/results/mutants.jsonl tells: a row per room, and one per fault that was not noticed."""
    found: dict[str, list[bool]] = {}
    survived = []
    for line in _lines("mutants"):
        found.setdefault(line["room"], []).append(bool(line["noticed"]))
        if not line["noticed"]:
            place = f"{line['file']}:{line['line']}"
            code = [f"`{shortened(line[key], 60)}`" for key in ("before", "after")]
            survived.append(f"| {' | '.join([place, *code, line.get('reason', '?')])} |\n")
    rows = [
        f"| {room} | {len(noticed)} | {sum(noticed) / len(noticed):.0%} |\n"
        for room, noticed in found.items()
    ]
    return MUTATED + "".join(rows) + SURVIVED + "".join(sorted(survived))


def _faults(file: Path) -> Iterator[str]:
    for test in ast.parse(file.read_text("utf-8")).body:
        for mark in test.decorator_list if isinstance(test, ast.FunctionDef) else ():
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                cells = [ast.literal_eval(cell) for cell in mark.args]
                place = file.relative_to(ROOT).as_posix()
                yield f"| {' | '.join(cells)} | [`{test.name}`](../{place}) |\n"


def house_picture() -> str:
    """The floors with their rooms, from the import contracts of pyproject.toml."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from house_picture import picture

    return picture()


def main() -> None:
    pages = {
        "command_line.md": command_line_page(),
        "zh/command_line.md": chinese_commands(),
        "reliability.md": reliability_page(),
        "images/house.svg": house_picture(),
        **models_pages(),
    }
    for name, text in pages.items():
        page = ROOT / "docs" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
    for script in ("scripts/run_pages.py", "benchmarks/page.py"):
        subprocess.run([sys.executable, str(ROOT / script)], check=True)


if __name__ == "__main__":
    main()
