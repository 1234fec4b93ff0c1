"""The options: about the dataset, what is trained and the engine, and those of each verb."""

from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import Any, Literal

from reunet.backend import Backend
from reunet.contracts.names import DeviceName, EngineName, PrecisionName
from reunet.contracts.options.fields import (
    AnyLoss,
    AnyNames,
    AnyPath,
    AnyPaths,
    AnyPoints,
    OptionalPath,
    Options,
    Says,
    option,
    record,
    required,
)
from reunet.errors import UsageError
from reunet.progress import Progress

DEFAULT_BUDGET = {"minutes": 10.0}
STANDARD_INPUT = Path("-")

BUDGETS = ("minutes", "steps", "epochs")
WISHES = ("task", "preset", "encoder", "loss", "prompt", *BUDGETS, "seed", "max_memory")
"""What a plan decides, hence has no effect beside one that is given; `backend` is compared with it."""

RACE = "race"
"""In place of a preset: several networks race."""

ALONE = ("init", "freeze", "network", "processes", "log")
"""What only a single training has."""

NOT_OF_GIVEN = (
    *("run", "data", "split", "engine", "precision", "tta", "iterations", "cluster", "network", "masks"),
    *("allow_geometry_mismatch", "sequence", "boxes_from_masks"),
)
"""What has no effect on results that are scored without a run."""

DATA = Says("Folder of the dataset.", "DATA")
RUN = Says("Folder that `reunet train` wrote, or a file of `reunet pack`.", "RUN")
AXES = Says("Axes of the image files, such as ZYX.", "AXES")
PATTERN = Says('Pattern of names: "{sequence}_{frame}"; {slice} instead of {frame} in depth.', "PATTERN")
SEED = Says("Seed of everything random.", "S", least=0)
BACKEND = Says("Training framework; else the installed one.")
MAX_MEMORY = Says("Most memory to use, such as 8GB.", "SIZE", above=0, in_bytes=True)
PORT = Says("Port to listen at; 0 for any that is free.", "N", least=0)
LANG = Says("Language of the report: English or Chinese.")
OVERWRITE = Says("Replace results that exist.")


@record
class VerbOptions(Options):
    """What every verb takes. on_progress: who is told how the work goes on."""

    _: KW_ONLY
    on_progress: Progress | None = None


@record
class DataOptions(Options):
    """What the user says about a dataset that does not explain itself.

    images, masks: relative to the dataset, to each of its splits, or to the working folder.
    axes: of TIFF stacks. channels: separated by commas, in the order in which the network reads them.
    boxes_from_masks: classes of the masks, separated by commas.
    """

    _: KW_ONLY
    images: OptionalPath = option("Folder of the images, in DATA or anywhere.", "DIR")
    masks: OptionalPath = option("Folder of their masks, likewise.", "DIR")
    axes: str | None = option(AXES)
    channels: str | None = option("Channels to read, by name or number from 1: DAPI,GFP or 1,3.", "A,B,...")
    classes: OptionalPath = option("Class list: JSON, or lines `id,name`.", "FILE")
    colors: OptionalPath = option("Colour table of RGB masks: lines `name,r,g,b`.", "FILE")
    group: str | None = option(
        "Keeps images of one group together: a column of items.csv or labels.csv, a CSV file with a "
        'column group, or a pattern of names: "{group}_*".',
        "COLUMN",
    )
    allow_geometry_mismatch: bool = option(
        "Accept masks of another pixel size or place than their image, and contradictory headers.",
        default=False,
    )
    sequence: str | None = option(PATTERN)
    boxes_from_masks: str | None = option(
        "Classes of the masks to put boxes around, one per connected part.", "A,B,..."
    )


