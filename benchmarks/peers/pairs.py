"""Images and masks of a set for peers that bring none of their own: patches to train on, masks to write."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

IGNORE, SIDE, BATCH, STEP = 255, 256, 8, 32


def image(file: Path) -> np.ndarray:
    """(H, W, 3) float32, mean 0 and deviation 1."""
    pixels = np.asarray(Image.open(file).convert("RGB"), np.float32)
    return (pixels - pixels.mean((0, 1))) / np.maximum(pixels.std((0, 1)), 1e-6)


def classes(data: Path) -> int:
    return len(json.loads((data / "dataset.json").read_text())["classes"])


def batches(data: Path, minutes: float, seed: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Until the minutes are over, the share of them that is, (B, 256, 256, 3) float32 and (B, 256, 256)
    int64 class indices, IGNORE beyond small images: flipped and turned by quarters.
    """
    files = sorted((data / "train" / "images").iterdir())
    images = [image(file) for file in files]
    masks = [
        np.asarray(Image.open(data / "train" / "masks" / f"{file.stem}.png"), np.int64) for file in files
    ]
    rng, began = np.random.default_rng(seed), time.monotonic()
    while (share := (time.monotonic() - began) / (60 * minutes)) < 1:
        chosen = [_patch(images[i], masks[i], rng) for i in rng.integers(0, len(files), BATCH)]
        yield share, *map(np.stack, zip(*chosen, strict=True))


def _patch(pixels: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    missing = [(0, max(0, SIDE - side)) for side in mask.shape]
    pixels, mask = np.pad(pixels, [*missing, (0, 0)]), np.pad(mask, missing, constant_values=IGNORE)
    corner = [int(rng.integers(0, side - SIDE + 1)) for side in mask.shape]
    part = tuple(slice(first, first + SIDE) for first in corner)
    turns, flip = int(rng.integers(4)), 1 - 2 * int(rng.integers(2))
    return np.rot90(pixels[part], turns)[::flip].copy(), np.rot90(mask[part], turns)[::flip].copy()


def write_masks(
    data: Path, output: Path, steps: int, probabilities: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Masks of the test images in OUTPUT/found. probabilities: (1, H, W, 3) to (1, H, W, K), of sides that 32
    divides.
    """
    (output / "found").mkdir(exist_ok=True)
    for file in sorted((data / "test" / "images").iterdir()):
        pixels = image(file)
        height, width = pixels.shape[:2]
        wide = np.pad(pixels, [(0, -height % STEP), (0, -width % STEP), (0, 0)], mode="reflect")
        found = probabilities(wide[None])[0, :height, :width].argmax(-1).astype(np.uint8)
        Image.fromarray(found).save(output / "found" / f"{file.stem}.png")
    (output / "told.json").write_text(json.dumps({"steps": steps}))
