"""How an option is declared: a field of a record that says what it means, takes and goes with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from inspect import get_annotations
from pathlib import Path
from types import NoneType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Self,
    TypeAlias,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
)

from reunet.errors import UsageError, known_name

Given = TypeVar("Given")
Held = TypeVar("Held")
Record = TypeVar("Record", bound="Options")

if TYPE_CHECKING:

    class Converted(Generic[Given, Held]):
        """What may be given for a field, and what the record then holds."""

        def __get__(self, record: object, kind: type | None = None) -> Held: ...
        def __set__(self, record: object, value: Given) -> None: ...

    AnyPath: TypeAlias = Converted[str | Path, Path]
    OptionalPath: TypeAlias = Converted[str | Path | None, Path | None]
    AnyPaths: TypeAlias = Converted[str | Path | Sequence[str | Path], tuple[Path, ...]]
    AnyPoints: TypeAlias = Converted[Sequence[str | Sequence[float]], tuple[str | Sequence[float], ...]]
    AnyNames: TypeAlias = Converted[str | Sequence[str], str]
    AnyLoss: TypeAlias = Converted[str | Callable[..., Any] | Mapping[str, Callable[..., Any]], Any]
else:
    AnyPath, OptionalPath, AnyPaths = Path, Path | None, tuple[Path, ...]
    AnyPoints = tuple[str, ...]
    AnyNames, AnyLoss = str, Literal["auto", "cl_dice"]


@dataclass(frozen=True)
class Says:
    """What a field says of itself.

    help: what it means. metavar: what stands for its value. short: its letter on the command line.
    least, above: bounds of a number. in_bytes: written like 8GB on the command line.
    listed: names with commas between them; Python may give a list of them. or_functions: Python may give a
    function instead, or several by name. in_python: the command line does not have it.
    only_with: fields, beside one of which only it has an effect. not_with: those that it contradicts, or that
    have no effect beside it.
    """

    help: str
    metavar: str | None = None
    short: str | None = None
    least: float | None = None
    above: float | None = None
    in_bytes: bool = False
    listed: bool = False
    or_functions: bool = False
    in_python: bool = False
    only_with: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()


def option(*says: Any, default: Any = None, **more: Any) -> Any:
    """A field of a record. says, more: what `Says` takes, or one that says all."""
    return field(default=default, metadata={"says": _says(*says, **more)})


def required(*says: Any, **more: Any) -> Any:
    """The same of a field without a default."""
    return field(metadata={"says": _says(*says, **more)})


def _says(*told: Any, **more: Any) -> Says:
    return told[0] if isinstance(told[0], Says) else Says(*told, **more)


@dataclass(frozen=True)
class Option:
    """A field as others read it. type: without None and without what it says."""

    name: str
    type: Any
    default: Any
    is_optional: bool
    is_positional: bool
    says: Says | None

    @property
    def is_required(self) -> bool:
        return self.default is MISSING

    @property
    def is_argument(self) -> bool:
        """Whether the command line takes it by its place; then it is called by its metavar."""
        return self.is_positional and self.says is not None and self.says.short is None

    @property
    def flag(self) -> str:
        """What messages and the command line call it, such as `--max-memory`."""
        if self.is_argument and self.says is not None and self.says.metavar is not None:
            return self.says.metavar
        return f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The names it takes; empty for any value."""
        parts = get_args(self.type)
        return parts if all(isinstance(part, str) for part in parts) else get_args(parts[0])

    def converted(self, value: Any) -> Any:
        """What the record holds of what was given."""
        if value is None:
            return None
        if self.type is Path:
            return self._path(value)
        if self.says is not None and self.says.listed and not isinstance(value, str):
            return ",".join(self._several(value))
        if get_origin(self.type) is not tuple:
            return value
        if get_args(self.type)[0] is Path:
            is_one = isinstance(value, (str, Path)) or hasattr(value, "shape")
            return tuple(map(self._path, (value,) if is_one else self._several(value)))
        return (value,) if isinstance(value, str) else tuple(self._several(value))

    def _path(self, value: Any) -> Path:
        """Raises UsageError for what is no path, such as an image that was read already."""
        try:
            return Path(value)
        except TypeError:
            shape = getattr(value, "shape", None)
            raise UsageError(
                "files and folders are named by their paths",
                where=self.flag,
                expected="a path",
                received=f"an array of shape {tuple(shape)}" if shape is not None else f"{value!r}"[:80],
                fix="an image in memory is predicted by reunet.load(RUN)(image)"
                if shape is not None
                else None,
            ) from None

    def _several(self, values: Any) -> Sequence[Any]:
        """Raises UsageError for a single thing where several belong."""
        if not isinstance(values, Iterable):
            raise UsageError(
                "several values belong here",
                where=self.flag,
                expected="a list",
                received=f"{values!r}"[:80],
                fix="put it into a list: [...]",
            )
        return list(values)

    def check(self, value: Any) -> None:
        """Raise UsageError for a value that it does not take."""
        if value is None or self.says is None:
            return
        names = self.choices
        for one in value if isinstance(value, tuple) else (value,):
            if names and (isinstance(one, str) or not self.says.or_functions):
                known_name(one, names, where=self.flag, error=UsageError)
        least, above = self.says.least, self.says.above
        if least is None and above is None:
            return
        is_number = isinstance(value, (int, float)) and math.isfinite(value)
        if not is_number or (least is not None and value < least) or (above is not None and value <= above):
            raise UsageError(
                "not a usable number",
                where=self.flag,
                expected=f"a number above {above:g}" if least is None else f"{least:g} or more",
                received=value,
            )