@record
class Budget(Options):
    """How long to train: one of these; minutes are wall time. Raises UsageError for two."""

    _: KW_ONLY
    minutes: float | None = option("Budget: minutes from start to final weights.", "M", above=0)
    steps: int | None = option("Budget: training steps; repeats a run exactly.", "N", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.budget) > 1:
            raise UsageError(
                "two budgets were given",
                where=" and ".join(f"--{name}" for name in self.budget),
                expected="one of --minutes, --steps, --epochs",
            )

    @property
    def budget(self) -> dict[str, float]:
        """What was asked for of minutes, steps and epochs, or the default."""
        given = {name: getattr(self, name) for name in BUDGETS if name in self.OPTIONS}
        return {name: value for name, value in given.items() if value is not None} or DEFAULT_BUDGET


@record
class Wishes(Budget):
    """What the user wants trained, where the rules of planning do not decide.

    task: the main one first; `auto` for the one of the most specific annotation. max_memory: bytes that
    training may need.
    """

    _: KW_ONLY
    task: tuple[str, ...] = option(
        "semantic, instances, detection or classification; auto: what is annotated. Repeatable.",
        "TASK",
        default=("auto",),
    )
    preset: str = option("Network: auto, or a preset by name.", "NAME", default="auto")
    encoder: str | None = option(
        "auto, none, or a pretrained encoder: efficientnet_lite0, resnet50, ...", "NAME", default="auto"
    )
    loss: Literal["auto", "cl_dice"] = option(
        "auto, or cl_dice for vessels and other thin structures.", "NAME", default="auto"
    )
    prompt: Literal["points"] | None = option(
        "points: learn to find what dots belong to, not all there is.", "NAME"
    )
    epochs: float | None = option("Budget: passes over the training cases.", "N", above=0)
    seed: int = option(SEED, default=0)
    backend: Backend | None = option(BACKEND)
    device: DeviceName = option(
        "Where the framework computes; auto: on a GPU that it can use, else the CPU.", default="auto"
    )
    max_memory: int | None = option(MAX_MEMORY)


@record
class EngineChoice(Options):
    """How a run predicts on this machine: see `reunet.load`."""

    HOW = ("engine", "precision", "tta", "iterations", "network", "device", "uncertainty")

    _: KW_ONLY
    engine: EngineName = option("What computes; auto: the fastest, as measured at export.", default="auto")
    precision: PrecisionName = option(
        "Numbers of the engine; auto: the fastest that kept the score at export.", default="auto"
    )
    tta: bool = option("Average over flips of the image: slower, a little better.", default=False)
    iterations: str | None = option(
        "Of a network that thinks: a number, or auto: until the mask stands still.", "N"
    )

    @property
    def how(self) -> dict[str, Any]:
        """What of it `reunet.load` is told."""
        return {name: getattr(self, name) for name in self.HOW if name in self.OPTIONS}


@record
class EngineOptions(EngineChoice):
    """The same, or on several. cluster: all of its processes see the same files under the same paths."""

    _: KW_ONLY
    cluster: str | None = option("Dask: tcp://HOST:PORT, or local:N for N processes here.", "ADDRESS")
    network: Any = option(
        "The function that made the network, of a run with one of its own.",
        in_python=True,
        not_with=("cluster",),
    )


@record
class CheckOptions(DataOptions, VerbOptions):
    """Of `check`."""

    data: OptionalPath = option(DATA)
    _: KW_ONLY
    fix_list: OptionalPath = option("Write the problems to a CSV file.", "FILE")
    pictures: OptionalPath = option("Draw some cases of each split with their annotations, as PNG.", "FILE")


@record
class PlanOptions(Wishes, DataOptions, VerbOptions):
    """Of `plan`."""

    data: OptionalPath = option(DATA)
    _: KW_ONLY
    output: OptionalPath = option("Write the plan, for train --plan.", "FILE", "-o")
    page: OptionalPath = option("Write an HTML page of data, patches and choices.", "FILE")


