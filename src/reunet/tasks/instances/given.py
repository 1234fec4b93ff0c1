"""Label images of single objects from any program beside the true ones."""

from functools import partial
from pathlib import Path

from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.cases import Case
from reunet.io.annotations.instances import read_instances
from reunet.io.images import volume_spacing
from reunet.io.masks import read_fov
from reunet.tasks.given import Given, paired
from reunet.tasks.unknown import Unknown, unknown_beside

OBJECTS = LabelMap(classes=default_classes([0, 1], ["background", "object"]))


def is_there(folder: Path) -> bool:
    """Whether a folder holds object ids: in a folder `instances`, or as such a folder."""
    return folder.name == "instances" or (folder / "instances").is_dir()


def read(pred: Path, truth: Path, options: DataOptions) -> Given:
    """Ids mean nothing but which pixels belong together. Raises DataError."""
    cases, warnings = paired(pred, truth, "instances", options.axes)
    unknown = unknown_beside(truth / "instances" if (truth / "instances").is_dir() else truth, options)
    images = {case.id: partial(_load, case, options.axes, unknown) for case in cases}
    return Given(Classes(OBJECTS), images, warnings)


def _load(case: Case, axes: str | None, unknown: Unknown) -> Scored:
    files = case.files
    truth = read_instances(files.mask or case.image, case.page, axes)
    known = None if files.fov is None else read_fov(files.fov, case.page, axes, truth.shape)
    found = Prediction(instances=read_instances(case.image, case.page, axes))
    told = unknown.without(Truth(objects=truth, known=known), case.id, truth.shape, case.page)
    return Scored(None, told, found, volume_spacing(files.mask or case.image))
