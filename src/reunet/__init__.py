"""A U-Net toolkit: train on a folder of images and masks, predict, evaluate, report.

The names below are the whole public face; each is the verb of the command line of the same name.
They are imported when first used, so `import reunet` costs nothing and loads no framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reunet.flows.check import check as check
    from reunet.flows.compare.compare import compare as compare
    from reunet.flows.correct.correct import correct as correct
    from reunet.flows.demo import demo as demo
    from reunet.flows.doctor import doctor as doctor
    from reunet.flows.evaluate.evaluate import evaluate as evaluate
    from reunet.flows.export import export as export
    from reunet.flows.models import models as models
    from reunet.flows.plan import plan as plan
    from reunet.flows.predict.predict import predict as predict
    from reunet.flows.train.train import train as train
    from reunet.inference.load import load as load
    from reunet.networks import unet_model as unet_model
    from reunet.server.open import open as open  # noqa: A004
    from reunet.server.serve import serve as serve

__version__ = "0.1.0"

_HOMES = {
    "check": "reunet.flows.check",
    "plan": "reunet.flows.plan",
    "train": "reunet.flows.train.train",
    "predict": "reunet.flows.predict.predict",
    "evaluate": "reunet.flows.evaluate.evaluate",
    "compare": "reunet.flows.compare.compare",
    "export": "reunet.flows.export",
    "correct": "reunet.flows.correct.correct",
    "models": "reunet.flows.models",
    "load": "reunet.inference.load",
    "unet_model": "reunet.networks",
    "open": "reunet.server.open",
    "serve": "reunet.server.serve",
    "demo": "reunet.flows.demo",
    "doctor": "reunet.flows.doctor",
}
"""Where the names are, in the order of use."""

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'reunet' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
