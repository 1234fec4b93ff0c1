"""The rules that only volumes need: voxel size, patch, and what may be done to them."""

from __future__ import annotations

from math import prod

import numpy as np

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import Augmentation, Intensity

MOST_VOXELS = 2**18
"""Voxels of a patch, at most (64 x 64 x 64): a CPU needs many small steps rather than few large ones."""

ANISOTROPIC = 3.0
"""A spacing this many times the next one means thick slices."""

THICK_SLICES_PERCENTILE = 10
ANGLE = 30.0


def choose_spacing(fingerprint: Fingerprint, reasons: dict[str, str]) -> tuple[float, ...]:
    """The spacing that all volumes are brought to, in mm per axis, as in nnU-Net.

    The median of the training cases; of thick slices the 10th percentile, but not below the other axes,
    since most volumes would otherwise have to be invented between their slices or lose some.
    """
    cases = [case for case in fingerprint.cases if case.split == "train"]
    known = np.array([case.spacing or (1.0,) * len(case.size) for case in cases])
    target, sizes = np.median(known, axis=0), np.array(fingerprint.median_size)
    coarsest = int(target.argmax())
    others = np.delete(target, coarsest)
    thick = target[coarsest] > ANISOTROPIC * others.max()
    if thick and sizes[coarsest] * ANISOTROPIC < np.delete(sizes, coarsest).min():
        percentile = float(np.percentile(known[:, coarsest], THICK_SLICES_PERCENTILE))
        target[coarsest] = max(percentile, others.max())
    spacing = tuple(float(f"{side:.6g}") for side in target)
    lowest, highest = known.min(0), known.max(0)
    alike = np.allclose(lowest, highest, rtol=1e-3)
    reasons["spacing"] = f"{_times(spacing)} mm: " + (
        "the voxel size of all volumes, so nothing is resampled"
        if alike
        else f"the median of the volumes (between {_times(lowest)} and {_times(highest)}); each is resampled "
        "to it, and its prediction back"
    )
    return spacing


def choose_volume_patch(
    fingerprint: Fingerprint, spacing: tuple[float, ...], reasons: dict[str, str]
) -> tuple[int, ...]:
    """The median volume, its longest side in mm shortened until MOST_VOXELS are not exceeded."""
    cases = [case for case in fingerprint.cases if case.split == "train"]
    sizes = [np.array(case.size) * (case.spacing or spacing) / spacing for case in cases]
    median = [max(1, round(side)) for side in np.median(sizes, axis=0)]
    patch = list(median)
    while prod(patch) > MOST_VOXELS:
        patch[int(np.argmax(np.array(patch) * spacing))] -= 1
    reasons["patch"] = (
        f"the median volume is {_times(median)} voxels of {_times(spacing)} mm; patches have at most "
        f"{MOST_VOXELS} voxels, so that there is time for many steps, and fit the poolings"
    )
    return tuple(patch)


def choose_volume_intensity(fingerprint: Fingerprint, reasons: dict[str, str]) -> Intensity:
    """CT by the intensities of the training set's foreground, everything else by the volume's own."""
    foreground, names = fingerprint.foreground, {name.upper() for name in fingerprint.channel_names}
    if foreground is None or names != {"CT"}:
        reasons["input.intensity"] = (
            "each volume by its own mean and deviation: only in CT do the numbers mean the same in every one"
        )
        return Intensity(method="image_zscore")
    scale = tuple(max(value, 1e-6) for value in foreground.std)
    below, above = (
        [(value - mean) / side for value, mean, side in zip(values, foreground.mean, scale, strict=True)]
        for values in (foreground.low, foreground.high)
    )
    reasons["input.intensity"] = (
        "CT: mean and deviation of the training set's foreground, limited to its percentiles 0.5 and 99.5"
    )
    return Intensity(method="fixed", offset=foreground.mean, scale=scale, limit=(min(below), max(above)))


def choose_volume_augmentation(
    fingerprint: Fingerprint, spacing: tuple[float, ...], upright: tuple[bool, ...], reasons: dict[str, str]
) -> Augmentation:
    """Mirroring where no class has a side, moderate angles, smaller ones across thick slices.

    upright: per axis, whether a class lies off the middle along it.
    """
    ratio = max(spacing) / sorted(spacing)[-2]
    tilt = ANGLE / ratio if ratio <= ANISOTROPIC else 0.0
    sides = [name for name, off in zip(("depth", "height", "width"), upright, strict=True) if off]
    reasons["augmentation"] = (
        f"turned by up to {ANGLE:g} degrees ({tilt:.0f} where the coarsest axis is involved); "
        + (f"not mirrored along {' and '.join(sides)}: a class lies off the middle" if sides else "mirrored")
    )
    few = fingerprint.n_train < 50
    if few:
        reasons["augmentation.elastic"] = f"only {fingerprint.n_train} volumes to learn from"
    depth, height, width = (not off for off in upright)
    return Augmentation(
        flip_depth=depth,
        flip_vertical=height,
        flip_horizontal=width,
        rotation=ANGLE,
        tilt=round(tilt, 1),
        elastic=2.0 if few else 0.0,
    )


def _times(values: object) -> str:
    return " x ".join(f"{value:g}" for value in np.ravel(np.asarray(values)))
