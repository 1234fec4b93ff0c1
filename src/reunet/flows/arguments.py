"""The options that several verbs share, and how a signature tells them one by one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar, get_args, get_type_hints

Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULTS = {"task": ("auto",), "preset": "auto", "loss": "auto", "seed": 0, "encoder_weights": "imagenet"}
"""Of shared options; others are False where they are bool, and else None."""


class DataArguments(TypedDict, total=False):
    """What the user says about a dataset: the fields of `reunet.datasets.cases.DataOptions`, told there."""

    images: Path | None
    masks: Path | None
    axes: str | None
    classes: Path | None
    colors: Path | None
    group: str | None
    allow_geometry_mismatch: bool
    sequence: str | None
    boxes_from_masks: str | None


class PlanArguments(TypedDict, total=False):
    """What the user wants trained, where the rules of planning do not decide.

    preset: the network by name. encoder: a pretrained encoder by name, for images with two axes.
    loss: `cl_dice` for thin branching structures, such as vessels; else cross-entropy and Dice.
    minutes, epochs, steps: the budget, one of them; minutes are wall time from the start of the process
    to the final weights. Ten minutes when nothing is given.
    seed: of everything random. backend: the training framework; else the one that is installed.
    max_memory: bytes that training may need.
    """

    task: Sequence[str]
    preset: str
    encoder: str | None
    loss: str
    minutes: float | None
    epochs: float | None
    steps: int | None
    seed: int
    backend: str | None
    max_memory: int | None


class TrainArguments(PlanArguments, DataArguments, total=False):
    """What to train, on which data."""


def spread(function: Function) -> Function:
    """Let the signature of a function name the options of its `**options: Unpack[...]` one by one.

    For `help` and for typer, which both read `__signature__`.
    """
    hints = get_type_hints(function, include_extras=True)
    *own, last = inspect.signature(function).parameters.values()
    (group,) = get_args(hints[last.name])
    plain = get_type_hints(group)
    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    parameters += [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=DEFAULTS.get(name, False if plain[name] is bool else None),
            annotation=hint,
        )
        for name, hint in get_type_hints(group, include_extras=True).items()
    ]
    function.__signature__ = inspect.Signature(parameters, return_annotation=hints["return"])  # type: ignore[attr-defined]
    return function
