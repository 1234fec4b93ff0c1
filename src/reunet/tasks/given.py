"""Results from any program beside their truth: what every task needs to read them back."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from reunet.contracts.findings import Findings
from reunet.contracts.labels import Classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Scored
from reunet.datasets.cases import Case, raise_errors
from reunet.datasets.folders import SplitFolders
from reunet.datasets.foreign import tell_left_out
from reunet.datasets.pairs import PairedFiles, fields_of_view
from reunet.datasets.tools import find_listing
from reunet.datasets.vocabulary import SPLIT_NAMES, role_of
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.annotations.coco import read_coco
from reunet.io.images import image_suffix
from reunet.io.listing import folders_in, image_files, list_files


@dataclass(frozen=True)
class Given:
    """Results with their truth. images: what reads both, by id. calibration: by which all that is given
    counts. warnings: about what is left out.
    """

    classes: Classes
    images: Mapping[str, Callable[[], Scored]]
    warnings: Sequence[str] = ()
    calibration: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True)
class Reader:
    """How a task reads its results back. is_there: whether a folder or file holds such results, or truth for
    them. read: predictions and truth, with what is said about the data.
    """

    is_there: Callable[[Path], bool]
    read: Callable[[Path, Path, DataOptions], Given]


def paired(pred: Path, truth: Path, kind: str, axes: str | None) -> tuple[list[Case], list[str]]:
    """Label images of the same names, in folders or the folders `kind` in them: cases whose images are the
    predicted and whose masks are the true ones, and warnings.

    A folder `fov` beside the true ones limits what is scored. Predictions without truth are left out with a
    warning. Raises DataError naming every true one without prediction.
    """
    pred, truth = label_folder(pred, kind, "--pred"), label_folder(truth, kind, "--truth")
    fov = truth.parent / "fov"
    folders = SplitFolders("test", truth, pred, truth, fov if fov.is_dir() else None)
    found = PairedFiles(folders, truth.parent, axes)
    for folder in (pred, truth):
        tell_left_out(folder, list_files(folder)[1], found)
    return found.cases, _judge(found, truth)


FOLDERS = ("instances", "fov")
FILES = ("boxes.json", "predictions.json", "labels.csv", "classes.csv")
"""What lies beside images and masks in the folder of a dataset, or of results."""


def label_folder(folder: Path, kind: str, option: str) -> Path:
    """The folder `kind` in a folder, or itself where that is its name or it holds label images alone.

    Other images, such as the photographs of a dataset, are never taken for labels: raises DataError where the
    folder, or that of a split in it, holds a folder of images, or files that tell the objects of images.
    """
    chosen = folder / kind if (folder / kind).is_dir() else folder
    others = _of_other_roles(folder) if chosen == folder and folder.is_dir() and folder.name != kind else []
    if others or not chosen.is_dir() or not image_files(chosen):
        raise DataError(
            f"this folder contains no {kind}" + (", or other things beside them" if others else ""),
            where=chosen,
            expected=f"PNG, TIFF or NIfTI files, or a folder {kind} with them",
            received=", ".join(others) or None,
            fix=f"name the folder of the {kind} with {option}; it holds nothing else",
        )
    return chosen


def _of_other_roles(folder: Path) -> list[str]:
    """What a folder of a dataset, or of results, holds by its name beside label images; folders with "/"."""
    inside = folders_in(folder)
    splits = [one for one in inside if one.name.lower() in SPLIT_NAMES]
    named = inside + [part for split in splits for part in folders_in(split)]
    found = [f"{one.relative_to(folder).as_posix()}/" for one in named
             if one.name in FOLDERS or role_of(one.name) is not None]  # fmt: skip
    found += [name for name in FILES if (folder / name).is_file()]
    listing = None if found else find_listing(folder, folder)
    return found if listing is None else [listing.describe()]


def described_above(masks: Path) -> Path:
    """The folder above true masks, or the one above that, which has a dataset.json; else their own."""
    return next((folder for folder in masks.parents[:2] if (folder / "dataset.json").is_file()), masks)


def read_boxes(file: Path, classes: Sequence[str] | None) -> tuple[Sequence[str], dict[str, AnnotatedImage]]:
    """Class names, and what a COCO file tells of each image by its name. Raises DataError."""
    problems = Findings(file.parent)
    told = read_coco(file, (), problems, classes)
    raise_errors(problems, file)
    return told.classes, {name_of(image.file): image for image in told.images}


def fields_beside(file: Path, names: Collection[str]) -> dict[str, Path]:
    """The field of view of each image in a folder `fov` beside a COCO file; empty without one. Raises
    DataError where an image has none there.
    """
    fov = file.parent / "fov"
    return fields_of_view(fov, {name: name for name in names}) if fov.is_dir() else {}


def _judge(problems: Findings, truth: Path) -> list[str]:
    """Warnings from what pairing found; raises one DataError listing the errors.

    To the pairing, predictions are images and true masks their masks: a prediction too many is no error.
    """
    extra = [Path(problem.file).name for problem in problems if problem.code == "image-without-mask"]
    rest = [replace(p, message="the true mask has no prediction of its name")
            if p.code == "mask-without-image" else p
            for p in problems if p.code not in ("image-without-mask", "fov-without-image")]  # fmt: skip
    raise_errors(rest, truth)
    return [*(f"{problem.file}: {problem.message}" for problem in rest), *left_out(extra)]


def left_out(names: Collection[str]) -> list[str]:
    """A warning about predictions of images without truth, if there are any."""
    shown = ", ".join(sorted(names)[:5])
    return [f"{len(names)} prediction(s) have no truth and are left out: {shown}"] if names else []


def matched(truth: Collection[str], pred: Collection[str], where: Path) -> list[str]:
    """Warnings about predictions without truth. Raises DataError for images without prediction."""
    if missing := sorted(set(truth) - set(pred)):
        raise DataError(
            f"{len(missing)} image(s) with truth have no prediction of their name",
            where=where,
            expected=", ".join(sorted(truth)[:5]),
            received=f"nothing for {', '.join(missing[:5])}",
        )
    return left_out(set(pred) - set(truth))


def file_in(given: Path, names: Sequence[str], option: str) -> Path:
    """The file itself, or the first of these in a folder. Raises DataError."""
    found = [given] if given.is_file() else [given / name for name in names if (given / name).is_file()]
    if not found:
        raise DataError(f"nothing to read with {option}", where=given, expected=" or ".join(names))
    return found[0]


def name_of(file: str) -> str:
    """The name that an image goes by, from a file name in a table: without suffix and the folder `images`."""
    path = PurePosixPath(file)
    path = PurePosixPath(*path.parts[1:]) if path.parts[0] == "images" and len(path.parts) > 1 else path
    return str(path)[: len(str(path)) - len(image_suffix(Path(path.name)) or "")]
