"""How fast this machine trains: measured once, remembered for it alone, and asked where it decides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reunet.planning import PlanRequest
from reunet.progress import NullProgress
from reunet.training import pace as room
from reunet.training.pace import pace, paced


class Heard(NullProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a measurement is remembered, of this test alone."""
    monkeypatch.setattr(room, "remembered", lambda: tmp_path / "cache" / "pace.json")
    return tmp_path / "cache" / "pace.json"


def measuring(values: list[float | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_in_a_process", lambda: values.pop(0))


def test_measured_once_and_anew_on_another_machine(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measuring([2.5, 0.5], monkeypatch)
    heard = Heard()
    assert [pace(heard), pace(heard)] == [2.5, 2.5]
    assert len(heard.said) == 1
    monkeypatch.setattr(room, "processor", lambda: "another one")
    assert [pace(heard), pace(heard)] == [0.5, 0.5]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"{}", b"\xff", "nan", 1e9, 0, -2, None, "fast"])
def test_what_no_measurement_wrote_is_measured_anew(
    content: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.parent.mkdir()
    told = {"machine": room.this_machine(), "pace": content}
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(told).encode())
    measuring([3.0], monkeypatch)
    assert pace(NullProgress()) == 3.0
    assert json.loads(file.read_text())["pace"] == 3.0


def test_what_cannot_be_measured_is_as_the_table_says_and_not_remembered(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring([None, 2.0], monkeypatch)
    assert pace(NullProgress()) == 1.0
    assert not file.exists()
    assert pace(NullProgress()) == 2.0
    file.unlink()
    file.mkdir()  # nothing can be remembered
    measuring([4.0], monkeypatch)
    assert pace(NullProgress()) == 4.0


def test_it_is_asked_only_where_minutes_decide_how_wide_a_network_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring([2.0], monkeypatch)
    by_minutes = PlanRequest(minutes=5)
    for other in (
        PlanRequest(steps=5),
        PlanRequest(epochs=2),
        replace(by_minutes, backend="jax"),
        replace(by_minutes, device="gpu"),
    ):
        assert paced(other, NullProgress()) is other
    assert paced(by_minutes, NullProgress()).pace == 2.0
    assert paced(PlanRequest(), NullProgress()).pace == 2.0, "ten minutes when nothing is said"


def test_a_measurement_names_what_it_is_of(backend: str) -> None:
    told = room.this_machine()
    assert told["processor"]
    assert told["cores"]
    assert backend != "tensorflow" or str(told["tensorflow"]).startswith("2.")


def test_a_process_of_its_own_measures(child_environment: dict[str, str], backend: str) -> None:
    if backend != "tensorflow":
        pytest.skip("it is TensorFlow that is measured")
    found = room._in_a_process()
    assert found is not None
    assert 0.05 < found < 50
