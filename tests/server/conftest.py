"""Servers for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from reunet.server.models import Models
from reunet.server.security import Rules
from reunet.server.service import Service

from .asking import Asked, serving


@pytest.fixture(scope="session")
def bright() -> np.ndarray:
    """(40, 50) uint8: a bright square of 10 x 20 pixels on black."""
    pixels = np.zeros((40, 50), np.uint8)
    pixels[5:15, 20:40] = 255
    return pixels


@pytest.fixture(scope="session")
def served_run(make_bright_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bright_run(tmp_path_factory.mktemp("served") / "bright")


@pytest.fixture
def start(served_run: Path, tmp_path: Path) -> Iterator[Callable[..., Asked]]:
    """A function that starts a server of `served_run` with some rules."""
    with ExitStack() as stack:

        def started(rules: Rules | None = None, **settings: Any) -> Asked:
            models = Models()
            models.add(served_run)
            scratch = tmp_path / "scratch"
            scratch.mkdir(exist_ok=True)
            service = Service(models, scratch, **settings)
            return Asked(service, stack.enter_context(serving(service, rules or Rules())))

        yield started


@pytest.fixture
def ask(start: Callable[..., Asked]) -> Asked:
    """A server with the usual rules."""
    return start()
