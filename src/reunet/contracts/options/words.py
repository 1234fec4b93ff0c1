"""What errors call options: `--max-memory 2GB` on the command line, `max_memory=...` in Python."""

import re
from collections.abc import Mapping
from contextvars import ContextVar

from reunet.contracts.options.fields import Option
from reunet.errors import ReunetError

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
