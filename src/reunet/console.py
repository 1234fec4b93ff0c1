"""What the command line shows: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import os
import shlex
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from reunet.errors import ReunetError, counted
from reunet.progress import described as describe_values

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import TaskID

    from reunet.contracts.plan import ClipSpec, Plan
    from reunet.contracts.results import (
        CheckResult,
        CompareResult,
        CorrectResult,
        EvaluateResult,
        ExportResult,
        ModelResult,
        PackResult,
        PredictResult,
        Problem,
        SuggestResult,
        TrainResult,
    )
    from reunet.progress import Progress

SHOWN_PER_CODE = 20
AXES = {
    "2D": "2D images",
    "3D": "3D volumes",
    "2D+t": "sequences, with time as an axis of the convolutions",
    "frames": "sequences, frame by frame",
}
LINE_INTERVAL = 20.0
"""Seconds between two lines of progress where no bar can be drawn, such as in a log file."""


def prepare_streams() -> None:
    """Make file names that the terminal cannot show printable, and third-party warnings silent."""
    import warnings

    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    if not sys.warnoptions:  # `python -W` shows them again
        warnings.simplefilter("ignore")


def flush_output() -> None:
    """Write out what is printed. A reader that has gone, such as `head`, wants no more and no complaint.

    Raises OSError when it cannot be written for another reason.
    """
    if sys.stdout is None:  # closed by the caller
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is left at exit
        if not isinstance(error, BrokenPipeError):
            raise


def print_error(text: str) -> None:
    """An error on stderr."""
    label = "\033[1;31merror:\033[0m" if sys.stderr.isatty() else "error:"
    print(f"{label} {text}", file=sys.stderr)


def print_usage_error(error: Any) -> None:
    """A wrong option or argument (or the help text, where there was none), and where to find help."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if message.startswith("Usage:"):  # called without arguments
        print(message, file=sys.stderr)
        return
    command = context.command_path if context is not None else "reunet"
    print_error(f"{message}\n  fix:      see `{command} --help`")


def print_system_error(error: OSError, *, with_traceback: bool) -> None:
    """What the system refused, and for which file."""
    if with_traceback:
        traceback.print_exception(error)
    what = error.strerror or str(error) or type(error).__name__
    print_error(str(ReunetError(what, where=error.filename)))


def print_bug(error: Exception, words: list[str], *, with_traceback: bool) -> None:
    """An error that should not have happened: what to do with it."""
    if with_traceback:
        traceback.print_exception(error)
    print_error(f"reunet failed unexpectedly: {type(error).__name__}: {error}")
    if not with_traceback:
        command = shlex.join(["reunet", *words, "--debug"])
        print(f"  This is a bug. `{command}` shows where it arose;", file=sys.stderr)
        print("  please report that together with the output of `reunet doctor`.", file=sys.stderr)


# -- progress ---------------------------------------------------------------------------------------


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar on a terminal, and now and then a line elsewhere."""
    if not sys.stderr.isatty():
        yield LineProgress(sys.stderr)
        return
    bar = BarProgress()
    try:
        yield bar
    finally:
        bar.close()


class LineProgress:
    """Progress as lines of text, at most one per `interval` seconds and one at the end of a task."""

    def __init__(self, stream: TextIO, interval: float = LINE_INTERVAL) -> None:
        self._stream, self._interval = stream, interval
        self._task = ""
        self._total: int | None = None
        self._done = 0
        self._info: dict[str, object] = {}
        self._started = self._told = time.monotonic()

    def start(self, task: str, total: int | None) -> None:
        """Begin a task."""
        self._task, self._total, self._done, self._info = task, total, 0, {}
        self._started = self._told = time.monotonic()
        self.message(task)

    def advance(self, n: int = 1, **info: object) -> None:
        """Count, and tell when it is time."""
        self._done += n
        self._info |= info
        now = time.monotonic()
        if now - self._told < self._interval:
            return
        self._told = now
        text = f"{self._task}: {self._done}" + (f" of {self._total}" if self._total else "")
        if self._total:
            left = (now - self._started) / max(self._done, 1) * max(self._total - self._done, 0)
            text += f", {left:.0f} s left"
        described = describe_values(self._info)
        self.message(f"{text}  {described}" if described else text)

    def message(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)


class BarProgress:
    """Progress as a bar with time left and the last values, such as the validation score."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._rich = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[info]}", markup=False),
            console=Console(stderr=True, highlight=False),
        )
        self._task: TaskID | None = None
        self._info: dict[str, object] = {}

    def start(self, task: str, total: int | None) -> None:
        """Begin a task; the bar of the last one stays as it is."""
        self._end_task()
        self._info = {}
        self._rich.start()
        self._task = self._rich.add_task(task, total=total, info="")

    def advance(self, n: int = 1, **info: object) -> None:
        """Move the bar."""
        if self._task is not None:
            self._info |= info
            self._rich.update(self._task, advance=n, info=describe_values(self._info))

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._rich.console.print(text, markup=False)

    def close(self) -> None:
        """Give the terminal back."""
        self._end_task()
        self._rich.stop()

    def _end_task(self) -> None:
        if self._task is not None:
            self._rich.stop_task(self._task)
            self._task = None


