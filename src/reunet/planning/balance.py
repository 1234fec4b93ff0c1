"""How much each class weighs in training, and by which loss classes of pixels are learned."""

from math import ceil, sqrt

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import LossSpec
from reunet.errors import UsageError
from reunet.planning.decision import Decision

RARE = 0.01
"""Share of the labelled pixels below which a class is looked for more often."""

CORRECTED = 3
"""How often images that a person corrected are shown, where others are shown once."""

EVENING = 0.25
"""Exponent by which classes of pixels weigh more the rarer they are: ahead of 0 and 0.5 for road scenes."""

MANY_CLASSES = 4
"""Foreground classes from which on they are weighed."""

THINNING = (3, 25)
"""Fewest and most steps of the soft skeleton that centre lines are learned by."""


def balanced_weights(counts: tuple[int, ...]) -> tuple[float, ...]:
    """Weights that let every class count the same: N / (classes n) for a class with n of N images.

    Their mean over the images is 1. A class without images has weight 0 and is not one of the `classes`.
    """
    present = sum(count > 0 for count in counts)
    return tuple(sum(counts) / (present * count) if count else 0.0 for count in counts)


def choose_sampling(fingerprint: Fingerprint) -> Decision[tuple[float, ...]]:
    """How often patches are centred on each class: of a share f of the pixels sqrt(RARE / f) times as often
    where f is below RARE, as repeat factors of images are chosen by Gupta et al. 2019 (arXiv 1908.03195).

    Empty where no class is rare, or there is one foreground class.
    """
    labels, fractions = fingerprint.labels, fingerprint.class_fraction
    rare = [i for i in labels.foreground if 0 < fractions[i] < RARE]
    if not rare or len(labels.foreground) < 2:
        return Decision(())
    weights = [round(sqrt(RARE / fractions[i]), 2) if i in rare else 1.0 for i in range(len(fractions))]
    why = (
        f"patches are centred on {', '.join(labels.names[i] for i in rare)} up to {max(weights):.1f} times "
        f"as often as on other classes: fewer than {RARE:.0%} of the labelled pixels each"
    )
    return Decision(tuple(weights), {"class_sampling": why})


def choose_corrected(fingerprint: Fingerprint) -> Decision[int]:
    """How often corrected images are shown: more often where others are there too, as they show what an
    earlier training did not know.
    """
    corrected, count = fingerprint.n_corrected, fingerprint.n_train
    if not 0 < corrected < count:
        return Decision(1)
    why = f"{corrected} of {count} images were corrected: they are shown {CORRECTED} times as often as others"
    return Decision(CORRECTED, {"corrected_sampling": why})


def pixel_weights(fingerprint: Fingerprint) -> Decision[tuple[float, ...]]:
    """Weights f^-EVENING for classes with a share f of the labelled pixels, their mean over these pixels 1.

    Empty where there are few classes, or an image may be annotated with some of them only.
    """
    labels, shares = fingerprint.labels, fingerprint.class_fraction
    if len(labels.foreground) < MANY_CLASSES or labels.partial or labels.regions:
        return Decision(())
    raw = [share**-EVENING if share else 0.0 for share in shares]
    mean = sum(weight * share for weight, share in zip(raw, shares, strict=True))
    weights = tuple(round(weight / mean, 3) for weight in raw)
    seen = [weight for weight in weights if weight]
    why = (
        f"a pixel of the rarest class counts {max(seen) / min(seen):.1f} times as much as one of the most "
        "frequent: shares of the pixels differ, and every class shall be learned in the minutes there are"
    )
    return Decision(weights, {"loss.class_weights": why})


def choose_loss(
    fingerprint: Fingerprint, asked: str, spacing: tuple[float, ...] | None
) -> Decision[LossSpec]:
    """The loss that was asked for; cross-entropy and Dice unless it was. spacing: as of a plan.

    Raises UsageError for centre lines of what has no classes of pixels.
    """
    weights, pixels = balanced_weights(fingerprint.category_counts), pixel_weights(fingerprint)
    if asked == "auto":
        spec = LossSpec(class_weights=pixels.value, category_weights=weights)
        return Decision(spec, pixels.reasons)
    if not {"masks", "instances"} & set(fingerprint.kinds):
        raise UsageError("this loss is for classes of pixels", where="--loss", received=asked)
    labels, shrunk = fingerprint.labels, 1.0 if spacing is None or len(spacing) == 3 else min(spacing)
    widths = [width for i, width in enumerate(fingerprint.thickness) if width and i in labels.foreground]
    fewest, most = THINNING
    steps = min(most, max(fewest, ceil(max(widths, default=10.0) / shrunk)))
    why = (
        f"as asked: half of Dice is that of centre lines, of lines up to {2 * steps} pixels wide, twice as "
        "wide as they usually are"
    )
    loss = LossSpec(dice=0.5, cl_dice=0.5, thinning=steps, category_weights=weights)
    return Decision(loss, {"loss.cl_dice": why})
