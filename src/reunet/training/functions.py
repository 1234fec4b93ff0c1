"""What a training in Python is given as functions, which no plan can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Custom, Plan
from reunet.errors import UsageError, known_name

if TYPE_CHECKING:
    import keras


THE_HEAD = ""
"""Stands for the only head of a network."""


@dataclass(frozen=True)
class Functions:
    """network: makes the network of a configuration. losses: functions of targets and logits, by the name of
    the head. callbacks: Keras callbacks that watch.
    """

    network: Callable[[NetworkConfig], keras.Model] | None = None
    losses: Mapping[str, Callable[[Any, Any], Any]] = field(default_factory=dict)
    callbacks: tuple[keras.callbacks.Callback, ...] = ()

    @classmethod
    def of(cls, network: Any, loss: Any, callbacks: tuple[Any, ...]) -> Functions:
        """What was given; a loss that is no dict is one for the only head. Raises UsageError for what is no
        such function.
        """
        import keras

        losses = {} if loss is None or isinstance(loss, str) else loss
        losses = losses if isinstance(losses, Mapping) else {THE_HEAD: losses}
        kind = keras.callbacks.Callback
        _check("loss", losses.values(), callable, "a function of targets and logits")
        _check("network", () if network is None else (network,), callable, "a function of a configuration")
        _check("callbacks", callbacks, lambda one: isinstance(one, kind), "a keras.callbacks.Callback")
        return cls(network, losses, callbacks)

    def fitted(self, plan: Plan) -> Functions:
        """The same for the heads of a plan. Raises UsageError for a head that is not there, and where the
        plan names a network or a loss that was not given.
        """
        heads, losses = sorted(head.name for head in plan.network.heads), dict(self.losses)
        if (one := losses.pop(THE_HEAD, None)) is not None:
            if len(heads) > 1:
                raise UsageError(
                    "one loss was given for several heads of the network",
                    where="loss",
                    expected=f"a dict of functions, for some of {', '.join(heads)}",
                    received=_named(one),
                    fix=f"loss={{{heads[0]!r}: {_named(one).rpartition('.')[2]}}}",
                )
            losses = {heads[0]: one}
        for name in losses:
            known_name(name, heads, where="loss", error=UsageError)
        custom = plan.custom or Custom()
        if custom.network is not None and self.network is None:
            raise _missing("network", custom.network)
        for head, name in custom.losses.items():
            if head not in losses:
                raise _missing("loss", name)
        return replace(self, losses=losses)

    @property
    def custom(self) -> Custom | None:
        """What the plan records of them."""
        if not (self.network or self.losses or self.callbacks):
            return None
        return Custom(
            network=None if self.network is None else _named(self.network),
            losses={head: _named(one) for head, one in self.losses.items()},
            callbacks=tuple(type(one).__name__ for one in self.callbacks),
        )


NO_FUNCTIONS = Functions()


def _missing(what: str, name: str) -> UsageError:
    return UsageError(
        f"this training has a {what} of its own, the Python function {name}",
        where=what,
        expected="that function",
        fix=f"in Python: reunet.train(..., {what}={name.rpartition('.')[2]})",
    )


def _named(function: Any) -> str:
    """Such as `my_losses.focal`; of an object the name of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _check(where: str, values: Any, fits: Callable[[Any], bool], expected: str) -> None:
    for value in values:
        if not fits(value):
            raise UsageError(
                "this is not what the argument takes",
                where=where,
                expected=expected,
                received=f"{value!r}"[:80],
                fix="give the class an instance: Callback()" if isinstance(value, type) else None,
            )
