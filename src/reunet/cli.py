"""The command line: every verb is the function of the same name with the same arguments.

Only `typer` is imported here; a verb imports its flow when it is called, so that `reunet --help`
answers at once. Exit codes: 0 done, 1 wrong input or usage, 2 partly done, 3 a bug, 130 and 143
interrupted by Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, TypedDict, Unpack

import typer
from typer import Argument, Option

import reunet
from reunet import __version__, console
from reunet.errors import ReunetError
from reunet.flows.arguments import spread

_imported = time.monotonic()
_process_started: float | None = None
"""From when the minutes of a training count: set by `run`, so that other callers of `main` start afresh."""

Backend = Literal["tensorflow", "jax", "torch"]
Engine = Literal["auto", "openvino", "onnx", "keras"]
Precision = Literal["auto", "f32", "bf16", "int8"]


class Task(StrEnum):
    """What to predict; an enumeration because typer repeats no options of a Literal type."""

    auto = "auto"
    semantic = "semantic"
    instances = "instances"
    detection = "detection"
    classification = "classification"


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


Data = Annotated[Path | None, Argument(metavar="DATA", help="Folder of the dataset.")]
Axes = Annotated[str | None, Option(metavar="AXES", help="Axes of the image files, such as ZYX.")]
SequenceOption = Annotated[
    str | None,
    Option(
        "--sequence",
        metavar="PATTERN",
        help='How names tell sequence and frame: "{sequence}_{frame}"; {slice} for frames in depth.',
    ),
]
Minutes = Annotated[float | None, Option(metavar="M", help="Budget: minutes from start to final weights.")]
Steps = Annotated[int | None, Option(metavar="N", help="Budget: training steps; repeats a run exactly.")]
Seed = Annotated[int, Option(metavar="S", help="Seed of everything random.")]
BackendOption = Annotated[
    Backend | None, Option("--backend", help="Training framework; else the one that is installed.")
]
MaxMemory = Annotated[
    int | None, Option(metavar="SIZE", parser=memory_size, help="Memory not to exceed, such as 8GB.")
]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace results that exist.")]
EngineOption = Annotated[
    Engine, Option("--engine", help="What computes; auto: the fastest when it was exported.")
]
PrecisionOption = Annotated[
    Precision, Option("--precision", help="auto: the fastest that was harmless at export.")
]
ClusterOption = Annotated[
    str | None,
    Option("--cluster", metavar="ADDRESS", help="Dask: tcp://HOST:PORT, or local:N for N processes here."),
]
Flips = Annotated[bool, Option("--tta", help="Mean over flips of the image: slower, a bit better.")]


class DataOptions(TypedDict):
    """About the dataset."""

    images: Annotated[Path | None, Option(metavar="DIR", help="Folder of the images, in DATA or anywhere.")]
    masks: Annotated[Path | None, Option(metavar="DIR", help="Folder of their masks, likewise.")]
    axes: Axes
    classes: Annotated[Path | None, Option(metavar="FILE", help="Class list: JSON, or lines `id,name`.")]
    colors: Annotated[
        Path | None, Option(metavar="FILE", help="Colour table of RGB masks: lines `name,r,g,b`.")
    ]
    group: Annotated[
        str | None,
        Option(metavar="COLUMN", help="Column of items.csv or labels.csv whose equal values stay together."),
    ]
    allow_geometry_mismatch: Annotated[
        bool, Option("--allow-geometry-mismatch", help="Accept masks of another pixel size or place.")
    ]
    sequence: SequenceOption
    boxes_from_masks: Annotated[
        str | None,
        Option(metavar="A,B,...", help="Classes of the masks to put boxes around, one per connected part."),
    ]


class PlanOptions(TypedDict):
    """About what to train."""

    task: Annotated[
        list[Task],
        Option(
            "--task",
            metavar="TASK",
            help="semantic, instances, detection or classification; auto: what is annotated. Repeatable.",
        ),
    ]
    preset: Annotated[str, Option(metavar="NAME", help="Network: auto, or a preset by name.")]
    encoder: Annotated[
        str | None, Option(metavar="NAME", help="Pretrained encoder: vgg16, resnet50, mobilenet_v2, ...")
    ]
    loss: Annotated[
        str, Option(metavar="NAME", help="auto, or cl_dice for vessels and other thin structures.")
    ]
    minutes: Minutes
    epochs: Annotated[float | None, Option(metavar="N", help="Budget: passes over the training cases.")]
    steps: Steps
    seed: Seed
    backend: BackendOption
    max_memory: MaxMemory


class RunOptions(TypedDict):
    """About how to train it."""

    init: Annotated[Path | None, Option(metavar="RUN", help="Start from the weights of another run.")]
    freeze: Annotated[Literal["encoder"] | None, Option(help="Part whose given weights stay as they are.")]
    encoder_weights: Annotated[
        str, Option(metavar="FILE", help="Weights of --encoder: a file, imagenet or none.")
    ]
    resume: Annotated[bool, Option("--resume", help="Continue an interrupted run.")]
    workers: Annotated[int | None, Option(metavar="N", help="Threads that prepare patches; 0 uses none.")]
    overwrite: Overwrite


class PlanAndDataOptions(PlanOptions, DataOptions):
    """Of the verb plan."""


class TrainOptions(PlanOptions, RunOptions, DataOptions):
    """Of the verb train."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reunet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, Option("--debug", help="Print where an unexpected error arose.")] = False,
) -> None:
    """Train a U-Net on a folder of images and masks, predict, evaluate, report."""


