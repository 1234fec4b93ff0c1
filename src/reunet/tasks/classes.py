"""The class lists of a run."""

from __future__ import annotations

from dataclasses import dataclass

from reunet.contracts.labels import LabelMap


@dataclass(frozen=True)
class Classes:
    """The class lists of a run: of pixels and objects, and of whole images where these have classes."""

    labels: LabelMap
    categories: LabelMap | None = None
