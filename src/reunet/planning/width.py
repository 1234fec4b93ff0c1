"""Which network: as asked or the plain U-Net, as wide as the time and the memory that there are allow."""

from itertools import product
from math import ceil, prod
from typing import Any

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.network import OWN_ENCODERS, THINKING, HeadSpec, NetworkConfig
from reunet.errors import UsageError
from reunet.machine import cores
from reunet.networks.presets import PRESETS, configure
from reunet.planning.cost import training_bytes
from reunet.planning.decision import Decision
from reunet.planning.request import PlanRequest
from reunet.planning.speed import step_seconds
from reunet.planning.topology import Topology

WIDTHS = {2: (64, 48, 32, 24, 16), 3: (32, 24, 16, 8)}
"""Filters at full resolution, doubled per level up to MOST_FILTERS; by the number of axes of the images."""
DEFAULT_WIDTH = {2: 24, 3: 16}
MOST_FILTERS = {2: 1024, 3: 320}
WANTED_PATCHES = {2: 8000, 3: 4000}
"""Patches a network should see before a wider one pays; of images from trainings of 5 to 20 minutes."""
NOT_SLOWER = 0.9
"""Share of the patches of the fastest network from which a wider one is as fast."""
BATCHES = {2: (4, 2, 1), 3: (2, 1)}
"""Patches of a batch, by the number of axes with that of time; but of SMALL_WINDOWs as many as of images."""
SMALL_WINDOW = 256 * 256
"""Pixels of all frames: no more than those of one image."""


PROMPT_STEPS = 2
"""Updates of an iteration of a network that thinks and is asked by points: with eight one iteration sees as
far as a small patch is wide, and learns nothing but that."""


LIGHT_DECODER = {"decoder_block": "conv", "upsampling": "linear", "output_level": 1}
"""The way up from a pretrained encoder."""
LIGHT_FILTERS = (16, 32, 48, 64, 128, 320)


def pretrained(request: PlanRequest) -> bool:
    """Whether an encoder is asked for that may begin with what it learned from photographs."""
    encoder = request.encoder if request.network is None else request.network.encoder
    return encoder is not None and encoder not in OWN_ENCODERS


def choose_networks(
    fingerprint: Fingerprint, request: PlanRequest, topology: Topology, heads: tuple[HeadSpec, ...]
) -> Decision[list[NetworkConfig]]:
    """The network in every width there may be, the widest first.

    Raises UsageError for a network that is not for such images, PlanError for an unknown one.
    """
    rank, channels = fingerprint.rank, fingerprint.channels + (request.prompt is not None)
    if request.network is not None:
        _check_axes("--init", request.network.spatial_dims, rank)
        adapted = request.network.model_dump() | {"in_channels": channels, "heads": heads}
        return Decision(
            [NetworkConfig.parse(adapted, where="network")],
            {"network": "the network of the run whose weights this training starts from"},
        )
    preset = {2: "unet", 3: "unet3d"}[rank] if request.preset == "auto" else request.preset
    if preset in PRESETS:
        _check_axes("--preset", PRESETS[preset].fields.get("spatial_dims", rank), rank)
    fields: dict[str, Any] = {"spatial_dims": rank, "in_channels": channels, "heads": heads}
    reasons = {}
    if rank == 3:
        plain = all(side == 3 for kernel in topology.kernels for side in kernel)
        fields |= {"strides": topology.strides, "kernels": () if plain else topology.kernels}
    if request.encoder is not None:
        fields["encoder"] = request.encoder
        reasons["network.encoder"] = "as asked; a decoder of our own goes back up from its features"
        if pretrained(request) and request.preset == "auto":
            fields |= LIGHT_DECODER | {"filters": LIGHT_FILTERS[: len(topology.strides) + 1]}
            reasons["network.output_level"] = (
                "the encoder knows what photographs show: one convolution per level goes up to half "
                "resolution, and what it says is interpolated from there"
            )
    reasons["network.preset"] = {
        "unet": "the plain U-Net of Ronneberger et al. 2015",
        "unet3d": "the plain U-Net for volumes",
    }.get(preset, "as asked")
    reasons["network.normalisation"] = (
        "statistics of the image itself: right for mixed kinds of images, the same in training and "
        "prediction, without averages that low precision could spoil; compared in docs/benchmarks.md"
    )
    if preset in PRESETS and PRESETS[preset].fields.get("bottleneck") in THINKING:
        del reasons["network.normalisation"]
        thinks = _thinking(preset, request)
        return Decision([configure(preset, **fields, **thinks.value)], {**reasons, **thinks.reasons})
    if "filters" in fields:
        return Decision([configure(preset, **fields, normalisation="instance")], reasons)
    levels, most = range(len(topology.strides) + 1), MOST_FILTERS[rank]
    widths = [tuple(min(width * 2**level, most) for level in levels) for width in WIDTHS[rank]]
    return Decision(
        [configure(preset, **fields, normalisation="instance", filters=filters) for filters in widths],
        reasons,
    )


