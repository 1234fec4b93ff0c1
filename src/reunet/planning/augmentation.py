"""Which random changes of an image leave its meaning alone."""

from __future__ import annotations

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import Augmentation
from reunet.planning.decision import Decision
from reunet.planning.resolution import ANISOTROPIC

UPRIGHT = 0.08
"""A class that lies off the middle by this share of a side tells where that side is."""

FEW_CASES = 50
ANGLE = 30.0
"""Degrees that volumes are turned by, at most."""


def choose_augmentation(
    fingerprint: Fingerprint, spacing: tuple[float, ...] | None, *, whole: bool
) -> Decision[Augmentation]:
    """Changes for volumes, for images, or for images of which only the class is told, which are seen `whole`.

    spacing: of the plan.
    """
    if whole:
        why = "mirrored left to right, turned and scaled a little: what is up may tell the class"
        augmentation = Augmentation(
            flip_vertical=False, rotation=10.0, scale=(0.85, 1.15), shear=0.05, geometry_probability=0.8
        )
        return Decision(augmentation, {"augmentation": why})
    if fingerprint.rank == 3 and spacing is not None:
        return _of_volumes(fingerprint, spacing)
    return _of_images(fingerprint)


def _of_images(fingerprint: Fingerprint) -> Decision[Augmentation]:
    upright, sided = fingerprint.vertical_bias > UPRIGHT, fingerprint.horizontal_bias > UPRIGHT
    why = "flips and any rotation: no class prefers a place, so no direction is special"
    if upright or sided:
        turned = [way for way, never in (("vertical", upright), ("horizontal", sided)) if never]
        why = (
            f"little rotation and no {' or '.join(turned)} flip: a class lies off the middle (by at least "
            f"{fingerprint.vertical_bias:.2f} of the height, {fingerprint.horizontal_bias:.2f} of the "
            f"width), so direction carries meaning"
        )
    reasons, few = {"augmentation": why}, fingerprint.n_train < FEW_CASES
    if few:
        reasons["augmentation.elastic"] = (
            f"elastic deformation, as in the U-Net paper: only {fingerprint.n_train} images to learn from"
        )
    augmentation = Augmentation(
        flip_vertical=not upright,
        flip_horizontal=not sided,
        rotation=15.0 if upright or sided else 180.0,
        elastic=4.0 if few else 0.0,
    )
    return Decision(augmentation, reasons)


def _of_volumes(fingerprint: Fingerprint, spacing: tuple[float, ...]) -> Decision[Augmentation]:
    """Mirroring where no class has a side, moderate angles, smaller ones across thick slices."""
    ratio = max(spacing) / sorted(spacing)[-2]
    tilt = ANGLE / ratio if ratio <= ANISOTROPIC else 0.0
    biases = {
        "depth": fingerprint.depth_bias,
        "height": fingerprint.vertical_bias,
        "width": fingerprint.horizontal_bias,
    }
    sides = [name for name, bias in biases.items() if bias > UPRIGHT]
    mirrored = (
        f"not mirrored along {' and '.join(sides)}: a class lies off the middle" if sides else "mirrored"
    )
    why = f"turned by up to {ANGLE:g} degrees ({tilt:.0f} where the coarsest axis is involved); {mirrored}"
    reasons, few = {"augmentation": why}, fingerprint.n_train < FEW_CASES
    if few:
        reasons["augmentation.elastic"] = f"only {fingerprint.n_train} volumes to learn from"
    augmentation = Augmentation(
        flip_depth="depth" not in sides,
        flip_vertical="height" not in sides,
        flip_horizontal="width" not in sides,
        rotation=ANGLE,
        tilt=round(tilt, 1),
        elastic=2.0 if few else 0.0,
    )
    return Decision(augmentation, reasons)
