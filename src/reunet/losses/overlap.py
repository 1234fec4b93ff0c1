"""Soft Dice of masks and of their centre lines, on probabilities."""

from typing import Any

from keras import ops

SMOOTH = 1.0
"""Added to numerator and denominator, in pixels: a class that is absent costs little."""


def dice(truth: Any, probabilities: Any) -> Any:
    """2 sum(p t) / (sum(p) + sum(t)) of each class, (K,), sums over the whole batch (Milletari et al. 2016,
    arXiv 1606.04797; over the batch as in nnU-Net, which keeps images without foreground meaningful).

    truth, probabilities: (B, *space, K) float32, 0 where nothing counts.
    """
    everywhere = list(range(len(truth.shape) - 1))
    overlap = ops.sum(truth * probabilities, axis=everywhere)
    total = ops.sum(truth, axis=everywhere) + ops.sum(probabilities, axis=everywhere)
    return (2.0 * overlap + SMOOTH) / (total + SMOOTH)


def cl_dice(truth: Any, probabilities: Any, steps: int, rank: int) -> Any:
    """Soft centre line Dice of each class, (K,), sums over the whole batch (Shit et al., CVPR 2021, arXiv
    2003.07311, algorithm 2): the harmonic mean of the shares of each skeleton that lie in the other mask.

    truth, probabilities: (B, [T,] *space, K) float32, 0 where nothing counts; the last `rank` axes of space
    are those of the lines. steps: of `soft_skeleton`.
    """
    everywhere = list(range(len(truth.shape) - 1))
    lines = [soft_skeleton(mask, steps, rank) for mask in (probabilities, truth)]
    inside = [
        (ops.sum(a * b, axis=everywhere) + SMOOTH) / (ops.sum(a, axis=everywhere) + SMOOTH)
        for a, b in zip(lines, (truth, probabilities), strict=True)
    ]
    precision, sensitivity = inside
    return 2.0 * precision * sensitivity / (precision + sensitivity)


def soft_skeleton(masks: Any, steps: int, rank: int) -> Any:
    """Centre lines of masks in 0..1 by minimum and maximum filters, so that gradients flow (Shit et al. 2021,
    algorithm 1): what an opening takes away, of the mask and of its erosions by 1 .. `steps` pixels.

    masks: (B, ..., *space, K), the last `rank` axes before K are space. Returns the same shape.
    """
    shape = ops.shape(masks)
    images = ops.reshape(masks, (-1, *shape[-rank - 1 :]))
    skeleton = ops.relu(images - _opened(images, rank))
    for _ in range(steps):
        images = _eroded(images, rank)
        rest = ops.relu(images - _opened(images, rank))
        skeleton = skeleton + ops.relu(rest - skeleton * rest)
    return ops.reshape(skeleton, shape)


def _opened(images: Any, rank: int) -> Any:
    return ops.max_pool(_eroded(images, rank), (3,) * rank, 1, "same")


def _eroded(images: Any, rank: int) -> Any:
    """The minimum over a pixel and those beside it along each axis."""
    lowest = images
    for axis in range(rank):
        window = tuple(3 if other == axis else 1 for other in range(rank))
        lowest = ops.minimum(lowest, -ops.max_pool(-images, window, 1, "same"))
    return lowest