def _thinking(preset: str, request: PlanRequest) -> Decision[dict[str, Any]]:
    """Fields of a network that thinks."""
    reasons = {"network.filters": "the preset's: lines are followed where they are fine, with few levels"}
    if request.prompt is None:
        return Decision({}, reasons)
    why = "few updates an iteration: what was found leads on, step by step"
    recurrence = PRESETS[preset].fields["recurrence"] | {"steps": PROMPT_STEPS}
    return Decision({"recurrence": recurrence}, {**reasons, "network.recurrence": why})


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
    networks: list[NetworkConfig], patch: tuple[int, ...], request: PlanRequest
) -> Decision[tuple[NetworkConfig, int]]:
    """The widest of `networks` that the budget allows, and how many patches are a batch.

    patch: with the number of frames in front where there is time. Raises UsageError when not even the last
    network fits into memory with one patch.
    """
    by_time = _within_time(networks, patch, request) if len(networks) > 1 else Decision(networks)
    by_memory = _within_memory(by_time.value, patch, request.memory)
    return Decision(by_memory.value, {**by_time.reasons, **by_memory.reasons})


def _within_time(
    networks: list[NetworkConfig], patch: tuple[int, ...], request: PlanRequest
) -> Decision[list[NetworkConfig]]:
    """From the widest on that still sees WANTED_PATCHES patches in the time there is."""
    minutes = request.budget.get("minutes")
    if minutes is None:
        width = DEFAULT_WIDTH[networks[0].spatial_dims]
        why = f"{width} at full resolution, doubled per level: no time limit was given"
        index = [network.filters[0] for network in networks].index(width)
        return Decision(networks[index:], {"network.filters": why})
    batch = _batches(networks[0], patch)[0]
    fast = 60 * request.pace * batch
    patches = [minutes * fast / step_seconds(network, patch, batch, cores()) for network in networks]
    wanted = WANTED_PATCHES[min(len(patch), 3)]
    index, later = (_widest([times * seen for seen in patches], wanted) for times in (1, 2))
    why = (
        f"{networks[index].filters[0]} at full resolution, doubled per level: in {minutes:g} minutes on "
        f"{cores()} cores this width sees about {patches[index]:.0f} patches; fewer than {wanted} "
        "would be too few"
    )
    if later < index:
        why += f"; twice the minutes would allow {networks[later].filters[0]}"
    return Decision(networks[index:], {"network.filters": why})


def _batches(network: NetworkConfig, patch: tuple[int, ...]) -> tuple[int, ...]:
    """How many patches may be a batch, the most wanted first."""
    flat = network.spatial_dims == 2 and (len(patch) == 2 or prod(patch) <= SMALL_WINDOW)
    return BATCHES[2 if flat else 3]


def _widest(patches: list[float], wanted: int) -> int:
    """The first, of the widest network first, that sees enough patches, or nearly as many as any."""
    enough = min(wanted, NOT_SLOWER * max(patches))
    return next(i for i, seen in enumerate(patches) if seen >= enough)


def _within_memory(
    networks: list[NetworkConfig], patch: tuple[int, ...], allowed: int
) -> Decision[tuple[NetworkConfig, int]]:
    """The first of `networks` that fits into memory, in bytes, with one of BATCHES."""
    needed = 0
    for network, batch in product(networks, _batches(networks[0], patch)):
        needed = training_bytes(network, patch, batch)
        if needed <= allowed:
            break
    else:
        raise UsageError(
            "the network does not fit into the memory allowed",
            where="--max-memory",
            expected=f"at least {ceil(needed / 1e8) / 10} GB",
            received=f"{allowed / 1e9:.1f} GB",
            fix="allow more memory",
        )
    reasons = {}
    if network != networks[0]:
        reasons["network.filters"] = f"{network.filters[0]} at full resolution: a wider one needs more memory"
    reasons["batch"] = (
        f"small, since the number of steps counts when minutes are few; with {batch} patches training needs "
        f"about {needed / 1e9:.1f} GB, {allowed / 1e9:.1f} GB are allowed"
    )
    return Decision((network, batch), reasons)
