"""Checkpoints that survive kill -9, a power cut and a full disk.

A checkpoint is a folder of its own, `checkpoints/<step>/` with `arrays.npz` and `state.json`. It is written
under another name, synced, renamed; then the pointer `LATEST` is replaced in one step; then older ones go.
At every moment the pointer names a whole checkpoint. Hashes tell damage that came later.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from reunet.errors import CheckpointError
from reunet.storage import publish_folder, sha256_file, write_text

KEPT = 2
POINTER = "LATEST"


def save_checkpoint(folder: Path, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    """Write checkpoint `step` and make it the latest. Raises StorageError; the older ones stay intact."""
    name = f"{step:08d}"

    def fill(target: Path) -> None:
        with open(target / "arrays.npz", "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        content = {"step": step, "sha256": sha256_file(target / "arrays.npz"), "state": state}
        (target / "state.json").write_text(json.dumps(content, indent=1), encoding="utf-8")

    publish_folder(folder / name, fill)
    write_text(folder / POINTER, name + "\n")
    for old in sorted(p for p in folder.iterdir() if p.is_dir() and p.name.isdigit())[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path) -> tuple[int, dict[str, np.ndarray], dict[str, Any], list[str]]:
    """The latest intact checkpoint: step, arrays, state, and notes on damaged ones that were passed over.

    Raises CheckpointError when there is none, or none intact.
    """
    names = sorted((p.name for p in folder.glob("*") if p.is_dir() and p.name.isdigit()), reverse=True)
    pointer = folder / POINTER
    latest = pointer.read_text(encoding="utf-8").strip() if pointer.is_file() else None
    candidates = [name for name in names if latest is None or name <= latest]
    notes: list[str] = []
    for name in candidates:
        try:
            return *_read(folder / name), notes
        except (OSError, ValueError, KeyError, json.JSONDecodeError) as cause:
            notes.append(f"checkpoint {name} is damaged ({cause}); using the one before it")
    raise CheckpointError(
        "there is no intact checkpoint to resume from" if notes else "there is no checkpoint to resume from",
        where=folder,
        received="; ".join(notes) or None,
        fix="train again without --resume",
    )


def _read(folder: Path) -> tuple[int, dict[str, np.ndarray], dict[str, Any]]:
    content = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if sha256_file(folder / "arrays.npz") != content["sha256"]:
        raise ValueError("its hash does not match")
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return int(content["step"]), arrays, content["state"]
