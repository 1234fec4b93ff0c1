"""The options: about the dataset, what is trained and the engine, and those of each verb."""

from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import Annotated, Any, Literal

from reunet.backend import Backend
from reunet.contracts.names import DeviceName, EngineName, PrecisionName
from reunet.contracts.options.fields import (
    UNSET,
    AnyLoss,
    AnyNames,
    AnyPath,
    AnyPaths,
    AnyPoints,
    OptionalPath,
    Options,
    Says,
    record,
)
from reunet.errors import UsageError
from reunet.progress import Progress

AUTO: Any = "auto"
NO_POINTS: Any = ()
DEFAULT_BUDGET = {"minutes": 10.0}
STANDARD_INPUT = Path("-")

BUDGETS = ("minutes", "steps", "epochs")
WISHES = ("task", "preset", "encoder", "loss", "prompt", *BUDGETS, "seed", "max_memory")
"""What a plan decides, hence has no effect beside one that is given; `backend` is compared with it."""

RACE = "race"
"""In place of a preset: several networks race."""

ALONE = ("init", "freeze", "network", "processes", "log")
"""What only a single training has."""

Data = Annotated[OptionalPath, Says("Folder of the dataset.", "DATA")]
Run = Annotated[AnyPath, Says("Folder that `reunet train` wrote, or a file of `reunet pack`.", "RUN")]
Axes = Annotated[str | None, Says("Axes of the image files, such as ZYX.", "AXES")]
Pattern = Annotated[
    str | None,
    Says('Pattern of names: "{sequence}_{frame}"; {slice} instead of {frame} in depth.', "PATTERN"),
]
Minutes = Annotated[float | None, Says("Budget: minutes from start to final weights.", "M", above=0)]
Steps = Annotated[int | None, Says("Budget: training steps; repeats a run exactly.", "N", above=0)]
Seed = Annotated[int, Says("Seed of everything random.", "S", least=0)]
BackendName = Annotated[Backend | None, Says("Training framework; else the installed one.")]
MaxMemory = Annotated[int | None, Says("Most memory to use, such as 8GB.", "SIZE", above=0, in_bytes=True)]
Port = Annotated[int, Says("Port to listen at; 0 for any that is free.", "N", least=0)]
Lang = Annotated[Literal["en", "zh"], Says("Language of the report: English or Chinese.")]
Overwrite = Annotated[bool, Says("Replace results that exist.")]


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
    images: Annotated[OptionalPath, Says("Folder of the images, in DATA or anywhere.", "DIR")] = UNSET
    masks: Annotated[OptionalPath, Says("Folder of their masks, likewise.", "DIR")] = UNSET
    axes: Axes = None
    channels: Annotated[
        str | None, Says("Channels to read, by name or number from 1: DAPI,GFP or 1,3.", "A,B,...")
    ] = None
    classes: Annotated[OptionalPath, Says("Class list: JSON, or lines `id,name`.", "FILE")] = UNSET
    colors: Annotated[OptionalPath, Says("Colour table of RGB masks: lines `name,r,g,b`.", "FILE")] = UNSET
    group: Annotated[
        str | None,
        Says(
            "Keeps images of one group together: a column of items.csv or labels.csv, a CSV file with a "
            'column group, or a pattern of names: "{group}_*".',
            "COLUMN",
        ),
    ] = None
    allow_geometry_mismatch: Annotated[
        bool,
        Says("Accept masks of another pixel size or place than their image, and contradictory headers."),
    ] = False
    sequence: Pattern = None
    boxes_from_masks: Annotated[
        str | None, Says("Classes of the masks to put boxes around, one per connected part.", "A,B,...")
    ] = None


@record
class Budget(Options):
    """How long to train: one of these; minutes are wall time. Raises UsageError for two."""

    _: KW_ONLY
    minutes: Minutes = None
    steps: Steps = None

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
    task: Annotated[
        tuple[str, ...],
        Says(
            "semantic, instances, detection or classification; auto: what is annotated. Repeatable.", "TASK"
        ),
    ] = ("auto",)
    preset: Annotated[str, Says("Network: auto, or a preset by name.", "NAME")] = "auto"
    encoder: Annotated[
        str | None, Says("auto, none, or a pretrained encoder: efficientnet_lite0, resnet50, ...", "NAME")
    ] = "auto"
    loss: Annotated[
        Literal["auto", "cl_dice"], Says("auto, or cl_dice for vessels and other thin structures.", "NAME")
    ] = "auto"
    prompt: Annotated[
        Literal["points"] | None, Says("points: learn to find what dots belong to, not all there is.", "NAME")
    ] = None
    epochs: Annotated[float | None, Says("Budget: passes over the training cases.", "N", above=0)] = None
    seed: Seed = 0
    backend: BackendName = None
    device: Annotated[
        DeviceName, Says("Where the framework computes; auto: on a GPU that it can use, else the CPU.")
    ] = "auto"
    max_memory: MaxMemory = None


