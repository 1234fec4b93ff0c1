"""What must hold before a training begins: options that agree, a free folder, a plan for these data."""

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.network import OWN_ENCODERS
from reunet.contracts.options.records import TrainOptions
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.contracts.zoo import told_from_zoo
from reunet.errors import CheckpointError, DataError, PlanError, UsageError
from reunet.flows.prepare import Prepared
from reunet.planning import needs_sequences
from reunet.progress import Progress
from reunet.storage import refuse_existing, refuse_foreign


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


def check_init(options: TrainOptions, progress: Progress) -> None:
    """See that the run to start from is whole, before any data is read. Raises ModelFileError, PlanError."""
    if options.init is not None:
        if (told := told_from_zoo(options.init)) is not None:
            progress.message(told)
        begun = run_at(options.init)
        begun.verified_weights(begun.plan())


def refuse_occupied(options: TrainOptions, run: RunFolder) -> None:
    """See that the run folder is free, or holds what --resume needs. Raises StorageError, CheckpointError."""
    if options.resume:
        if not run.has_checkpoint:
            raise CheckpointError(
                "there is no checkpoint to resume from", where=run.path, fix="train again without --resume"
            )
        return
    if options.init is not None and options.init.resolve() == run.path.resolve():
        raise UsageError(
            "a run cannot start from itself", where="--init", fix="choose another folder with -o"
        )
    refuse_foreign(run.path, run.plan_file, "run")
    ways = "use --resume or --overwrite" if run.has_checkpoint else "use --overwrite"
    refuse_existing(run.path, [run.plan_file], overwrite=options.overwrite, ways=ways)


def check_own_network(options: TrainOptions, plan: Plan) -> None:
    """Raise UsageError where a function makes the network, and the plan has an encoder for it."""
    if options.network is not None and plan.network.encoder not in OWN_ENCODERS:
        raise UsageError(
            "a network of your own brings its own encoder",
            where="network",
            received=f"encoder {plan.network.encoder}",
            fix="leave `encoder` out, or `network`",
        )


def check_plan_fits(plan: Plan, prepared: Prepared) -> None:
    """Raise PlanError when a plan was made for other data."""
    seen, clip, channels = prepared.fingerprint, plan.clip, plan.input.channels

    def refuse(data: str, where: str, expected: object, received: object, also: str = "") -> None:
        again = "make the plan again with `reunet plan`"
        what = f"the plan was made for {data}"
        raise PlanError(what, where=where, expected=expected, received=received, fix=again + also)

    if clip is not None:
        needs_sequences(seen, "clip")
        if clip.axis != seen.axis:
            also = ", or correct clip.axis: T for time, Z for depth"
            refuse("sequences of another kind", "clip.axis", seen.axis, clip.axis, also)
    if plan.labels != seen.labels:
        refuse("other classes", "labels", ", ".join(seen.labels.names), ", ".join(plan.labels.names))
    if plan.input.channel_names != seen.read_channels:
        names = [", ".join(some) or "all" for some in (seen.read_channels, plan.input.channel_names)]
        refuse("other channels", "input.channel_names", *names)
    if channels != seen.channels or (seen.mixed_channels and not plan.input.grey_to_rgb):
        refuse("images with other channels", "input.channels", seen.channels, channels)


def check_same_data(run: RunFolder, prepared: Prepared) -> None:
    """Raise DataError when the training images are not those the run began with."""
    begun = Fingerprint.read(run.verified_data(run.fingerprint_file) or run.fingerprint_file)
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
