"""`reunet train --processes N` on one machine: N processes of the same command that train together."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import FrameType

from reunet.errors import TrainingError
from reunet.signals import apart, ends_with_us, handled

GRACE_S = 20.0
"""Seconds that processes have to end by themselves when one of them has failed."""

POLL_S = 0.2


def launch(words: Sequence[str], count: int) -> int:
    """Run `reunet WORDS` in `count` processes, each with its part of the cores.

    Returns the exit code of the first one. Ctrl-C and SIGTERM go to the first process, which all follow. When
    one fails, the others are ended. Raises TrainingError when the first one ended without saying why.
    """
    address = f"127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / f"{number}.log" for number in range(count)]
        members: list[subprocess.Popen[bytes]] = []

        def forward(number: int, frame: FrameType | None) -> None:
            for member in members[:1]:
                member.send_signal(number)

        with handled(forward), ExitStack() as stack:
            try:
                for number, log in enumerate(logs):
                    team = ["--process-id", str(number), "--coordinator", address]
                    members.append(_start([*words, *team], None if number == 0 else log))
                    stack.enter_context(ends_with_us(members[-1]))
                    _give_cores(members[-1].pid, number, count)
                return _watch(members, logs)
            finally:
                for member in members:
                    member.kill()
                    member.wait()


def _start(words: Sequence[str], log: Path | None) -> subprocess.Popen[bytes]:
    """A process of ours that writes to the file `log`, or where this one does."""
    with nullcontext() if log is None else log.open("wb") as file:
        return subprocess.Popen([sys.executable, "-m", "reunet", *words], stderr=file, stdout=file, **apart())


def _watch(members: Sequence[subprocess.Popen[bytes]], logs: Sequence[Path]) -> int:
    """Wait for all; the exit code of the first. Raises TrainingError."""
    while all(member.poll() in (None, 0) for member in members) and members[0].poll() is None:
        time.sleep(POLL_S)
    failed = [number for number, member in enumerate(members) if member.poll() not in (None, 0)]
    ends = time.monotonic() + GRACE_S
    while any(member.poll() is None for member in members) and time.monotonic() < ends:
        time.sleep(POLL_S)
    code = members[0].poll()
    if code is not None and code >= 0:  # it has said why it ended
        return code
    number = failed[0] if failed else 0
    last = logs[number].read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise TrainingError(
        f"process {number} of this training ended, and with it the training",
        received="; ".join(last) or f"exit status {members[number].poll()}",
        fix="the same command with --resume goes on from the last checkpoint",
    )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _give_cores(process: int, number: int, count: int) -> None:
    """Let a member use its part of the cores, where the system can be told."""
    if hasattr(os, "sched_setaffinity"):
        own = sorted(os.sched_getaffinity(0))
        each = max(len(own) // count, 1)
        os.sched_setaffinity(process, (own[number * each :] or own)[:each])
