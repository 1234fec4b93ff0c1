"""Real recordings as films for the races: videos that lose frames, stacks of which few slices are labelled.

A lost frame has the mean of the training frames everywhere, in normalised intensity the zeros that stand for
it in training and in streams. A slice without labels has a mask that is unlabelled everywhere.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from simulated_camera import write_film

from reunet.contracts.augmentation import BadFrames
from reunet.contracts.labels import IGNORE
from reunet.io.images import read_channel_files
from reunet.sampling.bad_frames import Faults

Films = dict[str, tuple[np.ndarray, np.ndarray]]
"""By name frames (T, H, W) or (T, H, W, 3) uint8 and masks (T, H, W) uint8 of 0 and 1."""

VOLUMES = {"train": 8, "val": 4, "test": 24}

CONDITIONS: dict[str, BadFrames | None] = {
    "as_recorded": None,
    "lost": BadFrames(windows=1, lost=0.35, replaced=0, blurred=0, dimmed=0, grainy=0, occluded=0, skipped=0),
}
"""Of videos: what befalls the frames of val and test. The condition of stacks is a number: so many slices of
each are labelled in training.
"""


@dataclass(frozen=True)
class Recording:
    """films: by split, of the dataset in a folder. preset: whose memory is raced. slices: the frames are,
    and the condition says how many are labelled. block: frames that are scored together, 0 for all of a film.
    """

    name: str
    films: Callable[[Path], dict[str, Films]]
    preset: str
    slices: bool
    block: int


def _sequences(folder: Path) -> dict[str, Films]:
    """The sequences of a dataset; the last one of train is kept for val."""
    films: dict[str, Films] = defaultdict(dict)
    for one in json.loads((folder / "sequences.json").read_text()):
        images, masks = (
            np.stack([_read(folder / one["split"] / kind, frame) for frame in one["frames"]])
            for kind in ("images", "masks")
        )
        films[one["split"]][one["sequence"]] = images, (masks > 0).astype(np.uint8)
    name, last = films["train"].popitem()
    return dict(films) | {"val": {name: last}}


def _stack(folder: Path) -> dict[str, Films]:
    """A single stack, whose last quarter in train is kept for val."""
    films = _sequences(folder)
    ((name, (images, masks)),) = films["val"].items()
    cut = 3 * len(images) // 4
    parts = {"train": slice(0, cut), "val": slice(cut, None)}
    return films | {split: {name: (images[at], masks[at])} for split, at in parts.items()}


def _volumes(folder: Path) -> dict[str, Films]:
    """Volumes slice by slice, all their foreground classes as one."""
    train = sorted((folder / "train" / "images").iterdir())
    test = sorted((folder / "test" / "images").iterdir())
    first, both = VOLUMES["train"], VOLUMES["train"] + VOLUMES["val"]
    files = {"train": train[:first], "val": train[first:both], "test": test[: VOLUMES["test"]]}
    return {split: {file.name.split(".")[0]: _volume(file) for file in some} for split, some in files.items()}


def _volume(file: Path) -> tuple[np.ndarray, np.ndarray]:
    image, mask = (
        read_channel_files((one,))[1][..., 0] for one in (file, file.parent.parent / "masks" / file.name)
    )
    low, high = np.percentile(image, (1, 99.8))
    grey = ((image - low) / max(high - low, 1e-6)).clip(0, 1) * 255
    return grey.round().astype(np.uint8), (mask > 0).astype(np.uint8)


def _read(folder: Path, stem: str) -> np.ndarray:
    (file,) = folder.glob(f"{stem}.*")
    return np.asarray(Image.open(file))


RECORDINGS = {
    "davis": Recording("davis_vehicles", _sequences, "conv_gru_unet", slices=False, block=10),
    "isbi": Recording("isbi2012_em", _stack, "slice_gru_unet", slices=True, block=1),
    "hippocampus": Recording("hippocampus", _volumes, "slice_gru_unet", slices=True, block=0),
}


def write_recording(data: Path, source: Recording, condition: str, side: int, folder: Path) -> None:
    """A dataset of films in `folder`, their shorter side `side` pixels where it is longer, and which frames
    were lost (lost.json).
    """
    films, lost = source.films(data / source.name), {}
    mean = np.mean([frames.mean((0, 1, 2)) for frames, _ in films["train"].values()], axis=0)
    for split, some in films.items():
        for number, film in enumerate(some.values()):
            key, rng = f"{split}{number:03d}", np.random.default_rng([number, len(split), side])
            frames, masks = (
                _resized(film[0], side, cv2.INTER_AREA),
                _resized(film[1], side, cv2.INTER_NEAREST),
            )
            gone = [False] * len(frames)
            if source.slices and split == "train":
                masks[_without_labels(len(masks), int(condition))] = IGNORE
            elif split != "train" and (bad := CONDITIONS.get(condition)) is not None:
                frames, gone = _spoilt(frames, mean, bad, rng)
            lost[key] = gone
            write_film(folder / split, key, frames, masks)
    classes = [{"id": 0, "name": "background"}, {"id": 1, "name": source.name}]
    (folder / "dataset.json").write_text(json.dumps({"classes": classes, "ignore_index": IGNORE}))
    (folder / "lost.json").write_text(json.dumps(lost))


def _spoilt(
    frames: np.ndarray, mean: np.ndarray, bad: BadFrames, rng: np.random.Generator
) -> tuple[np.ndarray, list[bool]]:
    """Frames as the network would see them spoilt, and which of them are lost."""
    faults = Faults.draw(bad, len(frames), frames.shape[1:3], rng)
    if faults is None:
        return frames, [False] * len(frames)
    around = [np.float32(frame.reshape(*frame.shape[:2], -1) - mean) for frame in frames]
    shown = np.stack(faults.spoil(around, 0, rng)) + mean
    gone = [kind == "lost" for kind in faults.kinds]
    return shown.clip(0, 255).round().astype(np.uint8).reshape(frames.shape), gone


def _resized(stack: np.ndarray, side: int, how: int) -> np.ndarray:
    """(T, H, W, ...) with shorter sides of `side` pixels; smaller ones as they are."""
    factor = side / min(stack.shape[1:3])
    if factor >= 1:
        return stack
    height, width = (round(factor * length) for length in stack.shape[1:3])
    return np.stack([cv2.resize(one, (width, height), interpolation=how) for one in stack])


def _without_labels(count: int, labelled: int) -> list[int]:
    """All slices but `labelled` ones, which lie in the middles of equal parts of the stack."""
    chosen = ((np.arange(labelled) + 0.5) * count / labelled).astype(int)
    return [number for number in range(count) if number not in chosen]
