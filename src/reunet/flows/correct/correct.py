"""`reunet correct`: results that were mended in another program become labels of a dataset."""

from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.contracts.options.records import CorrectOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import CorrectResult, Saved
from reunet.corrections.editing import Editing
from reunet.datasets.cases import raise_errors
from reunet.errors import DataError, ReunetError, beside
from reunet.flows.correct.files import Source, edited_files
from reunet.flows.correct.places import About, Images
from reunet.flows.correct.reading import Edit, Reading
from reunet.io.images import read_header
from reunet.io.listing import images_by_stem
from reunet.progress import NullProgress


@verb(CorrectOptions)
def correct(options: CorrectOptions) -> CorrectResult:
    """Take edited files back as labels of the images of their names, in the dataset's own convention.

    Files are label images (PNG, TIFF, NIfTI), GeoJSON of QuPath, zips of ImageJ's ROIs, COCO JSON, tables of
    classes, or folders of such; what the dataset had before is kept in its folder corrections/, who changed
    what and when stands in corrections.csv. All files are read and checked before the first label is written.
    With `add` images that the dataset does not have are taken into its training split. Raises DataError that
    lists everything wrong with the files, UsageError, StorageError.
    """
    progress = options.on_progress or NullProgress()
    editing = Editing.open(options.data, options)
    problems = Findings(editing.root)
    reading = Reading(
        editing, Images(editing, options.split, _new_images(options.add)), options.kind, problems
    )
    edits = [edit for source in edited_files(options.files, problems) for edit in reading.edits(source)]
    _one_each(edits, problems)
    progress.start("checking the edited labels", len(edits))
    for edit in edits:
        _check(editing, edit, problems)
        progress.advance()
    raise_errors(problems, editing.root)
    if not edits:
        fix = "give the files that were edited, as OUT/instances or predictions.json"
        raise DataError("none of the files tells labels", where=options.files[0], fix=fix)
    saved = []
    progress.start("writing labels", len(edits))
    for edit in edits:
        saved.append(_save(editing, edit, options.by))
        progress.advance()
    warnings = tuple(problem for problem in problems if problem.severity == "warning")
    written = tuple(one for one in saved if one.files)
    return CorrectResult(written, len(saved) - len(written), warnings)


def _new_images(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise DataError("this folder of new images does not exist", where=folder, fix=beside(folder))
    return images_by_stem(folder)


def _one_each(edits: list[Edit], problems: Findings) -> None:
    """Add an error for each image of which two files tell the same."""
    seen: dict[tuple[About, str], Source] = {}
    for edit in edits:
        for kind in edit.kinds:
            before = seen.setdefault((edit.about, kind), edit.source)
            if before is not edit.source:
                message = f"two files tell the {kind} of {edit.about}"
                fix = "give the one that was edited"
                problems.error("doubled-file", edit.source.path, message, "one file", before.path.name, fix)


def _check(editing: Editing, edit: Edit, problems: Findings) -> None:
    """Add errors for what saving would raise."""
    try:
        edited = edit.read()
        if edit.about.new is None:
            before, _ = editing.check(edit.about.name, edited)
            problems += [one for one in before.obstacles if one.severity == "warning"]
        else:
            edited.checked(read_header(edit.about.new).size, editing.labels, editing.categories)
    except ReunetError as cause:
        problems.caught("edited", edit.source.path, cause)


def _save(editing: Editing, edit: Edit, by: str | None) -> Saved:
    source, about = edit.source.path.name, edit.about
    if about.new is None:
        return editing.save(about.name, edit.read(), by=by, source=source)
    return editing.add(about.new, edit.read(), by=by, name=about.name, source=source)
