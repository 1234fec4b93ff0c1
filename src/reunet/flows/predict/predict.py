"""The verb `predict`: what the tasks of a run find in images, each result whole or absent."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from reunet.backend import import_extra
from reunet.contracts.facts import EngineFacts, Measured
from reunet.contracts.names import file_name
from reunet.contracts.options.records import PredictOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.results import PredictResult
from reunet.contracts.run import RunFolder
from reunet.contracts.zoo import told_from_zoo
from reunet.datasets.pairs import fields_of_view
from reunet.devices import able_backend
from reunet.errors import DataError, UsageError, beside
from reunet.flows.predict.inputs import Source, find_sources, in_sequences
from reunet.flows.predict.jobs import predict_all
from reunet.flows.predict.live import predict_live
from reunet.flows.predict.outputs import Job, Kinds, result_folders
from reunet.flows.predict.result_tables import PARTS, TABLES, remove_tables, write_tables
from reunet.flows.predict.track_files import Moment
from reunet.inference.agreement import changed_tile
from reunet.inference.choice import Choice, choices
from reunet.inference.load import load
from reunet.inference.predictor import Predictor
from reunet.inference.runtime import Runtime
from reunet.inference.sequence import AnyPredictor
from reunet.io.images import composed
from reunet.io.tiff import check_axes
from reunet.locks import sweep
from reunet.progress import NullProgress, Progress
from reunet.sampling.prompt import check_points
from reunet.storage import refuse_existing
from reunet.tasks import task


@verb(PredictOptions)
def predict(options: PredictOptions) -> PredictResult:
    """Predict images and write what the tasks of the run find: masks, objects, boxes, classes.

    The inputs are image files, videos, and folders that are searched with everything below; or "-" alone, a
    video stream on standard input that is predicted frame by frame while it comes. The output folder gets
    `masks/`, `instances/`, `overlays/`, objects.csv and so on. Fields of view are named as in a dataset;
    outside of them (0) is background. An image that needs more than `max_memory` bytes is predicted section
    by section where its format allows that (TIFF, OME-Zarr, NIfTI, .npy, HDF5), else listed among the
    failures; when nothing is said, so are images that need more than a quarter of the machine's memory.
    Probabilities are .npy files, (H, W, classes), (pages, H, W, classes) or (D, H, W, classes) float32.
    `axes` names the axes of TIFF stacks that do not say. All processes of a cluster see the same files
    under the same paths. With `scene` the GeoTIFF files of each folder are tiles of one image, named as the
    folder.

    Images above 67 million pixels are predicted section by section in any case: their masks are OME-Zarr
    where they are, else tiled TIFF; overlays and outlines are left out. Other overlays are drawn on 4 million
    pixels at most.
    A stack of pages gives a stack of masks, a volume a mask with its geometry. objects.csv, classes.csv and
    predictions.json tell of all images that have results in the folder. For a run on sequences a
    stack is one; of other files those that `sequence` or the dataset's sequences.json joins are, and else
    those of one folder, in the order of the numbers in their names. A sequence is predicted whole: with
    `skip_existing` when one of its results is missing, and not at all when one of its frames is unreadable.
    Images that cannot be predicted are in `failures`; they have no results, old ones included. Raises
    UsageError, DataError or StorageError before any work when the inputs or outputs make no sense,
    ClusterError for a cluster that cannot be used, and what `reunet.load` raises.
    """
    return predict_with(options, load_for)


def predict_with(options: PredictOptions, loaded: Callable[[PredictOptions], AnyPredictor]) -> PredictResult:
    """The same, with a predictor that may have been loaded before. loaded: gives it, once it is wanted."""
    run, progress = run_at(options.run), options.on_progress or NullProgress()
    if options.axes is not None:
        check_axes(options.axes)
    if (told := told_from_zoo(options.run)) is not None:
        progress.message(told)
    place = options.run.resolve()
    called = place.stem if place.is_file() else place.name
    folder = options.output or place.with_name(f"{called}-predictions")
    sweep(folder)
    if options.is_stream:
        kinds, predictor = _kinds(options, run.plan()), loaded(options)
        live = partial(predict_live, overwrite=options.overwrite, state=options.state)
        return live(sys.stdin.buffer, predictor, folder, kinds, progress)
    sources, others = find_sources(
        list(options.inputs), exclude=folder, results=result_folders(), scene=options.scene
    )
    groups = _jobs(options, run, folder, sources)
    if options.geff:
        _check_geff(groups)
    done = [options.skip_existing and all(job.is_done() for job in group) for group in groups]
    skipped = [job for group, is_done in zip(groups, done, strict=True) if is_done for job in group]
    groups = [group for group, is_done in zip(groups, done, strict=True) if not is_done]
    todo = [job for group in groups for job in group]
    _check_not_inputs(todo, folder)
    if not options.overwrite and not options.skip_existing:
        _check_no_results(todo, folder)
    predictor = loaded(options)
    if options.points and isinstance(predictor, Predictor):
        predictor = predictor.asked(_points(options))
    for one in predictor.work.tasks if options.fov is not None else ():
        one.check_outside(predictor.plan.labels)
    _tell_engine(options, run, predictor, progress)
    failures, review = _predict(groups, predictor, options, folder, progress)
    return PredictResult(
        output=folder,
        predicted=tuple(job.source.path for job in todo if str(job.source.path) not in failures),
        skipped=tuple(job.source.path for job in skipped),
        failures=failures,
        left_out=others,
        review=review,
    )


def _check_geff(groups: Sequence[Sequence[Job]]) -> None:
    """Raise BackendError without the package that writes tracks, UsageError where there are none."""
    import_extra("geff", "geff", "--geff")
    if all(job.moment is None for group in groups for job in group):
        fix = "join the frames with --sequence or sequences.json, or leave --geff out"
        raise UsageError("no input is a sequence in time, which has tracks", where="--geff", fix=fix)


def load_for(options: PredictOptions) -> AnyPredictor:
    """The predictor that was asked for."""
    return load(options.run, **options.how)


def _jobs(
    options: PredictOptions, run: RunFolder, folder: Path, sources: Sequence[Source]
) -> list[list[Job]]:
    """What there is to do, in groups that are predicted together."""
    fields = {} if options.fov is None else _find_fields(options.fov, sources)
    plan = run.plan()
    kinds, names = _kinds(options, plan), plan.input.channel_names
    _check_prompt(options, plan, sources)
    return [
        [
            Job(source, folder, fields.get(source), options.axes, kinds, moment, names, options.level)
            for source, moment in group
        ]
        for group in _together(sources, plan, options.sequence, options.axes)
    ]


def _kinds(options: PredictOptions, plan: Plan) -> Kinds:
    """What is written. Raises UsageError for an option that none of the tasks has a use for."""
    kinds = Kinds(plan.tasks, options.probabilities, options.geff, options.uncertainty)
    sees_places = any(head.of == "pixels" for head in plan.network.heads)
    for flag, is_idle in (
        ("--probabilities", options.probabilities and not kinds.tells("probabilities")),
        ("--uncertainty", options.uncertainty and not kinds.tells("uncertainty")),
        ("--fov", options.fov is not None and not sees_places),
        ("--geff", options.geff and not any(task(name).has_identities for name in plan.tasks)),
        ("--scene", options.scene and (plan.input.size is not None or plan.clip is not None)),
    ):
        if is_idle:
            raise UsageError(
                "this option has no effect on what the run predicts",
                where=flag,
                received=f"a run for {' and '.join(plan.tasks)}",
                fix=f"leave {flag} out",
            )
    return kinds


def _check_prompt(options: PredictOptions, plan: Plan, sources: Sequence[Source]) -> None:
    """Raise UsageError for points on several images, or for a run without a prompt, and for none with it."""
    if options.points and plan.prompt is not None and len(sources) != 1:
        raise UsageError(
            "points ask for something in one image",
            where="--points",
            expected="one image",
            received=f"{len(sources)} images",
            fix="predict each image with its own points",
        )
    if bool(options.points) != (plan.prompt is not None):
        check_points(options.points, plan, (0, 0), "the image")


def _points(options: PredictOptions) -> list[tuple[float, ...]]:
    """The points as numbers. Raises UsageError for what is no place."""
    found = []
    for one in options.points:
        try:
            found.append(tuple(float(part) for part in (one.split(",") if isinstance(one, str) else one)))
        except (TypeError, ValueError):
            raise UsageError(
                "this is no place in an image",
                where="--points",
                expected="ROW,COLUMN such as 120,34, counted in pixels from 0",
                received=one,
            ) from None
    return found


def _predict(
    groups: Sequence[Sequence[Job]],
    predictor: AnyPredictor,
    options: PredictOptions,
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, str], tuple[int, int] | None]:
    """Predict here or on a cluster; why which file could not be, and how many objects are to be reviewed."""
    run, todo, predict_groups = options.run, [job for group in groups for job in group], predict_all
    with ExitStack() as stack:
        if options.cluster is not None:
            from reunet.flows.remote import Engine, predict_on  # most calls do not need it
            from reunet.inference.cluster import Cluster

            workers = stack.enter_context(Cluster(options.cluster, progress))
            workers.check(run, folder)
            engine = Engine.of(run, options)
            predict_groups = partial(predict_on, workers, engine)
        for job in todo:  # whatever happens from here on, no old result can be taken for a new one
            job.remove_results(own=options.skip_existing)
        has_tables = any(job.part for job in todo) or (folder / PARTS).is_dir()
        if has_tables:
            remove_tables(folder)
        progress.start("predicting", len(todo))
        failures = predict_groups(groups, predictor, options.max_memory, progress)
    return failures, write_tables(folder) if has_tables else None


def _tell_engine(
    options: PredictOptions, run: RunFolder, predictor: AnyPredictor, progress: Progress
) -> None:
    """Say which engine predicts, what was measured of it, and what to expect."""
    if options.engine == "auto" and predictor.runtime.name == "keras":
        progress.message("this run has no exported engine: predicting with Keras, which is slower")
    progress.message(measured_of(run, predictor.runtime))
    if options.device == "auto" and predictor.runtime.name != "keras" and able_backend() is not None:
        progress.message("a GPU is here: --device gpu starts more slowly and may predict many images faster")
    if isinstance(predictor, Predictor) and (warning := changed_tile(run, predictor)):
        progress.message(warning)


def measured_of(run: RunFolder, runtime: Runtime) -> str:
    """The engine in use, and what was measured of it at export."""
    used = Choice(runtime.name, runtime.precision, Measured())
    known = [] if runtime.name == "keras" else choices(EngineFacts.read(run.engine_facts_file))
    same = [choice for choice in known if (choice.engine, choice.precision) == (used.engine, used.precision)]
    return (same or [used])[0].summary


def _together(
    sources: Sequence[Source], plan: Plan, pattern: str | None, axes: str | None
) -> list[list[tuple[Source, Moment | None]]]:
    """What is predicted together: images, or the frames of a sequence, with their moments where objects get
    identities: in time, which a network for sequences in time takes for granted.

    Raises UsageError where the tracks of two sequences would have one name, and for a pattern that the run
    has no use for.
    """
    clip, has_objects = plan.clip, any(task(name).has_identities for name in plan.tasks)
    if clip is None and not has_objects:
        if pattern is not None:
            raise UsageError(
                "this run predicts each image by itself",
                where="--sequence",
                received=pattern,
                fix="leave --sequence out",
            )
        return [[(source, None)] for source in sources]
    groups: list[list[tuple[Source, Moment | None]]] = []
    names: list[str] = []
    for film in in_sequences(sources, pattern, axes):
        assumed = clip is not None and clip.axis == "T" and film.axes != "Z" and len(film.axes) < 2
        tracked = has_objects and (film.axes == "T" or assumed)
        names += [film.name] if tracked else []
        frames = [(one, Moment(film.name, i) if tracked else None) for i, one in enumerate(film.sources)]
        groups += [frames] if tracked or clip is not None else [[one] for one in frames]
    files = [file_name(name).casefold() for name in names]
    if doubled := [name for name, file in zip(names, files, strict=True) if files.count(file) > 1]:
        raise UsageError(
            "the tracks of several sequences would have one name",
            received=", ".join(doubled[:5]),
            fix="predict them into folders of their own with -o",
        )
    return groups


def _check_not_inputs(jobs: Sequence[Job], folder: Path) -> None:
    """Raise UsageError where a result, old ones included, would be an image that is to be predicted: what is
    in the place of results is removed.
    """
    output, files = folder.resolve(), [path for job in jobs for path in job.source.files]
    sources = {real: path for path in files if (real := path.resolve()).is_relative_to(output)}
    for job in jobs if sources else ():
        for path in job.results():
            if (image := sources.get(path.resolve())) is not None:
                raise UsageError(
                    "an image lies where results are written, and would be lost",
                    where=image,
                    fix="choose another folder with -o",
                )


def _check_no_results(jobs: Sequence[Job], folder: Path) -> None:
    files = [*dict.fromkeys(path for job in jobs for path in job.results())]
    if not (folder / PARTS).is_dir() and any(job.part for job in jobs):  # else they are made from the parts
        files += [folder / name for name in TABLES]
    refuse_existing(folder, files, overwrite=False, ways="use --overwrite, --skip-existing")


def _find_fields(fov: Path, sources: Sequence[Source]) -> dict[Source, Path]:
    """The field of view of every image, named as in a dataset. Raises DataError unless each has one."""
    if not fov.is_dir():
        raise DataError(
            "the folder of field-of-view masks does not exist",
            where=fov,
            expected="a folder (--fov)",
            fix=beside(fov),
        )
    stems = {source: composed(source.name.as_posix()) for source in sources}
    files = fields_of_view(fov, {stem: source.path for source, stem in stems.items()})
    return {source: files[stem] for source, stem in stems.items()}