@record
class EngineChoice(Options):
    """How a run predicts on this machine: see `reunet.load`."""

    _: KW_ONLY
    engine: Annotated[EngineName, Says("What computes; auto: the fastest, as measured at export.")] = "auto"
    precision: Annotated[
        PrecisionName, Says("Numbers of the engine; auto: the fastest that kept the score at export.")
    ] = "auto"
    tta: Annotated[bool, Says("Average over flips of the image: slower, a little better.")] = False
    iterations: Annotated[
        str | None, Says("Of a network that thinks: a number, or auto: until the mask stands still.", "N")
    ] = None


@record
class EngineOptions(EngineChoice):
    """The same, or on several. cluster: all of its processes see the same files under the same paths."""

    _: KW_ONLY
    cluster: Annotated[
        str | None, Says("Dask: tcp://HOST:PORT, or local:N for N processes here.", "ADDRESS")
    ] = None
    network: Annotated[
        Any,
        Says(
            "The function that made the network, of a run with one of its own.",
            in_python=True,
            not_with=("cluster",),
        ),
    ] = None


@record
class CheckOptions(DataOptions, VerbOptions):
    """Of `check`."""

    data: Data = UNSET
    _: KW_ONLY
    fix_list: Annotated[OptionalPath, Says("Write the problems to a CSV file.", "FILE")] = UNSET
    pictures: Annotated[
        OptionalPath, Says("Draw some cases of each split with their annotations, as PNG.", "FILE")
    ] = UNSET


@record
class PlanOptions(Wishes, DataOptions, VerbOptions):
    """Of `plan`."""

    data: Data = UNSET
    _: KW_ONLY
    output: Annotated[OptionalPath, Says("Write the plan, for train --plan.", "FILE", "-o")] = UNSET
    page: Annotated[OptionalPath, Says("Write an HTML page of data, patches and choices.", "FILE")] = UNSET


