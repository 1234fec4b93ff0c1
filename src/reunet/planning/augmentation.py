"""Which random changes of an image leave its meaning alone."""

from reunet.contracts.augmentation import Augmentation, BadFrames
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import ClipSpec
from reunet.planning.decision import Decision
from reunet.planning.resolution import ANISOTROPIC

UPRIGHT = 0.08
"""A class that lies off the middle by this share of a side tells where that side is."""

FEW_CASES = 50
ANGLE = 30.0
"""Degrees that volumes are turned by, at most."""


def choose_augmentation(
    fingerprint: Fingerprint, spacing: tuple[float, ...] | None, clip: ClipSpec | None, *, whole: bool
) -> Decision[Augmentation]:
    """Changes for volumes, for images, or for images of which only the class is told, which are seen `whole`;
    and of single frames where the network sees time.

    spacing, clip: of the plan.
    """
    changes, frames = _choose_changes(fingerprint, spacing, whole=whole), _choose_frames(fingerprint, clip)
    augmentation = changes.value.model_copy(update={"frames": frames.value})
    return Decision(augmentation, {**changes.reasons, **frames.reasons})


def _choose_frames(fingerprint: Fingerprint, clip: ClipSpec | None) -> Decision[BadFrames | None]:
    """Bad frames where a window has others to look at; frames are skipped where sequences are long enough."""
    if clip is None:
        return Decision(None)
    if clip.frames < 2:
        why = "no frame is spoilt: a window has one only, so there is nothing to remember"
        return Decision(None, {"augmentation.frames": why})
    why = "some frames are lost, replaced by noise, blurred, dimmed or grainy, and keep their truth"
    usual = sorted(fingerprint.sequences)[len(fingerprint.sequences) // 2]
    if clip.axis == "Z":
        bad = BadFrames(occluded=0.0, skipped=0.0)
        why = f"{why.replace('frames', 'slices')}: sections get lost, the ones around remain"
    elif usual < 2 * clip.frames:
        bad = BadFrames(skipped=0.0)
        why += f", things pass in front: frames before are needed; none skipped, of only {usual}"
    else:
        bad = BadFrames()
        why += f", things pass in front, up to {bad.longest_gap} are skipped: the frames before are needed"
    return Decision(bad, {"augmentation.frames": why})


def _choose_changes(
    fingerprint: Fingerprint, spacing: tuple[float, ...] | None, *, whole: bool
) -> Decision[Augmentation]:
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
    biased, sided = fingerprint.vertical_bias > UPRIGHT, fingerprint.horizontal_bias > UPRIGHT
    upright = biased or fingerprint.has_many_hues
    why = "flips and any rotation: no class prefers a place, so no direction is special"
    if upright and not (biased or sided):
        why = "little rotation and no vertical flip: of many hues, as photographs, where things stand upright"
    elif upright or sided:
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
