"""Masks from any program beside the true ones."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from reunet.contracts.labels import Classes, LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.cases import Case
from reunet.datasets.classes import class_list
from reunet.datasets.palettes import check_named
from reunet.datasets.reading import CaseReader
from reunet.io.images import volume_spacing
from reunet.io.masks import encode_mask, is_coloured, read_fov, read_mask, read_raw_mask
from reunet.tasks.given import FILES, Given, described_above, paired
from reunet.tasks.unknown import Unknown, image_name, unknown_beside


def is_there(folder: Path) -> bool:
    """Whether a folder holds masks: in a folder of that name, or itself, and nothing else."""
    others = folder.name == "instances" or any((folder / name).exists() for name in ("instances", *FILES))
    return (folder / "masks").is_dir() or (folder.is_dir() and not others)


def read(pred: Path, truth: Path, options: DataOptions) -> Given:
    """The classes come from --classes, --colors, a dataset.json up to two folders above the true masks, or
    these. Raises DataError, LabelError.
    """
    cases, warnings = paired(pred, truth, "masks", options.axes)
    masks = truth / "masks" if (truth / "masks").is_dir() else truth
    root = described_above(masks)
    labels = class_list(root, options, cases, CaseReader(root, options.axes, keep=False))
    unknown = unknown_beside(masks, {image_name(case) for case in cases}, options)
    images = {case.id: partial(_load, case, labels, options, unknown) for case in cases}
    return Given(Classes(labels), images, [*warnings, *unknown.warnings])


def _load(case: Case, labels: LabelMap, options: DataOptions, unknown: Unknown) -> Scored:
    files, mask = case.files, case.files.mask or case.image  # every one has a mask: they are pairs
    for file in (case.image, mask):
        check_named(file, labels, case.page, options.axes)
    prediction = read_any_mask(case.image, labels, case.page, options.axes)
    truth = read_mask(mask, labels, case.page, options.axes)
    told = unknown.without(Truth(labels=truth), image_name(case), truth.shape, case.page)
    if case.sequence is not None and case.sequence.axis == "T":
        told = replace(told, sequence=case.sequence.name, frame=case.page or 0)
    if files.fov is not None:
        told = told.within(read_fov(files.fov, case.page, options.axes, truth.shape))
    return Scored(None, told, Prediction(prediction), volume_spacing(mask))


def read_any_mask(
    path: Path, labels: LabelMap, page: int | None = None, axes: str | None = None
) -> np.ndarray:
    """A predicted mask, (*space) uint8 class indices, whose values may be stored otherwise than the truth's.

    Read by colour when it is a colour image, otherwise by class id; with two classes also as 0/255.
    Raises LabelError, ImageReadError.
    """
    raw = read_raw_mask(path, page, axes)
    encoding = labels.encoding
    if not is_coloured(raw):
        encoding = "binary_255" if labels.binary and int(raw.max(initial=0)) == 255 else "index"
    return encode_mask(raw, labels.model_copy(update={"encoding": encoding}), path)