@record
class TrainOptions(Wishes, DataOptions, VerbOptions):
    """Of `train`. started: `time.monotonic()` from which the minutes count; now when None."""

    data: Data = UNSET
    _: KW_ONLY
    preset: Annotated[
        str, Says("Network: auto, a preset by name, or race: several compete for the minutes.", "NAME")
    ] = "auto"
    loss: Annotated[
        AnyLoss,
        Says("auto, or cl_dice for vessels and other thin structures.", "NAME", or_functions=True),
    ] = AUTO
    output: Annotated[OptionalPath, Says("Folder of the run; else DATA-run.", "RUN", "-o")] = UNSET
    plan: Annotated[
        OptionalPath,
        Says("Train this plan.json instead of planning.", "FILE", not_with=(*WISHES, "init", "freeze")),
    ] = UNSET
    folds: Annotated[
        int | None,
        Says(
            "Train K networks, each with another part of the images held out, and use their mean.",
            "K",
            least=2,
            not_with=ALONE,
        ),
    ] = None
    processes: Annotated[
        int,
        Says("Train on N processes (JAX), started here or one by one.", "N", least=1, not_with=("device",)),
    ] = 1
    process_id: Annotated[
        int | None,
        Says("Number of this process, from 0, if you start them one by one.", "K", only_with=("processes",)),
    ] = None
    coordinator: Annotated[
        str | None,
        Says("Address of process 0, where the processes meet.", "HOST:PORT", only_with=("processes",)),
    ] = None
    init: Annotated[
        OptionalPath,
        Says("Start from the weights of another run.", "RUN", not_with=("encoder",)),
    ] = UNSET
    freeze: Annotated[
        Literal["encoder"] | None,
        Says("Part that keeps its weights as they are.", only_with=("init", "encoder")),
    ] = None
    encoder_weights: Annotated[
        str,
        Says("Weights of --encoder: a file, imagenet or none.", "FILE", only_with=("encoder", "plan")),
    ] = "imagenet"
    resume: Annotated[
        bool,
        Says(
            "Continue an interrupted run.",
            not_with=(*WISHES, "plan", "folds", "init", "freeze", "encoder_weights", "overwrite"),
        ),
    ] = False
    workers: Annotated[int | None, Says("Threads that prepare patches; 0 uses none.", "N", least=0)] = None
    log: Annotated[
        Literal["tensorboard"] | None, Says("Write RUN/tensorboard: curves, pictures, the plan.", "NAME")
    ] = None
    lang: Lang = "en"
    overwrite: Overwrite = False
    callbacks: Annotated[
        tuple[Any, ...],
        Says("Callbacks of Keras; an epoch of theirs ends with a validation.", in_python=True),
    ] = ()
    network: Annotated[
        Any, Says("A function from the configuration of the network to a Keras model.", in_python=True)
    ] = None
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

    run: Run
    inputs: Annotated[AnyPaths, Says("Images, videos, folders of them; - for a stream.", "INPUT...")]
    _: KW_ONLY
    output: Annotated[OptionalPath, Says("Folder of the results; else RUN-predictions.", "OUT", "-o")] = UNSET
    points: Annotated[
        AnyPoints,
        Says(
            "Of a run with a prompt: a dot on what is asked for. Repeatable.",
            "ROW,COLUMN",
            not_with=("cluster", "scene"),
        ),
    ] = NO_POINTS
    device: Annotated[
        DeviceName,
        Says("gpu: Keras, or else OpenVINO, on a GPU; auto: the CPU for engines.", not_with=("cluster",)),
    ] = "auto"
    fov: Annotated[OptionalPath, Says("Fields of view: predict nothing outside of them.", "DIR")] = UNSET
    max_memory: MaxMemory = None
    probabilities: Annotated[bool, Says("Write the class probabilities too.")] = False
    uncertainty: Annotated[
        bool,
        Says("Write maps of how unsure each pixel is, from folds or flips.", not_with=("cluster",)),
    ] = False
    overwrite: Overwrite = False
    skip_existing: Annotated[bool, Says("Skip inputs whose results exist.", not_with=("overwrite",))] = False
    axes: Axes = None
    level: Annotated[
        int | None,
        Says("Level of slides to predict, 0 the finest; else by the run's micrometres.", "N", least=0),
    ] = None
    sequence: Pattern = None
    geff: Annotated[bool, Says("Tracks of sequences in time as geff, too.")] = False
    scene: Annotated[
        bool,
        Says(
            "The GeoTIFF files of a folder are tiles of one scene: predict it without seams.",
            not_with=("fov", "sequence", "axes", "level"),
        ),
    ] = False
    state: Annotated[
        OptionalPath,
        Says("Memory of a stream: taken up if it exists, written at the end.", "FILE"),
    ] = UNSET

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

    run: Annotated[
        OptionalPath, Says("Folder that `reunet train` wrote, or a file of `reunet pack`.", "RUN")
    ] = UNSET
    data: Data = UNSET
    _: KW_ONLY
    split: Annotated[Literal["train", "val", "test"], Says("train, val or test.", "NAME")] = "test"
    output: Annotated[
        OptionalPath,
        Says("Folder of the results; else RUN/evaluation/SPLIT, for other data DATA-SPLIT.", "DIR", "-o"),
    ] = UNSET
    pred: Annotated[
        OptionalPath,
        Says(
            "Results of any program, to score without a run: masks, instances, COCO boxes, classes.",
            "DIR",
            only_with=("truth",),
            not_with=(
                "run", "data", "split", "engine", "precision", "tta", "iterations", "cluster", "network",
                "masks", "allow_geometry_mismatch", "sequence", "boxes_from_masks",
            ),
        ),
    ] = UNSET  # fmt: skip
    truth: Annotated[
        OptionalPath,
        Says("The truth for --pred.", "DIR", only_with=("pred",)),
    ] = UNSET
    task: Annotated[str, Says("Which task of --pred to score.", "TASK", only_with=("pred",))] = "auto"
    lang: Lang = "en"
    overwrite: Overwrite = False
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

    data: Data = UNSET
    _: KW_ONLY
    presets: Annotated[
        AnyNames,
        Says(
            "Networks; NAME:control is a recurrent one's control, `control` that of the first.",
            "A,B,...",
            listed=True,
        ),
    ]
    output: Annotated[AnyPath, Says("Folder of the comparison; the same command continues it.", "DIR", "-o")]
    seeds: Annotated[int, Says("Trainings per network.", "N", least=1)] = 3
    split: Annotated[Literal["val", "test"], Says("Score on val or test.", "NAME")] = "val"
    backend: BackendName = None
    max_memory: MaxMemory = None


