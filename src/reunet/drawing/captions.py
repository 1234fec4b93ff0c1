"""The words of a drawn network: equations of its cells, sizes, what its arrows stand for."""

from math import prod

from reunet.contracts.network import NetworkConfig

STATE, BEFORE = "h\u209c", "h\u209c\u208b\u2081"

CELLS = {
    "simple_rnn": ("tanh RNN", [f"{STATE} = tanh(W x\u209c + U {BEFORE} + b)"]),
    "gru": (
        "GRU",
        [
            f"r, z = \u03c3(W x\u209c + U {BEFORE} + b)",
            f"c = tanh(W x\u209c + U (r \u2299 {BEFORE}) + b)",
            f"{STATE} = (1 \u2212 z) \u2299 {BEFORE} + z \u2299 c",
        ],
    ),
    "lstm": (
        "LSTM",
        [
            f"i, f, o = \u03c3(W x\u209c + U {BEFORE} + b)",
            f"g = tanh(W x\u209c + U {BEFORE} + b)",
            "c\u209c = f \u2299 c\u209c\u208b\u2081 + i \u2299 g",
            f"{STATE} = o \u2299 tanh(c\u209c)",
        ],
    ),
    "leak": (
        "gated leak",
        [
            f"z = \u03c3(W x\u209c + U {BEFORE} + b)",
            f"{STATE} = (1 \u2212 z) \u2299 {BEFORE} + z \u2299 x\u209c",
        ],
    ),
    "min_gru": (
        "minGRU",
        [
            "z = \u03c3(W x\u209c + b)",
            "c = W x\u209c + b",
            f"{STATE} = (1 \u2212 z) \u2299 {BEFORE} + z \u2299 c",
        ],
    ),
}
"""Name and equations of the recurrent cells (see `reunet.networks.cells`)."""


def cell_name(config: NetworkConfig) -> str:
    """Such as ConvGRU, where W and U are convolutions; GRU in sweeps, where they are dense."""
    name = CELLS[config.recurrence.cell][0]
    return name if config.bottleneck in ("sweep", "raster") else f"Conv{name.removeprefix('tanh ')}"


def fraction_text(config: NetworkConfig, level: int) -> str:
    """The resolution of a level as a share of the input's: 1/4, or per axis where they differ."""
    factors = [prod(axis) for axis in zip(*config.strides[:level], strict=True)] or [1] * config.rank
    if config.time == "axis" and factors[0] == 1:
        factors = factors[1:]
    shares = ["1" if factor == 1 else f"1/{factor}" for factor in factors]
    return shares[0] if len(set(shares)) == 1 else "\u00d7".join(shares)


def kernel_text(config: NetworkConfig) -> str:
    """Sides of the convolutions, such as 3x3; nothing where they differ from level to level."""
    kernels = {*config.kernels} or {(3,) * config.rank}
    return "\u00d7".join(map(str, kernels.pop())) + " " if len(kernels) == 1 else ""


def block_text(config: NetworkConfig, name: str) -> str:
    """What one arrow of a block stands for."""
    kernel = kernel_text(config)
    norm = {"none": "", "batch": "batch norm", "instance": "instance norm", "group": "group norm"}
    act = {"relu": "ReLU", "leaky_relu": "leaky ReLU"}[config.activation]
    after = ", ".join(part for part in (norm[config.normalisation], act) if part)
    if name == "pre_residual":
        return f"{after}, {kernel}convolution"
    if name == "separable":
        return f"{kernel}depthwise and 1\u00d71 convolution, {after}"
    if name == "recurrent":
        return f"{kernel}convolution (the first of a block 1\u00d71), {after}"
    unpadded = "unpadded " if config.padding == "valid" else ""
    return f"{unpadded}{kernel}convolution, {after}"


def equations(config: NetworkConfig) -> tuple[str, list[str]]:
    """Name and equations of what recurs in a network."""
    if config.block != "recurrent":
        name, lines = CELLS[config.recurrence.cell]
        return name, lines if config.recurrence.gain is None else [*lines, f"x\u209c + g \u2299 {STATE}"]
    again = f"W (x + {BEFORE})" if config.recurrence.tied else f"W x + U {BEFORE}"
    return "recurrent convolution", ["h\u2080 = \u03c3(W x + b)", f"{STATE} = \u03c3({again} + b)"]
