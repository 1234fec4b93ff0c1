"""Processes of an export that answer questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from reunet.errors import BackendError
from reunet.exporting.child import open_child


def test_one_that_ends_while_it_is_asked_is_told_with_its_last_words(
    tmp_path: Path, child_environment: dict[str, str]
) -> None:
    with (
        pytest.raises(BackendError, match="a question failed") as caught,
        open_child("openvino", tmp_path / "none", "weights", "model", task="a question", fix="none") as ask,
    ):
        ask("run")
    assert "none" in str(caught.value.received)
