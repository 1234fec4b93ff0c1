"""Detection: a box and a class for each object, without anchors.

Two heads at the resolution of what the network sees: a map of centres per class (Zhou et al. 2019, "Objects
as Points", arXiv 1904.07850) and, at each pixel, the distances to the four sides of the box around it (Tian
et al. 2019, FCOS, arXiv 1904.01355), learned in the middle of each box (Liu et al. 2020, TTFNet, arXiv
1909.00700). The distances start at the pixel itself, so a peak that is a pixel off gives the same box, and
no offset has to be learned.
"""

from __future__ import annotations

from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.tasks.detection.decode import confident, decode, flipped, suppressed
from reunet.tasks.detection.fit import fit_calibration, validation_score
from reunet.tasks.detection.scorer import Scorer
from reunet.tasks.detection.targets import BOX, CENTRE, targets

__all__ = [
    "BOX",
    "CENTRE",
    "Scorer",
    "confident",
    "decode",
    "fit_calibration",
    "flipped",
    "heads",
    "suppressed",
    "targets",
    "validation_score",
]


def heads(labels: LabelMap) -> tuple[HeadSpec, ...]:
    """Centres with a channel per foreground class, in class order, and the logarithms of four distances."""
    return (
        HeadSpec(name=CENTRE, channels=len(labels.foreground), activation="sigmoid"),
        HeadSpec(name=BOX, channels=4, activation="linear"),
    )
