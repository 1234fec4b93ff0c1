"""`reunet models`: the networks there are, what they cost, and how they look."""

from math import prod
from typing import Any

from reunet.contracts.network import SWEEPS, NetworkConfig
from reunet.contracts.options.records import ModelsOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import ModelResult
from reunet.errors import BackendError, known_name
from reunet.networks import PRESETS, configure
from reunet.progress import NullProgress, Progress
from reunet.storage import refuse_other, write_text

SIDES = {2: 256, 3: 64}
"""Side of the input that costs are told for, by axes of space."""

FRAMES = 8

SLOTS = (
    "encoder", "block", "downsampling", "bottleneck", "skip", "decoder", "decoder_block", "upsampling",
    "normalisation", "activation",
)  # fmt: skip


@verb(ModelsOptions)
def models(options: ModelsOptions) -> tuple[ModelResult, ...]:
    """One preset, or all of them, with their costs for one channel in and two classes out.

    Raises PlanError for a preset that does not exist, UsageError for a drawing of all.
    """
    name = options.name
    names = list(PRESETS) if name is None else [known_name(name, PRESETS, where="preset")]
    if options.output is not None:
        from reunet.drawing.network import draw

        refuse_other(options.output, 'class="reunet-', "-o")
        write_text(options.output, draw(preset_config(names[0])))
    return tuple(describe(one, options.on_progress or NullProgress()) for one in names)


def preset_config(name: str) -> NetworkConfig:
    """The preset as published, for one channel in and two classes out."""
    return configure(name, in_channels=1, heads=({"channels": 2},))


def describe(name: str, progress: Progress) -> ModelResult:
    """Facts of one preset."""
    preset, config = PRESETS[name], preset_config(name)
    space = (SIDES[config.spatial_dims],) * config.spatial_dims
    size = space if config.time == "none" else (FRAMES, *space)
    try:
        from reunet.networks import measure

        facts = measure(config, size)
    except BackendError as error:
        progress.message(f"no numbers: {error}")
        facts = None
    slots = {slot: getattr(config, slot) for slot in SLOTS if getattr(config, slot) is not None}
    slots |= recurrence_of(config)
    return ModelResult(
        name=name,
        summary=preset.summary,
        axes={"axis": "2D+t", "frames": "frames"}.get(config.time, f"{config.spatial_dims}D"),
        paper=preset.paper,
        differs=preset.differs,
        control=None if preset.control is None else dict(preset.control),
        slots=slots,
        filters=config.filters,
        size=size,
        parameters=None if facts is None else facts.parameters,
        multiplications=None if facts is None else round(facts.multiplications / prod(size)),
        receptive_field=None if facts is None else facts.receptive_field,
    )


def recurrence_of(config: NetworkConfig) -> dict[str, Any]:
    """What there is to say of the recurrences of a network; nothing where it has none."""
    spec = config.recurrence
    if config.block == "recurrent":
        return {"recurrence": {"steps": spec.steps, "tied": spec.tied}}
    recurs = config.recurs_over_frames or config.thinks or config.bottleneck in SWEEPS
    if recurs or config.skip == "recurrent":
        return {"recurrence": {"cell": spec.cell, **spec.model_dump(exclude_defaults=True)}}
    return {}