@record
class TrainOptions(Wishes, DataOptions, VerbOptions):
    """Of `train`. started: `time.monotonic()` from which the minutes count; now when None."""

    data: OptionalPath = option(DATA)
    _: KW_ONLY
    preset: str = option(
        "Network: auto, a preset by name, or race: several compete for the minutes.", "NAME", default="auto"
    )
    loss: AnyLoss = option(
        "auto, or cl_dice for vessels and other thin structures.", "NAME", default="auto", or_functions=True
    )
    output: OptionalPath = option("Folder of the run; else DATA-run.", "RUN", "-o")
    plan: OptionalPath = option(
        "Train this plan.json instead of planning.", "FILE", not_with=(*WISHES, "init", "freeze")
    )
    folds: int | None = option(
        "Train K networks, each with another part of the images held out, and use their mean.",
        "K",
        least=2,
        not_with=ALONE,
    )
    processes: int = option(
        "Train on N processes (JAX), started here or one by one.",
        "N",
        default=1,
        least=1,
        not_with=("device",),
    )
    process_id: int | None = option(
        "Number of this process, from 0, if you start them one by one.", "K", only_with=("processes",)
    )
    coordinator: str | None = option(
        "Address of process 0, where the processes meet.", "HOST:PORT", only_with=("processes",)
    )
    init: OptionalPath = option("Start from the weights of another run.", "RUN", not_with=("encoder",))
    freeze: Literal["encoder"] | None = option(
        "Part that keeps its weights as they are.", only_with=("init", "encoder")
    )
    encoder_weights: str = option(
        "Weights of --encoder: a file, imagenet or none.",
        "FILE",
        default="imagenet",
        only_with=("encoder", "plan"),
    )
    resume: bool = option(
        "Continue an interrupted run.",
        default=False,
        not_with=(*WISHES, "plan", "folds", "init", "freeze", "encoder_weights", "overwrite"),
    )
    workers: int | None = option("Threads that prepare patches; 0 uses none.", "N", least=0)
    log: Literal["tensorboard"] | None = option("Write RUN/tensorboard: curves, pictures, the plan.", "NAME")
    lang: Literal["en", "zh"] = option(LANG, default="en")
    overwrite: bool = option(OVERWRITE, default=False)
    callbacks: tuple[Any, ...] = option(
        "Callbacks of Keras; an epoch of theirs ends with a validation.", default=(), in_python=True
    )
    network: Any = option(
        "A function from the configuration of the network to a Keras model.", in_python=True
    )
    started: float | None = None

    MODES = {"races": ("--preset race", ALONE)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output is not None:
            return
        if self.data is None:
            raise UsageError(
                "the run needs a folder",
                where="--output",
                fix="name it with -o; only a dataset in one folder gives it a name: DATA-run",
            )
        place = self.data.resolve()
        object.__setattr__(self, "output", place.with_name(f"{place.name}-run"))

    @property
    def run(self) -> Path:
        """The folder of the run."""
        return self.output or Path()

    @property
    def races(self) -> bool:
        """Whether networks race for the choice of one."""
        return self.preset == RACE

    @property
    def several(self) -> bool:
        """Whether this takes several trainings."""
        return self.races or self.folds is not None

    def gives(self, name: str) -> bool:
        """A loss that is a function is no wish of a plan, which cannot hold it."""
        return super().gives(name) and (name != "loss" or isinstance(self.loss, str))


@record
class PredictOptions(EngineOptions, VerbOptions):
    """Of `predict`. max_memory: of each process where there is a cluster."""

    run: AnyPath = required(RUN)
    inputs: AnyPaths = required("Images, videos, folders of them; - for a stream.", "INPUT...")
    _: KW_ONLY
    output: OptionalPath = option("Folder of the results; else RUN-predictions.", "OUT", "-o")
    points: AnyPoints = option(
        "Of a run with a prompt: a dot on what is asked for. Repeatable.",
        "ROW,COLUMN",
        default=(),
        not_with=("cluster", "scene"),
    )
    device: DeviceName = option(
        "gpu: Keras, or else OpenVINO, on a GPU; auto: the CPU for engines.",
        default="auto",
        not_with=("cluster",),
    )
    fov: OptionalPath = option("Fields of view: predict nothing outside of them.", "DIR")
    max_memory: int | None = option(MAX_MEMORY)
    probabilities: bool = option("Write the class probabilities too.", default=False)
    uncertainty: bool = option(
        "Write maps of how unsure each pixel is, from folds or flips.", default=False, not_with=("cluster",)
    )
    overwrite: bool = option(OVERWRITE, default=False)
    skip_existing: bool = option("Skip inputs whose results exist.", default=False, not_with=("overwrite",))
    axes: str | None = option(AXES)
    level: int | None = option(
        "Level of slides to predict, 0 the finest; else by the run's micrometres.", "N", least=0
    )
    sequence: str | None = option(PATTERN)
    geff: bool = option("Tracks of sequences in time as geff, too.", default=False)
    scene: bool = option(
        "The GeoTIFF files of a folder are tiles of one scene: predict it without seams.",
        default=False,
        not_with=("fov", "sequence", "axes", "level"),
    )
    state: OptionalPath = option("Memory of a stream: taken up if it exists, written at the end.", "FILE")

    MODES = {
        "is_of_files": ("inputs other than standard input (-)", ("state",)),
        "is_stream": (
            "standard input (-)",
            (
                *("skip_existing", "points", "fov", "sequence", "axes", "level"),
                *("geff", "scene", "max_memory", "cluster", "uncertainty"),
            ),
        ),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_stream and len(self.inputs) > 1:
            raise UsageError(
                "standard input (-) is one stream, predicted frame by frame",
                where="INPUT...",
                fix="give no other input",
            )

    @property
    def is_stream(self) -> bool:
        """Whether a stream is predicted, frame by frame."""
        return STANDARD_INPUT in self.inputs

    @property
    def is_of_files(self) -> bool:
        return not self.is_stream


@record
class EvaluateOptions(EngineOptions, DataOptions, VerbOptions):
    """Of `evaluate`. Images may be shown beside the masks of --pred. group: nothing is split here.
    channels: the plan of the run tells them.
    """

    run: OptionalPath = option(RUN)
    data: OptionalPath = option(DATA)
    _: KW_ONLY
    split: Literal["train", "val", "test"] = option("train, val or test.", "NAME", default="test")
    output: OptionalPath = option(
        "Folder of the results; else RUN/evaluation/SPLIT, for other data DATA-SPLIT.", "DIR", "-o"
    )
    pred: OptionalPath = option(
        "Results of any program, to score without a run: masks, instances, COCO boxes, classes.",
        "DIR",
        only_with=("truth",),
        not_with=NOT_OF_GIVEN,
    )
    truth: OptionalPath = option("The truth for --pred.", "DIR", only_with=("pred",))
    task: str = option("Which task of --pred to score.", "TASK", default="auto", only_with=("pred",))
    lang: Literal["en", "zh"] = option(LANG, default="en")
    overwrite: bool = option(OVERWRITE, default=False)
    group: None = field(default=None, init=False)
    channels: None = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        has_data = self.data is not None or (self.images is not None and self.masks is not None)
        if self.pred is None and (self.run is None or not has_data):
            raise UsageError(
                "nothing to evaluate",
                expected="a run and a dataset, or two folders of masks",
                fix="reunet evaluate RUN DATA, or reunet evaluate --pred DIR --truth DIR",
            )


@record
class CompareOptions(Budget, DataOptions, VerbOptions):
    """Of `compare`."""

    data: OptionalPath = option(DATA)
    _: KW_ONLY
    presets: AnyNames = required(
        "Networks; NAME:control is a recurrent one's control, `control` that of the first.",
        "A,B,...",
        listed=True,
    )
    output: AnyPath = required("Folder of the comparison; the same command continues it.", "DIR", "-o")
    seeds: int = option("Trainings per network.", "N", default=3, least=1)
    split: Literal["val", "test"] = option("Score on val or test.", "NAME", default="val")
    backend: Backend | None = option(BACKEND)
    max_memory: int | None = option(MAX_MEMORY)


@record
class ExportOptions(VerbOptions):
    """Of `export`."""

    run: AnyPath = required(RUN)
    _: KW_ONLY
    format: str = required("onnx, openvino, saved_model, litert or bioimageio.", "NAME")
    output: AnyPath = required("File, or folder, to write.", "OUT", "-o")
    overwrite: bool = option(OVERWRITE, default=False)


@record
class PackOptions(VerbOptions):
    """Of `pack`."""

    run: AnyPath = required("Folder that `reunet train` wrote.", "RUN")
    _: KW_ONLY
    output: OptionalPath = option("File to write; else RUN.reunet.", "FILE", "-o")
    overwrite: bool = option(OVERWRITE, default=False)


@record
class ModelsOptions(VerbOptions):
    """Of `models`."""

    name: str | None = option("A preset; else all of them.", "NAME")
    _: KW_ONLY
    output: OptionalPath = option("Draw the network as an SVG file.", "FILE", "-o", only_with=("name",))


@record
class CorrectOptions(DataOptions, VerbOptions):
    """Of `correct`. group, channels: nothing is split or trained here."""

    data: AnyPath = required("Folder of the dataset.", "DATA")
    files: AnyPaths = required(
        "Edited label images, GeoJSON, ROI zips, COCO JSON, tables; folders of them.", "FILE..."
    )
    _: KW_ONLY
    by: str | None = option("Who edited them; else the name of the account.", "NAME")
    kind: Literal["instances", "masks"] | None = option("What label images hold: ids of objects, or classes.")
    split: Literal["train", "val", "test"] | None = option("Only images of this split.", "NAME")
    add: OptionalPath = option("Folder of images that DATA lacks: added to it with their labels.", "DIR")
    group: None = field(default=None, init=False)
    channels: None = field(default=None, init=False)


@record
class SuggestOptions(VerbOptions):
    """Of `suggest`."""

    run: AnyPath = required(RUN)
    images: AnyPaths = required("Unlabelled images, or folders of them.", "IMAGES...")
    _: KW_ONLY
    number: int = option("How many to suggest.", "N", "-n", default=20, least=1)
    data: OptionalPath = option(
        "Dataset of what is labelled: its images, and those like them, come last.", "DATA"
    )
    axes: str | None = option(AXES)
    output: OptionalPath = option("Write the suggestions to a CSV file.", "FILE", "-o")


@record
class DemoOptions(VerbOptions):
    """Of `demo`."""

    output: OptionalPath = option("Results; else reunet-demo.", "DIR", "-o")
    _: KW_ONLY
    minutes: float = option("Minutes of training.", "M", default=2.0, least=0.01)
    seed: int = option(SEED, default=0)
    backend: Backend | None = option(BACKEND)
    overwrite: bool = option(OVERWRITE, default=False)


@record
class ServeOptions(EngineChoice, VerbOptions):
    """Of `serve`. public: where a reverse proxy shows it. max_upload: bytes of a request."""

    runs: AnyPaths = required("Folders that `reunet train` wrote.", "RUN...")
    _: KW_ONLY
    host: str = option("Address to listen at; 0.0.0.0 for every one.", "ADDRESS", default="127.0.0.1")
    port: int = option(PORT, default=8000)
    token_file: OptionalPath = option("File with a secret, which every request has to bring.", "FILE")
    public: str | None = option("Address that people see, such as https://NAME.", "URL")
    max_upload: int | None = option(
        "Most that one request may send; else 1GB.", "SIZE", above=0, in_bytes=True
    )


@record
class OpenOptions(VerbOptions):
    """Of `open`."""

    path: OptionalPath = option("A run, a dataset, a folder of images or an image.", "RUN|DATA")
    data: OptionalPath = option("With a run: the dataset or the images.", "DATA")
    _: KW_ONLY
    port: int = option(PORT, default=0)
    no_browser: bool = option("Print the address only.", default=False)


@record
class DoctorOptions(Options):
    """Of `doctor`."""

    _: KW_ONLY
    cache: bool = option("Show what the cache of images holds instead.", default=False)
    clear: bool = option("Empty the cache of images first.", default=False)
