"""The rules: from a fingerprint and the user's wishes to a plan, every choice with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reunet.backend import Backend
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import (
    Augmentation,
    Inference,
    InputSpec,
    Intensity,
    Plan,
    Precision,
    Schedule,
)
from reunet.errors import UsageError
from reunet.machine import cores, has_cpu_bfloat16, memory_bytes
from reunet.networks.presets import configure
from reunet.planning.cost import multiplications, training_bytes
from reunet.tasks.semantic import heads

DEFAULT_MINUTES = 10.0
PATCH_SIDE = 256
MIN_SIDE = 8
MAX_POOLINGS = 4
WIDTHS = (16, 24, 32, 48, 64)
WANTED_PATCHES = 8000
"""Patches a network should see before a wider one pays; from trainings of 5 to 20 minutes."""
MULTIPLICATIONS_PER_CORE_SECOND = 16e9
"""Forward multiply-adds a core sustains while training with bfloat16 (measured with 16 filters)."""
DIFFERENT_LIGHT = 0.3
UPRIGHT = 0.08
FEW_CASES = 50
BATCH = 4


@dataclass(frozen=True)
class PlanRequest:
    """What the user asked for; None where the rules decide."""

    preset: str = "auto"
    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None
    seed: int = 0
    backend: Backend = "tensorflow"
    max_memory: int | None = None
    network: NetworkConfig | None = None

    @property
    def budget(self) -> dict[str, Any]:
        """The one budget asked for, or the default. Raises UsageError for two."""
        given = {"minutes": self.minutes, "steps": self.steps, "epochs": self.epochs}
        chosen = {name: value for name, value in given.items() if value is not None}
        if len(chosen) > 1:
            raise UsageError(
                "two budgets were given",
                where=" and ".join(f"--{name}" for name in chosen),
                expected="one of --minutes, --steps, --epochs",
            )
        return given if chosen else {"minutes": DEFAULT_MINUTES}


def make_plan(
    fingerprint: Fingerprint, request: PlanRequest, task_heads: tuple[HeadSpec, ...] | None = None
) -> Plan:
    """Decide everything a training needs. Raises UsageError and PlanError for wishes that do not fit."""
    reasons: dict[str, str] = {}
    patch = choose_patch(fingerprint, reasons)
    network = choose_network(fingerprint, request, patch, task_heads or heads(fingerprint.labels), reasons)
    batch = choose_batch(network, patch, request, reasons)
    return Plan(
        dataset=fingerprint.dataset,
        labels=fingerprint.labels,
        input=choose_input(fingerprint, reasons),
        network=network,
        patch=patch,
        batch=batch,
        augmentation=choose_augmentation(fingerprint, reasons),
        schedule=choose_schedule(request, reasons),
        inference=choose_inference(patch, reasons),
        precision=choose_precision(request, reasons),
        backend=request.backend,
        seed=request.seed,
        reasons=reasons,
    )


def choose_input(fingerprint: Fingerprint, reasons: dict[str, str]) -> InputSpec:
    """How pixels are normalised."""
    spread = max(fingerprint.between_image_std)
    if fingerprint.mixed_channels or spread > DIFFERENT_LIGHT:
        intensity = Intensity(method="image_zscore")
        cause = (
            "grey and colour images are mixed"
            if fingerprint.mixed_channels
            else (f"the images are lit differently (their means vary by {spread:.2f} standard deviations)")
        )
        reasons["input.intensity"] = f"each image by its own mean and deviation: {cause}"
    else:
        scale = tuple(max(value, 1e-6) for value in fingerprint.std)
        intensity = Intensity(method="fixed", offset=fingerprint.mean, scale=scale)
        reasons["input.intensity"] = (
            f"mean and deviation of the training set for all images: their light is alike "
            f"(means vary by {spread:.2f} standard deviations), so its absolute level may carry meaning"
        )
    if fingerprint.mixed_channels:
        reasons["input.grey_to_rgb"] = (
            "grey images are repeated to three channels, as some images are coloured"
        )
    return InputSpec(
        channels=fingerprint.channels, grey_to_rgb=fingerprint.mixed_channels, intensity=intensity
    )


def choose_patch(fingerprint: Fingerprint, reasons: dict[str, str]) -> tuple[int, int]:
    """Patch size: the median image, at most PATCH_SIDE, a multiple of the deepest stride."""
    step = 2**MAX_POOLINGS
    sides = [min(PATCH_SIDE, -(-side // step) * step) for side in fingerprint.median_size]
    reasons["patch"] = (
        f"the median image is {fingerprint.median_size[0]} x {fingerprint.median_size[1]} pixels; patches "
        f"are at most {PATCH_SIDE} a side, so that a batch mixes many images, and multiples of {step}"
    )
    return sides[0], sides[1]


def choose_network(
    fingerprint: Fingerprint,
    request: PlanRequest,
    patch: tuple[int, int],
    task_heads: tuple[HeadSpec, ...],
    reasons: dict[str, str],
) -> NetworkConfig:
    """Depth from the patch, width from the budget."""
    if request.network is not None:
        reasons["network"] = "the network of the run whose weights this training starts from"
        fields = request.network.model_dump() | {"in_channels": fingerprint.channels, "heads": task_heads}
        return NetworkConfig.parse(fields, where="network")
    preset = "unet" if request.preset == "auto" else request.preset
    poolings = 0
    while poolings < MAX_POOLINGS and min(patch) // 2 ** (poolings + 1) >= MIN_SIDE:
        poolings += 1

    def with_width(width: int) -> NetworkConfig:
        return configure(
            preset,
            in_channels=fingerprint.channels,
            filters=tuple(width * 2**level for level in range(poolings + 1)),
            heads=task_heads,
            normalisation="instance",
        )

    width = choose_width(request, patch, {width: with_width(width) for width in WIDTHS}, reasons)
    reasons["network.preset"] = (
        "the plain U-Net of Ronneberger et al. 2015" if preset == "unet" else "as asked"
    )
    reasons["network.strides"] = (
        f"{poolings} poolings: the deepest map of a patch keeps at least {MIN_SIDE} pixels a side"
    )
    reasons["network.normalisation"] = (
        "statistics of the image itself: right for mixed kinds of images, the same in training and "
        "prediction, and measured best or equal on the reference sets (docs/benchmarks.md)"
    )
    return with_width(width)


def choose_width(
    request: PlanRequest, patch: tuple[int, int], configs: dict[int, NetworkConfig], reasons: dict[str, str]
) -> int:
    """The widest network that still sees WANTED_PATCHES patches in the time there is."""
    if request.steps is not None or request.epochs is not None:
        reasons["network.filters"] = (
            f"{WIDTHS[1]} at full resolution, doubled per level: no time limit was given"
        )
        return WIDTHS[1]
    minutes = request.minutes or DEFAULT_MINUTES
    power = MULTIPLICATIONS_PER_CORE_SECOND * cores() * (1.0 if has_cpu_bfloat16() else 0.5)
    patches = {
        width: minutes * 60 * power / multiplications(config, patch) for width, config in configs.items()
    }
    width = max((w for w in WIDTHS if patches[w] >= WANTED_PATCHES), default=WIDTHS[0])
    reasons["network.filters"] = (
        f"{width} at full resolution, doubled per level: in {minutes:g} minutes on {cores()} cores this "
        f"width sees about {patches[width]:.0f} patches; fewer than {WANTED_PATCHES} would be too few"
    )
    return width


def choose_batch(
    network: NetworkConfig, patch: tuple[int, int], request: PlanRequest, reasons: dict[str, str]
) -> int:
    """BATCH patches, or as many as memory holds. Raises UsageError when not even one fits."""
    limit = request.max_memory or (memory_bytes() or 8 * 2**30) // 2
    batch = BATCH
    while batch > 1 and training_bytes(network, patch, batch) > limit:
        batch //= 2
    needed = training_bytes(network, patch, batch)
    if needed > limit:
        raise UsageError(
            "the network does not fit into the memory allowed",
            where="--max-memory",
            expected=f"at least {needed / 2**30:.1f} GB",
            received=f"{limit / 2**30:.1f} GB",
            fix="allow more memory",
        )
    reasons["batch"] = (
        f"small, since the number of steps counts when minutes are few; {batch} patches need about "
        f"{needed / 2**30:.1f} GB while training, {limit / 2**30:.1f} GB are allowed"
    )
    return batch


def choose_augmentation(fingerprint: Fingerprint, reasons: dict[str, str]) -> Augmentation:
    """Which changes of an image leave its meaning alone."""
    upright, sided = fingerprint.vertical_bias > UPRIGHT, fingerprint.horizontal_bias > UPRIGHT
    if upright or sided:
        turned = [way for way, never in (("vertical", upright), ("horizontal", sided)) if never]
        reasons["augmentation"] = (
            f"little rotation and no {' or '.join(turned)} flip: a class lies off the middle (by at least "
            f"{fingerprint.vertical_bias:.2f} of the height, {fingerprint.horizontal_bias:.2f} of the "
            f"width), so direction carries meaning"
        )
    else:
        reasons["augmentation"] = (
            "flips and any rotation: no class prefers a place, so no direction is special"
        )
    few = fingerprint.n_train < FEW_CASES
    if few:
        reasons["augmentation.elastic"] = (
            f"elastic deformation, as in the U-Net paper: only {fingerprint.n_train} images to learn from"
        )
    return Augmentation(
        flip_vertical=not upright,
        flip_horizontal=not sided,
        rotation=15.0 if upright or sided else 180.0,
        elastic=4.0 if few else 0.0,
        invert=0.0,
    )


def choose_schedule(request: PlanRequest, reasons: dict[str, str]) -> Schedule:
    """Budget and learning rate."""
    reasons["schedule"] = "AdamW, warm-up, then decay to zero exactly at the end of the budget"
    early_stop = 0
    if request.minutes is not None and request.minutes > 60:
        early_stop = 15
        reasons["schedule.early_stop"] = "a long training may end once 15 validations bring nothing new"
    validations = 40 if early_stop else 10
    return Schedule(**request.budget, early_stop=early_stop, validations=validations)


def choose_inference(patch: tuple[int, int], reasons: dict[str, str]) -> Inference:
    """Tiles as the network saw them in training."""
    reasons["inference.tile"] = "the training patch: what the network knows, and what its statistics expect"
    return Inference(tile=patch)


def choose_precision(request: PlanRequest, reasons: dict[str, str]) -> Precision:
    """bfloat16 where the processor computes it natively and the backend can use it well."""
    if request.backend != "tensorflow":
        reasons["precision"] = "float32: with this backend bfloat16 is not faster on a CPU"
        return "float32"
    if has_cpu_bfloat16():
        reasons["precision"] = "bfloat16: this processor multiplies it natively, about 1.3 times as fast"
        return "bfloat16"
    reasons["precision"] = "float32: this processor has no bfloat16 instructions"
    return "float32"
