"""The Dockerfile: what it promises, as far as that shows without building it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / "Dockerfile").read_text("utf-8")
STAGES = re.split(r"^FROM ", LINES, flags=re.M)[1:]


def test_it_runs_as_a_user_and_says_whether_it_is_well() -> None:
    stages = {stage.split()[-1 if " AS " not in stage.splitlines()[0] else 2]: stage for stage in STAGES}
    for target in ("predict", "train"):
        assert stages[target].rstrip().endswith("USER reunet")
    assert "HEALTHCHECK" in stages["base"]
    assert "tensorflow" not in stages["build"]
    assert STAGES[-1] is stages["predict"], "what is built when nothing is said"


def test_it_installs_what_there_is() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    asked = {name for found in re.findall(r'"\.\[(.+?)\]"', LINES) for name in found.split(",")}
    assert asked <= set(extras)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", LINES, re.M)
    allowed = (ROOT / ".dockerignore").read_text("utf-8")
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"!{name}\n" in allowed
