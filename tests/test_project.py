"""The frame: floors of the house, the public face, and the set-up script."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import reunet

ROOT = Path(__file__).resolve().parents[1]


def test_the_public_face_is_complete() -> None:
    for name in reunet.__all__:
        assert getattr(reunet, name) is not None
        assert name in dir(reunet)
    with pytest.raises(AttributeError, match="trian"):
        reunet.trian  # noqa: B018


def test_every_room_stands_on_a_floor() -> None:
    """`make lint` sees that imports only go down, of the rooms that are named there."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    floors = {name.strip().removeprefix("reunet.") for line in layers for name in line.split("|")}
    package = ROOT / "src" / "reunet"
    rooms = {
        path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == floors


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_set_up_says_what_is_missing(tmp_path: Path) -> None:
    """Without a suitable Python the script stops, says which one it wants, and leaves nothing behind."""
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    answer = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "environment.sh")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "VENV": str(tmp_path / "env")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 1
    assert "3.11, 3.12 or 3.13" in answer.stderr
    assert not (tmp_path / "env").exists()
