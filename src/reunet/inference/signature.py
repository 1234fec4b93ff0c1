"""Whether an engine takes and gives what the plan of its run says, before it sees an image."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from reunet.contracts.network import ENTROPY
from reunet.contracts.plan import Plan
from reunet.contracts.sizes import margin
from reunet.errors import ModelFileError, ReunetError

Shape = tuple[int, ...]

MOST_PER_PIXEL = 2**14
"""Values that an operation may give for each pixel of a tile; exported networks stay below a hundred."""

LEAST_VALUES = 2**24
"""So many may be given on the smallest tile: constants do not depend on it."""

UNBOUNDED = ("If", "Loop", "TensorIterator")
"""Operations that run others again and again; nothing that is exported here has them."""


@contextmanager
def explained(model: Path) -> Iterator[None]:
    """Raise ModelFileError for what a library raises at an engine, whatever it is."""
    try:
        yield
    except ReunetError:
        raise
    except Exception as cause:
        told = str(cause).strip().splitlines()
        raise ModelFileError(
            "the engine of this run cannot be used",
            where=model,
            received=told[-1] if told else type(cause).__name__,
            fix="copy the run folder again from its source, or use --engine keras",
        ) from cause


def check_work(graph: Any, tile: Shape, model: Path) -> None:
    """Raise ModelFileError for a graph, an `openvino.Model` of fixed size, that computes without measure."""
    most = max(LEAST_VALUES, MOST_PER_PIXEL * prod(tile))
    for operation in graph.get_ops():
        kind = operation.get_type_name()
        shapes = [port.get_partial_shape() for port in operation.outputs()]
        values = [prod(shape.to_shape()) for shape in shapes if shape.is_static]
        if kind in UNBOUNDED or max(values, default=0) > most:
            raise ModelFileError(
                "the engine of this run is no network that reunet exports",
                where=model,
                expected=f"operations that give at most {most} values each",
                received=f"{kind}, {max(values, default=0)} values",
                fix="copy the run folder again from its source",
            )


def check_signature(
    plan: Plan, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], model: Path
) -> None:
    """Raise ModelFileError where an engine has other inputs or outputs than the network of a plan.

    inputs, outputs: shapes by name, without the batch; states are both. A side that is not fixed is below 1.
    """
    states = {name: shape for name, shape in inputs.items() if name != "image"}
    size = plan.engine_input
    edge = (0,) * (len(size) - plan.network.spatial_dims) + margin(plan.network)
    inner = tuple(side - 2 * lost for side, lost in zip(size, edge, strict=True))
    frames = size[: -plan.network.spatial_dims]
    heads = {
        head.name: (*(inner if head.of == "pixels" else frames), head.channels) for head in plan.network.heads
    }
    heads |= {head.name + ENTROPY: (*inner, 1) for head in plan.network.undecided}
    wanted = {"image": (*size, plan.network.in_channels), **states}, {**heads, **states}
    for what, expected, found in zip(("takes", "gives"), wanted, (inputs, outputs), strict=True):
        if not _agree(expected, found):
            raise ModelFileError(
                f"the engine of this run {what} something else than plan.json says",
                where=model,
                expected=_told(expected),
                received=_told(found),
                fix="copy the run folder again from its source",
            )


def _agree(expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> bool:
    return expected.keys() == found.keys() and all(
        len(shape) == len(found[name])
        and all(b < 1 or a == b for a, b in zip(shape, found[name], strict=True))
        for name, shape in expected.items()
    )


def _told(ports: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in ports.items())
