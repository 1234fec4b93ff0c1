"""A verb of Python: a flow that takes a record, called with its fields; and what errors then call options."""

import inspect
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from reunet.contracts.options.fields import Option, Options
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


on_command_line: ContextVar[bool] = ContextVar("on_command_line", default=False)
"""Whether what is told is read by somebody who typed a command."""

_FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]*[a-z]|-o)\b(?: ([\w:]*\w))?")


def in_python(error: ReunetError, options: Mapping[str, Option]) -> None:
    """Have an error call these options as a caller in Python writes them. Commands in backquotes stay."""
    flags = {option.flag: option for option in options.values()}
    flags |= {one.says.short: one for one in options.values() if one.says is not None and one.says.short}

    def argument(found: re.Match[str]) -> str:
        option, value = flags.get(found[1]), found[2]
        if option is None:
            return found[0]
        after = "" if value is None else f" {value}"
        if found[1] == "-o":
            return f"{option.name}=...{after}"
        if option.type is bool:
            return f"{option.name}=True{after}"
        if value in option.choices:
            return f"{option.name}={value!r}"
        is_metavar = value is not None and option.says is not None and value == option.says.metavar
        return f"{option.name}={value}" if is_metavar else f"{option.name}{after}"

    def reworded(text: object) -> object:
        if not isinstance(text, str):
            return text
        parts = text.split("`")
        return "`".join(
            part if number % 2 else _FLAG.sub(argument, part) for number, part in enumerate(parts)
        )

    if error.where in flags:
        error.where = flags[str(error.where)].name
    for name in ("what", "where", "expected", "received", "fix"):
        setattr(error, name, reworded(getattr(error, name)))
    error.args = (str(error), *error.args[1:])
