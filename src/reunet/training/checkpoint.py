"""Checkpoints that survive kill -9, a power cut and a full disk.

A checkpoint is a folder of its own, `checkpoints/<step>/` with `arrays.npz` and `state.json`. It is written
under another name, synced, renamed; then the pointer `LATEST` is replaced in one step; then older ones go.
At every moment the pointer names a whole checkpoint. A hash of both files tells damage that came later.
"""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from reunet.errors import CheckpointError
from reunet.storage import publish_folder, read_json, read_text, sha256_file, write_text

KEPT = 2
POINTER = "LATEST"


def save_checkpoint(folder: Path, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    """Write checkpoint `step`, make it the latest, and keep `KEPT`.

    Higher steps go too: they are what was damaged when an older checkpoint was resumed. Raises StorageError;
    the older checkpoints stay intact then.
    """
    name = f"{step:08d}"

    def fill(target: Path) -> None:
        with open(target / "arrays.npz", "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        content = {"step": step, "state": state, "sha256": _hash(target / "arrays.npz", step, state)}
        (target / "state.json").write_text(json.dumps(content, indent=1), encoding="utf-8")

    publish_folder(folder / name, fill)
    write_text(folder / POINTER, name + "\n")
    checkpoints = _checkpoints(folder)
    kept = [entry for entry in checkpoints if int(entry.name) <= step][:KEPT]
    for old in [entry for entry in checkpoints if entry not in kept]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path) -> tuple[int, dict[str, np.ndarray], dict[str, Any], list[str]]:
    """The latest intact checkpoint: step, arrays, state, and notes on damaged ones that were passed over.

    Raises CheckpointError when there is none, or none intact.
    """
    notes: list[str] = []
    latest = _latest(folder, notes)
    for entry in _checkpoints(folder):
        if latest is not None and int(entry.name) > latest:
            continue  # it was damaged before `latest` was written
        try:
            return *_read(entry), notes
        except Exception as cause:  # what JSON, zipfile and NumPy raise at damaged files is of every kind
            notes.append(f"checkpoint {entry.name} is damaged ({cause}); using the one before it")
    raise CheckpointError(
        "there is no intact checkpoint to resume from" if notes else "there is no checkpoint to resume from",
        where=folder,
        received="; ".join(notes) or None,
        fix="train again without --resume",
    )


def _checkpoints(folder: Path) -> list[Path]:
    """The folders of checkpoints, newest first."""
    numbered = [p for p in folder.glob("*") if p.is_dir() and p.name.isascii() and p.name.isdecimal()]
    return sorted(numbered, key=lambda p: int(p.name), reverse=True)


def _latest(folder: Path, notes: list[str]) -> int | None:
    pointer = folder / POINTER
    try:
        if not os.path.lexists(pointer):
            return None
        return int(read_text(pointer, CheckpointError, "the pointer to the latest checkpoint", 100))
    except (CheckpointError, ValueError):
        notes.append(f"{pointer} is damaged; using the newest checkpoint that is intact")
        return None


def _read(folder: Path) -> tuple[int, dict[str, np.ndarray], dict[str, Any]]:
    content = read_json(folder / "state.json", CheckpointError, most_bytes=2**25)
    step, state, packed = content["step"], content["state"], folder / "arrays.npz"
    if step != int(folder.name) or not isinstance(state, dict):
        raise ValueError("its state is that of another one")
    if not packed.is_file() or _hash(packed, step, state) != content["sha256"]:
        raise ValueError("its hash does not match")
    with zipfile.ZipFile(packed) as archive:  # nothing is packed in ours, so that nothing can become larger
        if sum(entry.file_size for entry in archive.infolist()) > packed.stat().st_size:
            raise ValueError("its arrays are larger than their file")
    with np.load(packed, allow_pickle=False) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    return step, arrays, state


def _hash(arrays: Path, step: int, state: dict[str, Any]) -> str:
    text = json.dumps([sha256_file(arrays), step, state], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
