"""The rules: from a fingerprint and the user's wishes to a plan, every choice with its reason."""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import Any

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import (
    Augmentation,
    ClipSpec,
    Inference,
    InputSpec,
    Intensity,
    Plan,
    Precision,
    Schedule,
)
from reunet.contracts.sizes import valid_frames, valid_size
from reunet.errors import UsageError
from reunet.machine import cores, has_cpu_bfloat16
from reunet.networks.presets import PRESETS, configure
from reunet.planning.balance import choose_loss, choose_sampling
from reunet.planning.cost import multiplications, training_bytes
from reunet.planning.request import PlanRequest
from reunet.planning.resolution import choose_resolution
from reunet.planning.sequences import CLIP_SIDE, asked_time, choose_frames
from reunet.planning.topology import Topology, choose_topology
from reunet.planning.volumes import (
    choose_spacing,
    choose_volume_augmentation,
    choose_volume_intensity,
    choose_volume_patch,
)
from reunet.planning.whole import choose_size, choose_whole_augmentation
from reunet.sampling.resize import size_at
from reunet.tasks.base import Classes
from reunet.tasks.work import Work, choose_tasks

PATCH_SIDE = 256
MIN_SIDE = 8
MAX_POOLINGS = 4
WIDTHS = {2: (16, 24, 32, 48, 64), 3: (8, 16, 24, 32)}
"""Filters at full resolution, doubled per level up to MOST_FILTERS; by the number of axes of the images.
In three dimensions 8 filters take half the time of 16 on a CPU with vectors of 16 numbers, 12 as much.
"""
DEFAULT_WIDTH = {2: 24, 3: 16}
MOST_FILTERS = {2: 1024, 3: 320}
WANTED_PATCHES = {2: 8000, 3: 4000}
"""Patches a network should see before a wider one pays; of images from trainings of 5 to 20 minutes."""
MULTIPLICATIONS_PER_CORE_SECOND = 16e9
"""Forward multiply-adds a core sustains while training with bfloat16 (measured with 16 filters)."""
DIFFERENT_LIGHT = 0.3
UPRIGHT = 0.08
FEW_CASES = 50
BATCHES = {2: (4, 2, 1), 3: (2, 1)}


def make_plan(
    fingerprint: Fingerprint, request: PlanRequest, task_heads: tuple[HeadSpec, ...] | None = None
) -> Plan:
    """Decide everything a training needs. Raises UsageError and PlanError for wishes that do not fit."""
    reasons: dict[str, str] = {}
    tasks = choose_tasks(request.task, fingerprint.kinds)
    if request.task == ("auto",) and len(fingerprint.kinds) > 1:
        reasons["tasks"] = f"the most specific of what is annotated: {', '.join(fingerprint.kinds)}"
    time = asked_time(request)
    whole = tasks == ("classification",) and time == "none" and len(fingerprint.median_size) == 2
    spacing = None
    if whole:
        patch = choose_size(fingerprint, 2**MAX_POOLINGS, reasons)
    else:
        if len(fingerprint.median_size) == 3:
            spacing = choose_spacing(fingerprint, reasons)
        else:
            spacing = choose_resolution(fingerprint, tasks, reasons)
        patch = choose_patch(fingerprint, spacing, PATCH_SIDE if time == "none" else CLIP_SIDE, reasons)
    frames: tuple[int, ...] = () if time == "none" else (choose_frames(fingerprint, request, reasons),)
    shape = choose_shape(patch, spacing, reasons)
    outputs = task_heads or Work(tasks, Classes(fingerprint.labels, fingerprint.categories)).heads(len(patch))
    networks = choose_networks(fingerprint, request, (shape, frames), outputs, reasons)
    patch = valid_size(networks[0], patch)
    frames = tuple(valid_frames(networks[0], count) for count in frames)
    network, batch = choose_batch(networks, (*frames, *patch), request, reasons)
    return Plan.parse(
        {
            "dataset": fingerprint.dataset,
            "tasks": tasks,
            "labels": fingerprint.labels,
            "categories": fingerprint.categories,
            "loss": choose_loss(fingerprint, request.loss, spacing, reasons),
            "input": choose_input(fingerprint, patch if whole else None, reasons),
            "network": network,
            "spacing": spacing,
            "patch": patch,
            "clip": ClipSpec(frames=frames[0], axis=fingerprint.axis or "T") if frames else None,
            "batch": batch,
            "class_sampling": () if whole else choose_sampling(fingerprint, reasons),
            "augmentation": choose_whole_augmentation(reasons)
            if whole
            else choose_augmentation(fingerprint, spacing, reasons),
            "schedule": choose_schedule(request, reasons),
            "inference": choose_inference(patch, reasons),
            "precision": choose_precision(request, reasons),
            "backend": request.backend,
            "seed": request.seed,
            "reasons": reasons,
        },
        where="plan",
    )


