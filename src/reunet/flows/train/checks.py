"""What must hold before a training begins: options that agree, a free folder, a plan for these data."""

from __future__ import annotations

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.options.records import TrainOptions
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import CheckpointError, DataError, PlanError, StorageError, UsageError
from reunet.flows.prepare import Prepared
from reunet.planning import needs_sequences

OWN_ENCODERS = ("plain", "recurrent")
"""Those that begin with fresh weights."""


def check_plan_used(options: TrainOptions, plan: Plan) -> None:
    """Raise UsageError for an option that a plan which is there already leaves without effect."""
    if options.gives("encoder_weights") and plan.network.encoder in OWN_ENCODERS:
        raise UsageError(
            "the network of this plan has no pretrained encoder",
            where="--encoder-weights",
            received=options.encoder_weights,
            fix="leave --encoder-weights out",
        )


def check_team(count: int, number: int | None, coordinator: str | None) -> tuple[int, int, str] | None:
    """How many processes train together, which one this is, and where they meet; None for one alone.

    Raises UsageError.
    """
    if count == 1 and number is None and coordinator is None:
        return None
    host, _, port = (coordinator or "").rpartition(":")
    wrong = {
        "--processes": count < 2 and "2 or more",
        "--process-id": (number is None or not 0 <= number < count) and f"0 to {count - 1}",
        "--coordinator": not (host and port.isdecimal()) and "HOST:PORT of the first process",
    }
    given = {"--processes": count, "--process-id": number, "--coordinator": coordinator}
    for option, expected in wrong.items():
        if expected:
            raise UsageError(
                "the processes that train together need a number each, and an address to meet at",
                where=option,
                expected=expected,
                received=given[option],
                fix="start each with --processes N --process-id K --coordinator HOST:PORT; to train on this "
                "machine, start `reunet train --processes N` once",
            )
    return count, number or 0, coordinator or ""


def refuse_occupied(options: TrainOptions, run: RunFolder) -> None:
    """See that the run folder is free, or holds what --resume needs. Raises StorageError, CheckpointError."""
    has_checkpoint = run.plan_file.is_file() and any(run.checkpoints.glob("[0-9]*"))
    if options.resume:
        if not has_checkpoint:
            raise CheckpointError(
                "there is no checkpoint to resume from", where=run.path, fix="train again without --resume"
            )
        return
    if run.path.is_file():
        raise StorageError("this is a file, not a folder", where=run.path, fix="choose another name with -o")
    if options.init is not None and options.init.resolve() == run.path.resolve():
        raise UsageError(
            "a run cannot start from itself", where="--init", fix="choose another folder with -o"
        )
    if not run.path.exists() or all(entry.name == ".lock" for entry in run.path.iterdir()):
        return  # a lock is the business of `folder_lock`
    if not options.overwrite or not run.plan_file.is_file():
        ways = ["choose another folder", *(["add --resume"] if has_checkpoint else [])]
        ways += ["add --overwrite"] if run.plan_file.is_file() else []
        raise StorageError(
            "the output folder exists and is not empty", where=run.path, fix=", or ".join(ways)
        )


def check_plan_fits(plan: Plan, prepared: Prepared) -> None:
    """Raise PlanError when a plan was made for other data."""
    seen, again = prepared.fingerprint, "make the plan again with `reunet plan`"
    if plan.clip is not None:
        needs_sequences(seen, "clip")
    if plan.clip is not None and plan.clip.axis != seen.axis:
        raise PlanError(
            "the plan was made for sequences of another kind",
            where="clip.axis",
            expected=seen.axis,
            received=plan.clip.axis,
            fix=f"{again}, or correct clip.axis: T for time, Z for depth",
        )
    if plan.labels != seen.labels:
        raise PlanError(
            "the plan was made for other classes",
            where="labels",
            expected=", ".join(seen.labels.names),
            received=", ".join(plan.labels.names),
            fix=again,
        )
    if plan.input.channels != seen.channels or (seen.mixed_channels and not plan.input.grey_to_rgb):
        raise PlanError(
            "the plan was made for images with other channels",
            where="input.channels",
            expected=seen.channels,
            received=plan.input.channels,
            fix=again,
        )


def check_same_data(run: RunFolder, prepared: Prepared) -> None:
    """Raise DataError when the training images are not those the run began with."""
    begun = Fingerprint.read(run.fingerprint_file)
    before = {f"{c.split}/{c.id}": c.content for c in begun.cases}
    now = {f"{c.split}/{c.id}": c.content for c in prepared.fingerprint.cases}
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if not changed and (list(before), begun.sequences) != (list(now), prepared.fingerprint.sequences):
        changed = ["the order of the frames"]
    if changed:
        raise DataError(
            "the training images have changed since this training began, so it cannot be resumed exactly",
            where=run.path,
            received=f"{len(changed)} difference(s), such as {changed[0]}",
            fix="restore them and give the same data options, or start a new training with --init",
        )
