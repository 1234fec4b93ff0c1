"""Datasets that are only named, for cases whose arrays a test makes itself."""

from __future__ import annotations

from pathlib import Path

from reunet.contracts.labels import LabelMap
from reunet.datasets.cases import Case, CaseFiles, Dataset


def masked(labels: LabelMap, channel_names: tuple[str, ...] = ()) -> Dataset:
    """A dataset with a mask for its image."""
    case = Case("a", "train", CaseFiles(Path("a.png"), Path("a.png")))
    return Dataset("set", Path(), labels, (case,), frozenset(), channel_names)
