"""What all contracts share: a round trip, the schema version, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reunet.contracts.base import Contract
from reunet.contracts.facts import EngineFacts, WeightsFacts
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import Calibration, Plan
from reunet.datasets.splits import Splits
from reunet.errors import ModelFileError, PlanError

VERSIONED = (Plan, Fingerprint, Splits)
SPLITS = Splits(train=("a", "b"), val=("ü",), test=(), source="held out", notes=("one note",))


def test_round_trip(tmp_path: Path) -> None:
    SPLITS.write(tmp_path / "splits.json")
    assert Splits.read(tmp_path / "splits.json") == SPLITS
    Calibration(threshold=0.25).write(tmp_path / "calibration.json")
    assert Calibration.read(tmp_path / "calibration.json").threshold == 0.25  # it has no version


@pytest.mark.parametrize("model", VERSIONED)
@pytest.mark.parametrize("version", [2, 0, "1", None, "absent"])
def test_a_file_of_another_version_is_refused(
    model: type[Contract], version: int | str | None, tmp_path: Path
) -> None:
    """By its version, before any field that the other version may have changed is looked at."""
    path = tmp_path / "file.json"
    path.write_text(json.dumps({} if version == "absent" else {"schema_version": version}))
    with pytest.raises(PlanError, match="schema version") as caught:
        model.read(path)
    assert str(path) in str(caught.value)
    assert ("newer reunet" in str(caught.value)) == (version == 2)


def test_every_wrong_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(SPLITS.model_dump() | {"note": [], "train": 3, "source": "guessed"}))
    with pytest.raises(PlanError) as caught:
        Splits.read(path)
    for text in ("3 invalid", "train", "source", "did you mean 'notes'"):
        assert text in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000, "\x00", None])
def test_a_file_that_is_none(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_text(content)
    for model in VERSIONED:
        with pytest.raises(PlanError, match=r"file\.json"):
            model.read(path)
    for facts in (WeightsFacts, EngineFacts):
        with pytest.raises(ModelFileError, match=r"file\.json"):
            facts.read(path)
