"""What a network costs: multiplications and memory of one training patch."""

from reunet.contracts.network import NetworkConfig

FRAMEWORK_BYTES = 850 * 2**20
"""What a process holds with the framework loaded and a step compiled, whatever the network. Estimates with
it lie 4 to 42 % above measured peaks (patches of 256 x 256, the plain U-Net on TensorFlow, JAX and PyTorch;
`r2unet`, `unet_plus_plus`, `attention_unet`, `cnn_rnn_unet` and `conv_gru_unet` on TensorFlow).
"""

BYTES_PER_WEIGHT = 4 * 4
"""float32: the weight, its gradient and the two moments of Adam."""

BYTES_PER_FEATURE = 4 * 6
"""float32, and about six copies alive in training of each map that a convolution gives (the map, normalised,
activated, joined with others, and gradients)."""


def multiplications(config: NetworkConfig, patch: tuple[int, ...]) -> int:
    """Multiply-adds of one forward pass over one patch.

    patch: sides per axis of space, with the number of frames in front where there is time.
    """
    from reunet.networks import measure  # loads Keras, whose backend must be chosen before

    return measure(config, patch).multiplications


def training_bytes(config: NetworkConfig, patch: tuple[int, ...], batch: int) -> int:
    """Estimated peak memory of training, in bytes: framework, weights with optimiser, feature maps.

    patch as in `multiplications`.
    """
    from reunet.networks import measure

    facts = measure(config, patch)
    needed = facts.parameters * BYTES_PER_WEIGHT + batch * facts.features * BYTES_PER_FEATURE
    return FRAMEWORK_BYTES + needed