# -- results ----------------------------------------------------------------------------------------


def print_problems(result: CheckResult) -> None:
    """The problems by kind, errors first, what the dataset was understood to be, the number of cases."""
    from reunet.report.understood import understood

    by_kind: dict[tuple[str, str], list[Any]] = {}
    for problem in sorted(result.problems, key=lambda p: (p.severity != "error", p.code)):
        by_kind.setdefault((problem.severity, problem.code), []).append(problem)
    for (severity, code), problems in by_kind.items():
        print(f"{severity}: {code} ({len(problems)})")
        lines = counted((problem.file, _details(problem)) for problem in problems)
        for line in lines[:SHOWN_PER_CODE]:
            print(f"  {line}")
        if len(lines) > SHOWN_PER_CODE:
            print(f"  ... and {len(lines) - SHOWN_PER_CODE} more: --fix-list FILE writes them all")
        for fix in dict.fromkeys(problem.fix for problem in problems if problem.fix):
            print(f"  fix: {fix}")
    for name, text in ({"layout": result.layout} | understood(result)).items():
        print(f"{name + ':':<11}{text}")
    cases = ", ".join(f"{name} {count}" for name, count in result.counts.items())
    warnings = len(result.problems) - len(result.errors)
    print(f"cases: {cases or 'none'}; errors: {len(result.errors)}; warnings: {warnings}")


def _details(problem: Problem) -> str:
    told = {"expected": problem.expected, "received": problem.received}
    return problem.message + "".join(f"\n    {name}: {value}" for name, value in told.items() if value)


def print_plan(plan: Plan, output: Path | None) -> None:
    """The plan as a list of choices, each with its reason."""
    network = plan.network
    filters = "-".join(map(str, network.filters))
    budget = next(
        f"{getattr(plan.schedule, unit):g} {unit}"
        for unit in ("minutes", "steps", "epochs")
        if getattr(plan.schedule, unit) is not None
    )
    rows = {
        "dataset": plan.dataset,
        "tasks": ", ".join(plan.tasks),
        "labels": ", ".join(plan.labels.names),
        "input": f"{plan.input.channels} channel(s), {plan.input.intensity.method}",
        "network": f"{network.preset}, filters {filters}, {network.normalisation} normalisation",
        "patch": " x ".join(map(str, plan.patch)),
        **({"clip": _clip(plan.clip)} if plan.clip else {}),
        "batch": str(plan.batch),
        "schedule": f"{budget}, learning rate {plan.schedule.learning_rate:g}",
        "precision": plan.precision,
        "backend": plan.backend,
        "seed": str(plan.seed),
    }
    reasons = dict(plan.reasons)
    for name, value in rows.items():
        print(f"{name:<12}{value}")
        for key in [key for key in reasons if key == name or key.startswith(f"{name}.")]:
            part = "" if key == name else f"{key.removeprefix(f'{name}.')}: "
            print(f"            {part}{reasons.pop(key)}")
    for name, reason in reasons.items():
        print(f"{name}\n            {reason}")
    if output is not None:
        print(f"written to {output}; edit it if you like, then give it to train with --plan")


