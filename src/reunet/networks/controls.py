"""The control of a recurrent network: the same network without the recurrence, at equal parameters."""

from __future__ import annotations

from reunet.contracts.network import NetworkConfig
from reunet.contracts.sizes import valid_size
from reunet.errors import PlanError
from reunet.networks.facts import measure
from reunet.networks.presets import PRESETS

CLOSE = 0.002
"""Relative difference of two parameter counts that needs no better."""


def control_of(config: NetworkConfig) -> NetworkConfig:
    """What `config` is compared with, so that a gain is the recurrence's and not that of more weights.

    The preset's `control` fields take the recurrence out; then all filters are scaled by one factor
    until the parameters are as many as before (within about 1 %). Raises PlanError when the preset has
    no control.
    """
    preset = PRESETS.get(config.preset)
    if preset is None or preset.control is None:
        raise PlanError(
            "this network has no recurrence that could be left out",
            where="control",
            expected=", ".join(name for name, known in PRESETS.items() if known.control),
            received=config.preset,
        )
    fields = {**config.model_dump(), **preset.control, "preset": f"{config.preset}_control"}
    return with_parameters(NetworkConfig.parse(fields, where="control"), count_parameters(config))


def with_memory(network: NetworkConfig, preset: str) -> NetworkConfig:
    """The recurrent network of a preset around `network`, which is its control: all weights of this fit that.

    Raises PlanError when `network` is no such control, or the preset's recurrences are no addition to one.
    """
    chosen = PRESETS[preset]
    control = {**(chosen.control or {}), "time": "none"}
    added = {name: chosen.fields[name] for name in (*control, "recurrence") if name in chosen.fields}
    found = {name: getattr(network, name) for name in control}
    if added.get("recurrence", {}).get("gain") is None or found != control:
        wanted = ", ".join(f"{name} {value}" for name, value in control.items())
        raise PlanError(
            "the network of --init cannot be given the memory of this preset",
            where=f"--preset {preset}",
            expected=f"a preset with recurrences beside the path, and a network with {wanted}",
            received=", ".join(f"{name} {value}" for name, value in found.items()),
            fix="leave --preset out, so that the network of --init is used",
        )
    return NetworkConfig.parse({**network.model_dump(), **added, "preset": preset}, where=f"preset {preset}")


def count_parameters(config: NetworkConfig) -> int:
    """Trainable parameters of a network, its heads included."""
    return measure(config, valid_size(config, (1,) * config.spatial_dims)).parameters


def with_parameters(config: NetworkConfig, wanted: int) -> NetworkConfig:
    """`config` with its filters scaled so that it has as close to `wanted` parameters as one factor can."""
    factor, tried = 1.0, {}
    for _ in range(8):  # parameters grow with the square of the width, so this ends after two or three
        filters = tuple(max(1, round(width * factor)) for width in config.filters)
        if filters in tried:
            break
        scaled = NetworkConfig.parse({**config.model_dump(), "filters": filters}, where="control")
        share = count_parameters(scaled) / wanted
        tried[filters] = abs(share - 1)
        if tried[filters] <= CLOSE:
            break
        factor /= share**0.5
    best = min(tried, key=lambda filters: tried[filters])
    return NetworkConfig.parse({**config.model_dump(), "filters": best}, where="control")
