"""Ctrl-C, SIGTERM, SIGHUP and Ctrl-Break end this process, whatever it is doing, with exit code 128 + number.

The first one raises `Interruption` in the main thread, so that locks and temporary files go; a training takes
it as a wish for the end of a step (`deferred`). Libraries lose exceptions: under a bare `except:`, in a
callback of C++, in `__del__`. So a thread raises it again while nothing handles it, and whoever gives the
exit code asks `received`. A second signal ends the process at once; files are whole or absent then too.
"""

import _thread
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
STOPPED = tuple(128 + number for number in SIGNALS)
"""Exit codes of a process of ours that a signal has ended."""

INSIST_S = 1.0
"""Seconds after which the interruption is raised again, if it was lost."""

INSIST = 10
"""So often; then the process ends at once."""

APART_S = 1.0
"""Signals that follow each other faster are one: `timeout` sends two, a terminal and its shell one each."""

Handler = Callable[[int, FrameType | None], Any]

_watching = False
_received: int | None = None
_echoes = 0
_children: set[subprocess.Popen[Any]] = set()


class Interruption(KeyboardInterrupt):
    """A signal told this process to end. No `Exception`: what catches those lets it through."""


class StopWish:
    """`signal_number` is set once the user or the system wants the work to end."""

    def __init__(self) -> None:
        self.signal_number = _received
        self._since = time.monotonic()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handler: the first signal is remembered, a second one interrupts at once."""
        if self.signal_number is None:
            self.signal_number, self._since = number, time.monotonic()
        elif time.monotonic() - self._since > APART_S:
            raise KeyboardInterrupt


def watch() -> None:
    """From here on signals end this process as told above; call it once, in the main thread."""
    global _watching
    if _watching:
        return
    _watching = True
    _handle(_interrupt)
    reading, writing = os.pipe()
    if hasattr(os, "set_blocking"):  # on Windows since Python 3.12
        os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # told at once, also while C++ is running
    threading.Thread(target=_listen, args=(reading,), name="signals", daemon=True).start()
    for name in ("excepthook", "unraisablehook"):  # what a library loses it also prints
        setattr(sys, name, _except_interruptions(getattr(sys, name)))


def received() -> int | None:
    """The signal that told this process to end, if any; always None in one that does not `watch`."""
    return _received


def check() -> None:
    """Raise Interruption where a signal has told this process to end: for long loops, in any thread."""
    if _received is not None and signal.getsignal(_received) is _interrupt:
        raise Interruption


def settle() -> None:
    """All is done and written: from here on a signal ends the process at once, without a word."""
    _handle(lambda number, _: os._exit(128 + number))


@contextmanager
def handled(receive: Handler) -> Iterator[None]:
    """Inside, SIGNALS are given to `receive`; in a thread other than the main one they are not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _handle(receive)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[StopWish]:
    """Inside, a signal is a wish that is granted by raising; one that came too late for that is given on."""
    wish = StopWish()
    with handled(wish.receive):
        yield wish
    if wish.signal_number is not None:
        handler = signal.getsignal(wish.signal_number)
        if callable(handler):
            handler(wish.signal_number, None)
        else:
            signal.raise_signal(wish.signal_number)


def apart() -> dict[str, Any]:
    """How `Popen` starts a process that this terminal's Ctrl-C does not reach, but `ask_to_end` does."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def ask_to_end(process: subprocess.Popen[Any]) -> None:
    """Ask a process that was started `apart` to end as Ctrl-C asks, which Windows knows of terminals only."""
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))


@contextmanager
def ends_with_us(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Inside, a process that we started is ended when this one ends at once."""
    _children.add(process)
    try:
        yield
    finally:
        _children.discard(process)


def _handle(receive: Handler) -> dict[int, Any]:
    """Let `receive` handle SIGNALS, except those that are ignored, as under nohup; who did so before."""
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, receive) for number in heard}


def _interrupt(number: int, frame: FrameType | None) -> None:
    is_first = _received is None
    _note(number)
    if is_first or not _is_unwinding():  # whoever cleans up already is not interrupted
        raise Interruption


def _note(number: int) -> None:
    global _received
    if _received is None:
        _received = number


def _listen(pipe: int) -> None:
    """The thread that hears of every signal."""
    global _echoes
    first: float | None = None
    while True:
        number = os.read(pipe, 1)[0]
        if number not in SIGNALS:
            continue
        if _echoes:
            _echoes -= 1
        elif first is None:
            first = time.monotonic()
            _note(number)
            threading.Thread(target=_insist, args=(number,), name="insist", daemon=True).start()
        elif time.monotonic() - first > APART_S:
            _end_at_once(number)


def _insist(number: int) -> None:
    """Raise the interruption again, whenever nothing handles it and nobody has put it off."""
    global _echoes
    times = 0
    while times < INSIST:
        time.sleep(INSIST_S)
        if signal.getsignal(number) is _interrupt and not _is_unwinding():
            times += 1
            _echoes += 1
            _thread.interrupt_main(signal.Signals(number))
    _end_at_once(number)


def _is_unwinding() -> bool:
    """Whether the main thread cleans up after an interruption, or after what it became."""
    found: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    error = found[1] if isinstance(found, tuple) else found  # a tuple before Python 3.12
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _end_at_once(number: int) -> None:
    for process in [*_children]:
        with suppress(OSError):
            process.kill()
    with suppress(OSError):
        os.write(2, b"error: interrupted: ended at once\n")
    os._exit(128 + number)


def _except_interruptions(hook: Callable[..., None]) -> Callable[..., None]:
    def told(*found: Any) -> None:
        kind = found[0] if len(found) > 1 else found[0].exc_type
        if not issubclass(kind, Interruption):
            hook(*found)

    return told
