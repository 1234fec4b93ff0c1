"""How fast a machine trains: multiply-adds that a core sustains, by width of the network.

Measured with `make bench ONLY=widths`: forward multiply-adds of the plain U-Net with Instance
Normalisation over the processor's seconds of a whole training step. In bfloat16 a processor is the faster the
wider the network is, and likes multiples of 16 filters: 32 filters take no longer than 24, in volumes 16 no
longer than 8. The table is of one processor (Sapphire Rapids, AMX); another one (Zen 5, AVX-512) has nearly
its shape. How much faster or slower this machine is, `training.pace` measures.
"""

from reunet.contracts.network import NetworkConfig
from reunet.machine import has_cpu_bfloat16
from reunet.planning.cost import multiplications

BFLOAT16 = {
    2: {16: 32e9, 24: 28e9, 32: 53e9, 48: 65e9, 64: 75e9},
    3: {8: 8e9, 16: 30e9, 24: 29e9, 32: 57e9},
}
"""By the number of axes and the filters at full resolution, of processors that multiply it natively."""

FLOAT32 = 11e9
"""Of others, nearly the same for all widths."""

SMALL = {3: {8: 6e9}}
"""Widths that those are slower with."""

BEGIN = 0.05
"""Seconds of a step that do not shrink with the patches: 8 of 64 x 64 take 65 ms where the multiply-adds
alone would take 18, 32 of them 168 and 72."""


def step_seconds(network: NetworkConfig, patch: tuple[int, ...], batch: int, cores: int = 1) -> float:
    """A training step on `batch` patches, on a machine of so many cores that is as fast as the table's."""
    return batch * multiplications(network, patch) / _per_second(network) / cores + BEGIN


def _per_second(network: NetworkConfig) -> float:
    """Forward multiply-adds per second of one core that trains `network`."""
    rank, width = network.spatial_dims, network.filters[0]
    if not has_cpu_bfloat16():
        return SMALL.get(rank, {}).get(width, FLOAT32)
    known = BFLOAT16[rank]
    return known[min(known, key=lambda other: abs(other - width))]
