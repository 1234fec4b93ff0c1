"""A synthetic microscopy set with exact truth: touching cells, uneven light, noise, debris."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.labels import LabelMap, default_classes
from reunet.errors import UsageError
from reunet.io.masks import write_mask
from reunet.io.raster import write_png
from reunet.slices import Slices, all_of, overlap, placed
from reunet.storage import write_json

LABELS = LabelMap(classes=default_classes([0, 1], ["background", "cell"]))


@dataclass(frozen=True)
class Scene:
    """image: (H, W) uint8. instances: (H, W) uint16, 0 background, 1..n cells; the exact truth."""

    image: np.ndarray
    instances: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(H, W) uint8: 1 inside a cell."""
        return (self.instances > 0).astype(np.uint8)


def make_microscopy(
    folder: Path, *, train: int, test: int, size: tuple[int, int] = (256, 256), seed: int = 0
) -> None:
    """Write `train` and `test` images with masks and instances as a dataset in the data-pack convention.

    Image i of a split depends on (seed, split, i) alone. Raises UsageError for a size below 32 pixels,
    StorageError when the folder cannot be written.
    """
    if min(size) < 32 or min(train, test) < 0:
        raise UsageError(
            "synthetic images need at least 32 x 32 pixels", received=f"{size}, {train} + {test} images"
        )
    for number, (split, count) in enumerate((("train", train), ("test", test))):
        for i in range(count):
            scene = make_scene(np.random.default_rng([seed, number, i]), size)
            name = f"cells_{i:03d}.png"
            write_png(folder / split / "images" / name, scene.image)
            write_mask(folder / split / "masks" / name, scene.mask, LABELS)
            write_png(folder / split / "instances" / name, scene.instances)
    classes = [{"id": c.id, "name": c.name, "color": list(c.color)} for c in LABELS.classes]
    description = {
        "name": "synthetic_microscopy",
        "title": "Synthetic fluorescence microscopy: touching cells, uneven light, noise and debris",
        "task": ["semantic_segmentation", "instance_segmentation"],
        "classes": classes,
        "ignore_index": None,
        "licence": "CC0 1.0: made by a program",
        "seed": seed,
    }
    write_json(folder / "dataset.json", description)


def make_scene(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """One field of view: cells of varying brightness, many of them touching, through a microscope."""
    height, width = size
    instances = np.zeros(size, np.uint16)
    light = np.zeros(size, np.float32)
    wanted = rng.uniform(0.12, 0.32) * height * width  # confluence
    texture = 1 + 0.25 * _smooth_noise(rng, size, 4)
    for _ in range(40 + height * width // 160):
        if np.count_nonzero(instances) >= wanted:
            break
        _add_cell(rng, instances, light, texture)
    background = rng.uniform(0.10, 0.22) + _debris(rng, size)
    photons = (light + background) * _illumination(rng, size) + _glow(rng, size)
    photons = _blur(photons, rng.uniform(0.8, 1.6))
    gain = rng.uniform(60, 160)  # photons at full brightness
    noisy = rng.poisson(np.clip(photons, 0, None) * gain) / gain + rng.normal(0, 0.02, size)
    exposure = rng.uniform(120, 200)
    return Scene(np.clip(np.round(noisy * exposure), 0, 255).astype(np.uint8), instances)


def _add_cell(
    rng: np.random.Generator, instances: np.ndarray, light: np.ndarray, texture: np.ndarray
) -> None:
    """Draw one cell where it fits; about half of the cells are placed so that they touch an earlier one."""
    radius = min(max(float(rng.normal(13, 2.5)), 7.0), 20.0)
    center = rng.uniform(0, 1, 2) * instances.shape
    touching = bool(instances.any()) and rng.random() < 0.55
    if touching:
        ys, xs = np.nonzero(instances)
        pick, angle = int(rng.integers(len(ys))), rng.uniform(0, 2 * np.pi)
        center = np.array([ys[pick], xs[pick]]) + 1.6 * radius * np.array([np.sin(angle), np.cos(angle)])
    reach = int(1.6 * radius)
    corner = np.floor(center).astype(int) - reach
    window = overlap(placed(corner.tolist(), [2 * reach + 1] * 2), all_of(instances.shape))
    earlier = instances[window]
    if not earlier.size:
        return
    shape = _outline(rng, center, radius, window)
    inside = shape > 0
    free = inside & (earlier == 0)
    visible = np.count_nonzero(free)
    covered = np.count_nonzero(inside) - visible
    if visible < 0.4 * np.pi * radius**2 or covered > (0.25 if touching else 0.02) * np.count_nonzero(inside):
        return
    earlier[free] = instances.max() + 1
    brightness = rng.uniform(0.22, 0.75)
    light[window][free] = (brightness * (0.55 + 0.45 * np.sqrt(shape)) * texture[window])[free]


def _outline(rng: np.random.Generator, center: np.ndarray, radius: float, window: Slices) -> np.ndarray:
    """Within the window: 1 in the centre of an irregular ellipse, falling to 0 at its outline and outside."""
    ys, xs = np.mgrid[window].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    stretch = rng.uniform(0.75, 1.0)
    dy, dx = ys - center[0], xs - center[1]
    along, across = dx * np.cos(turn) + dy * np.sin(turn), (dy * np.cos(turn) - dx * np.sin(turn)) / stretch
    angle = np.arctan2(across, along)
    wobble = np.ones(ys.shape, np.float32)
    for order in (2, 3, 4, 5):
        wobble += rng.normal(0, 0.12 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return np.clip(1 - (along**2 + across**2) / (radius * wobble) ** 2, 0, 1)


def _debris(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Bright specks and short fibres, smaller than cells: what a threshold takes for cells."""
    import cv2

    specks = np.zeros(size, np.float32)
    density = size[0] * size[1] / 256**2
    for _ in range(rng.poisson(18 * density)):
        x, y = int(rng.integers(size[1])), int(rng.integers(size[0]))
        brightness = float(rng.uniform(0.3, 1.0))
        if rng.random() < 0.25:
            length, angle = rng.uniform(8, 28), rng.uniform(0, 2 * np.pi)
            end = (int(x + length * np.cos(angle)), int(y + length * np.sin(angle)))
            cv2.line(specks, (x, y), end, brightness, 2)
        else:
            cv2.circle(specks, (x, y), int(rng.integers(1, 4)), brightness, -1)
    return specks


def _illumination(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A lamp that is brightest somewhere and falls off to a third: (H, W) float32, at most 1."""
    ys, xs = np.mgrid[: size[0], : size[1]].astype(np.float32)
    center = rng.uniform(0, 1, 2) * size
    distance = ((ys - center[0]) / size[0]) ** 2 + ((xs - center[1]) / size[1]) ** 2
    return np.asarray(0.3 + 0.7 * np.exp(-distance * rng.uniform(0.8, 2.0)), np.float32)


def _glow(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Light of cells far out of focus: large soft clouds that belong to no cell."""
    cloud = _smooth_noise(rng, size, max(size) / 8)
    return np.asarray(0.12 * np.clip(cloud, 0, None), np.float32)


def _smooth_noise(rng: np.random.Generator, size: tuple[int, ...], sigma: float) -> np.ndarray:
    """(H, W) Gaussian random field with unit variance and correlation length sigma pixels."""
    import cv2

    step = max(1, int(sigma / 2))
    coarse = (size[0] // step + 2, size[1] // step + 2)
    field = _blur(rng.normal(0, 1, coarse).astype(np.float32), sigma / step)
    field = cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field / max(float(field.std()), 1e-6), np.float32)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    return np.asarray(
        cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    )