def _call(verb: str, arguments: dict[str, Any], **more: object) -> Any:
    """The result of the function of that name, for the arguments of its command."""
    arguments |= arguments.pop("options", {})
    with console.progress() as bar:
        return getattr(reunet, verb)(**arguments, **more, on_progress=bar)


@app.command()
@spread
def check(
    data: Data = None,
    fix_list: Annotated[Path | None, Option(metavar="FILE", help="Write the problems to a CSV file.")] = None,
    **options: Unpack[DataOptions],
) -> int:
    """List every problem of a dataset at once."""
    result = _call("check", locals())
    console.print_problems(result)
    return 1 if result.errors else 0


@app.command()
@spread
def plan(
    data: Data = None,
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="FILE", help="Write the plan, for train --plan.")
    ] = None,
    **options: Unpack[PlanAndDataOptions],
) -> int:
    """Show what would be trained, and why."""
    made = _call("plan", locals())
    console.print_plan(made, output)
    return 0


@app.command()
@spread
def train(
    output: Annotated[Path, Option("-o", "--output", metavar="RUN", help="Folder of the run.")],
    data: Data = None,
    plan: Annotated[
        Path | None, Option(metavar="FILE", help="Train this plan.json instead of planning.")
    ] = None,
    processes: Annotated[
        int, Option(metavar="N", min=1, help="Train on so many processes (JAX), started here or one by one.")
    ] = 1,
    process_id: Annotated[
        int | None, Option(metavar="K", help="Of N started one by one, this is number K, from 0.")
    ] = None,
    coordinator: Annotated[
        str | None, Option(metavar="HOST:PORT", help="Where they meet: an address of number 0.")
    ] = None,
    **options: Unpack[TrainOptions],
) -> int:
    """Train a network on a dataset and report how good it is."""
    if processes > 1 and process_id is None and coordinator is None:
        return import_module("reunet.flows.train.launch").launch(sys.argv[1:], processes)
    result = _call("train", locals(), started=_process_started)
    console.print_training(result)
    return 0


@app.command()
def predict(
    run: Annotated[Path, Argument(metavar="RUN", help="Folder that `reunet train` wrote.")],
    inputs: Annotated[
        list[Path], Argument(metavar="INPUT...", help="Images, videos, folders of them; - for a stream.")
    ],
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="OUT", help="Results; else RUN-predictions.")
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    tta: Flips = False,
    fov: Annotated[
        Path | None, Option(metavar="DIR", help="Fields of view: outside of them nothing is predicted.")
    ] = None,
    max_memory: MaxMemory = None,
    probabilities: Annotated[
        bool, Option("--probabilities", help="Write the class probabilities too.")
    ] = False,
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, Option("--skip-existing", help="Leave out inputs whose results exist.")
    ] = False,
    axes: Axes = None,
    sequence: SequenceOption = None,
    cluster: ClusterOption = None,
) -> int:
    """Write masks, objects, boxes or classes of images."""
    import_module("reunet.machine").share_one_heap()
    result = _call("predict", locals())
    console.print_predictions(result)
    if result.failures:
        return 2 if result.predicted or result.skipped else 1
    return 0


