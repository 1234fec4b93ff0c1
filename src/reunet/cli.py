"""The command line: every verb is the function of the same name, a command is made of its record of options.

Only `typer` is imported here; a verb imports its flow when it is called, so that `reunet --help`
answers at once. Exit codes: 0 done, 1 wrong input or usage, 2 partly done, 3 a bug, 130, 143 and 129
interrupted by Ctrl-C, SIGTERM and SIGHUP.
"""

import inspect
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, get_args, get_origin

import typer

import reunet
from reunet import __version__, console, signals
from reunet.contracts.options import records
from reunet.contracts.options.fields import Option, Options
from reunet.contracts.options.verb import as_parameter, on_command_line
from reunet.errors import InterruptedRunError, ReunetError

_imported = time.monotonic()
_process_started: float | None = None
"""From when the minutes of a training count: set by `run`, so that other callers of `main` start afresh."""

Given = dict[str, Any]
"""Options by name, as the user gave them."""

app = typer.Typer(
    name="reunet",
    rich_markup_mode=None,  # importing rich would double the time of --help
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def memory_size(text: str) -> int:
    """`8GB`, `512MB`, `2GiB` or a number of bytes, as bytes."""
    units = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
    units |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
    number = text.strip().lower().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.strip().lower()[len(number) :]
    try:
        size = int(float(number) * units[unit])
    except (KeyError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise typer.BadParameter(f"{text!r} is not a memory size; write it like 8GB, 512MB or 2GiB")
    return size


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reunet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print where an unexpected error arose.")] = False,
) -> None:
    """Train a U-Net on a folder of images and masks, predict, evaluate, report."""


def command(record: type[Options]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Make a function of the options given, by name, a command: its options are those of the record.

    Further parameters of the function are options of the command line alone.
    """

    def made(function: Callable[..., int]) -> Callable[..., int]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def run(context: typer.Context, **values: Any) -> int:
            more = {one.name: values.pop(one.name) for one in own}
            sources = {name: context.get_parameter_source(name) for name in values}
            given = [name for name, source in sources.items() if source and source.name != "DEFAULT"]
            return function({name: values[name] for name in given}, **more)

        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        shown = [
            as_parameter(one, _shown(one))
            for one in record.OPTIONS.values()
            if one.says and not one.says.in_python
        ]
        run.__signature__ = inspect.Signature([*shown, context, *own])  # type: ignore[attr-defined]
        run.__doc__ = function.__doc__
        app.command(function.__name__)(run)
        return run

    return made


def _shown(option: Option) -> Any:
    """An option as typer takes it."""
    kind, says = option.type, option.says
    if says is None:
        return kind
    if get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]  # type: ignore[misc]
    if option.is_optional:
        kind = kind | None
    told: Given = {"help": says.help, "metavar": says.metavar}
    if option.is_argument:
        return Annotated[kind, typer.Argument(**told)]
    names = (option.flag,) if says.short is None else (says.short, option.flag)
    return Annotated[kind, typer.Option(*names, parser=memory_size if says.in_bytes else None, **told)]


def _call(verb: str, given: Given, **more: object) -> Any:
    """The result of the function of that name, for the options given."""
    with console.progress() as bar:
        return getattr(reunet, verb)(**given, **more, on_progress=bar)


@command(records.CheckOptions)
def check(given: Given) -> int:
    """List every problem of a dataset at once."""
    result = _call("check", given)
    console.print_problems(result)
    return 1 if result.errors else 0


@command(records.PlanOptions)
def plan(given: Given) -> int:
    """Show what would be trained, and why."""
    console.print_plan(_call("plan", given), given.get("output"))
    return 0


@command(records.TrainOptions)
def train(given: Given) -> int:
    """Train a network on a dataset and report how good it is."""
    options = records.TrainOptions(**given)
    if options.processes > 1 and options.process_id is None and options.coordinator is None:
        return import_module("reunet.flows.train.launch").launch(sys.argv[1:], options.processes)
    console.print_training(_call("train", given, started=_process_started))
    return 0


@command(records.PredictOptions)
def predict(given: Given) -> int:
    """Write masks, objects, boxes or classes of images."""
    import_module("reunet.machine").share_one_heap()
    result = _call("predict", given)
    console.print_predictions(result)
    if result.failures:
        return 2 if result.predicted or result.skipped else 1
    return 0


@command(records.EvaluateOptions)
def evaluate(given: Given) -> int:
    """Score a run, or any masks, on labelled data.

    With --pred and --truth two folders of masks are compared; no run is needed.
    """
    result = _call("evaluate", given)
    console.print_evaluation(result)
    return 2 if result.failures else 0


@command(records.CompareOptions)
def compare(given: Given) -> int:
    """Train several networks alike and report the race."""
    result = _call("compare", given)
    console.print_comparison(result)
    return 2 if result.failures else 0


@command(records.ExportOptions)
def export(given: Given) -> int:
    """Write a run as a file that predicts without reunet."""
    console.print_export(_call("export", given))
    return 0


@command(records.PackOptions)
def pack(given: Given) -> int:
    """Pack a run into one file that predicts anywhere."""
    console.print_pack(_call("pack", given))
    return 0


@command(records.ModelsOptions)
def models(given: Given, *, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """List the networks there are, or tell all about one."""
    results = _call("models", given)
    if json:
        console.print_json(results)
    elif "name" not in given:
        console.print_models(results)
    else:
        console.print_model(results[0], given.get("output"))
    return 0


@command(records.OpenOptions)
def open(given: Given) -> int:  # noqa: A001  (the verb's name)
    """Look, correct and train on, in the browser."""
    import_module("reunet.machine").share_one_heap()
    _call("open", given)
    return 0


@command(records.ServeOptions)
def serve(given: Given) -> int:
    """Predict for other programs, by HTTP."""
    import_module("reunet.machine").share_one_heap()
    _call("serve", given)
    return 0


@command(records.CorrectOptions)
def correct(given: Given) -> int:
    """Take edited results back as labels of a dataset."""
    console.print_correction(_call("correct", given))
    return 0


@command(records.SuggestOptions)
def suggest(given: Given) -> int:
    """Say which images to label next, and why."""
    result = _call("suggest", given)
    console.print_suggestions(result)
    return (2 if result.suggestions else 1) if result.failures else 0


@command(records.DemoOptions)
def demo(given: Given) -> int:
    """Train and evaluate on synthetic microscopy.

    The images are made with exact truth: touching cells, uneven light, noise, debris.
    """
    result = _call("demo", given)
    console.print_evaluation(result)
    return 2 if result.failures else 0


@command(records.DoctorOptions)
def doctor(given: Given) -> int:
    """Print what belongs in a bug report."""
    typer.echo(reunet.doctor(**given))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are told on stderr, never raised."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words  # may stand anywhere, also behind the verb
    words = [word for word in words if word != "--debug"]
    told = on_command_line.set(True)
    try:
        code = int(app(words, prog_name="reunet", standalone_mode=False) or 0)
        console.flush_output()
    except (Exception, KeyboardInterrupt) as error:
        if signals.received() is None or isinstance(error, InterruptedRunError):
            return _tell(error, words, debug=debug)
        code = 1  # whatever a library has made of the interruption
    finally:
        on_command_line.reset(told)
    if code == 130 or signals.received() is not None:  # 130 is typer's answer to Ctrl-C
        console.print_error("interrupted")
        return 128 + (signals.received() or 2)
    return code


def _tell(error: BaseException, words: list[str], *, debug: bool) -> int:
    """Say on stderr what went wrong; the exit code."""
    match error:
        case typer.TyperException():
            console.print_usage_error(error)
        case ReunetError():
            console.print_error(str(error))
            return error.exit_code
        case typer.Abort():
            pass
        case KeyboardInterrupt():
            console.print_error("interrupted")
            return 130
        case MemoryError():
            console.print_error("not enough memory\n  fix:      close other programs, or use --max-memory")
        case OSError():
            console.print_system_error(error, with_traceback=debug)
        case Exception():
            console.print_bug(error, words, with_traceback=debug)
            return 3
    return 1


def run() -> None:
    """Entry point of the `reunet` process."""
    global _process_started
    _process_started = _imported
    try:
        signals.watch()
        console.prepare_streams()
        code = main()
        signals.settle()
    except KeyboardInterrupt:  # between two lines of ours
        code = 128 + (signals.received() or 2)
    sys.exit(code)
