"""Random changes of what is learned from: of a patch, and of single frames of a sequence."""

from __future__ import annotations

from pydantic import Field, model_validator

from reunet.contracts.base import Contract
from reunet.contracts.bounds import Real, Share, Weight

Range = tuple[Real, Real]
"""The smallest and the largest value."""


class BadFrames(Contract):
    """Frames that are shown worse than they were, while their truth stays that of the clean frame: what a
    frame no longer shows has to be remembered.

    windows: share of the windows to which this happens. Chances of a frame there, of which at most one comes
    true: lost: nothing arrives (zeros of normalised intensity). replaced: noise in its place (Noisy-LSTM,
    arXiv 2010.09466). blurred: by a Gaussian, `sigma` in pixels. dimmed: to a share of its `light`. grainy:
    so few `photons` are counted where it is brightest. The first frame is never lost or replaced.
    occluded: chance of a window that a thing passes in front. skipped: chance of each step in time to leave
    out frames, `longest_gap` at most.
    """

    windows: Share = 0.5
    lost: Share = 0.1
    replaced: Share = 0.05
    blurred: Share = 0.05
    dimmed: Share = 0.05
    grainy: Share = 0.05
    occluded: Share = 0.25
    skipped: Share = 0.1
    longest_gap: int = Field(default=2, ge=1, le=1000)
    sigma: Range = (1.0, 3.0)
    light: Range = (0.1, 0.5)
    photons: Range = (1.0, 20.0)

    @model_validator(mode="after")
    def _chances_and_ranges(self) -> BadFrames:
        if self.lost + self.replaced + self.blurred + self.dimmed + self.grainy > 1 + 1e-9:
            raise ValueError("lost, replaced, blurred, dimmed and grainy together may be 1 at most")
        for name in ("sigma", "light", "photons"):
            low, high = getattr(self, name)
            if not 1e-3 <= low <= high <= 1e3:
                raise ValueError(f"{name} must be two numbers from 0.001 to 1000, the smaller one first")
        return self


class Augmentation(Contract):
    """Random changes of a training patch; probabilities are per patch, ranges are inclusive.

    rotation in degrees, scale and gamma as factors, shear as a tangent, elastic as the displacement
    in pixels of a smooth random field, brightness and noise in units of the normalised intensity,
    contrast as a factor, blur as a Gaussian sigma in pixels ((0, 0): none).
    flip_depth and tilt are for volumes: they may be mirrored along their first axis, and turned by up to
    `tilt` degrees in the planes that contain the axis of the coarsest spacing. frames: of sequences only.
    """

    flip_depth: bool = True
    flip_vertical: bool = True
    flip_horizontal: bool = True
    rotation: float = Field(default=180.0, ge=0, le=180)
    tilt: float = Field(default=0.0, ge=0, le=180)
    geometry_probability: float = Field(default=0.5, ge=0, le=1)
    scale: Range = (0.75, 1.35)
    shear: float = Field(default=0.1, ge=0, le=100)
    elastic: float = Field(default=0.0, ge=0, le=1000)
    brightness: Weight = 0.2
    contrast: Range = (0.75, 1.3)
    gamma: Range = (0.75, 1.4)
    noise: Weight = 0.1
    blur: Range = (0.4, 1.0)
    invert: float = Field(default=0.0, ge=0, le=1)
    intensity_probability: float = Field(default=0.25, ge=0, le=1)
    frames: BadFrames | None = None

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> Augmentation:
        for name in ("scale", "contrast", "gamma", "blur"):
            low, high = getattr(self, name)
            if not 1e-3 <= low <= high <= 1e3 and not (name == "blur" and low == high == 0):
                raise ValueError(f"{name} must be two numbers from 0.001 to 1000, the smaller one first")
        return self

    def flips(self, rank: int) -> tuple[bool, ...]:
        """Which of the last `rank` of (depth, height, width) may be mirrored."""
        return (self.flip_depth, self.flip_vertical, self.flip_horizontal)[-rank:]