def _options_of(kind: type[Options]) -> dict[str, Option]:
    known = {one.name: one for one in fields(kind) if one.init}
    names = dict.fromkeys(name for part in kind.__mro__ for name in get_annotations(part))
    return {name: _option(known[name]) for name in names if name in known}


def _option(one: Field[Any]) -> Option:
    hint = one.type
    parts = [part for part in get_args(hint) if part is not NoneType]
    is_optional = NoneType in get_args(hint)
    return Option(
        name=one.name,
        type=parts[0] if is_optional else hint,
        default=one.default,
        is_optional=is_optional,
        is_positional=not one.kw_only,
        says=one.metadata.get("says"),
    )


@dataclass_transform(eq_default=False, field_specifiers=(field, required))
def record(kind: type[Record]) -> type[Record]:
    """A frozen dataclass, whose annotations are no strings: to evaluate those takes time in every `--help`.

    To type checkers it is not a frozen one, since of those they do not see how a field is `Converted`.
    """
    made = dataclass(frozen=True, eq=False)(kind)
    made.OPTIONS = _options_of(made)
    return made


@record
class Options:
    """What a verb is asked for; all is checked when it is made, before anything is read.

    OPTIONS: its fields by name, its own before those of its groups. MODES: by the property that tells a way
    of use, what messages call it and what has no effect then. Raises UsageError for a value that an option
    does not take, for options that contradict each other and for one that would have no effect.
    """

    OPTIONS: ClassVar[dict[str, Option]] = {}
    MODES: ClassVar[dict[str, tuple[str, tuple[str, ...]]]] = {}
    _named: ClassVar[frozenset[str]] = frozenset()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remembers which options were given by name."""
        made = super().__new__(cls)
        object.__setattr__(made, "_named", frozenset(kwargs))
        return made

    def __post_init__(self) -> None:
        for name, option in self.OPTIONS.items():
            object.__setattr__(self, name, option.converted(getattr(self, name)))
            option.check(getattr(self, name))
        for name, option in self.OPTIONS.items():
            if option.says is not None and self.gives(name):
                self._check_company(option, option.says)
        for mode, (called, idle) in self.MODES.items():
            for name in filter(self.gives, idle if getattr(self, mode) else ()):
                raise _contradiction(self.OPTIONS[name].flag, called)

    def gives(self, name: str) -> bool:
        """Whether an option was given: by name, be it what it is by default, or else is another value.

        None and False are what an option is that was not given.
        """
        value = getattr(self, name)
        is_nothing = value is None or value is False
        return value != self.OPTIONS[name].default or (name in self._named and not is_nothing)

    def _check_company(self, option: Option, says: Says) -> None:
        for name in filter(self.gives, says.not_with):
            raise _contradiction(option.flag, self.OPTIONS[name].flag)
        if says.only_with and not any(map(self.gives, says.only_with)):
            others = " or ".join(self.OPTIONS[name].flag for name in says.only_with)
            raise UsageError(
                "this option has no effect here",
                where=f"{option.flag} without {others}",
                fix=f"leave {option.flag} out, or give {others} too",
            )


def _contradiction(one: str, other: str) -> UsageError:
    return UsageError(
        "these options contradict each other", where=f"{one} with {other}", fix="leave one of them out"
    )
