"""A synthetic time-lapse with exact tracks: cells that crawl, push each other, divide, come and go."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.findings import Findings
from reunet.errors import UsageError
from reunet.io.annotations.ctc import Track, read_tracks, write_tracks
from reunet.io.annotations.instances import write_instances
from reunet.io.raster import write_png
from reunet.storage import write_json

MARGIN = 4  # cells are simulated this many radii beyond the view, so that they enter and leave it
PERSISTENCE = 0.7  # share of its velocity that a cell keeps from frame to frame


@dataclass(frozen=True)
class Culture:
    """What grows in the dish.

    size: the view, (H, W) or (D, H, W) pixels. frames: T. cells: expected in the view at the start.
    radius: of a grown cell, pixels. speed: root mean square of its own motion, pixels per frame.
    drift: common motion of all cells, pixels per frame along the first axis.
    division: probability that a grown cell divides in a frame.
    """

    size: tuple[int, ...] = (256, 256)
    frames: int = 20
    cells: int = 60
    radius: float = 9.0
    speed: float = 2.0
    drift: float = 0.0
    division: float = 0.03

    def __post_init__(self) -> None:
        if len(self.size) not in (2, 3) or min(self.size) < 8 or self.frames < 1 or self.radius < 3:
            raise UsageError(
                "impossible synthetic culture",
                expected="two or three sides of at least 8 pixels, a frame, a radius of at least 3 pixels",
                received=self,
            )


@dataclass(frozen=True)
class Movie:
    """frames: (T, *size, 1) uint8. maps: (T, *size) int32 track ids, 0 background.

    lineage: (tracks, 4) int32 rows id, begin, end, parent as in the Cell Tracking Challenge: frames
    inclusive, counted from 0; parent 0 where there is none. A cell that comes back is a new track.
    """

    frames: NDArray[np.uint8]
    maps: NDArray[np.int32]
    lineage: NDArray[np.int32]


@dataclass
class _Dish:
    """State of all cells, rows in the order of `ids`; `parents` remembers every division."""

    place: np.ndarray  # (n, axes) pixels of the view; may lie outside
    velocity: np.ndarray  # (n, axes) pixels per frame
    radius: np.ndarray  # (n,) pixels
    axis: np.ndarray  # (n, axes) unit vectors along the long axis
    ids: np.ndarray  # (n,)
    light: np.ndarray  # (n,) brightness
    parents: dict[int, int] = field(default_factory=dict)
    born: int = 0  # cells so far


def make_movie(culture: Culture, seed: int = 0) -> Movie:
    """Simulate and photograph a culture. Depends on its arguments alone. Raises UsageError (see Culture)."""
    rng = np.random.default_rng(seed)
    dish = _seed_dish(culture, rng)
    raw, images = [], []
    for t in range(culture.frames):
        if t:
            _step(dish, culture, rng)
        shown, depth = _draw(dish, culture)
        raw.append(np.concatenate([[0], dish.ids])[shown])
        images.append(_photograph(shown, depth, dish, culture, rng))
    maps, lineage = _tracks(np.stack(raw), dish.parents)
    return Movie(np.stack(images), maps, lineage)


def write_movies(folder: Path, movies: dict[str, list[Movie]]) -> None:
    """Write movies of splits as a dataset: images, instances under the ids of their tracks, lineages.

    Raises StorageError.
    """
    listed = []
    for split, some in movies.items():
        for number, movie in enumerate(some):
            name = f"{split}{number}"
            stems = [f"{name}_{t:03d}" for t in range(len(movie.frames))]
            listed.append({"split": split, "sequence": name, "axis": "T", "frames": stems})
            for stem, image, ids in zip(stems, movie.frames, movie.maps, strict=True):
                write_png(folder / split / "images" / f"{stem}.png", image[..., 0])
                write_instances(folder / split / "instances" / f"{stem}.png", ids)
            write_tracks(folder / split / "tracks" / f"{name}.txt", map(Track._make, movie.lineage.tolist()))
    write_json(folder / "sequences.json", listed)
    write_json(folder / "dataset.json", {"name": "synthetic_movies"})


def read_result(folder: Path, problems: Findings) -> tuple[dict[int, Path], tuple[Track, ...]]:
    """Mask files by frame, and tracks, of a folder of results `NN_RES`."""
    masks = {int(path.stem.removeprefix("mask")): path for path in sorted(folder.glob("mask*.tif"))}
    return masks, read_tracks(folder / "res_track.txt", problems)


def _seed_dish(culture: Culture, rng: np.random.Generator) -> _Dish:
    size, margin = np.array(culture.size), MARGIN * culture.radius
    n = round(culture.cells * float(np.prod(1 + 2 * margin / size)))
    axes = len(size)
    dish = _Dish(
        place=rng.uniform(-margin, size + margin, (n, axes)),
        velocity=rng.normal(0, culture.speed / np.sqrt(axes), (n, axes)),
        radius=culture.radius * rng.uniform(0.75, 1.0, n),
        axis=_directions(rng, n, axes),
        ids=np.arange(1, n + 1),
        light=_brightness(rng, n),
        born=n,
    )
    for _ in range(20):  # from a random soup to cells side by side
        _push(dish)
    return dish


def _step(dish: _Dish, culture: Culture, rng: np.random.Generator) -> None:
    """One frame further: crawl, grow, divide, push, and stay in the dish."""
    size, margin = np.array(culture.size), MARGIN * culture.radius
    n, axes = dish.place.shape
    kick = rng.normal(0, culture.speed / np.sqrt(axes), (n, axes))
    dish.velocity = PERSISTENCE * dish.velocity + np.sqrt(1 - PERSISTENCE**2) * kick
    dish.place = dish.place + dish.velocity
    dish.place[:, 0] += culture.drift
    dish.axis += 0.1 * rng.normal(size=dish.axis.shape)
    dish.axis /= np.linalg.norm(dish.axis, axis=1, keepdims=True)
    dish.radius += 0.12 * (culture.radius - dish.radius)
    _divide(dish, (rng.random(n) < culture.division) & (dish.radius > 0.93 * culture.radius), rng)
    for _ in range(3):
        _push(dish)
    # The dish is a torus far outside the view: who leaves at one side comes back at the other, unseen.
    dish.place = (dish.place + margin) % (size + 2 * margin) - margin


def _divide(dish: _Dish, chosen: np.ndarray, rng: np.random.Generator) -> None:
    """Two daughters of half the volume side by side in place of each chosen cell."""
    count, axes = int(chosen.sum()), dish.place.shape[1]
    radius = dish.radius[chosen] / 2 ** (1 / axes)
    apart = _directions(rng, count, axes) * radius[:, None]
    ids = dish.born + 1 + np.arange(2 * count)
    dish.parents |= dict(zip(ids.tolist(), np.tile(dish.ids[chosen], 2).tolist(), strict=True))
    dish.born += 2 * count
    stay = ~chosen

    def split(kept: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([kept[stay], a, b])

    here, motion, light = dish.place[chosen], dish.velocity[chosen], dish.light[chosen]
    dish.place = split(dish.place, here + 0.85 * apart, here - 0.85 * apart)
    dish.velocity = split(dish.velocity, motion + 0.1 * apart, motion - 0.1 * apart)
    dish.radius = split(dish.radius, radius * 1.04, radius * 0.96)
    dish.axis = split(dish.axis, _directions(rng, count, axes), _directions(rng, count, axes))
    dish.light = split(dish.light, light, light)
    dish.ids = split(dish.ids, ids[:count], ids[count:])


def _push(dish: _Dish) -> None:
    """Cells that overlap by more than a tenth move apart by half of it each."""
    from scipy.spatial import cKDTree

    reach = 2 * float(dish.radius.max(initial=0))
    a, b = cKDTree(dish.place).query_pairs(reach, output_type="ndarray").T
    gap = dish.place[a] - dish.place[b]
    distance = np.maximum(np.linalg.norm(gap, axis=1), 1e-6)
    excess = np.maximum(0.9 * (dish.radius[a] + dish.radius[b]) - distance, 0)
    move = gap / distance[:, None] * (excess / 2)[:, None]
    np.add.at(dish.place, a, move)
    np.add.at(dish.place, b, -move)


def _draw(dish: _Dish, culture: Culture) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the dish + 1 per pixel (0 background), and 1 in the middle of a cell to 0 at its outline.

    Where cells overlap a pixel belongs to the one whose middle is nearer, so they share an outline.
    """
    shown, depth = np.zeros(culture.size, np.int32), np.zeros(culture.size, np.float32)
    for row, (place, radius, axis) in enumerate(zip(dish.place, dish.radius, dish.axis, strict=True)):
        reach = 1.2 * radius
        window = tuple(
            slice(max(0, int(np.ceil(p - reach))), max(0, min(n, int(p + reach) + 1)))
            for p, n in zip(place, culture.size, strict=True)
        )
        if any(w.start >= w.stop for w in window):
            continue
        offsets = [
            np.arange(w.start, w.stop, dtype=np.float32) - np.float32(p)
            for w, p in zip(window, place, strict=True)
        ]
        grid = np.meshgrid(*offsets, indexing="ij", sparse=True)
        along = sum(g * np.float32(u) for g, u in zip(grid, axis, strict=True))
        # An ellipse, 1.15 radii long and about 0.93 wide.
        inside = 1 - (1.15 * sum(g**2 for g in grid) - 0.4 * along**2) / np.float32(radius) ** 2
        closer = inside > depth[window]
        depth[window][closer] = inside[closer]
        shown[window][closer] = row + 1
    # What shows less than a sliver is not there: in neither the image nor the truth.
    visible = np.bincount(shown.ravel(), minlength=len(dish.ids) + 1)
    least = 0.1 * float(visible[1:].max(initial=0))
    return np.where(visible[shown] < least, 0, shown), depth


