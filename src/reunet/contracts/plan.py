"""The plan: the only configuration of a run, written by the planner, readable and editable by a person."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field, model_validator

from reunet.backend import Backend
from reunet.contracts.augmentation import Augmentation
from reunet.contracts.base import Contract
from reunet.contracts.bounds import MOST_PIXELS, Positive, Real, Share, Side, Weight, Width
from reunet.contracts.labels import LabelMap
from reunet.contracts.network import NetworkConfig
from reunet.contracts.shown import table_html
from reunet.contracts.sizes import valid_frames, valid_size

Precision = Literal["float32", "bfloat16"]


Size = Annotated[tuple[Side, ...], Field(max_length=3)]
"""Pixels per axis of space."""

Step = Annotated[int, Field(ge=1, le=10**9)]

Spacing = Annotated[float, Field(ge=1e-6, le=1e6)]
PixelSide = Annotated[float, Field(ge=1e-6, le=1e12)]
"""Size of a pixel along an axis."""


class Intensity(Contract):
    """How raw pixels become network inputs: (pixel - offset) / scale per channel.

    image_zscore: offset and scale are the mean and standard deviation of the image itself.
    image_percentile: the image's percentiles 1 and 99.8 become 0 and 1.
    fixed: `offset` and `scale` below, the same for every image. limit: where there is one, what lies
    further from the offset than so many scales down and up is set to that (metal in CT).
    """

    method: Literal["image_zscore", "image_percentile", "fixed"]
    offset: tuple[Real, ...] = ()
    scale: tuple[Positive, ...] = ()
    limit: tuple[Real, Real] | None = None


class InputSpec(Contract):
    """What images the run reads.

    grey_to_rgb: one-channel files are repeated to three channels. size: what every image is brought to before
    the network sees it, for classes of whole images; None for any size. longest: the longer side, in pixels,
    at which the network sees every image, whatever its own, instead of a `spacing`; None for any.
    channel_names: which channels of a file are read, in this order, by the file's names or by number from 1;
    empty for all that it has.
    """

    channels: Width
    channel_names: tuple[str, ...] = ()
    grey_to_rgb: bool = False
    intensity: Intensity
    size: Size | None = None
    longest: Annotated[int, Field(ge=16, le=2**16)] | None = None

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> InputSpec:
        offset, scale = self.intensity.offset, self.intensity.scale
        if self.intensity.method == "fixed" and not len(offset) == len(scale) == self.channels:
            raise ValueError(f"fixed intensity needs {self.channels} values each in offset and scale")
        if self.channel_names and len(self.channel_names) != self.channels:
            raise ValueError(f"channel_names must name {self.channels} channels, or none")
        return self


class LossSpec(Contract):
    """Weighted sum of losses on the logits of classes of pixels.

    cl_dice: of centre line Dice, for thin branching structures. thinning: steps of its soft skeleton, each
    takes a pixel off both sides: at least half of the width of the widest lines.
    class_weights: of the classes of pixels in the cross-entropy; 1 for each when empty.
    category_weights: of the classes of whole images; 1 for each when empty.
    """

    cross_entropy: Weight = 1.0
    dice: Weight = 1.0
    cl_dice: Weight = 0.0
    thinning: int = Field(default=10, ge=1, le=1000)
    class_weights: tuple[Weight, ...] = ()
    category_weights: tuple[Weight, ...] = ()

    @model_validator(mode="after")
    def _something_to_learn(self) -> LossSpec:
        if self.cross_entropy + self.dice + self.cl_dice <= 0:
            raise ValueError("one of the weights must be positive")
        return self


class Schedule(Contract):
    """AdamW: linear warm-up over `warmup` of the steps, then decay to zero at the end of the budget.

    Exactly one of minutes, steps and epochs is the budget.
    validations: how often the held-out cases are predicted, evenly spread, always at the end.
    early_stop: end after that many validations without improvement; 0 never ends early.
    encoder_rate: of a pretrained encoder, its learning rate as a share of that of the rest. Below 1 its
    normalisation keeps the statistics of the photographs it has seen; at 0 it stays as it is.
    encoder_from: share of the steps for which it stays as it is before it learns.
    memory_from: share of the steps in which recurrences beside the path (`network.recurrence.gain`) are
    skipped: each frame is an image of its own then, and a batch is as many frames. The windows that follow
    are in chains that grow up to `clip.carry`.
    gain_rate: learning rate of the gains of such recurrences, as a multiple of that of the rest.
    relaid: with `steps`, at which step they were laid out anew and how many there were from then on: what a
    training by minutes did, so that it can be repeated.
    halved: with `steps`, from which batch on (from 0) they held how many patches instead of `batch`: what a
    training did whose steps needed more memory than there was.
    ema: decay of an exponential moving average of the weights; 0 switches it off.
    """

    learning_rate: float = Field(default=2e-3, gt=0, le=1e6)
    weight_decay: float = Field(default=1e-2, ge=0, le=1e6)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    clip_norm: float = Field(default=5.0, gt=0, le=1e30)
    minutes: float | None = Field(default=None, gt=0, le=1e7)
    steps: Step | None = None
    epochs: float | None = Field(default=None, gt=0, le=1e7)
    validations: int = Field(default=10, ge=1, le=10**6)
    early_stop: int = Field(default=0, ge=0, le=10**6)
    ema: float = Field(default=0.0, ge=0, lt=1)
    encoder_rate: float = Field(default=1.0, ge=0, le=1)
    encoder_from: float = Field(default=0.0, ge=0, lt=1)
    memory_from: float = Field(default=0.0, ge=0, lt=1)
    gain_rate: float = Field(default=10.0, gt=0, le=1000)
    relaid: tuple[tuple[Step, Step], ...] = Field(default=(), max_length=1000)
    halved: tuple[tuple[Annotated[int, Field(ge=0, le=10**9)], Step], ...] = Field(default=(), max_length=16)

    @model_validator(mode="after")
    def _one_budget(self) -> Schedule:
        if sum(value is not None for value in (self.minutes, self.steps, self.epochs)) != 1:
            raise ValueError("give exactly one of minutes, steps and epochs")
        if (self.relaid or self.halved) and self.steps is None:
            raise ValueError("relaid and halved belong to a training by steps")
        return self


class Inference(Contract):
    """How an image is tiled: the tile the network sees, one side per axis of space, finest axis last, and
    the share two tiles overlap.

    halo: pixels at the inner sides of a tile that do not count, per axis of space; none when empty. With half
    the receptive field or more, a network whose normalisation is fixed gives the same at any size of tile.
    """

    tile: Size
    overlap: float = Field(default=0.25, ge=0, le=0.95)
    halo: tuple[Annotated[int, Field(ge=0, le=2**15)], ...] = ()


class ClipSpec(Contract):
    """How sequences are read: windows of `frames` consecutive frames.

    axis: the sequences run in time (T) or through the slices of a stack (Z).
    carry: in training a window goes on with the state that the window before it left, through `carry`
    windows of one sequence (truncated backpropagation through time); 1 begins every window anew.
    """

    frames: int = Field(ge=1, le=4096)
    axis: Literal["T", "Z"] = "T"
    carry: int = Field(default=1, ge=1, le=10**6)


class ThinkingSpec(Contract):
    """How a network that thinks is trained and asked (Bansal et al. 2022, arXiv 2202.05826, section 3.2).

    iterations: over a training patch at most, and in exported files, whose number of iterations is fixed.
    window: of them the last so many are learned from. Before them as many are run without gradients as chance
    says, none to all that are left: no iteration may rely on being the first or the last (progressive loss).
    alpha: weight of that loss; the rest is that of all `iterations` from the beginning, learned from whole.
    feedback: of a network that is asked by points: what one iteration finds asks the next one, as dots do.
    reach: with it, what is not known to belong within so many pixels of what was found, along the thing, does
    not count: an iteration learns to go on from where the last one came.
    """

    iterations: int = Field(default=4, ge=1, le=4096)
    window: int = Field(default=1, ge=1, le=64)
    alpha: float = Field(default=1.0, ge=0, le=1)
    feedback: bool = False
    reach: int | None = Field(default=None, ge=1, le=1024)

    @model_validator(mode="after")
    def _window_fits(self) -> ThinkingSpec:
        if self.window > self.iterations:
            raise ValueError(f"window is {self.window}, of {self.iterations} iterations")
        if self.reach is not None and not self.feedback:
            raise ValueError("reach is of networks with feedback")
        return self


class Custom(Contract):
    """What Python's `train` was given as functions, by their names: a plan cannot hold them.

    network: what makes the network. losses: by the name of the head. callbacks: that watched the training.
    """

    network: str | None = None
    losses: dict[str, str] = {}
    callbacks: tuple[str, ...] = ()


class Plan(Contract):
    """Everything that defines a run, with the reason for each choice in `reasons` (field -> sentence).

    tasks: the first one is what training follows. labels: classes of pixels and objects; categories: of whole
    images.
    spacing: size of the pixels that the network sees, per axis: of volumes in mm (depth, height, width), of
    images in pixels of the file, so that (2, 2) is an image half as large. Images are resampled to it and
    predictions back from it. None takes them as they are.
    micrometres: size (y, x) of the pixels in the files of the images that were trained on, None of volumes
    and where no file states it.
    foreground_sampling: share of the patches that are centred on foreground. class_sampling: how often each
    class is chosen for that among those that an image shows, relative to each other; evenly when empty.
    corrected_sampling: how often images that a person corrected are shown where others are shown once.
    prompt: `points` where dots ask the network, which sees them in one more channel, for what they belong to:
    one object, or connected part of a class. None where it finds all.
    custom: what is not data; None where the plan is all there is.
    """

    schema_version: int = 1
    dataset: str
    tasks: tuple[str, ...] = Field(default=("semantic",), min_length=1)
    labels: LabelMap
    categories: LabelMap | None = None
    input: InputSpec
    network: NetworkConfig
    spacing: tuple[Spacing, ...] | None = None
    micrometres: tuple[PixelSide, PixelSide] | None = None
    patch: Size
    clip: ClipSpec | None = None
    thinking: ThinkingSpec | None = None
    prompt: Literal["points"] | None = None
    batch: int = Field(ge=1, le=2**16)
    foreground_sampling: Share = 0.33
    class_sampling: tuple[Positive, ...] = ()
    corrected_sampling: int = Field(default=1, ge=1, le=100)
    augmentation: Augmentation = Augmentation()
    loss: LossSpec = LossSpec()
    schedule: Schedule
    inference: Inference
    precision: Precision = "float32"
    backend: Backend = "tensorflow"
    freeze: Literal["encoder"] | None = None
    seed: int = Field(default=0, ge=0, lt=2**63)
    custom: Custom | None = None
    reasons: dict[str, str] = {}

    @model_validator(mode="after")
    def _prompt_fits(self) -> Plan:
        if self.prompt is None:
            if self.thinking is not None and self.thinking.feedback:
                raise ValueError("thinking.feedback is for networks that are asked by points")
            return self
        if self.tasks != ("semantic",) or self.labels.regions or self.clip:
            raise ValueError("a prompt is for the task semantic alone, without regions, and single images")
        if self.labels.background is None:
            raise ValueError("a prompt needs a background class, for all that is not asked for")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Plan:
        seen = self.input.channels + (self.prompt is not None)
        if self.network.in_channels != seen:
            raise ValueError(f"network.in_channels is {self.network.in_channels}, of the input {seen}")
        semantic = [head for head in self.network.heads if head.name == "semantic"]
        if "semantic" in self.tasks and [head.channels for head in semantic] != [len(self.labels.outputs)]:
            raise ValueError(f"the semantic head needs {len(self.labels.outputs)} channels, one per class")
        weights = self.class_sampling
        if weights and len(weights) != len(self.labels.classes):
            raise ValueError(f"class_sampling needs {len(self.labels.classes)} positive numbers, or none")
        if self.loss.class_weights and len(self.loss.class_weights) != len(self.labels.classes):
            raise ValueError(f"loss.class_weights needs {len(self.labels.classes)} numbers, or none")
        if (self.clip is None) != (self.network.time == "none"):
            raise ValueError("clip belongs to networks with time, and only to them")
        if self.clip is None and self.augmentation.frames is not None:
            raise ValueError("augmentation.frames belongs to networks with time, and only to them")
        if (self.thinking is None) == self.network.thinks:
            raise ValueError("thinking belongs to networks with a thinking bottleneck, and only to them")
        if self.clip is not None:
            fits = valid_frames(self.network, self.clip.frames)
            if fits != self.clip.frames:
                raise ValueError(f"clip.frames {self.clip.frames} does not fit the network; {fits} would")
        if self.clip is not None and self.clip.carry > 1 and not self.network.causal:
            raise ValueError("clip.carry needs a network whose frames depend on no later ones")
        if self.schedule.memory_from and not self.network.recurs_beside:
            raise ValueError("schedule.memory_from needs network.recurrence.gain, and what recurs with it")
        axes = self.network.spatial_dims
        if self.spacing is not None and len(self.spacing) != axes:
            raise ValueError(f"spacing needs {axes} positive numbers, one per axis of space")
        if self.input.size is not None and any(head.of == "pixels" for head in self.network.heads):
            raise ValueError("input.size is for networks that tell the class of an image only")
        if self.input.longest is not None and (self.spacing or self.input.size or axes != 2 or self.clip):
            raise ValueError("input.longest is for images without spacing, input.size and time")
        for name, size in (("patch", self.patch), ("inference.tile", self.inference.tile)):
            if len(size) != self.network.spatial_dims:
                raise ValueError(f"{name} needs {self.network.spatial_dims} sides, as network.spatial_dims")
            if prod(size) * (self.clip.frames if self.clip else 1) > MOST_PIXELS:
                raise ValueError(f"{name} {size} has more pixels than {MOST_PIXELS}")
            nearest = valid_size(self.network, size)
            if nearest != size:
                raise ValueError(f"{name} {size} does not fit the network's poolings; {nearest} would")
        halo = self.inference.halo
        if halo and len(halo) != axes:
            raise ValueError(f"inference.halo needs {axes} numbers of at least 0, one per axis of space")
        return self

    def _repr_html_(self) -> str:
        facts = {
            "dataset": self.dataset,
            "tasks": ", ".join(self.tasks),
            "classes": ", ".join(self.labels.names),
        }
        return "<b>Plan</b>" + table_html(facts | self.reasons)

    @property
    def resizes_images(self) -> bool:
        """Whether single images are made as large as the network is to see them; volumes are so before."""
        told = self.spacing or self.input.size or self.input.longest
        return self.network.spatial_dims == 2 and told is not None

    @property
    def engine_input(self) -> tuple[int, ...]:
        """What the engine gets between batch and channels: a tile, or a window of `clip.frames` of them where
        the network does not go from frame to frame.
        """
        windows = self.clip is not None and not self.network.causal
        return (self.clip.frames, *self.inference.tile) if self.clip and windows else self.inference.tile


class Cleaning(Contract):
    """What is mended of a class in a mask. largest_only: of its components the largest stays, whatever lies
    apart of it goes. smallest: components of fewer pixels go. fill_holes: background that it encloses becomes
    part of it.
    """

    largest_only: bool = False
    smallest: int = Field(default=0, ge=0, le=2**40)
    fill_holes: bool = False


class Calibration(Contract):
    """Numbers fitted on the held-out cases after training.

    pixel_temperature: class probabilities of pixels are those of logits divided by it.
    threshold: with two classes, the foreground probability, of those, from which a pixel is foreground.
    region_threshold: with a boundary class, the boundary probability from which a pixel separates
    regions, fitted for V_rand.
    score_thresholds: the score (confidence, where that is fitted) from which a detected box counts, for each
    foreground class in class order.
    instance_thresholds: of the decoding of objects, by name.
    instance_confidence, box_confidence: weights of the facts from which the probability that an object or a
    box is right is computed, by name, see `reunet.tasks.confidence`.
    temperature: class probabilities of whole images are those of logits divided by it.
    cleaning: what made the out-of-fold masks of a class better, by its name.
    tta: whether the mean over mirrorings was so much better out of fold that it is always taken.
    weights: SHA-256 of the weights that all this was fitted for.
    """

    pixel_temperature: float | None = Field(default=None, ge=1e-3, le=1e3)
    threshold: float | None = Field(default=None, gt=0, lt=1)
    region_threshold: float | None = Field(default=None, gt=0, lt=1)
    score_thresholds: tuple[Share, ...] = Field(default=(), max_length=254)
    instance_thresholds: dict[str, Real] = {}
    instance_confidence: dict[str, Real] = {}
    box_confidence: dict[str, Real] = {}
    temperature: float | None = Field(default=None, ge=1e-3, le=1e3)
    cleaning: dict[str, Cleaning] = {}
    tta: bool = False
    weights: str | None = Field(default=None, max_length=64)

    @property
    def plain(self) -> Calibration:
        """The same without what comes before and after a single prediction of the network."""
        return self.model_copy(update={"tta": False, "cleaning": {}})

    @property
    def refinements(self) -> list[str]:
        """In words, what `plain` leaves out."""
        told = ["average what it says of the image and of its mirrorings"] if self.tta else []
        for name, step in self.cleaning.items():
            parts = ["keep its largest component"] if step.largest_only else []
            parts += [f"remove components below {step.smallest} pixels"] if step.smallest > 1 else []
            parts += ["fill its holes"] if step.fill_holes else []
            told.append(f"in the mask of {name}: {', '.join(parts)}")
        return told
