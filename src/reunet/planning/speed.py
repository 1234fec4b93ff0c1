"""How fast this machine trains: multiply-adds that a core sustains, by kind of processor and width.

Measured with `make bench ONLY=widths`: forward multiply-adds of the plain U-Net with Instance
Normalisation over the processor's seconds of a whole training step. A processor that multiplies matrices in
one instruction (AMX) is the faster the wider the network is, and likes multiples of 16 filters: 32 filters
take no longer than 24, in volumes 16 no longer than 8.
"""

from reunet.contracts.network import NetworkConfig
from reunet.machine import has_cpu_bfloat16, has_matrix_unit

MATRIX_UNIT = {
    2: {16: 32e9, 24: 28e9, 32: 53e9, 48: 65e9, 64: 75e9},
    3: {8: 8e9, 16: 30e9, 24: 29e9, 32: 57e9},
}
"""By the number of axes and the filters at full resolution, in bfloat16."""

BFLOAT16, FLOAT32 = 13e9, 11e9
"""Of processors without such a unit, nearly the same for all widths."""

BEGIN = 0.05
"""Seconds of a step that do not shrink with the patches: 8 of 64 x 64 take 65 ms where the multiply-adds
alone would take 18, 32 of them 168 and 72."""

SMALL = {3: {8: 6e9}}
"""Widths that those are slower with."""


def multiplications_per_second(network: NetworkConfig) -> float:
    """Forward multiply-adds per second of one core that trains `network`."""
    rank, width = network.spatial_dims, network.filters[0]
    if has_matrix_unit():
        known = MATRIX_UNIT[rank]
        return known[min(known, key=lambda other: abs(other - width))]
    return SMALL.get(rank, {}).get(width, BFLOAT16 if has_cpu_bfloat16() else FLOAT32)
