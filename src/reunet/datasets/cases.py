"""What a dataset is: cases (an image, its mask and what is known of them), classes and splits."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reunet.contracts.labels import LabelMap
from reunet.contracts.results import Problem
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import AnnotatedImage

SPLITS = ("train", "val", "test")

Axis = Literal["T", "Z"]
"""What a sequence runs through: time or depth."""


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case.

    fov: its non-zero pixels are the field of view; outside of it nothing is learned or scored.
    channels: of the image's further channels, where each has its own.
    layers: masks of its further regions, where each region has a mask of its own.
    instances: object ids. object_masks: instead of it, a mask per object; empty for no objects.
    markers: object ids that are identities over time, under which `instances` are known.
    """

    image: Path
    mask: Path | None = None
    fov: Path | None = None
    channels: tuple[Path, ...] = ()
    layers: tuple[Path, ...] = ()
    instances: Path | None = None
    object_masks: tuple[Path, ...] | None = None
    markers: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file, once."""
        single = (self.image, self.mask, self.fov, self.instances, self.markers)
        told = (path for path in single if path is not None)
        return tuple(dict.fromkeys((*told, *self.channels, *self.layers, *(self.object_masks or ()))))


@dataclass(frozen=True)
class FrameSequence:
    """An ordered sequence of frames.

    axis: whether its order is time or depth. tracks: file of its lineage, in which ids are identities.
    """

    name: str
    axis: Axis
    tracks: Path | None = None


@dataclass(frozen=True)
class Case:
    """One image with all that annotates it.

    id: path below the images folder without suffix, with "/" on every system; pages of a stack add "#0003"
    (counted from 0; messages count pages from 1).
    split: the split folder it lies in; "train" where there are none.
    page: page of its files, which are stacks, or None for files with one image or one volume.
    group: cases of one group (a patient, an experiment) stay together when cases are held out.
    sequence: that it is a frame of.
    objects: as a file of many images tells them. boxed: classes of its mask whose connected components are to
    be boxes. channels: which of the image's are read, by name or number from 1; empty for all.
    category: index of the class of the image. classes: indices of those it is annotated with; None
    for all. corrected: whether a person mended its labels, or gave them later.
    """

    id: str
    split: str
    files: CaseFiles
    page: int | None = None
    group: str | None = None
    sequence: FrameSequence | None = None
    objects: AnnotatedImage | None = None
    boxed: tuple[str, ...] = ()
    category: int | None = None
    classes: tuple[int, ...] | None = None
    corrected: bool = False
    channels: tuple[str, ...] = ()

    @property
    def image(self) -> Path:
        """The file that stands for it in messages."""
        return self.files.image

    @property
    def kinds(self) -> frozenset[str]:
        """What it is annotated with: `instances`, `boxes`, `masks`, `categories`."""
        files, objects = self.files, self.objects
        has_shapes = objects is not None and objects.shaped
        told = {
            "instances": has_shapes or files.instances is not None or files.object_masks is not None,
            "boxes": objects is not None or (files.mask is not None and bool(self.boxed)),
            "masks": files.mask is not None,
            "categories": self.category is not None,
        }
        return frozenset(kind for kind, is_told in told.items() if is_told)


@dataclass(frozen=True)
class Dataset:
    """All cases of a dataset; the cases of a sequence are in its order.

    given_splits: the splits that exist as folders; empty when the dataset is one pair of folders, whose
    cases all have the split "train".
    channel_names: what dataset.json calls the channels, such as CT; empty where it does not say.
    labels: classes of pixels and objects; of a dataset without either, those of whole images.
    categories: classes of whole images.
    """

    name: str
    root: Path
    labels: LabelMap
    cases: tuple[Case, ...]
    given_splits: frozenset[str]
    channel_names: tuple[str, ...] = ()
    categories: LabelMap | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """What its training cases (without any, all) are annotated with, see `Case.kinds`."""
        cases = self.split("train") or self.cases
        return frozenset(kind for case in cases for kind in case.kinds)

    def split(self, name: str) -> tuple[Case, ...]:
        """The cases of one split; empty when there is no such split."""
        return tuple(case for case in self.cases if case.split == name)


_LABEL_CODES = frozenset(
    {"mask-values", "mask-lossy", "mask-fractional", "mask-colours", "shape-mismatch", "class-list"}
)
_MOST_LISTED = 200


def raise_errors(problems: Iterable[Problem], where: object) -> None:
    """Raise one DataError that lists every error: a LabelError when it is all about masks."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if not errors:
        return
    lines = [describe(problem) for problem in errors[:_MOST_LISTED]]
    if len(errors) > _MOST_LISTED:
        lines.append(f"and {len(errors) - _MOST_LISTED} more: see `reunet check DATA --fix-list FILE`")
    kind = LabelError if all(problem.code in _LABEL_CODES for problem in errors) else DataError
    fixes = list(dict.fromkeys(problem.fix for problem in errors if problem.fix))
    raise kind(
        f"the dataset has {len(errors)} problem(s)\n" + "\n".join(f"  - {line}" for line in lines),
        where=where,
        fix="; ".join(fixes[:5]) or None,
    )


def describe(problem: Problem) -> str:
    """One line: file, message, expected and received."""
    told = {"expected": problem.expected, "received": problem.received}
    details = [f"{name} {value}" for name, value in told.items() if value]
    return f"{problem.file}: {problem.message}" + (f" ({'; '.join(details)})" if details else "")
