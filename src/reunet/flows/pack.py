"""`reunet pack`: a run as one file that predicts anywhere."""

from reunet.contracts.options.records import PackOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import SUFFIX, write_pack
from reunet.contracts.plan import Plan
from reunet.contracts.results import PackResult
from reunet.contracts.run import SOURCE, RunFolder, floats_in
from reunet.errors import ModelFileError, StorageError, UsageError
from reunet.progress import NullProgress
from reunet.storage import refuse_existing


@verb(PackOptions)
def pack(options: PackOptions) -> PackResult:
    """Pack what a run needs to predict into one file: plan, weights, engine, thresholds, card, test image.

    The engine is asked for the expected output of that image before. The file holds no code, no image of
    yours and no name of one; `predict`, `evaluate`, `export`, `serve`, `open` and `train --init` take it as
    they take a run. Raises ModelFileError for a run that has not finished or is damaged, StorageError where
    the file exists.
    """
    progress = options.on_progress or NullProgress()
    run, place = RunFolder(options.run), options.run.resolve()
    output = options.output or place.with_name(f"{place.name}{SUFFIX}")
    if output.suffix.lower() != SUFFIX:
        raise UsageError(
            "a packed run has a suffix of its own",
            where="--output",
            expected=f"a name that ends in {SUFFIX}",
            received=output.name,
        )
    if output.is_dir():
        raise StorageError("this is a folder, not a file", where=output, fix="name a file with -o")
    plan = run.plan()
    run.require_finished()
    run.verified_weights(plan)
    run.calibration(plan)
    refuse_existing(output.parent, [output], overwrite=options.overwrite)
    progress.start("checking the run", None)
    difference = None
    if plan.custom is None or plan.custom.network is None:
        difference = _difference(run, plan)
    progress.start("packing", None)
    files = write_pack(run.path, output)
    return PackResult(output, output.stat().st_size, files, difference)


def _difference(run: RunFolder, plan: Plan) -> float:
    """Between what the engine says of the test image of a run and what it should. Raises ModelFileError."""
    from reunet.exporting.measure import TOLERANCE, largest_difference
    from reunet.inference.openvino_runtime import OpenVINORuntime
    from reunet.inference.sequence import over_windows

    run.verified_engine(plan)
    runtime = OpenVINORuntime(run.engine_file, plan.engine_input, "f32")
    image = run.self_test / "input.npy"
    files = {head.name: run.self_test / f"expected_{head.name}.npy" for head in plan.network.heads}
    for file in (image, *files.values()):
        if not file.is_file():
            what = "this run has no test image, or not what each head should say of it"
            raise ModelFileError(what, where=run.self_test, expected=file.name, fix=SOURCE)
    outputs = over_windows(runtime, plan)(floats_in(image))
    expected = {head: floats_in(file, outputs[head].shape) for head, file in files.items()}
    found = largest_difference(outputs, expected, plan)
    if not found <= TOLERANCE:
        raise ModelFileError(
            "the engine of this run does not say what it should of the run's test image",
            where=run.self_test,
            expected=f"differences of at most {TOLERANCE}",
            received=f"{found:.2g}",
            fix=SOURCE,
        )
    return found
