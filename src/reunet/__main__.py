"""`python -m reunet` is the same as `reunet`."""

import sys

from reunet import signals


def run() -> None:
    """Entry point of the `reunet` process, which can be interrupted from here on without a traceback."""
    signals.watch()
    try:
        from reunet.cli import run
    except signals.Interruption:
        sys.exit(128 + (signals.received() or 2))
    run()


if __name__ == "__main__":
    run()
