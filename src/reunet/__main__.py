"""`python -m reunet` is the same as `reunet`."""

from __future__ import annotations

from reunet.cli import run

if __name__ == "__main__":
    run()
