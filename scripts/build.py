"""Build wheel and sdist into dist/, and run a demo from an environment that holds the wheel and nothing else.

The wheel is built from the sdist, so that the sdist is known to be whole.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST, PLACE = ROOT / "dist", ROOT / "build" / "installed"
MINUTES = "0.3"


def main() -> None:
    for folder in (DIST, PLACE):
        shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    # pip from here serves the new environment: that works where Python comes without ensurepip, too.
    run(sys.executable, "-m", "venv", "--without-pip", PLACE / "venv")
    python = PLACE / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", f"{wheel}[tensorflow]")
    reunet = python.with_name("reunet.exe" if sys.platform == "win32" else "reunet")
    run(reunet, "--version")
    run(reunet, "demo", "--output", PLACE / "demo", "--minutes", MINUTES)
    print(f"{wheel.relative_to(ROOT)} and {sdist.relative_to(ROOT)} are ready")


def run(*command: str | Path) -> None:
    """In a folder where `import reunet` finds only what is installed; the script ends with a failure."""
    PLACE.mkdir(parents=True, exist_ok=True)
    print("$", *command, flush=True)
    status = subprocess.run(command, cwd=PLACE, check=False).returncode
    if status:
        sys.exit(f"{Path(command[0]).name} failed with exit code {status}")


if __name__ == "__main__":
    main()
