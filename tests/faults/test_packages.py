"""Packages that are not installed, and a shell in which no backend was chosen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reunet.backend import BACKENDS, installed_backends

HIDING = """
import sys
from importlib.machinery import PathFinder
class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {hidden} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""
COMMAND = "from reunet.cli import main\nsys.exit(main({words}))\n"
TEXTBOOK = "import reunet\nprint(reunet.unet_model((16, 16, 1), 2, filters=(2, 4)).output_shape)\n"

Run = Callable[[list[str], str], subprocess.CompletedProcess[str]]


@pytest.fixture
def run_without(child_environment: dict[str, str]) -> Run:
    """Run code in a process where some packages seem not to be installed."""

    def run(hidden: list[str], code: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", HIDING.format(hidden=hidden) + code]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=child_environment)

    return run


def command(*words: str | Path) -> str:
    """Code that runs reunet with these words."""
    return COMMAND.format(words=list(map(str, words)))


@pytest.mark.fault(
    "a framework or optional package is missing", "one line that says what to install; nothing else needs it"
)
@pytest.mark.parametrize(
    ("hidden", "options", "hint"),
    [
        (["tensorflow", "jax", "torch"], [], ".[tensorflow]"),
        (["jax"], ["--backend", "jax"], ".[jax]"),
        (["torch"], ["--backend", "torch"], ".[torch]"),
        (["keras"], ["--backend", "tensorflow"], ".[tensorflow]"),
    ],
)
def test_a_missing_framework_names_what_to_install(
    hidden: list[str], options: list[str], hint: str, tiny_dataset: Path, tmp_path: Path, run_without: Run
) -> None:
    run = tmp_path / "run"
    answer = run_without(hidden, command("train", tiny_dataset, "-o", run, "--steps", "2", *options))
    assert answer.returncode == 1, answer.stderr
    assert f'pip install "{hint}"' in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not run.exists()


def test_checking_needs_no_framework(tiny_dataset: Path, run_without: Run) -> None:
    answer = run_without(["keras", "grain", *BACKENDS], command("check", tiny_dataset))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
@pytest.mark.keras_slow
def test_training_and_predicting_use_the_framework_that_is_installed(
    tiny_dataset: Path, tmp_path: Path, backend: str, run_without: Run
) -> None:
    """Predicting with the engine needs none at all; tests/cli has that."""
    others = [name for name in BACKENDS if name != backend]
    run, out = tmp_path / "run", tmp_path / "out"
    answer = run_without(others, command("train", tiny_dataset, "-o", run, "--steps", "2"))
    assert answer.returncode == 0, answer.stderr
    assert f'"backend": "{backend}"' in (run / "plan.json").read_text(encoding="utf-8")
    images = tiny_dataset / "test" / "images"
    answer = run_without(others, command("predict", run, images, "-o", out, "--engine", "keras"))
    assert answer.returncode == 0, answer.stderr
    assert len(list((out / "masks").iterdir())) == 2


@pytest.mark.keras
def test_the_textbook_model_needs_no_other_framework(backend: str, run_without: Run) -> None:
    """Keras alone would ask for TensorFlow."""
    others = [name for name in BACKENDS if name != backend]
    answer = run_without(others, TEXTBOOK)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "(None, 16, 16, 2)"


@pytest.mark.skipif(not installed_backends(), reason="no training framework is installed")
def test_the_textbook_model_needs_no_choice_of_a_backend(run_without: Run) -> None:
    answer = run_without([], TEXTBOOK)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "(None, 16, 16, 2)"


def test_the_textbook_model_without_any_framework_names_what_to_install(run_without: Run) -> None:
    answer = run_without(list(BACKENDS), TEXTBOOK)
    assert answer.returncode == 1
    assert "BackendError: no training framework is installed" in answer.stderr
    assert 'pip install ".[tensorflow]"' in answer.stderr
