"""The peers: an environment for each, made when it is first needed, and what runs in it.

`NAME.txt` pins what is installed. The other modules run in these environments, and only in_reunet.py imports
reunet.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKER = HERE / "worker.py"
ENVIRONMENTS = HERE.parent / "runs" / "peers"
ROOT = HERE.parent.parent
NAMES = sorted(file.stem for file in HERE.glob("*.txt"))


def python_of(peer: str) -> Path:
    """The Python of a peer, whose environment is made where it is not there or has other pins; that of this
    process for reunet.
    """
    if peer == "reunet":
        return Path(sys.executable)
    return _made(peer, ["--requirement", str(HERE / f"{peer}.txt")], (HERE / f"{peer}.txt").read_text())


def _made(name: str, wanted: list[str], pins: str) -> Path:
    folder = ENVIRONMENTS / name
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    mark = folder / "installed.txt"
    if not mark.is_file() or mark.read_text() != pins:
        print(f"making the environment of {name}: some minutes", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True, cwd=ROOT)
        mark.write_text(pins)
    return python


def footprint(peer: str) -> dict[str, float]:
    """Megabytes and packages of an environment; of reunet with TensorFlow, to train and predict."""
    if peer == "reunet":
        _made(peer, [".[tensorflow]"], (ROOT / "pyproject.toml").read_text())
    packages = [path for path in (ENVIRONMENTS / peer).glob("lib*/**/site-packages") if path.is_dir()]
    files = [file for folder in packages[:1] for file in folder.rglob("*") if file.is_file()]
    return {
        "megabytes": round(sum(file.stat().st_size for file in files) / 1e6),
        "packages": sum(file.name == "METADATA" and file.parent.suffix == ".dist-info" for file in files),
    }
