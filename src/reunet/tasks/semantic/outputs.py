"""Masks and probabilities, written and drawn."""

from __future__ import annotations

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import Prediction
from reunet.errors import UsageError
from reunet.io.masks import write_mask
from reunet.storage import atomic_path
from reunet.tasks.outputs import MASK_SUFFIXES, Destination, Output


def write_probabilities(values: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write them as .npy."""
    with atomic_path(to.path("probabilities", ".npy")) as temporary:
        np.save(temporary, values)


def write_labels(values: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write class indices as the values of a mask file."""
    wide = to.labels.to_ids(np.zeros(1, np.uint8)).dtype != np.uint8
    write_mask(to.mask("masks", ".tif" if wide else ".png"), values, to.labels, to.like)


OUTPUTS = (
    Output("probabilities", (".npy",), "probabilities", write_probabilities, is_proof=True, asked=True),
    Output("masks", MASK_SUFFIXES, "labels", write_labels, is_proof=True),
)


def outside_value(labels: LabelMap) -> int:
    """The class index written outside the field of view: the background, else unlabelled.

    Raises UsageError when the classes have neither.
    """
    if labels.background is not None:
        return labels.background
    if labels.ignore is None:
        raise UsageError(
            "this run has no background class to write outside the field of view",
            where="--fov",
            received=f"classes {', '.join(labels.names)}",
            fix="predict without --fov",
        )
    return IGNORE
