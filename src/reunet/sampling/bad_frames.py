"""Frames worse than they were: lost, replaced by noise, blurred, dimmed, grainy, or hidden by what passes.

The functions of single frames serve a simulated camera too; `Faults` draws what befalls a window in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.augmentation import BadFrames
from reunet.sampling.appearance import blur

Fault = Callable[[np.ndarray, BadFrames, np.random.Generator], np.ndarray]
"""From a frame (*space, C) float32 to what is left of it, with the plan's ranges."""


def lost(frame: np.ndarray) -> np.ndarray:
    """What a network sees of a frame that did not arrive, in training and in a stream: zeros, in normalised
    intensity the value that says least.
    """
    return np.zeros_like(frame)


def replaced(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of the frame's mean and deviation per channel."""
    flat = frame.reshape(-1, frame.shape[-1])
    noise = rng.standard_normal(frame.shape, dtype=np.float32)
    return noise * flat.std(axis=0) + flat.mean(axis=0)


def dimmed(frame: np.ndarray, light: float, dark: float) -> np.ndarray:
    """With this share of its light; dark: the intensity without any."""
    return np.float32(dark) + (frame - np.float32(dark)) * np.float32(light)


def grainy(
    frame: np.ndarray, photons: float, rng: np.random.Generator, dark: float = 0.0, bright: float = 1.0
) -> np.ndarray:
    """As counted: a pixel of intensity `bright` counts so many photons on average, one of `dark` none
    (Poisson), back in the units of the frame.
    """
    span = max(bright - dark, 1e-12)
    expected = np.clip((frame - dark) / span, 0, None).astype(np.float64) * photons
    return (rng.poisson(expected) * (span / photons) + dark).astype(np.float32)


@dataclass(frozen=True)
class Passing:
    """A thing that passes in front: a ball, or a bar without end.

    center: in frame 0, velocity: per frame, both (rank,) in pixels. radius: half its width, in pixels.
    across: of a bar, the unit vector (rank,) along which it is `radius` wide to each side; None for a ball.
    """

    center: np.ndarray
    velocity: np.ndarray
    radius: float
    across: np.ndarray | None = None

    def hides(self, t: int, size: tuple[int, ...]) -> NDArray[np.bool_]:
        """The pixels (*size) that it hides in frame t."""
        apart = np.moveaxis(np.indices(size), 0, -1) - (self.center + t * self.velocity)
        distance = np.linalg.norm(apart, axis=-1) if self.across is None else np.abs(apart @ self.across)
        return distance < self.radius


def draw_passing(size: tuple[int, ...], rng: np.random.Generator) -> Passing:
    """A ball or a bar, a fifth to a half as wide as the frame, that moves by up to its radius per frame."""
    radius = float(rng.uniform(0.1, 0.25)) * min(size)
    way, across = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, len(size))))
    velocity = way * radius * rng.uniform(0.2, 1)
    return Passing(rng.uniform(0, size), velocity, radius, across if rng.random() < 0.5 else None)


FAULTS: dict[str, Fault] = {
    "lost": lambda frame, _, __: lost(frame),
    "replaced": lambda frame, _, rng: replaced(frame, rng),
    "blurred": lambda frame, bad, rng: blur(frame, float(rng.uniform(*bad.sigma))),
    "dimmed": lambda frame, bad, rng: dimmed(frame, float(rng.uniform(*bad.light)), float(frame.min())),
    "grainy": lambda frame, bad, rng: grainy(
        frame, float(np.exp(rng.uniform(*np.log(bad.photons)))), rng, float(frame.min()), float(frame.max())
    ),
}
"""What may befall a frame, by the field of the plan that holds its chance."""


@dataclass(frozen=True)
class Faults:
    """What befalls the frames of a window, or of a chain of windows.

    kinds: of each frame a name of FAULTS, or "" for none. skipped: frames left out before each, the first 0.
    passing: a thing in front, and `shade`, where its intensity lies between darkest and brightest, 0 to 1.
    """

    bad: BadFrames
    kinds: tuple[str, ...]
    skipped: tuple[int, ...]
    passing: Passing | None = None
    shade: float = 0.0

    @classmethod
    def draw(
        cls, bad: BadFrames, count: int, size: tuple[int, ...], rng: np.random.Generator
    ) -> Faults | None:
        """Faults of `count` frames of `size` pixels; None where nothing happens."""
        if rng.random() >= bad.windows:
            return None
        chances = [getattr(bad, name) for name in FAULTS]
        kinds = rng.choice(["", *FAULTS], count, p=[max(0.0, 1 - sum(chances)), *chances]).tolist()
        if kinds[0] in ("lost", "replaced"):
            kinds[0] = ""  # nothing could be remembered
        gaps = rng.integers(1, bad.longest_gap + 1, count) * (rng.random(count) < bad.skipped)
        passing = draw_passing(size, rng) if rng.random() < bad.occluded else None
        return cls(bad, tuple(kinds), (0, *map(int, gaps[1:])), passing, float(rng.random()))

    def spoil(self, frames: Sequence[np.ndarray], first: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Frames (*space, C) float32 from number `first` of the chain on, as they are shown."""
        return [self._spoilt(frame, t, rng) for t, frame in enumerate(frames, first)]

    def _spoilt(self, frame: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
        if self.passing is not None:
            low, high = frame.min(), frame.max()
            hidden = self.passing.hides(t, frame.shape[:-1])
            frame = np.where(hidden[..., None], low + np.float32(self.shade) * (high - low), frame)
        return FAULTS[self.kinds[t]](frame, self.bad, rng) if self.kinds[t] else frame