@app.command()
@spread
def evaluate(
    run: Annotated[Path | None, Argument(metavar="RUN", help="Folder that `reunet train` wrote.")] = None,
    data: Data = None,
    split: Annotated[str, Option(metavar="NAME", help="train, val or test.")] = "test",
    output: Annotated[
        Path | None,
        Option("-o", "--output", metavar="DIR", help="Results; else RUN/evaluation/SPLIT."),
    ] = None,
    pred: Annotated[
        Path | None, Option(metavar="DIR", help="Anybody's masks, to be scored without a run.")
    ] = None,
    truth: Annotated[Path | None, Option(metavar="DIR", help="The true masks for --pred.")] = None,
    task: Annotated[Task, Option(help="What the masks of --pred mean.")] = Task.auto,
    overwrite: Overwrite = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    tta: Flips = False,
    cluster: ClusterOption = None,
    **options: Unpack[DataOptions],
) -> int:
    """Score a run, or any masks, on labelled data.

    With --pred and --truth two folders of masks are compared; no run is needed.
    """
    result = _call("evaluate", locals())
    console.print_evaluation(result)
    return 2 if result.failures else 0


@app.command()
@spread
def compare(
    presets: Annotated[
        str,
        Option(
            metavar="A,B,...",
            help="Networks; NAME:control is a recurrent one's control, `control` that of the first.",
        ),
    ],
    output: Annotated[
        Path, Option("-o", "--output", metavar="DIR", help="Folder of the comparison; kept, to go on.")
    ],
    data: Data = None,
    minutes: Minutes = None,
    steps: Steps = None,
    seeds: Annotated[int, Option(metavar="N", help="Trainings per network.")] = 3,
    split: Annotated[str, Option(metavar="NAME", help="Score on val or test.")] = "val",
    backend: BackendOption = None,
    max_memory: MaxMemory = None,
    **options: Unpack[DataOptions],
) -> int:
    """Train several networks alike and report the race."""
    result = _call("compare", locals())
    console.print_comparison(result)
    return 2 if result.failures else 0


@app.command()
def export(
    run: Annotated[Path, Argument(metavar="RUN", help="Folder that `reunet train` wrote.")],
    format: Annotated[  # noqa: A002 - the name of the option
        str,
        Option("--format", metavar="NAME", help="onnx, openvino, saved_model, litert or bioimageio."),
    ],
    output: Annotated[Path, Option("-o", "--output", metavar="OUT", help="File, or folder, to write.")],
    overwrite: Overwrite = False,
) -> int:
    """Write a run as a file that predicts without reunet."""
    result = _call("export", locals())
    console.print_export(result)
    return 0


@app.command()
def models(
    name: Annotated[str | None, Argument(metavar="NAME", help="A preset; else all of them.")] = None,
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="FILE", help="Draw the network as an SVG file.")
    ] = None,
    json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the networks there are, or tell all about one."""
    results = _call("models", {"name": name, "output": output})
    if json:
        console.print_json(results)
    elif name is None:
        console.print_models(results)
    else:
        console.print_model(results[0], output)
    return 0


@app.command()
def demo(
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="DIR", help="Results; else reunet-demo.")
    ] = None,
    minutes: Annotated[float, Option(metavar="M", min=0.01, help="Minutes of training.")] = 2.0,
    seed: Seed = 0,
    backend: BackendOption = None,
    overwrite: Overwrite = False,
) -> int:
    """Train and evaluate on synthetic microscopy.

    The images are made with exact truth: touching cells, uneven light, noise, debris.
    """
    result = _call("demo", locals())
    console.print_evaluation(result)
    return 2 if result.failures else 0


@app.command()
def doctor(
    cache: Annotated[bool, Option("--cache", help="What lies in the cache of images instead.")] = False,
    clear: Annotated[bool, Option("--clear", help="Empty the cache of images first.")] = False,
) -> int:
    """Print what belongs in a bug report."""
    from reunet.flows.doctor import doctor as flow

    typer.echo(flow(cache=cache, clear=clear))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are told on stderr, never raised."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words  # may stand anywhere, also behind the verb
    words = [word for word in words if word != "--debug"]
    try:
        code = int(app(words, prog_name="reunet", standalone_mode=False) or 0)
        if code == 130:  # typer's answer to Ctrl-C
            console.print_error("interrupted")
        console.flush_output()
        return code
    except typer.TyperException as error:
        console.print_usage_error(error)
        return 1
    except ReunetError as error:
        console.print_error(str(error))
        return error.exit_code
    except typer.Abort:
        return 1
    except KeyboardInterrupt:
        console.print_error("interrupted")
        return 130
    except MemoryError:
        console.print_error("not enough memory\n  fix:      close other programs, or use --max-memory")
        return 1
    except OSError as error:
        console.print_system_error(error, with_traceback=debug)
        return 1
    except Exception as error:
        console.print_bug(error, words, with_traceback=debug)
        return 3


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # unwinds, so that locks and temporary files are removed


def run() -> None:
    """Entry point of the `reunet` process."""
    global _process_started
    _process_started = _imported
    signal.signal(signal.SIGTERM, _on_sigterm)
    console.prepare_streams()
    sys.exit(main())
