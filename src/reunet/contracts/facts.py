"""What stands beside the weights and the engine of a run: hashes, what they are made for, what was measured.

A run belongs together by content: weights and engine say for which plan they are made, engine and calibration
for which weights. So a folder may be moved, renamed and copied, and what came from another run is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from reunet.contracts.base import Contract
from reunet.contracts.labels import LabelMap
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import ClipSpec, InputSpec, Plan
from reunet.errors import ModelFileError, ReunetError

Hash = Annotated[str, Field(max_length=64)]
"""Hex SHA-256 of the content of a file."""


def differing(ppm: float, what: str = "label") -> str:
    """How many differ, so that a person sees how much that is: `1 label in 9,500 differs`.

    ppm: per million.
    """
    return f"1 {what} in {float(f'{1e6 / ppm:.2g}'):,.0f} differs" if ppm > 0 else f"no {what} differs"


class Facts(Contract):
    """A contract that only reunet writes; what a later version adds is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    error: ClassVar[type[ReunetError]] = ModelFileError


class Meaning(Facts):
    """What decides in a plan how an image is read and what outputs stand for: fixed once there are weights.

    The rest may be edited: how images are tiled, names of the dataset, colours, reasons, and what only a
    training uses.
    """

    tasks: tuple[str, ...]
    labels: LabelMap
    categories: LabelMap | None = None
    input: InputSpec
    network: NetworkConfig
    spacing: tuple[float, ...] | None = None
    clip: ClipSpec | None = None
    prompt: str | None = None

    @classmethod
    def of(cls, plan: Plan) -> Meaning:
        return cls(**{name: getattr(plan, name) for name in cls.model_fields})

    def difference(self, other: Meaning) -> tuple[str, Any, Any] | None:
        """The first field that differs in `other`, and the values in both; None for the same meaning."""
        mine, its = (dict(_leaves(one.model_dump(mode="json"))) for one in (self, other))
        fields = [name for name in mine | its if mine.get(name) != its.get(name)]
        return (fields[0], mine.get(fields[0]), its.get(fields[0])) if fields else None


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The single values of nested JSON by their dotted names, but for colours."""
    if isinstance(value, dict | list) and value:
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            if key not in ("color", "ignore_color"):
                yield from _leaves(part, f"{name}.{key}".lstrip("."))
    else:
        yield name, value


class WeightsFacts(Facts):
    """weights.json: the hash of the weights, and what they were trained for and with.

    plan: in earlier runs it is missing, and the network is there. data: hashes of fingerprint.json and
    splits.json.
    """

    sha256: Hash
    plan: Meaning | None = None
    network: NetworkConfig | None = None
    data: dict[str, Hash | None] = {}

    @property
    def weights(self) -> str:
        """The hash of the weights that this speaks of."""
        return self.sha256


class Measured(Facts):
    """What an engine is like, as far as it was measured: `score` on held-out images, tiles per second, and
    against the same network in float32 labels per million that differ, and how much lower the score is.
    """

    labels_differ_ppm: float | None = Field(default=None, ge=0, le=1e6)
    max_difference: float | None = None
    score: float | None = None
    score_drop: float | None = None
    tiles_per_second: float | None = Field(default=None, ge=0)


class EngineFacts(Facts):
    """engine.json: the hashes of the files of the engine, for which weights and plan they were exported, the
    tile they were measured at, and what was measured: of OpenVINO by precision, of ONNX Runtime.
    """

    schema_version: int = 1
    files: dict[str, Hash] = {}
    weights_sha256: Hash | None = None
    plan: Meaning | None = None
    network: NetworkConfig | None = None
    tile: tuple[int, ...] | None = None
    precision: dict[str, Measured | None]
    onnx: Measured | None = None

    @property
    def weights(self) -> str | None:
        """The hash of the weights that this speaks of; None where it was not told."""
        return self.weights_sha256


class EnvironmentFacts(Facts):
    """environment.json, as far as a training that goes on follows it: the threads it computed with."""

    threads: int | None = Field(default=None, ge=1, le=2**16)
