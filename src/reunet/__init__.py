"""A U-Net toolkit: train on a folder of images and masks, predict, evaluate, report.

The names below are the whole public face (docs/python.md): the verbs of the command line, `load`, `dataset`,
`unet_model` and `Linker`, and the modules `networks`, `losses`, `metrics` and `errors`. They are imported
when first used, so `import reunet` costs nothing and loads no framework.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reunet import errors as errors
    from reunet import losses as losses
    from reunet import metrics as metrics
    from reunet import networks as networks
    from reunet.flows.check import check as check
    from reunet.flows.compare.compare import compare as compare
    from reunet.flows.correct.correct import correct as correct
    from reunet.flows.dataset import dataset as dataset
    from reunet.flows.demo import demo as demo
    from reunet.flows.doctor import doctor as doctor
    from reunet.flows.evaluate.evaluate import evaluate as evaluate
    from reunet.flows.export import export as export
    from reunet.flows.load.load import load as load
    from reunet.flows.models import models as models
    from reunet.flows.pack import pack as pack
    from reunet.flows.plan import plan as plan
    from reunet.flows.predict.predict import predict as predict
    from reunet.flows.suggest.suggest import suggest as suggest
    from reunet.flows.train.train import train as train
    from reunet.networks import unet_model as unet_model
    from reunet.server.open import open as open  # noqa: A004
    from reunet.server.serve import serve as serve
    from reunet.tasks.instances.linking import Linker as Linker
    from reunet.tasks.instances.linking import Linking as Linking

__version__ = "0.1.0"

_HOMES = {
    "check": "reunet.flows.check",
    "plan": "reunet.flows.plan",
    "train": "reunet.flows.train.train",
    "predict": "reunet.flows.predict.predict",
    "evaluate": "reunet.flows.evaluate.evaluate",
    "compare": "reunet.flows.compare.compare",
    "export": "reunet.flows.export",
    "pack": "reunet.flows.pack",
    "correct": "reunet.flows.correct.correct",
    "suggest": "reunet.flows.suggest.suggest",
    "models": "reunet.flows.models",
    "load": "reunet.flows.load.load",
    "dataset": "reunet.flows.dataset",
    "unet_model": "reunet.networks",
    "Linker": "reunet.tasks.instances.linking",
    "Linking": "reunet.tasks.instances.linking",
    "open": "reunet.server.open",
    "serve": "reunet.server.serve",
    "demo": "reunet.flows.demo",
    "doctor": "reunet.flows.doctor",
}
"""Where the names are, in the order of use."""

_MODULES = ("networks", "losses", "metrics", "errors")

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return _import_module(f"reunet.{name}")
    if name not in _HOMES:
        raise _import_module("reunet.errors").unknown("reunet", name, __all__)
    value = getattr(_import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
