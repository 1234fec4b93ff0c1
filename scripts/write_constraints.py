"""Write constraints.txt: the version of every package in this environment, for continuous integration.

A version does not say for which machine it was built (`2.13.0+cpu` is written `2.13.0`), so that the file
serves every system; TensorFlow has two names for one version.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "constraints.txt"
HEADER = """# The versions that continuous integration uses, written by `make constraints`. To have them here:
#     make CONSTRAINTS=constraints.txt test
"""


def main() -> None:
    command = [sys.executable, "-m", "pip", "list", "--format", "freeze", "--exclude-editable"]
    answer = subprocess.run([*command, "--exclude", "pip"], check=True, stdout=subprocess.PIPE, text=True)
    versions = {}
    for line in answer.stdout.splitlines():
        name, _, version = line.partition("==")
        versions[re.sub("[-_.]+", "-", name).lower()] = version.partition("+")[0]
    for name, other in (("tensorflow", "tensorflow-cpu"), ("tensorflow-cpu", "tensorflow")):
        if name in versions:
            versions.setdefault(other, versions[name])
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    FILE.write_text(HEADER + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
