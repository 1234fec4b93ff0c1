"""A verb of Python: a flow that takes a record, called with the fields of the record."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from reunet.contracts.options.fields import Option, Options
from reunet.contracts.options.words import in_python, on_command_line
from reunet.errors import ReunetError, closest
from reunet.progress import watcher

P = ParamSpec("P")
R = TypeVar("R")
Record = TypeVar("Record", bound=Options)


def verb(record: Callable[P, Record]) -> Callable[[Callable[[Record], R]], Callable[P, R]]:
    """Let a flow be called with the options of `record` by name: `train(data, output=...)`.

    `help` tells them all, with what they mean. Raises TypeError with a suggestion for an unknown one.
    """
    options = cast(type[Options], record).OPTIONS

    def public(flow: Callable[[Record], R]) -> Callable[P, R]:
        @wraps(flow)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs.keys() - options.keys():
                hint = closest(name, options)
                raise TypeError(f"{flow.__name__}() has no option {name!r}" + (f"; {hint}" if hint else ""))
            if "on_progress" in options and (watching := watcher()) is not None:
                kwargs.setdefault("on_progress", watching)
            try:
                return flow(record(*args, **kwargs))
            except ReunetError as error:
                if not on_command_line.get():
                    in_python(error, options)
                raise

        parameters = [
            as_parameter(one, one.type | None if one.is_optional else one.type) for one in options.values()
        ]
        found = inspect.signature(flow).return_annotation
        told = [f"{name}: {one.says.help}" for name, one in options.items() if one.says is not None]
        call.__signature__ = inspect.Signature(parameters, return_annotation=found)  # type: ignore[attr-defined]
        call.__doc__ = "\n".join([inspect.cleandoc(flow.__doc__ or ""), "", "Parameters", "-" * 10, *told])
        return call

    return public


def as_parameter(option: Option, annotation: Any) -> inspect.Parameter:
    """An option as a parameter of a function."""
    kind = inspect.Parameter
    default = kind.empty if option.is_required else option.default
    place = kind.POSITIONAL_OR_KEYWORD if option.is_positional else kind.KEYWORD_ONLY
    return kind(option.name, place, default=default, annotation=annotation)
