"""What is imported when: nothing heavy for the help, no training framework for a prediction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FRAMEWORKS = ("keras", "tensorflow", "jax", "torch")
HEAVY = (
    *FRAMEWORKS,
    "openvino",
    "cv2",
    "numpy",
    "scipy",
    "matplotlib",
    "skimage",
    "pandas",
    "rich",
    "pydantic",
)


def imported(code: str) -> set[str]:
    """Top-level modules a fresh process has imported after running `code`."""
    script = (
        f"{code}\nimport sys, json\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import reunet", "from reunet.cli import main; main(['--help'])"])
def test_the_face_and_the_help_import_nothing_heavy(code: str) -> None:
    assert imported(code).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "verb", ["check", "plan", "train", "predict", "evaluate", "compare", "models", "demo", "doctor"]
)
def test_a_flow_loads_without_a_framework(verb: str) -> None:
    """Also those that train: Keras may be imported only after its backend is chosen."""
    assert imported(f"import reunet; reunet.{verb}").isdisjoint(FRAMEWORKS)


def test_predict_loads_without_what_it_does_not_need() -> None:
    unneeded = {*FRAMEWORKS, "scipy", "matplotlib", "skimage", "pandas", "jinja2"}
    assert imported("import reunet; reunet.predict; reunet.load").isdisjoint(unneeded)


def test_predict_loads_large_images_and_clusters_only_for_them() -> None:
    wings = ("large.sections", "io.large_masks", "flows.remote", "evaluate.scoring", "inference.cluster")
    code = f"import reunet, sys; reunet.predict; assert not [m for m in sys.modules if m.endswith({wings})]"
    assert imported(code)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the time of a process that ended")
def test_help_is_fast() -> None:
    """By the time of the processor, which a busy machine does not stretch as it does the time on the wall."""
    times = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "reunet", "--help"], capture_output=True, check=True)
        after = os.times()
        times.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(times) < 0.3, "seconds, the best of five"


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(f"{{name}} must not be needed")
sys.meta_path.insert(0, Blocker())
from reunet.cli import main
sys.exit(main({words}))
"""


def run_blocked(blocked: set[str], words: list[str]) -> subprocess.CompletedProcess[str]:
    code = BLOCKED.format(blocked=blocked, words=words)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_predict_works_where_nothing_but_the_base_is_installed(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    unneeded = {*FRAMEWORKS, "grain", "scipy", "matplotlib", "skimage", "pandas", "jinja2"}
    images = tiny_dataset / "test" / "images"
    answer = run_blocked(unneeded, ["predict", str(tiny_run), str(images), "-o", str(tmp_path / "out")])
    assert answer.returncode == 0, answer.stderr
    assert len(list((tmp_path / "out" / "masks").glob("*.png"))) == 2


def test_evaluate_works_where_nothing_but_the_base_is_installed(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    words = ["evaluate", str(tiny_run), str(tiny_dataset), "-o", str(tmp_path / "scores")]
    answer = run_blocked({*FRAMEWORKS, "grain"}, words)
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "scores" / "metrics.json").is_file()