@record
class ExportOptions(VerbOptions):
    """Of `export`."""

    run: Run
    _: KW_ONLY
    format: Annotated[str, Says("onnx, openvino, saved_model, litert or bioimageio.", "NAME")]
    output: Annotated[AnyPath, Says("File, or folder, to write.", "OUT", "-o")]
    overwrite: Overwrite = False


@record
class PackOptions(VerbOptions):
    """Of `pack`."""

    run: Annotated[AnyPath, Says("Folder that `reunet train` wrote.", "RUN")]
    _: KW_ONLY
    output: Annotated[OptionalPath, Says("File to write; else RUN.reunet.", "FILE", "-o")] = UNSET
    overwrite: Overwrite = False


@record
class ModelsOptions(VerbOptions):
    """Of `models`."""

    name: Annotated[str | None, Says("A preset; else all of them.", "NAME")] = None
    _: KW_ONLY
    output: Annotated[
        OptionalPath, Says("Draw the network as an SVG file.", "FILE", "-o", only_with=("name",))
    ] = UNSET


@record
class CorrectOptions(DataOptions, VerbOptions):
    """Of `correct`. group, channels: nothing is split or trained here."""

    data: Annotated[AnyPath, Says("Folder of the dataset.", "DATA")]
    files: Annotated[
        AnyPaths,
        Says("Edited label images, GeoJSON, ROI zips, COCO JSON, tables; folders of them.", "FILE..."),
    ]
    _: KW_ONLY
    by: Annotated[str | None, Says("Who edited them; else the name of the account.", "NAME")] = None
    kind: Annotated[
        Literal["instances", "masks"] | None, Says("What label images hold: ids of objects, or classes.")
    ] = None
    split: Annotated[Literal["train", "val", "test"] | None, Says("Only images of this split.", "NAME")] = (
        None
    )
    add: Annotated[
        OptionalPath, Says("Folder of images that DATA lacks: added to it with their labels.", "DIR")
    ] = UNSET
    group: None = field(default=None, init=False)
    channels: None = field(default=None, init=False)


@record
class SuggestOptions(VerbOptions):
    """Of `suggest`."""

    run: Run
    images: Annotated[AnyPaths, Says("Unlabelled images, or folders of them.", "IMAGES...")]
    _: KW_ONLY
    number: Annotated[int, Says("How many to suggest.", "N", "-n", least=1)] = 20
    data: Annotated[
        OptionalPath, Says("Dataset of what is labelled: its images, and those like them, come last.", "DATA")
    ] = UNSET
    output: Annotated[OptionalPath, Says("Write the suggestions to a CSV file.", "FILE", "-o")] = UNSET


@record
class DemoOptions(VerbOptions):
    """Of `demo`."""

    output: Annotated[OptionalPath, Says("Results; else reunet-demo.", "DIR", "-o")] = UNSET
    _: KW_ONLY
    minutes: Annotated[float, Says("Minutes of training.", "M", least=0.01)] = 2.0
    seed: Seed = 0
    backend: BackendName = None
    overwrite: Overwrite = False


@record
class ServeOptions(EngineChoice, VerbOptions):
    """Of `serve`. public: where a reverse proxy shows it. max_upload: bytes of a request."""

    runs: Annotated[AnyPaths, Says("Folders that `reunet train` wrote.", "RUN...")]
    _: KW_ONLY
    host: Annotated[str, Says("Address to listen at; 0.0.0.0 for every one.", "ADDRESS")] = "127.0.0.1"
    port: Port = 8000
    token_file: Annotated[
        OptionalPath, Says("File with a secret, which every request has to bring.", "FILE")
    ] = UNSET
    public: Annotated[str | None, Says("Address that people see, such as https://NAME.", "URL")] = None
    max_upload: Annotated[
        int | None, Says("Most that one request may send; else 1GB.", "SIZE", above=0, in_bytes=True)
    ] = None


@record
class OpenOptions(VerbOptions):
    """Of `open`."""

    path: Annotated[OptionalPath, Says("A run, a dataset, a folder of images or an image.", "RUN|DATA")] = (
        UNSET
    )
    data: Annotated[OptionalPath, Says("With a run: the dataset or the images.", "DATA")] = UNSET
    _: KW_ONLY
    port: Port = 0
    no_browser: Annotated[bool, Says("Print the address only.")] = False


@record
class DoctorOptions(Options):
    """Of `doctor`."""

    _: KW_ONLY
    cache: Annotated[bool, Says("Show what the cache of images holds instead.")] = False
    clear: Annotated[bool, Says("Empty the cache of images first.")] = False
