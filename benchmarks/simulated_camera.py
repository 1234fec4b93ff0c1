"""A camera over real images: films whose truth is exact, in conditions in which a frame is not enough.

The camera drifts, turns and zooms over an image and its mask. What its frames suffer is what
`reunet.sampling.bad_frames` does to frames in training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from reunet.sampling.bad_frames import draw_passing, grainy

FRAMES = 12
FILMS = {"train": 160, "val": 20, "test": 24}
DRIFT, TURN, ZOOM = 1.5, 2.0, 0.01
"""Pixels per frame; deviations of degrees per frame and of the logarithm of the scale per frame."""
FARTHEST = 0.5
"""Of the logarithm of the scale."""
DARK = 0.05
"""Intensity of a frame that was lost: what is counted behind a closed shutter."""
BRIGHT = 63.75
"""Grey value of the intensity 1, so that a pixel may count four times the photons that are expected."""


@dataclass(frozen=True)
class Source:
    """Real images with masks. step: pixels of the source per pixel of a film."""

    name: str
    step: float


@dataclass(frozen=True)
class Condition:
    """photons: of the intensity 1. lost: share of the frames, never the first. passing: things in front."""

    photons: float
    lost: float = 0.0
    passing: int = 0


SOURCES = {"dsb": Source("dsb2018_nuclei", 1.0), "glas": Source("glas", 4.0)}
CONDITIONS = {
    "low_light": Condition(0.7),
    "lost": Condition(2.0, lost=0.35),
    "occluded": Condition(8.0, passing=2),
}


@dataclass(frozen=True)
class Film:
    """frames: (T, H, W) or (T, H, W, 3) uint8. masks: (T, H, W), 0 and 1. lost: whether each frame is."""

    frames: np.ndarray
    masks: np.ndarray
    lost: tuple[bool, ...]


def film(
    image: np.ndarray,
    mask: np.ndarray,
    side: int,
    step: float,
    condition: Condition,
    rng: np.random.Generator,
) -> Film:
    """A film of `side` pixels over an image (H, W) float32 from 0 to 1 and its mask (H, W)."""
    paths = islice(_path(image.shape, side, step, rng), FRAMES)
    views = [_view(image, mask, side, matrix) for matrix in paths]
    clean, masks = (np.stack(parts) for parts in zip(*views, strict=True))
    for _ in range(condition.passing):
        thing, shade = draw_passing((side, side), rng), np.float32(rng.random())
        for t in range(FRAMES):
            clean[t][thing.hides(t, (side, side))] = shade
    counted = grainy(clean, condition.photons, rng)
    lost = (False, *(bool(gone) for gone in rng.random(FRAMES - 1) < condition.lost))
    counted[list(lost)] = grainy(np.full((sum(lost), side, side), DARK, np.float32), condition.photons, rng)
    return Film(_grey(counted), masks, lost)


def stream(
    image: np.ndarray,
    mask: np.ndarray,
    side: int,
    step: float,
    condition: Condition,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The frames of a film that never ends, and their masks, each (side, side) uint8; nothing passes."""
    for t, matrix in enumerate(_path(image.shape, side, step, rng)):
        clean, truth = _view(image, mask, side, matrix)
        if t and rng.random() < condition.lost:
            clean[:] = DARK
        yield _grey(grainy(clean, condition.photons, rng)), truth


def _grey(counted: np.ndarray) -> np.ndarray:
    return (counted * BRIGHT).clip(0, 255).round().astype(np.uint8)


def _path(shape: tuple[int, ...], side: int, step: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """From pixels of each frame to those of the source, (2, 3) float64, x before y; without end. The camera
    turns back where the image ends, and where it has zoomed by FARTHEST.
    """
    center = rng.uniform(0.25, 0.75, 2) * shape[::-1]
    heading, angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0, 360), 0.0
    turn, pull = rng.normal(0, TURN), rng.normal(0, ZOOM)
    while True:
        bend = rng.normal(0, 0.1)
        scale, a = step * np.exp(zoom), np.deg2rad(angle)
        linear = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        yield np.column_stack([linear, center - linear @ np.full(2, (side - 1) / 2)])
        center = center + DRIFT * step * np.array([np.cos(heading), np.sin(heading)])
        beyond = (center < 0) | (center > shape[::-1])
        if beyond.any():
            center = center.clip(0, shape[::-1])
            heading = np.pi * beyond[0] - heading if beyond.sum() == 1 else heading + np.pi
        pull *= -1 if abs(zoom + pull) > FARTHEST else 1
        heading, angle, zoom = heading + bend, angle + turn, zoom + pull


def _view(
    image: np.ndarray, mask: np.ndarray, side: int, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    def warped(array: np.ndarray, how: int) -> np.ndarray:
        flags = how | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(array, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101)

    smooth = cv2.GaussianBlur(image, (0, 0), max(0.01, 0.5 * (np.hypot(*matrix[:, 0]) - 1)))
    return warped(smooth, cv2.INTER_LINEAR), warped(mask, cv2.INTER_NEAREST)


def write_films(data: Path, source: Source, condition: Condition, side: int, folder: Path) -> None:
    """A dataset of films in `folder` (FILMS of them per split), and which frames were lost (lost.json)."""
    lost: dict[str, list[bool]] = {}
    for split, count in FILMS.items():
        files = sorted((data / source.name / ("test" if split == "test" else "train") / "images").iterdir())
        if split != "test":  # every sixth image is kept for val
            files = [file for k, file in enumerate(files) if (k % 6 == 0) == (split == "val")]
        for number in range(count):
            file = files[number * len(files) // count if len(files) >= count else number % len(files)]
            name, rng = f"{split}{number:03d}", np.random.default_rng([number, len(split), side])
            made = film(*read_image(file), side, source.step, condition, rng)
            lost[name] = list(made.lost)
            write_film(folder / split, name, made.frames, made.masks)
    (folder / "lost.json").write_text(json.dumps(lost))


def write_film(folder: Path, name: str, frames: np.ndarray, masks: np.ndarray) -> None:
    """Frames and masks as files of their own."""
    for kind, stack in (("images", frames), ("masks", masks)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for t, frame in enumerate(stack):
            Image.fromarray(frame).save(folder / kind / f"{name}_{t:03d}.png")


def read_films(folder: Path, split: str) -> dict[str, Film]:
    """The films of a split, by name."""
    lost = json.loads((folder / "lost.json").read_text())
    found = {}
    for name in sorted(name for name in lost if name.startswith(split)):
        frames, masks = (
            np.stack(
                [np.asarray(Image.open(file)) for file in sorted((folder / split / kind).glob(f"{name}_*"))]
            )
            for kind in ("images", "masks")
        )
        found[name] = Film(frames, masks, tuple(lost[name]))
    return found


def read_image(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """A grey image (H, W) float32 from 0 to 1, and its foreground (H, W) uint8."""
    image = np.asarray(Image.open(file).convert("L"), np.float32)
    (mask,) = (file.parent.parent / "masks").glob(f"{file.stem}.*")
    low, high = np.percentile(image, (1, 99.8))
    scaled = ((image - low) / max(high - low, 1)).clip(0, 1)
    return scaled, (np.asarray(Image.open(mask)) > 0).astype(np.uint8)
