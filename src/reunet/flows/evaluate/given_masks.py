"""`reunet evaluate --pred DIR --truth DIR`: masks from any program against true masks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options import DataOptions
from reunet.contracts.plan import Calibration
from reunet.contracts.results import EvaluateResult, Prediction, Problem, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.cache import read_fov
from reunet.datasets.cases import Case, raise_errors
from reunet.datasets.classes import class_list
from reunet.datasets.folders import SplitFolders, image_files, stem_of
from reunet.datasets.pairs import pair_files
from reunet.errors import DataError
from reunet.flows.evaluate.mask_values import read_any_mask
from reunet.flows.evaluate.scoring import Context, refuse_existing, score_images, write_evaluation
from reunet.io.images import read_image, volume_spacing
from reunet.io.masks import read_mask
from reunet.progress import Progress
from reunet.tasks.base import Classes
from reunet.tasks.work import Work


def evaluate_masks(
    pred: Path, truth: Path, options: DataOptions, output: Path | None, progress: Progress, *, overwrite: bool
) -> EvaluateResult:
    """Score the masks in `pred` against those of the same names in `truth`.

    The classes come from --classes, --colors, a dataset.json up to two folders above `truth`, or the true
    masks. A folder `fov` beside `truth` limits what is scored. Predictions without truth are left out with
    a warning. Raises DataError naming every true mask without prediction.
    """
    pred, truth = _mask_folder(pred, "--pred"), _mask_folder(truth, "--truth")
    split = truth.parent.name if truth.parent.name in ("train", "val", "test") else "test"
    output = output or pred.parent / f"{pred.name}-evaluation"
    refuse_existing(output, overwrite=overwrite)
    fov = truth.parent / "fov"
    folders = SplitFolders(split, truth, pred, truth, fov if fov.is_dir() else None)
    found = pair_files(folders, truth.parent, options.axes)
    warnings = _judge(found.problems, truth)
    root = next((folder for folder in truth.parents[:2] if (folder / "dataset.json").is_file()), truth)
    labels = class_list(root, options, found.cases)
    pictures = _pictures(options.images)
    loaders = {
        case.id: partial(_load, case, labels, options.axes, pictures.get(stem_of(case.image, pred)))
        for case in found.cases
    }
    work = Work(("semantic",), Classes(labels))
    evaluation = score_images(loaders, work, Calibration(), split, progress)
    facts = {"Predictions": pred.name if pred.name != "masks" else pred.parent.name}
    facts["Truth"] = root.name if root != truth else truth.name
    context = Context(f"{facts['Predictions']} against {facts['Truth']}", facts, warnings)
    return write_evaluation(evaluation, context, output)


def _mask_folder(folder: Path, option: str) -> Path:
    """The folder itself or the `masks` folder in it. Raises DataError when there are no images."""
    if not folder.is_dir():
        raise DataError(
            "this folder does not exist", where=folder, fix=f"give an existing folder with {option}"
        )
    folder = folder.resolve()
    chosen = folder / "masks" if (folder / "masks").is_dir() else folder
    if not image_files(chosen):
        raise DataError(
            "this folder contains no masks",
            where=chosen,
            expected="PNG, TIFF or NIfTI files",
            fix=f"see {option}",
        )
    return chosen


def _judge(problems: list[Problem], truth: Path) -> list[str]:
    """Warnings from what pairing found; raises one DataError listing the errors.

    To the pairing, predictions are images and true masks their masks: a prediction too many is no error.
    """
    extra = [problem for problem in problems if problem.code == "image-without-mask"]
    rest = [replace(p, message="the true mask has no prediction of its name")
            if p.code == "mask-without-image" else p
            for p in problems if p.code not in ("image-without-mask", "fov-without-image")]  # fmt: skip
    raise_errors(rest, truth)
    warnings = [f"{problem.file}: {problem.message}" for problem in rest]
    if extra:
        names = ", ".join(Path(problem.file).name for problem in extra[:5])
        warnings.append(f"{len(extra)} prediction(s) have no true mask and are left out: {names}")
    return warnings


def _pictures(folder: Path | None) -> dict[str, Path]:
    return {} if folder is None else {stem_of(path, folder): path for path in image_files(folder)}


def _load(case: Case, labels: LabelMap, axes: str | None, picture: Path | None) -> Scored:
    if case.files.mask is None:
        raise DataError("the prediction has no true mask", where=case.image)
    prediction = read_any_mask(case.image, labels, case.page, axes)
    truth = read_mask(case.files.mask, labels, case.page, axes)
    if case.files.fov is not None:
        truth[~read_fov(case.files.fov, case.page, axes, truth.shape)] = IGNORE
    image = None if picture is None else read_image(picture, page=case.page, axes=axes)
    spacing = volume_spacing(case.files.mask)
    return Scored(image, Truth(labels=truth), Prediction(prediction), spacing)
