"""How pixels are normalised before the network sees them."""

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import InputSpec, Intensity
from reunet.planning.decision import Decision

DIFFERENT_LIGHT = 0.3
"""Standard deviations between the means of images that are lit differently."""


def choose_input(
    fingerprint: Fingerprint, size: tuple[int, ...] | None, longest: Decision[int | None]
) -> Decision[InputSpec]:
    """What images the run reads. size: that all are brought to where they are seen whole. longest: see
    `choose_longest`.
    """
    if fingerprint.rank == 3:
        intensity, why = _of_volumes(fingerprint)
    else:
        intensity, why = _of_images(fingerprint, whole=size is not None)
    reasons = {"input.intensity": why, **longest.reasons}
    mixed = fingerprint.rank == 2 and fingerprint.mixed_channels
    if names := fingerprint.read_channels:
        reasons["input.channel_names"] = f"of all channels those that were asked for: {', '.join(names)}"
    if mixed:
        reasons["input.grey_to_rgb"] = (
            "grey images are repeated to three channels, as some images are coloured"
        )
    return Decision(
        InputSpec(
            channels=fingerprint.channels,
            channel_names=names,
            grey_to_rgb=mixed,
            intensity=intensity,
            size=size,
            longest=longest.value,
        ),
        reasons,
    )


def _of_images(fingerprint: Fingerprint, *, whole: bool) -> tuple[Intensity, str]:
    """The training set's mean and deviation, or each image's own where their light tells nothing."""
    spread, own = max(fingerprint.between_image_std), "each image by its own mean and deviation: "
    if fingerprint.mixed_channels:
        return Intensity(method="image_zscore"), own + "grey and colour images are mixed"
    if spread > DIFFERENT_LIGHT and not whole:
        varying = f"the images are lit differently (their means vary by {spread:.2f} standard deviations)"
        return Intensity(method="image_zscore"), own + varying
    why = (
        "colour may tell the class"
        if whole
        else f"their light is alike (means vary by {spread:.2f} standard deviations), so its absolute "
        "level may carry meaning"
    )
    return (
        Intensity(method="fixed", offset=fingerprint.mean, scale=_above_zero(fingerprint.std)),
        f"mean and deviation of the training set for all images: {why}",
    )


def _of_volumes(fingerprint: Fingerprint) -> tuple[Intensity, str]:
    """CT by the intensities of the training set's foreground, everything else by the volume's own."""
    foreground, names = fingerprint.foreground, {name.upper() for name in fingerprint.channel_names}
    if foreground is None or names != {"CT"}:
        return (
            Intensity(method="image_zscore"),
            "each volume by its own mean and deviation: only in CT do the numbers mean the same in every one",
        )
    scale = _above_zero(foreground.std)
    below, above = (
        [(value - mean) / side for value, mean, side in zip(values, foreground.mean, scale, strict=True)]
        for values in (foreground.low, foreground.high)
    )
    return (
        Intensity(method="fixed", offset=foreground.mean, scale=scale, limit=(min(below), max(above))),
        "CT: mean and deviation of the training set's foreground, limited to its percentiles 0.5 and 99.5",
    )


def _above_zero(deviations: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(max(value, 1e-6) for value in deviations)
