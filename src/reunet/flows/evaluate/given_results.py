"""`reunet evaluate --pred DIR --truth DIR`: results from any program against the truth."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from reunet.contracts.findings import some_of
from reunet.contracts.options.records import EvaluateOptions
from reunet.contracts.results import EvaluateResult, Scored
from reunet.errors import DataError, UsageError
from reunet.flows.evaluate.scoring import FILES, score_images, write_evaluation
from reunet.io.images import read_image
from reunet.io.listing import images_by_stem
from reunet.io.tiff import check_axes
from reunet.progress import Progress
from reunet.report.page import Report
from reunet.storage import refuse_existing
from reunet.tasks import every_task, task
from reunet.tasks.work import Work

GENERIC = ("masks", "instances", "boxes", "labels", "predictions", "classes", "train", "val", "test")
"""Names of folders and files that tell nothing of where they are from."""

Read = Callable[[], Scored]


def evaluate_given(pred: Path, truth: Path, options: EvaluateOptions, progress: Progress) -> EvaluateResult:
    """Score the results in `pred` against the truth of the same names in `truth`.

    They are of the task that the options name; `auto` for what both hold. Raises UsageError where that is
    several things, and what the reader of the task raises.
    """
    pred, truth = _there(pred, "--pred"), _there(truth, "--truth")
    name = _task_of(pred, truth) if options.task == "auto" else options.task
    reader = task(name).reader
    if reader is None:
        raise UsageError("results of this task are scored with their run only", where="--task", received=name)
    output = options.output or pred.parent / f"{pred.stem if pred.is_file() else pred.name}-evaluation"
    refuse_existing(output, [output / name for name in FILES], overwrite=options.overwrite)
    if options.axes is not None:
        check_axes(options.axes)
    given = reader.read(pred, truth, options)
    split = next((x for x in (truth.name, truth.parent.name) if x in ("train", "val", "test")), "test")
    pictures = _pictures(options.images, given.images)
    loaders = {key: partial(_shown, read, key, pictures, options.axes) for key, read in given.images.items()}
    work = Work((name,), given.classes)
    evaluation = score_images(loaders, work, given.calibration, split, progress)
    facts = {"Predictions": _name(pred), "Truth": _name(truth)}
    title = f"{facts['Predictions']} against {facts['Truth']}"
    lang = options.lang
    report = Report(title, facts=facts, images=loaders, warnings=given.warnings, language=lang)
    return write_evaluation(evaluation, report, output)


def _there(path: Path, option: str) -> Path:
    if not path.exists():
        raise DataError(
            "this folder does not exist", where=path, fix=f"give an existing folder with {option}"
        )
    return path.resolve()


def _name(path: Path) -> str:
    """What results are called: by the first folder whose name is not that of a kind or split."""
    names = (path.stem if path.is_file() else path.name, *(folder.name for folder in path.parents))
    return next(name for name in names if name not in GENERIC)


def _task_of(pred: Path, truth: Path) -> str:
    """The task whose results and truth the two hold. Raises UsageError for none and for several."""
    readers = {one.name: one.reader for one in every_task() if one.reader is not None}
    held = [[name for name, reader in readers.items() if reader.is_there(one)] for one in (pred, truth)]
    both = [name for name in held[0] if name in held[1]]
    if len(both) != 1:
        received = (
            f"{', '.join(held[0]) or 'nothing'} in --pred, {', '.join(held[1]) or 'nothing'} in --truth"
        )
        what = "several things can be scored here" if both else "predictions and truth are not of one kind"
        fix = f"say which with --task: {', '.join(both or readers)}"
        raise UsageError(what, where=pred, expected="results of one task", received=received, fix=fix)
    return both[0]


def _pictures(folder: Path | None, keys: Iterable[str]) -> dict[str, Path]:
    """The images to show by their names. Raises DataError where there are none of what is compared."""
    found = {} if folder is None else images_by_stem(_there(folder, "--images"))
    if folder is not None and not found.keys() & {key.partition("#")[0] for key in keys}:
        raise DataError(
            "none of the images is named like what is compared",
            where=folder,
            expected=some_of(sorted(keys), 3),
            received=some_of(sorted(found), 3) or "no image",
            fix="give the folder of the images with --images, or leave it out",
        )
    return found


def _shown(read: Read, key: str, pictures: dict[str, Path], axes: str | None) -> Scored:
    """What is read, with the image of its name to show. key: id of a case."""
    paged = re.fullmatch(r"(.*)#(\d+)", key)
    name, page = (paged[1], int(paged[2])) if paged else (key, None)
    if name not in pictures:
        return read()
    return replace(read(), image=read_image(pictures[name], page=page, axes=axes))
