"""The same weights give the same numbers on every installed backend, before and after training steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reunet.backend import installed_backends

PROBE = Path(__file__).with_name("probe.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, child_environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("probe")
    for backend in installed_backends():
        subprocess.run([sys.executable, str(PROBE), backend, str(folder)], check=True, env=child_environment)
    return folder


@pytest.mark.skipif(len(installed_backends()) < 2, reason="only one backend is installed")
@pytest.mark.parametrize("normalisation", ["batch", "instance", "group"])
def test_backends_agree(normalisation: str, results: Path) -> None:
    first, *others = (np.load(results / f"{name}-{normalisation}.npz") for name in installed_backends())
    for other in others:
        assert other["count"] == first["count"]
        np.testing.assert_allclose(other["logits"], first["logits"], atol=1e-4)
        np.testing.assert_allclose(other["losses"], first["losses"], atol=1e-5)
        np.testing.assert_allclose(other["trained"], first["trained"], atol=1e-4)
