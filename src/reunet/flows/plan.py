"""`reunet plan`: what would be trained, and why."""

from pathlib import Path

from reunet.backend import choose_backend, use_backend
from reunet.contracts.network import ENCODER_WISHES
from reunet.contracts.options.records import RACE, PlanOptions, TrainOptions, Wishes
from reunet.contracts.options.verb import verb
from reunet.contracts.plan import Plan
from reunet.devices import able_backend, choose_device
from reunet.errors import UsageError, known_name
from reunet.flows.check import understanding
from reunet.flows.prepare import Prepared, as_planned, prepare
from reunet.networks.presets import PRESETS
from reunet.planning import PlanRequest, make_plan
from reunet.planning.cost import FRAMEWORK_BYTES
from reunet.progress import NullProgress
from reunet.report.planned import Planned, write_plan_page
from reunet.storage import refuse_other
from reunet.tasks import check_tasks
from reunet.training.pace import paced

HTML = ("", ".html", ".htm")
"""How names of pages end."""

PLAN, PAGE = '"schema_version"', '<meta name="generator" content="reunet">'
"""What tells a plan, and a page, from other files."""


@verb(PlanOptions)
def plan(options: PlanOptions) -> Plan:
    """Plan a training without training.

    The plan is returned and, with `output`, written as JSON that a person can read and edit; give it
    back with `reunet train --plan`. The HTML file `page` shows the dataset, what the network will be shown,
    and each choice with its reason. Raises DataError, UsageError, PlanError, StorageError.
    """
    if options.page is not None and options.page.suffix.lower() not in HTML:
        raise UsageError("the page is HTML", where="--page", expected=".html", received=options.page.name)
    refuse_other(options.output, PLAN, "-o")
    refuse_other(options.page, PAGE, "--page")
    chosen = choose_backend(options.backend or (None if options.device == "cpu" else able_backend()))
    device = choose_device(options.device, chosen)
    use_backend(chosen)
    check_wishes(options)
    progress = options.on_progress or NullProgress()
    prepared = prepare(options.data, options, progress, seed=options.seed)
    made = make_plan(prepared.fingerprint, paced(PlanRequest.of(options, chosen, device), progress))
    if options.output is not None:
        made.write(options.output)
    if options.page is not None:
        _write_page(options.page, made, prepared)
    return made


def _write_page(page: Path, made: Plan, prepared: Prepared) -> None:
    read = (prepared.scan, prepared.examined)
    check = understanding(*read, prepared.warnings)
    seen = as_planned(prepared.train, made)
    write_plan_page(page, Planned(made, prepared.fingerprint, *read, check, seen, prepared.train))


def check_wishes(wishes: Wishes) -> None:
    """See that what is asked for exists, before any data is read; the backend of Keras is chosen already.

    Raises UsageError, and PlanError with a suggestion for an unknown network.
    """
    check_tasks(wishes.task)
    race = (RACE,) if isinstance(wishes, TrainOptions) else ()
    known_name(wishes.preset, ("auto", *PRESETS, *race), where="--preset")
    if wishes.encoder not in (None, *ENCODER_WISHES):
        from reunet.networks.encoders import ENCODERS

        known_name(wishes.encoder, ENCODERS, where="--encoder")
    if wishes.max_memory is not None and wishes.max_memory <= FRAMEWORK_BYTES:
        raise UsageError(
            "a training framework alone needs more memory than allowed",
            where="--max-memory",
            expected=f"more than {FRAMEWORK_BYTES / 1e9:.1f} GB",
            received=f"{wishes.max_memory / 1e9:.1f} GB",
            fix="allow more memory",
        )
