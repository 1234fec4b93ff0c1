"""The verb `export`: a run as one file or folder that predicts without reunet."""

from functools import partial
from pathlib import Path

from reunet.contracts.options.records import ExportOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import run_at
from reunet.contracts.results import ExportResult
from reunet.errors import StorageError, UsageError, known_name
from reunet.exporting.check import compare
from reunet.exporting.describe import describe
from reunet.exporting.formats import FORMATS
from reunet.inference.load import load
from reunet.inference.sequence import SequencePredictor
from reunet.progress import NullProgress
from reunet.storage import publish_file, publish_folder, refuse_existing, refuse_foreign, scratch_folder

ALIASES = {"tflite": "litert", "tensorflow": "saved_model", "bioimage.io": "bioimageio", "xml": "openvino"}
"""What else a format is called, for suggestions."""

MARK = "metadata.json"
"""What every exported folder has."""


@verb(ExportOptions)
def export(options: ExportOptions) -> ExportResult:
    """Export a run with what happens before and after its network, as a file or, for some formats, a folder.

    It is run and compared with `reunet predict` before it is published; nothing is left when that fails.
    Raises UsageError for an unknown format, ModelFileError for a run that has not finished or is damaged,
    StorageError where the output exists, BackendError for a missing package and for operations that the
    format lacks.
    """
    chosen = FORMATS[known_name(options.format, FORMATS, where="--format", error=UsageError, aliases=ALIASES)]
    target, folder = options.output, run_at(options.run)
    plan = folder.plan()
    folder.require_finished()
    folder.verified_weights(plan)
    if plan.prompt is not None:
        raise UsageError(
            "a run that is asked by points is not exported: no format here has a place for them",
            where=options.run,
            received=f"prompt {plan.prompt}",
            fix="reunet predict RUN IMAGE --points ROW,COLUMN",
        )
    refuse_existing(target.parent, [target], overwrite=options.overwrite)
    if chosen.is_folder:
        refuse_foreign(target, target / MARK, "model that was exported")
    elif target.is_dir():
        raise StorageError("this is a folder, not a file", where=target, fix="name a file with -o")
    progress = options.on_progress or NullProgress()
    count = plan.thinking.iterations if plan.thinking else None
    predictor = load(folder.path, precision="f32", iterations=count)
    refinements = predictor.calibration.refinements
    predictor.tta, predictor.calibration = False, predictor.calibration.plain
    states = tuple(predictor.runtime.states) if isinstance(predictor, SequencePredictor) else ()
    with scratch_folder(target.parent) as place:
        model = place / "model"
        progress.start(f"exporting to {options.format}", None)
        chosen.build(folder, model)
        progress.start("comparing it with reunet predict", None)
        agreement, example = compare(chosen, model, plan, predictor)
        facts = describe(plan, agreement, states)
        facts["caller_must"] += refinements
        sealed = chosen.seal(model, facts, chosen.runs_with, example)
        if chosen.is_folder:
            publish_folder(target, partial(_move, sealed), replace=options.overwrite)
        else:
            publish_file(sealed, target)
    return ExportResult(
        target,
        options.format,
        agreement["differ_ppm"],
        agreement["max_difference"],
        tuple(facts["caller_must"]),
    )


def _move(folder: Path, into: Path) -> None:
    for entry in folder.iterdir():
        entry.rename(into / entry.name)