def _clip(clip: ClipSpec) -> str:
    carried = f", carried through {clip.carry} windows" if clip.carry > 1 else ""
    return f"{clip.frames} {'frames in time' if clip.axis == 'T' else 'slices in depth'}{carried}"


def print_training(result: TrainResult) -> None:
    """Steps, time, score and what to do next."""
    print(f"steps: {result.steps}, minutes: {result.seconds / 60:.1f}")
    if result.score is not None:
        print(f"score on the held-out cases: {result.score:.4f}")
    print(f"run:    {result.run}")
    report = result.run / "report.html"
    if report.is_file():
        print(f"report: {report}")
    print(f"next:   {shlex.join(['reunet', 'predict', str(result.run)])} IMAGES")


def print_failures(failures: dict[str, str]) -> None:
    """Every input that could not be used, on stderr; what several have in common once."""
    for line in counted(failures.items()):
        print_error(line)


def print_predictions(result: PredictResult) -> None:
    """Counts and the output folder; failures on stderr."""
    print_failures(result.failures)
    left_out = len(result.left_out)
    counts = {"skipped": len(result.skipped), "failed": len(result.failures), "left out": left_out}
    others = "".join(f", {name}: {count}" for name, count in counts.items() if count)
    print(f"predicted: {len(result.predicted)}{others}")
    if result.left_out:
        shown = ", ".join(path.name for path in result.left_out[:SHOWN_PER_CODE])
        more = f" and {left_out - SHOWN_PER_CODE} more" if left_out > SHOWN_PER_CODE else ""
        print(f"warning: {left_out} file(s) were left out: their format is not read: {shown}{more}")
    if result.review is not None and result.review[0] < result.review[1]:
        unsure, count = result.review
        others = "of the others 99 of 100 are expected to be right"
        print(f"to review: {unsure} of {count} objects (objects.csv, column review); {others}")
    print(f"output: {result.output}")


def print_export(result: ExportResult) -> None:
    """Where it is, how exact it is, and what is left to the caller."""
    from reunet.contracts.facts import differing

    print(f"output: {result.output}")
    print(
        f"against reunet predict: {differing(result.differ_ppm, 'decision')}, "
        f"numbers by {result.max_difference:.2g} at most"
    )
    for step in result.caller_must:
        print(f"whoever runs it must: {step}")


def print_correction(result: CorrectResult) -> None:
    """Which labels were written, and where the ones before are."""
    for warning in result.warnings[:SHOWN_PER_CODE]:
        print(f"warning: {warning.file}: {warning.message}")
    for one in result.saved:
        print(f"{one.name}: {one.change} ({', '.join(one.files)})")
    copies = sum(len(one.copies) for one in result.saved)
    kept = f"; {copies} given label(s) are kept in corrections/" if copies else ""
    print(f"{len(result.saved)} image(s) corrected, {result.unchanged} unchanged{kept}")


def print_pack(result: PackResult) -> None:
    """Where it is, how large, and what to do with it."""
    print(f"output: {result.output} ({result.size / 1e6:.1f} MB, {len(result.files)} files)")
    print(f"next:   {shlex.join(['reunet', 'predict', str(result.output)])} IMAGES")


def print_suggestions(result: SuggestResult) -> None:
    """The images in their order, with the reason of each."""
    print_failures(result.failures)
    for one in result.suggestions:
        print(f"{one.rank:>3}  {one.score:.3f}  {one.image}  {one.reason}")
    told = "calibrated probabilities" if result.confidence == "calibrated" else "raw scores of the network"
    print(f"{len(result.suggestions)} of {result.count} image(s), by {told}")


