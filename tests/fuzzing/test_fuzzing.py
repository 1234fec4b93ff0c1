"""Files that are nearly right, for every reader: by day a few of each, at night a minute of them.

`make fuzz` goes on for as long as is wanted, guided by coverage where atheris is installed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from .mutations import form_of, mutate, pack, unpack
from .readers import READERS
from .trial import Reader, Trials, fewer_pixels

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"dataset", "engine", "video", "zarr"}
"""Readers that take more than a few milliseconds for a file: they have their turn at night."""


@pytest.mark.fault(
    "random and nearly right files of every kind", "read or refused, within 2 s and 500 MB: `make fuzz`"
)
@pytest.mark.filterwarnings("ignore")  # what libraries say about broken files is not what is looked for
@pytest.mark.parametrize("name", sorted(READERS.keys() - SLOW))
def test_readers_read_or_refuse(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer_pixels(monkeypatch.setattr)
    trials = Trials(READERS[name], tmp_path, is_alone=False)
    seeds, random = list(READERS[name].seeds()), Random(0)
    wrong = {trials(data) for data in [*seeds, *(mutate(random.choice(seeds), random) for _ in range(15))]}
    assert wrong == {None}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(READERS.keys()))
def test_readers_read_or_refuse_a_thousand_files(name: str, child_environment: dict[str, str]) -> None:
    fuzzed(name, 1500, child_environment)


def test_the_program_runs(child_environment: dict[str, str]) -> None:
    fuzzed("pattern", 20, child_environment)


def fuzzed(name: str, executions: int, environment: dict[str, str]) -> None:
    """As `make fuzz` does it."""
    words = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--reader", name]
    told = subprocess.run(
        [*words, "--executions", str(executions)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=ROOT,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_changes_keep_the_form_of_a_file() -> None:
    """Else nothing but the first bytes of a reader would be tried."""
    random = Random(1)
    for name, reader in READERS.items():
        for seed in list(reader.seeds())[:3]:
            changed = [mutate(seed, random) for _ in range(20)]
            kept = sum(form_of(one) == form_of(seed) for one in changed)
            assert kept >= 10 or form_of(seed) in ("", "text"), name
            assert sum(one != seed for one in changed) >= 10, name


def test_a_folder_goes_there_and_back() -> None:
    files = {"a/b.bin": bytes(range(256)), "c": b""}
    assert unpack(pack(files)) == files


def reader_that(does: Callable[[], object]) -> Reader:
    return Reader("one", "a.txt", lambda path: does(), lambda: [b"x"], ())


@pytest.mark.parametrize("error", [ValueError, RecursionError, SystemExit, AssertionError])
def test_whatever_is_no_refusal_is_a_finding(error: type[BaseException], tmp_path: Path) -> None:
    def does() -> None:
        raise error("x")

    trials = Trials(reader_that(does), tmp_path, tmp_path / "found", is_alone=False)
    assert str(trials(b"data")).startswith(error.__name__)
    assert b"data" in [file.read_bytes() for file in (tmp_path / "found").iterdir()]


LOOP = """
from pathlib import Path
from tests.fuzzing.test_fuzzing import reader_that
from tests.fuzzing.trial import Trials

def does():
    while True:
        pass

print(Trials(reader_that(does), Path({folder!r}), is_alone=False, most_seconds=0.05)(b"data"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer of processor time")
def test_a_loop_without_end_is_a_finding(tmp_path: Path, child_environment: dict[str, str]) -> None:
    """In a process of its own: threads of other libraries may be given the signal of the timer."""
    words = [sys.executable, "-c", LOOP.format(folder=str(tmp_path))]
    told = subprocess.run(
        words, capture_output=True, text=True, env=child_environment, cwd=ROOT, check=False, timeout=60
    )
    assert "more than" in told.stdout, told.stderr
