"""Train, score and pack the checkpoints of the zoo, and build the wheel that carries them into dist/.

    python zoo/build.py --data FOLDER [--only nuclei] [--minutes 1] [--work DIR]

Trainings that are in DIR already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import reunet
from reunet import console
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.contracts.zoo import CHECKPOINTS, Checkpoint
from reunet.progress import Progress
from reunet.storage import sha256_file, write_json, write_text
from reunet.tasks import task

HERE = Path(__file__).resolve().parent
PLACE = HERE / "src" / "reunet_zoo"
MOST_BYTES = 10 * 2**20


def build(name: str, checkpoint: Checkpoint, data: Path, work: Path, progress: Progress) -> None:
    """Write NAME.reunet and its card NAME.md, and note the hash in index.json."""
    run, folder = RunFolder(work / name), data / checkpoint.data
    if not run.weights_file.is_file():
        made = reunet.plan(folder, task=(checkpoint.task,), minutes=checkpoint.minutes, encoder="none")
        if checkpoint.filters:
            strides = made.network.strides[: len(checkpoint.filters) - 1]
            changed = {"filters": checkpoint.filters, "strides": strides}
            network = made.network.model_copy(update=changed)
            made = made.model_copy(update={"network": network})
        made.write(work / f"{name}.json")
        reunet.train(folder, output=run.path, plan=work / f"{name}.json", on_progress=progress)
    scores = reunet.evaluate(run.path, folder, split="test", overwrite=True, on_progress=progress).metrics
    card = card_of(name, checkpoint, run.plan(), scores)
    write_text(run.path / "model_card.md", card)
    packed = reunet.pack(run.path, output=PLACE / f"{name}.reunet", overwrite=True)
    if packed.size > MOST_BYTES:
        sys.exit(f"{packed.output} has {packed.size} bytes; at most {MOST_BYTES} are wanted: fewer filters")
    write_text(PLACE / f"{name}.md", card)
    index = PLACE / "index.json"
    known: dict[str, Any] = json.loads(index.read_text("utf-8")) if index.is_file() else {}
    write_json(index, known | {name: {"sha256": sha256_file(packed.output), "bytes": packed.size}})


def card_of(name: str, checkpoint: Checkpoint, plan: Plan, scores: dict[str, Any]) -> str:
    rows = "".join(
        f"| {line.title} | {line.value:.4f} |\n"
        for line in task(checkpoint.task).headlines(scores)
        if line.value is not None
    )
    return (
        f"# {name}\n\nFor {checkpoint.title}. Task: {checkpoint.task}.\n\n"
        f"Trained from scratch on {checkpoint.source}, licence of the data: {checkpoint.licence}; "
        f"{checkpoint.minutes:g} minutes on a CPU, filters {list(plan.network.filters)}, seed {plan.seed}. "
        "The weights are given away under the MIT licence.\n\n"
        f"On {scores['n_images']} test images that training did not see:\n\n"
        "| score | value |\n| --- | --- |\n"
        f"{rows}\nIt knows images like those: look at the overlays before you trust it on others.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "zoo")
    parser.add_argument("--only", nargs="*", choices=sorted(CHECKPOINTS), default=sorted(CHECKPOINTS))
    parser.add_argument("--minutes", type=float)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        checkpoint = CHECKPOINTS[name]
        if arguments.minutes is not None:
            checkpoint = replace(checkpoint, minutes=arguments.minutes)
        with console.progress() as progress:
            build(name, checkpoint, arguments.data, arguments.work, progress)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", HERE.parent / "dist", HERE]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
