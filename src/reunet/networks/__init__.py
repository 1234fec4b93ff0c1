"""The networks: one builder with five slots (encoder, block, bottleneck, skip, decoder), configured by data.

`unet.py` and `blocks.py` together are the U-Net of Ronneberger et al. 2015; every other network is the
same builder with another entry in a slot. Read `presets.py` for the list.

Keras is loaded when the first network is asked for, since its backend must be chosen before; where nobody
has, it is TensorFlow, or else the one that is installed. As soon as Keras is loaded it knows the layers of
these networks, so that `keras.models.load_model` reads what was saved of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from reunet.backend import after_import, use_any_backend
from reunet.networks.presets import PRESETS as PRESETS
from reunet.networks.presets import configure as configure
from reunet.on_demand import on_demand

if TYPE_CHECKING:
    from reunet.networks.facts import measure as measure
    from reunet.networks.outputs import probability_model as probability_model
    from reunet.networks.outputs import state_names as state_names
    from reunet.networks.own import own_network as own_network
    from reunet.networks.unet import build as build
    from reunet.networks.unet import build_network as build_network
    from reunet.networks.unet import build_step_network as build_step_network
    from reunet.networks.unet import unet_model as unet_model

_HOMES = {
    "build": ".unet",
    "build_network": ".unet",
    "build_step_network": ".unet",
    "measure": ".facts",
    "own_network": ".own",
    "probability_model": ".outputs",
    "state_names": ".outputs",
    "unet_model": ".unet",
}


_LAYERS = ("normalisation", "recurrence", "reshaping", "residual", "thinking")
"""Where the layers are that Keras does not have."""

after_import("keras", lambda: [import_module(f"{__name__}.{room}") for room in _LAYERS])

__all__ = ["PRESETS", "build", "configure", "measure", "unet_model"]
__getattr__, __dir__ = on_demand(__name__, _HOMES, __all__, before=lambda: use_any_backend("tensorflow"))