def _photograph(
    shown: np.ndarray, depth: np.ndarray, dish: _Dish, culture: Culture, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(*size, 1) uint8: bright and dim cells, blurred, under a lamp that fades to one side, with noise."""
    from scipy.ndimage import gaussian_filter

    light = np.concatenate([[0.0], dish.light]).astype(np.float32)[shown] * (0.6 + 0.4 * np.sqrt(depth))
    lamp = np.linspace(1.0, 0.55, culture.size[-1], dtype=np.float32)
    photons = gaussian_filter((light + 0.15) * lamp, culture.radius / 7)
    noisy = rng.poisson(photons * 120) / 120 + rng.normal(0, 0.02, culture.size)
    return np.clip(np.round(noisy * 200), 0, 255).astype(np.uint8)[..., None]


def _tracks(raw: np.ndarray, parents: dict[int, int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Number the visible pieces of every cell's life: what is out of view in between ends a track."""
    numbers: dict[int, int] = {}  # cell -> its track, of those seen in the frame before
    lineage: list[list[int]] = []
    maps = np.zeros(raw.shape, np.int32)
    for t, frame in enumerate(raw):
        cells, inverse = np.unique(frame, return_inverse=True)
        before, numbers = numbers, {}
        for cell in cells[cells > 0].tolist():
            if cell in before:
                numbers[cell] = before[cell]
                lineage[before[cell] - 1][2] = t
            else:
                numbers[cell] = len(lineage) + 1
                lineage.append([numbers[cell], t, t, before.get(parents.get(cell, 0), 0)])
        maps[t] = np.array([numbers.get(c, 0) for c in cells.tolist()], np.int32)[
            inverse.reshape(frame.shape)
        ]
    return maps, np.array(lineage, np.int32).reshape(-1, 4)


def _directions(rng: np.random.Generator, n: int, axes: int) -> np.ndarray:
    vectors = rng.normal(size=(n, axes))
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _brightness(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two kinds of cells, bright ones and dim ones, so that no threshold separates those that touch."""
    return np.where(rng.random(n) < 0.5, 0.8, 0.4) * rng.uniform(0.85, 1.15, n)