def print_evaluation(result: EvaluateResult) -> None:
    """The scores a person asks for first, and where the rest is."""
    from reunet.tasks import ROOMS

    print_failures(result.failures)
    metrics = result.metrics
    print(f"split: {metrics['split']}, images: {metrics['n_images']}")
    _print_scores(metrics)
    for name in ROOMS:
        if name in metrics:  # another task of the same run
            print(f"{name}, images: {metrics[name]['n_images']}")
            _print_scores(metrics[name])
    print(f"metrics: {result.output / 'metrics.json'}")
    if result.report.is_file():
        print(f"report:  {result.report}")


def _print_scores(metrics: dict[str, Any]) -> None:
    from reunet.tasks import task

    for one in task(metrics["task"]).headlines(metrics):
        classes = "  ".join(f"{name} {_number(value)}" for name, value in one.by_class.items())
        print(f"{one.title:<24}{_number(one.value)}{f'   ({classes})' if classes else ''}")


def print_comparison(result: CompareResult) -> None:
    """Every training, then every difference with its interval."""
    print_failures(result.failures)
    width = max(len(run.entry) for run in result.runs)
    for run in result.runs:
        flicker = "" if run.flicker is None else f"  flicker {_number(run.flicker)}"
        print(f"{run.entry:<{width}}  seed {run.seed}  Dice {_number(run.dice)}{flicker}  {run.steps} steps")
    for pair in result.pairs:
        ends = "too little to say how sure"
        if pair.interval is not None:
            ends = "95 % interval {:+.4f} to {:+.4f}".format(*pair.interval)
        if pair.flicker is not None:
            sure = pair.flicker_interval
            ends += f"; flicker {pair.flicker:+.4f}" + (" ({:+.4f} to {:+.4f})".format(*sure) if sure else "")
        print(f"{pair.entry} - {pair.reference}: {pair.difference:+.4f}  ({ends})")
    print(f"report: {result.report}")


def print_json(results: Sequence[Any]) -> None:
    """Results as one JSON list."""
    import json
    from dataclasses import asdict

    print(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False))


def print_models(results: Sequence[ModelResult]) -> None:
    """All presets as a table."""
    rows = [("preset", "axes", "parameters", "mult./pixel", "sees", "what it is")]
    rows += [(r.name, r.axes, *model_numbers(r), r.summary) for r in results]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, "<<>>>", widths, strict=False)]
        print("  ".join([*cells, row[5]]))
    print("mult./pixel: multiply-adds per pixel; sees: side of the input that one output pixel depends on")
    print("next: `reunet models NAME` tells all about one, with -o FILE.svg it is drawn")


def print_model(result: ModelResult, output: Path | None) -> None:
    """One preset with its slots, its paper and its control."""
    for name, value in model_facts(result).items():
        print(f"{name:<15}{value}")
    print(f"{'figure':<15}{output or 'with -o FILE.svg'}")


def model_facts(result: ModelResult) -> dict[str, str]:
    """What there is to say of one preset, as short texts by name."""
    parameters, cost, sees = model_numbers(result)
    facts = {
        "preset": f"{result.name}: {result.summary}",
        "axes": AXES[result.axes],
        "filters": "-".join(map(str, result.filters)),
        **{name: _plain(value) for name, value in result.slots.items()},
        "parameters": parameters,
        "cost": f"{cost} multiply-adds per pixel of {' x '.join(map(str, result.size))}",
        "sees": "the whole image" if sees == "all" else f"{sees} pixels",
        "paper": result.paper,
        "differs": result.differs,
        "control": "" if result.control is None else f"{_plain(result.control)}, at equal parameters",
    }
    return {name: text for name, text in facts.items() if text}


def model_numbers(result: ModelResult) -> tuple[str, str, str]:
    """Parameters, multiplications per pixel and receptive field as short texts."""
    sides = result.receptive_field
    if result.parameters is None or result.multiplications is None or sides is None:
        return "?", "?", "?"
    sees = "all" if None in sides else " x ".join(map(str, sides if len(set(sides)) > 1 else sides[:1]))
    return f"{result.parameters:,}", f"{result.multiplications / 1e3:,.0f} k", sees


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    return str(value)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
