"""What follows from the facts of a dataset."""

from __future__ import annotations

import pytest

from reunet.contracts.fingerprint import Fingerprint


@pytest.mark.parametrize(
    ("one_hue", "many"), [(None, False), (0.46, True), (0.8, True), (0.97, False), (1.0, False)]
)
def test_photographs_have_many_hues_stained_tissue_and_retinas_few(one_hue: float | None, many: bool) -> None:
    assert Fingerprint.model_construct(one_hue=one_hue).has_many_hues is many
