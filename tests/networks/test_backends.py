"""The same weights give the same numbers on every installed backend, before and after training steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reunet.backend import installed_backends

PROBE = Path(__file__).with_name("probe.py")


@pytest.mark.fault("another backend", "the same numbers to 1e-4 before and after training steps")
@pytest.mark.skipif(len(installed_backends()) < 2, reason="only one backend is installed")
@pytest.mark.parametrize(
    "normalisation",
    ["batch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("instance", "group"))],
)
def test_backends_agree(normalisation: str, tmp_path: Path, child_environment: dict[str, str]) -> None:
    for backend in installed_backends():
        command = [sys.executable, str(PROBE), backend, normalisation, str(tmp_path / f"{backend}.npz")]
        subprocess.run(command, check=True, env=child_environment)
    first, *others = (np.load(tmp_path / f"{backend}.npz") for backend in installed_backends())
    for other in others:
        assert other["count"] == first["count"]
        np.testing.assert_allclose(other["logits"], first["logits"], atol=1e-4)
        np.testing.assert_allclose(other["losses"], first["losses"], atol=1e-5)
        np.testing.assert_allclose(other["trained"], first["trained"], atol=1e-4)
