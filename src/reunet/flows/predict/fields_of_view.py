"""The field of view: what is found outside of it does not count."""

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import Prediction
from reunet.flows.predict.outputs import Job
from reunet.io.header import ImageHeader
from reunet.io.masks import read_fov
from reunet.tasks import every_task


def field_of_view(job: Job, header: ImageHeader, page: int | None = None) -> np.ndarray | None:
    """Where the image of a job is seen, bool (*space); None for everywhere."""
    return None if job.fov is None else read_fov(job.fov, page, job.axes, header)


def without_data(result: Prediction, known: np.ndarray | None) -> Prediction:
    """The result with unlabelled pixels, and without objects, where nothing is known of an image, in place.

    known: bool (*space), None for everywhere.
    """
    if known is not None:
        for found, value in ((result.labels, IGNORE), (result.instances, 0)):
            if found is not None:
                found[~known] = value
    return result


def in_view(result: Prediction, inside: np.ndarray | None, labels: LabelMap) -> Prediction:
    """The result within the field of view, bool (*space), None for everywhere: what an object has outside is
    cut off in place, a box stays where its centre is.
    """
    if inside is not None:
        for one in every_task():
            result = one.within(result, inside, labels)
    return result
