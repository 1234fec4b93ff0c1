"""Losses on logits: by the name that a head gives (`LOSSES`), of a plan (`losses_of`), and their classes.

What their targets leave open, `IGNORE` (255) in labels and nan in maps, does not count. Keras is loaded when
the first of them is asked for, since its backend must be chosen before.
"""

from typing import TYPE_CHECKING

from reunet.backend import use_any_backend
from reunet.on_demand import on_demand

if TYPE_CHECKING:
    from reunet.contracts.plan import LossSpec as LossSpec
    from reunet.losses.classification import ClassificationLoss as ClassificationLoss
    from reunet.losses.maps import CentreLoss as CentreLoss
    from reunet.losses.maps import SmoothL1Loss as SmoothL1Loss
    from reunet.losses.named import LOSSES as LOSSES
    from reunet.losses.named import losses_of as losses_of
    from reunet.losses.overlap import cl_dice as cl_dice
    from reunet.losses.overlap import dice as dice
    from reunet.losses.segmentation import RegionLoss as RegionLoss
    from reunet.losses.segmentation import SegmentationLoss as SegmentationLoss

_HOMES = {
    "LOSSES": "reunet.losses.named",
    "losses_of": "reunet.losses.named",
    "LossSpec": "reunet.contracts.plan",
    "SegmentationLoss": "reunet.losses.segmentation",
    "RegionLoss": "reunet.losses.segmentation",
    "ClassificationLoss": "reunet.losses.classification",
    "CentreLoss": "reunet.losses.maps",
    "SmoothL1Loss": "reunet.losses.maps",
    "dice": "reunet.losses.overlap",
    "cl_dice": "reunet.losses.overlap",
}

__all__ = [*_HOMES]
__getattr__, __dir__ = on_demand(__name__, _HOMES, __all__, before=lambda: use_any_backend("tensorflow"))
