"""A signal ends the process with its own exit code, wherever it arrives, whoever swallows the exception."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

WORKING = """
import ctypes, json, os, signal, subprocess, sys, tempfile, threading, time, types
from concurrent.futures import ThreadPoolExecutor
from reunet import signals
signals.INSIST_S = signals.APART_S = 0.05

def arrive():
    os.kill(os.getpid(), number)

def swallowed():
    try:
        arrive()
        time.sleep(60)
    except:
        pass
    time.sleep(60)

def swallowed_always():
    while True:
        try:
            arrive() if signals.received() is None else None
            time.sleep(60)
        except:
            pass

def in_a_callback_of_c():
    kind = ctypes.CFUNCTYPE(ctypes.c_int)
    kind(lambda: arrive() or time.sleep(60) or 0)()
    time.sleep(60)

def while_something_is_destroyed():
    class Fleeting:
        def __del__(self):
            arrive()
            time.sleep(60)
    Fleeting()
    time.sleep(60)

def made_another_error():
    try:
        arrive()
        time.sleep(60)
    except BaseException as cause:
        raise ValueError("no such type") from cause

def swallowed_and_done():
    try:
        arrive()
        time.sleep(60)
    except:
        pass

def while_a_thread_works():
    def work():
        while True:
            time.sleep(0.01)
            signals.check()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        threading.Timer(0.1, arrive).start()
        future.result()

def while_a_process_works():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process, \\
            signals.ends_with_us(process):
        threading.Timer(0.1, arrive).start()
        try:
            process.wait()
        except BaseException:
            process.kill()
            raise

def cleaning_up():
    try:
        arrive()
        time.sleep(60)
    finally:
        time.sleep(0.4)  # several times as long as until it is raised again
        print("cleaned up", flush=True)

def told_twice():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process, \\
            signals.ends_with_us(process):
        try:
            threading.Timer(0.1, arrive).start()
            arrive()
            time.sleep(60)
        finally:
            print(process.pid, flush=True)
            time.sleep(60)

def too_late_for_a_wish():
    with signals.deferred():
        arrive()
    time.sleep(60)

def lost_before_a_wish_is_granted():
    try:
        arrive()
        time.sleep(60)
    except:
        pass
    with signals.deferred() as wish:
        assert wish.signal_number == number

module = types.ModuleType("reunet.flows.check")
module.check = lambda data, **_: globals()[str(data)]()
sys.modules["reunet.flows.check"] = module
from reunet.cli import run

def forked(name, work):
    global number
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    process = os.fork()
    if process == 0:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        number = signal.Signals[name]
        signal.signal(number, signal.SIG_DFL)  # ignored where a shell runs the tests in the background
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
        sys.argv = ["reunet", "check", work]
        signals.watch()
        run()
    return process, out, err

begun = {(name, work): forked(name, work) for name, work in json.loads(sys.argv[1])}
found = []
for (name, work), (process, out, err) in begun.items():
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    out.seek(0), err.seek(0)
    found.append([name, work, code, out.read(), err.read()])
print(json.dumps(found))
"""

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
CASES = [
    *(("SIGTERM", work) for work in re.findall(r"^def (\w+)\(\):", WORKING, re.M) if work != "arrive"),
    ("SIGINT", "swallowed"),
    ("SIGHUP", "swallowed"),
]  # fmt: skip


@pytest.fixture(scope="module")
def answers(child_environment: dict[str, str]) -> dict[tuple[str, str], tuple[int, str, str]]:
    answer = subprocess.run(
        [sys.executable, "-c", WORKING, json.dumps(CASES)],
        capture_output=True, text=True, check=True, timeout=60, env=child_environment,
    )  # fmt: skip
    return {(name, work): (code, out, err) for name, work, code, out, err in json.loads(answer.stdout)}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_signal_is_never_lost_and_never_a_bug(
    case: tuple[str, str], answers: dict[tuple[str, str], tuple[int, str, str]]
) -> None:
    code, out, err = answers[case]
    assert code == CODES[case[0]], err
    assert "Traceback" not in err
    assert "bug" not in err
    assert err.count("interrupted") == 1
    if case[1] == "cleaning_up":
        assert out == "cleaned up\n"
    if case[1] == "told_twice":
        wait_for_the_end_of(int(out))


def wait_for_the_end_of(process: int) -> None:
    """Whoever inherits a child may take a moment to see that it has ended."""
    for _ in range(200):
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
            os.kill(process, 0)
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError("the child process is still there")


IMPORTING = """
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder())
sys.argv = ["reunet", "--version"]
runpy.run_module("reunet", run_name="__main__")
"""


def test_while_the_command_line_itself_is_imported(child_environment: dict[str, str]) -> None:
    answer = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (143, "")


IGNORING = """
import os, signal
from reunet import signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signals.watch()
os.kill(os.getpid(), signal.SIGHUP)
print(signals.received())
"""


def test_what_nohup_has_ignored_stays_ignored(child_environment: dict[str, str]) -> None:
    answer = subprocess.run([sys.executable, "-c", IGNORING], capture_output=True, text=True, check=True)
    assert answer.stdout == "None\n"
