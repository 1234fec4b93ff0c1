"""The command line: parsing, exit codes, and that each verb is the function of the same name."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

import reunet
from reunet import cli
from reunet.cli import main, memory_size
from reunet.contracts.results import CheckResult, PredictResult, Problem
from reunet.errors import DataError, InterruptedRunError

VERBS = ("check", "plan", "train", "predict", "evaluate", "compare", "pack", "models", "demo", "doctor")
SHOWN = {"context", "json"}
"""Options about what is printed, not about what is done."""
IN_PYTHON = {"callbacks", "network"}
"""Functions, which no command line can hold."""


@pytest.fixture
def fake_flow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a stand-in for the flow of a verb where the command line imports it from."""

    def put(verb: str, function: Any) -> None:
        monkeypatch.setattr(reunet, verb, function, raising=False)

    return put


def raiser(error: BaseException) -> Any:
    def flow(*args: Any, **kwargs: Any) -> Any:
        raise error

    return flow


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert verb in capsys.readouterr().out
    assert main([verb, "-h"]) == 0


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_the_arguments_of_its_function(verb: str) -> None:
    options = set(inspect.signature(getattr(cli, verb)).parameters) - SHOWN
    parameters = inspect.signature(getattr(reunet, verb)).parameters
    assert options <= set(parameters), f"{verb} has options its function does not take"
    extra = set(parameters) - options - {"on_progress", "started", *IN_PYTHON}
    assert not extra, f"{verb}() takes arguments that the command line does not offer"
    for name, option in inspect.signature(getattr(cli, verb)).parameters.items():
        if option.default is not inspect.Parameter.empty and name not in {"task", *SHOWN}:
            default = parameters[name].default
            assert default == option.default or default is inspect.Parameter.empty, name


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trian", "x"], "Did you mean 'train'"),
        (["check", "--fixlist", "x"], "--fix-list"),
        (["train", "x", "-o", "y", "--minuts", "3"], "--minutes"),
        (["train", "x", "-o", "y", "--backend", "tensorflo"], "'tensorflow', 'jax', 'torch'"),
        (["train", "x", "-o", "y", "--steps", "many"], "--steps"),
        (["predict", "run"], "INPUT"),
        (["train", "x", "-o", "y", "--max-memory", "lots"], "8GB"),
    ],
)
def test_wrong_usage_is_1_and_says_what_would_be_right(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert hint in captured.err
    assert "--help" in captured.err
    assert captured.out == ""


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "Commands:" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"reunet {reunet.__version__}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("the images are missing", where="x", fix="add them"), 1),
        (InterruptedRunError("stopped", signal_number=2), 130),
        (InterruptedRunError("stopped", signal_number=15), 143),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 1),
        (ZeroDivisionError("a slip"), 3),
    ],
)
def test_errors_become_exit_codes_without_a_traceback(
    error: BaseException, code: int, fake_flow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_flow("check", raiser(error))
    assert main(["check", "x"]) == code
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert "Traceback" not in text
    if code == 3:
        assert "a slip" in text
        assert "reunet check x --debug" in text
        assert "reunet doctor" in text


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (PermissionError(13, "Permission denied", "data/a b.png"), ["Permission denied", "data/a b.png"]),
        (OSError(28, "No space left on device"), ["No space left on device"]),
        (OSError("no number at all"), ["no number at all"]),
        (OSError(), ["OSError"]),
    ],
)
def test_what_the_system_refuses_is_no_bug(
    error: OSError, texts: list[str], fake_flow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_flow("check", raiser(error))
    assert main(["check", "x"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert all(part in text for part in texts)
    assert "bug" not in text
    assert "Traceback" not in text
    main(["check", "x", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_where_a_bug_is(fake_flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_flow("check", raiser(ZeroDivisionError("a slip")))
    for words in (["--debug", "check", "x"], ["check", "x", "--debug"]):
        assert main(words) == 3
        assert "Traceback" in capsys.readouterr().err


def test_check_is_1_on_errors_and_0_on_warnings(fake_flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    warning = Problem("warning", "empty-class", "train/masks", "class b never occurs")
    error = Problem("error", "no-mask", "train/images/ä b.png", "has no mask", fix="add train/masks/ä b.png")
    fake_flow("check", lambda data, **_: CheckResult((warning,), {"train": 3}))
    assert main(["check", "x"]) == 0
    assert "warnings: 1" in capsys.readouterr().out
    fake_flow("check", lambda data, **_: CheckResult((warning, *[error] * 30), {"train": 3}))
    assert main(["check", "x"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("error: no-mask (30)"), "errors come before warnings"
    assert "errors: 30" in out
    assert out.count("fix: add train/masks") == 1
    assert "30 of them, such as train/images" in out


@pytest.mark.parametrize(("predicted", "failed", "code"), [(2, 0, 0), (2, 1, 2), (0, 1, 1)])
def test_predict_exit_codes(
    predicted: int, failed: int, code: int, fake_flow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    result = PredictResult(
        Path("out"),
        tuple(Path(f"{i}.png") for i in range(predicted)),
        failures={f"bad{i}.png": "not an image" for i in range(failed)},
    )
    received: dict[str, Any] = {}
    fake_flow("predict", lambda **arguments: received.update(arguments) or result)
    words = ["predict", "run", "a.png", "b c.png", "--max-memory", "2GB", "--precision", "f32"]
    assert main(words) == code
    assert received["run"] == Path("run")
    assert list(received["inputs"]) == [Path("a.png"), Path("b c.png")]
    assert received["max_memory"] == 2_000_000_000
    assert received["precision"] == "f32"
    captured = capsys.readouterr()
    assert ("bad0.png" in captured.err) == bool(failed)
    assert f"predicted: {predicted}" in captured.out


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * 10**9), ("512mb", 512 * 10**6), ("2GiB", 2 * 2**30), ("1.5 GB", 15 * 10**8), ("4096", 4096)],
)
def test_memory_size(text: str, size: int) -> None:
    assert memory_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "8 apples", "nan", "inf", "0", "1e999GB"])
def test_a_wrong_memory_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        memory_size(text)


PRINTING = """
import sys, types
from reunet.cli import run
from reunet.contracts.results import CheckResult
module = types.ModuleType("reunet.flows.check")
def check(data, **_):
    sys.stdin.readline()
    return CheckResult((), {"train": 3})
module.check = check
sys.modules["reunet.flows.check"] = module
sys.argv = ["reunet", "check", "3"]
run()
"""


@pytest.mark.parametrize(("unbuffered", "code"), [("", 0), ("1", 1)])
def test_a_reader_that_has_gone_gets_no_complaint(unbuffered: str, code: int) -> None:
    """As in `reunet check data | head -1`; it ends early only if it had more to do."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen([sys.executable, "-c", PRINTING], env=environment, **pipes) as process:
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait() == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_that_cannot_be_written_is_an_error() -> None:
    with open("/dev/full", "wb") as full:
        answer = subprocess.run(
            [sys.executable, "-c", PRINTING], stdout=full, stderr=subprocess.PIPE, input=b"\n", check=False
        )
    assert answer.returncode == 1
    assert answer.stderr.startswith(b"error: No space left on device")
    assert b"Traceback" not in answer.stderr


WAITING = """
import sys, time, types
from reunet.cli import run
module = types.ModuleType("reunet.flows.check")
def check(data, **_):
    try:
        print("working", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
module.check = check
sys.modules["reunet.flows.check"] = module
sys.argv = ["reunet", "check", "x"]
run()
"""


@pytest.mark.fault("Ctrl-C or SIGTERM in any verb", "exit code 130 or 143; nothing half done stays")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_with_their_code_after_cleaning_up(number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that a shell runs in the background inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == "cleaned up\n"
    assert "Traceback" not in err