def choose_input(
    fingerprint: Fingerprint, size: tuple[int, ...] | None, reasons: dict[str, str]
) -> InputSpec:
    """How pixels are normalised. size: of every image where they are seen whole."""
    if len(fingerprint.median_size) == 3:
        intensity = choose_volume_intensity(fingerprint, reasons)
        return InputSpec(channels=fingerprint.channels, intensity=intensity)
    spread = max(fingerprint.between_image_std)
    if fingerprint.mixed_channels or (spread > DIFFERENT_LIGHT and size is None):
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
        reasons["input.intensity"] = "mean and deviation of the training set for all images: " + (
            "colour may tell the class"
            if size is not None
            else f"their light is alike (means vary by {spread:.2f} standard deviations), so its absolute "
            "level may carry meaning"
        )
    if fingerprint.mixed_channels:
        reasons["input.grey_to_rgb"] = (
            "grey images are repeated to three channels, as some images are coloured"
        )
    return InputSpec(
        channels=fingerprint.channels,
        grey_to_rgb=fingerprint.mixed_channels,
        intensity=intensity,
        size=size,
    )


def choose_patch(
    fingerprint: Fingerprint, spacing: tuple[float, ...] | None, largest: int, reasons: dict[str, str]
) -> tuple[int, ...]:
    """The median image as the network sees it, at most `largest`, a multiple of the deepest stride."""
    if spacing is not None and len(spacing) == 3:
        return choose_volume_patch(fingerprint, spacing, reasons)
    step, size = 2**MAX_POOLINGS, fingerprint.median_size
    seen = size if spacing is None else size_at(size, (1.0,) * len(size), spacing)
    sides = [min(largest, -(-side // step) * step) for side in seen]
    purpose = "a batch mixes many images" if largest == PATCH_SIDE else "a window of frames stays affordable"
    reasons["patch"] = (
        f"the median image is {seen[0]} x {seen[1]} pixels as the network sees it; patches are at most "
        f"{largest} a side, so that {purpose}, and multiples of {step}"
    )
    return tuple(sides)


def choose_shape(
    patch: tuple[int, ...], spacing: tuple[float, ...] | None, reasons: dict[str, str]
) -> Topology:
    """Depth of the network, with its strides and kernels."""
    if spacing is not None and len(spacing) == 3:
        shape = choose_topology(spacing, patch)
        reasons["network.strides"] = (
            f"{len(shape.strides)} poolings: the deepest map of a patch keeps about 4 voxels a side; an axis "
            "of thick slices is left alone until the pixels of a slice are as large"
        )
        return shape
    poolings = 0
    while poolings < MAX_POOLINGS and min(patch) // 2 ** (poolings + 1) >= MIN_SIDE:
        poolings += 1
    reasons["network.strides"] = (
        f"{poolings} poolings: the deepest map of a patch keeps at least {MIN_SIDE} pixels a side"
    )
    return Topology(((2, 2),) * poolings, (), patch)


def choose_networks(
    fingerprint: Fingerprint,
    request: PlanRequest,
    shown: tuple[Topology, tuple[int, ...]],
    task_heads: tuple[HeadSpec, ...],
    reasons: dict[str, str],
) -> list[NetworkConfig]:
    """Depth from the patch, width from the budget; after the network itself the narrower ones.

    shown: shape of the patches, and the number of frames of a window where there is time.
    """
    shape, frames = shown
    rank = len(shape.patch)
    if request.network is not None:
        _check_axes("--init", request.network.spatial_dims, rank)
        reasons["network"] = "the network of the run whose weights this training starts from"
        adapted = request.network.model_dump() | {"in_channels": fingerprint.channels, "heads": task_heads}
        return [NetworkConfig.parse(adapted, where="network")]
    preset = {2: "unet", 3: "unet3d"}[rank] if request.preset == "auto" else request.preset
    if preset in PRESETS:
        _check_axes("--preset", PRESETS[preset].fields.get("spatial_dims", rank), rank)
    fields: dict[str, Any] = {}
    if rank == 3:
        plain = all(side == 3 for kernel in shape.kernels for side in kernel)
        fields = {"strides": shape.strides, "kernels": () if plain else shape.kernels}
    if request.encoder is not None:
        fields["encoder"] = request.encoder
        reasons["network.encoder"] = "as asked; a decoder of our own goes back up from its features"
    networks = [
        configure(
            preset,
            spatial_dims=rank,
            in_channels=fingerprint.channels,
            filters=tuple(
                min(width * 2**level, MOST_FILTERS[rank]) for level in range(len(shape.strides) + 1)
            ),
            heads=task_heads,
            normalisation="instance",
            **fields,
        )
        for width in reversed(WIDTHS[rank])
    ]
    reasons["network.preset"] = {
        "unet": "the plain U-Net of Ronneberger et al. 2015",
        "unet3d": "the plain U-Net for volumes",
    }.get(preset, "as asked")
    reasons["network.normalisation"] = (
        "statistics of the image itself: right for mixed kinds of images, the same in training and "
        "prediction, without averages that low precision could spoil; compared in docs/benchmarks.md"
    )
    window = (*frames, *valid_size(networks[0], shape.patch))
    return networks[choose_width(request, window, networks, reasons) :]


def _check_axes(option: str, network: int, images: int) -> None:
    """Raise UsageError when a network and the images have different numbers of axes."""
    if network != images:
        kinds = {2: "images", 3: "volumes"}
        raise UsageError(
            f"this network is for {kinds[network]}, the dataset holds {kinds[images]}",
            where=option,
            fix="leave the option out, or name a network for such data",
        )


def choose_width(
    request: PlanRequest, patch: tuple[int, ...], networks: list[NetworkConfig], reasons: dict[str, str]
) -> int:
    """Index of the widest of `networks` that still sees WANTED_PATCHES patches in the time there is.

    patch: with the number of frames in front where there is time.
    """
    minutes = request.budget.get("minutes")
    if minutes is None:
        width = DEFAULT_WIDTH[networks[0].spatial_dims]
        reasons["network.filters"] = f"{width} at full resolution, doubled per level: no time limit was given"
        return [network.filters[0] for network in networks].index(width)
    power = MULTIPLICATIONS_PER_CORE_SECOND * cores() * (1.0 if has_cpu_bfloat16() else 0.5)
    patches = [minutes * 60 * power / multiplications(network, patch) for network in networks]
    wanted = WANTED_PATCHES[len(patch)]
    index = next((i for i, seen in enumerate(patches) if seen >= wanted), len(networks) - 1)
    reasons["network.filters"] = (
        f"{networks[index].filters[0]} at full resolution, doubled per level: in {minutes:g} minutes on "
        f"{cores()} cores this width sees about {patches[index]:.0f} patches; fewer than {wanted} "
        "would be too few"
    )
    return index


def choose_batch(
    networks: list[NetworkConfig], patch: tuple[int, ...], request: PlanRequest, reasons: dict[str, str]
) -> tuple[NetworkConfig, int]:
    """The first of `networks` that fits into memory, and BATCH patches or as many as fit.

    Raises UsageError when not even the last one fits with one patch.
    """
    needed = 0
    for network, batch in product(networks, BATCHES[len(patch)]):
        needed = training_bytes(network, patch, batch)
        if needed <= request.memory:
            break
    else:
        raise UsageError(
            "the network does not fit into the memory allowed",
            where="--max-memory",
            expected=f"at least {ceil(needed / 1e8) / 10} GB",
            received=f"{request.memory / 1e9:.1f} GB",
            fix="allow more memory",
        )
    if network != networks[0]:
        reasons["network.filters"] = f"{network.filters[0]} at full resolution: a wider one needs more memory"
    reasons["batch"] = (
        f"small, since the number of steps counts when minutes are few; with {batch} patches training needs "
        f"about {needed / 1e9:.1f} GB, {request.memory / 1e9:.1f} GB are allowed"
    )
    return network, batch


def choose_augmentation(
    fingerprint: Fingerprint, spacing: tuple[float, ...] | None, reasons: dict[str, str]
) -> Augmentation:
    """Which changes of an image leave its meaning alone."""
    upright, sided = fingerprint.vertical_bias > UPRIGHT, fingerprint.horizontal_bias > UPRIGHT
    if spacing is not None and len(spacing) == 3:
        off = (fingerprint.depth_bias > UPRIGHT, upright, sided)
        return choose_volume_augmentation(fingerprint, spacing, off, reasons)
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
    )


def choose_schedule(request: PlanRequest, reasons: dict[str, str]) -> Schedule:
    """Budget and learning rate."""
    reasons["schedule"] = "AdamW, warm-up, then decay to zero exactly at the end of the budget"
    early_stop = 0
    if request.minutes is not None and request.minutes > 60:
        early_stop = 15
        reasons["schedule.early_stop"] = "a long training may end once 15 validations bring nothing new"
    validations = 40 if early_stop else 10
    settings = {**request.budget, "early_stop": early_stop, "validations": validations}
    return Schedule.parse(settings, where="schedule")


def choose_inference(patch: tuple[int, ...], reasons: dict[str, str]) -> Inference:
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
