"""What a training costs, and how a plan keeps within memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reunet import machine
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.datasets.case_arrays import CaseArrays
from reunet.errors import UsageError
from reunet.planning import PlanRequest, make_plan, take_fingerprint
from reunet.planning.cost import FRAMEWORK_BYTES, multiplications, training_bytes

from .datasets import masked

SMALL = NetworkConfig(in_channels=3, filters=(4, 8), strides=((2, 2),), heads=(HeadSpec(channels=2),))


@pytest.fixture(scope="module")
def facts() -> Fingerprint:
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 255, (256, 256, 1), np.uint8), rng.integers(0, 2, (256, 256), np.uint8)
    cases = [CaseArrays(name, image, labels, name) for name in "abc"]
    return take_fingerprint(masked(LabelMap(classes=default_classes([0, 1]))), cases, [])


@pytest.mark.keras
def test_costs_grow_with_pixels_frames_and_patches() -> None:
    """What a network costs itself is tested beside it."""
    assert multiplications(SMALL, (64, 32)) == 2 * multiplications(SMALL, (32, 32))
    sequence = SMALL.model_copy(update={"time": "frames"})
    assert multiplications(sequence, (5, 32, 32)) == 5 * multiplications(SMALL, (32, 32))
    one, five = training_bytes(sequence, (1, 32, 32), 5), training_bytes(sequence, (5, 32, 32), 1)
    assert one == five == training_bytes(SMALL, (32, 32), 5)


@pytest.mark.keras
def test_memory_has_a_part_for_framework_and_weights() -> None:
    one, two = (training_bytes(SMALL, (32, 32), batch) for batch in (1, 2))
    assert FRAMEWORK_BYTES < 2 * one - two < FRAMEWORK_BYTES + 10**6


@pytest.mark.keras
def test_memory_limits_the_batch_and_then_the_width(facts: Fingerprint) -> None:
    def plan(max_memory: int) -> tuple[int, int]:
        made = make_plan(facts, PlanRequest(minutes=600, max_memory=max_memory))
        assert training_bytes(made.network, made.patch, made.batch) <= max_memory
        if made.network.filters[0] < 64:
            assert "memory" in made.reasons["network.filters"]
        return made.network.filters[0], made.batch

    sizes = [plan(FRAMEWORK_BYTES + room) for room in (10**11, 3 * 10**9, 3 * 10**8)]
    assert sizes[0] == (64, 4)
    assert sizes[1][0] == 64
    assert sizes[1][1] < 4
    assert sizes[2][0] < 64
    with pytest.raises(UsageError, match="does not fit into the memory") as caught:
        plan(FRAMEWORK_BYTES)
    assert caught.value.where == "--max-memory"
    enough = float(str(caught.value.expected).split()[2])
    assert plan(int(enough * 1e9)) == (16, 1)


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "CONTAINER_LIMITS", (tmp_path / "absent", limit))
    physical = machine.memory_bytes()
    limit.write_text("max\n")
    assert machine.memory_bytes() == physical
    limit.write_text("1000000\n")
    assert machine.memory_bytes() == 10**6
