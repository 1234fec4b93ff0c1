"""What is shown: progress with and without a terminal, and results with undefined values."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from reunet import console
from reunet.contracts.results import EvaluateResult
from reunet.progress import NotebookProgress, NullProgress, Progress, watcher


def use(progress: Progress) -> None:
    progress.message("reading [images]")
    progress.start("training", 3)
    for step in range(3):
        progress.advance(loss=1.0 / (step + 1), val_score=None if step < 2 else 0.91234)
    progress.start("counting", None)
    progress.advance(5)


def test_null_progress_takes_everything() -> None:
    use(NullProgress())


def test_lines_tell_count_time_left_and_values() -> None:
    stream = io.StringIO()
    use(console.LineProgress(stream, interval=0))
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["reading [images]", "training"]
    assert lines[2].startswith("training: 1 of 3, ")
    assert lines[4].startswith("training: 3 of 3, 0 s left")
    assert "val score 0.9123" in lines[4]
    assert lines[-1] == "counting: 5"


def test_lines_are_few() -> None:
    stream = io.StringIO()
    progress = console.LineProgress(stream)
    progress.start("training", 10_000)
    for _ in range(10_000):
        progress.advance(loss=0.5)
    assert stream.getvalue() == "training\n"


def test_the_bar_draws_and_gives_the_terminal_back(capsys: pytest.CaptureFixture[str]) -> None:
    bar = console.BarProgress()
    use(bar)
    bar.close()
    bar.close()
    text = capsys.readouterr().err
    assert "reading [images]" in text, "text in brackets is no markup"
    assert "3/3" in text
    assert "val score 0.9123" in text


def test_undefined_scores_are_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    table = {"per_class": {"cell": None}, "mean_foreground": None}
    metrics = {
        "task": "semantic", "split": "test", "n_images": 1,
        "dice": {"pooled": table, "per_image": table}, "iou": {"pooled": table, "per_image": table},
        "auc": None, "v_rand": 0.5,
    }  # fmt: skip
    console.print_evaluation(
        EvaluateResult(Path("out"), metrics, Path("out/report.html"), {"a.png": "broken"})
    )
    captured = capsys.readouterr()
    assert "undefined" in captured.out
    assert "AUC" not in captured.out
    assert "0.5000" in captured.out
    assert "a.png: broken" in captured.err


def test_scores_of_every_task_of_a_run_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    classes = {"task": "classification", "n_images": 2, "accuracy": 0.75, "balanced_accuracy": None}
    boxes = {
        "task": "detection", "split": "test", "n_images": 3, "map50": 0.25, "map": 0.125,
        "count_error": {"all": 1.5}, "classification": classes,
    }  # fmt: skip
    console.print_evaluation(EvaluateResult(Path("out"), boxes, Path("out/report.html")))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[-1] == "0.2500"
    assert "classification, images: 2" in lines
    assert any(line.startswith("Accuracy") and line.endswith("0.7500") for line in lines)


def test_what_several_inputs_have_in_common_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    cut = "the file is truncated\n  where:    {0}\n  fix:      copy {0} again"
    failures = {f"{name}.png": cut.format(f"{name}.png") for name in "abcdefgh"} | {"z.png": "no image"}
    console.print_failures(failures)
    assert capsys.readouterr().err.splitlines() == [
        "error: 8 of them, such as a.png, b.png, c.png, d.png, e.png: the file is truncated",
        "  fix:      copy it again",
        "error: z.png: no image",
    ]


def test_a_notebook_shows_one_bar_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, html: str) -> None:
            shown.append(html)

    def show(html: str) -> Handle:
        shown.append(html)
        return Handle()

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=SimpleNamespace(HTML=str)))
    use(NotebookProgress(show))
    assert "reading [images]" in shown[0]
    assert "<progress max='3' value='3'>" in "".join(shown)
    assert "val score 0.9123" in "".join(shown)
    assert len(shown) < 9
    assert watcher() is None, "this is no notebook"
