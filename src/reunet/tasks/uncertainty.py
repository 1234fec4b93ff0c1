"""How undecided a network is about each pixel, and how much of that is what several opinions differ in.

The opinions are the networks of an ensemble, or one network's of the mirrored image. Of their probabilities
p_m the *predictive entropy* is H(mean p_m), and the *mutual information* of opinion and class is
H(mean p_m) - mean H(p_m) (Houlsby et al. 2011, arXiv 1112.5745, equation 2; for ensembles Lakshminarayanan
et al. 2017, arXiv 1612.01474). It is 0 where all opinions are equally unsure, such as on a blurred border,
and large where each is sure of something else, as in images unlike those that were trained on. Both are
divided by the largest entropy there is, the logarithm of the number of classes, so that they lie in 0..1.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.network import ENTROPY, HeadSpec
from reunet.contracts.results import Prediction
from reunet.io.pages import write_maps
from reunet.tasks.base import Maps
from reunet.tasks.outputs import Destination, Output

LEAST = 1e-30


def entropy(probabilities: np.ndarray, activation: str) -> NDArray[np.float32]:
    """Of probabilities (..., classes) that sum to 1 (`softmax`), or the mean of those of regions, each of
    which is there or not (`sigmoid`): (..., 1) in 0..1.
    """
    p = np.asarray(probabilities, np.float32)
    each = p * np.log(np.maximum(p, LEAST))
    if activation == "softmax":
        found = -each.sum(axis=-1, keepdims=True) / np.log(max(p.shape[-1], 2))
    else:
        each += (1 - p) * np.log(np.maximum(1 - p, LEAST))
        found = -each.mean(axis=-1, keepdims=True) / np.log(2)
    return np.asarray(np.clip(found, 0, 1), np.float32)


def uncertainty(maps: Maps, heads: Iterable[HeadSpec]) -> NDArray[np.float32] | None:
    """(*space, 2) float32 in 0..1: predictive entropy and mutual information, of the first head of classes of
    pixels; None where the mean entropy of the opinions is not told.
    """
    for head in heads:
        if head.name + ENTROPY in maps.heads:
            whole = entropy(maps.full(head.name), head.activation)
            within = maps.full(head.name + ENTROPY)
            return np.concatenate([whole, np.clip(whole - within, 0, 1)], axis=-1)
    return None


def write_uncertainty(values: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write it as a TIFF of real numbers."""
    write_maps(to.path(UNCERTAINTY.kind, UNCERTAINTY.suffixes[0]), values)


UNCERTAINTY = Output("uncertainty", (".tif",), "uncertainty", write_uncertainty, is_proof=True, asked=True)
