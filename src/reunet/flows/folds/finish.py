"""From the networks of the folds to one finished run: their mean, thresholds, the engine, the report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import Scored, TrainResult
from reunet.contracts.run import RunFolder
from reunet.exporting.measure import Trial
from reunet.exporting.openvino import export_engine
from reunet.flows.evaluate.held_out import report_of
from reunet.flows.evaluate.scoring import score_images, write_evaluation
from reunet.flows.folds.held_out import HeldOut
from reunet.flows.folds.ledger import State
from reunet.flows.prepare import Prepared
from reunet.flows.train.finish import model_card, tiles_of
from reunet.inference.load import load
from reunet.progress import Progress
from reunet.storage import write_text
from reunet.tasks import every_task
from reunet.tasks.outputs import Destination
from reunet.texts import Language

SPLIT = "out_of_fold"

OUT_OF_FOLD = (
    "Each of these images was predicted by a network that was not trained on it; the run is the mean of all "
    "of them, which is a little better on new images. Thresholds were fitted on the same predictions."
)


def ensemble_plan(plan: Plan, members: Sequence[Plan], why: str) -> Plan:
    """The plan of the mean of the networks of `members`, the one with the largest strides in front."""
    networks = sorted((one.network for one in members), key=lambda one: one.total_stride, reverse=True)
    merged = networks[0].model_copy(update={"members": tuple(networks)})
    reasons = plan.reasons | {"network.members": why}
    told = plan.model_copy(update={"network": merged, "reasons": reasons})
    return Plan.parse(told.model_dump(), where="plan of the folds")


def fit_together(plan: Plan, other: Plan) -> bool:
    """Whether the mean of two networks is a network: they read the same images, at the same size of tile."""
    pairs = [(plan, other), (other, plan)]
    same = all(
        getattr(plan, name) == getattr(other, name) for name in ("input", "spacing", "clip", "inference")
    )
    return same and any(
        all(a % b == 0 for a, b in zip(one.network.total_stride, two.network.total_stride, strict=True))
        for one, two in pairs
    )


def publish_ensemble(run: RunFolder, plan: Plan, members: Sequence[RunFolder]) -> None:
    """Write the weights of all members as those of the one network that is their mean."""
    from reunet.inference.weights_file import read_weights
    from reunet.networks import build_network
    from reunet.networks.ensemble import members_of
    from reunet.training.state import weights_content

    network = build_network(plan.network)
    folders = sorted(members, key=lambda one: one.plan().network.total_stride, reverse=True)
    for part, folder in zip(members_of(network), folders, strict=True):
        read_weights(part, folder.verified_weights(folder.plan()))
    run.publish_weights(plan, weights_content(network, plan))


def finish(
    run: RunFolder,
    plan: Plan,
    prepared: Prepared,
    held: HeldOut,
    state: State,
    calibration: Calibration,
    progress: Progress,
    language: Language,
) -> None:
    """Write all that a run has, of the mean of the members of `plan`, whose weights are there.

    prepared: all training cases as such.
    """
    names = state.choices[0].names
    run.write_calibration(calibration)
    progress.start("exporting the engine", None)
    export_engine(run, Trial(tiles_of(prepared.train, plan)))
    progress.start("evaluating the out-of-fold predictions", None)
    loaders = {
        case.id: partial(_scored, run, held, names, number, calibration)
        for number, case in enumerate(held.cases)
        if case.truth
    }
    predictor = load(run.path)
    evaluation = score_images(loaders, held.work, calibration, SPLIT, progress)
    warnings = [OUT_OF_FOLD, *prepared.splits.notes]
    report = report_of(run, predictor, loaders, f"{prepared.dataset.name}: out of fold", warnings)
    report = replace(report, language=language)
    metrics = write_evaluation(evaluation, report, run.evaluation(SPLIT), also=run.report_file).metrics
    write_text(run.path / "model_card.md", _card(run, plan, prepared, state, metrics))


def _scored(
    run: RunFolder, held: HeldOut, names: Sequence[str], number: int, calibration: Calibration
) -> Scored:
    """One case with the out-of-fold prediction, whose files are written when it is first asked for."""
    case = held.cases[number]
    found = held.work.decode(held.maps(names, number), calibration)

    def path(kind: str, suffix: str) -> Any:
        return run.path / SPLIT / kind / f"{case.id.replace('#', '_')}{suffix}"

    labels = held.work.classes.labels
    for output in (output for one in every_task() for output in one.outputs if not output.asked):
        values = getattr(found, output.of)
        if values is not None and not any(path(output.kind, end).exists() for end in output.suffixes):
            output.write(values, found, Destination(path, labels, pages=np.ndim(values) == 3))
    return Scored(np.asarray(case.image), case.truth, found, case.spacing, case.stated)


def _card(run: RunFolder, plan: Plan, prepared: Prepared, state: State, metrics: Mapping[str, Any]) -> str:
    folds = [one for name, one in state.trained.items() if not name.startswith("race/")]
    steps = sum(one.steps for one in folds)
    result = TrainResult(run.path, steps, None, state.seconds, steps)
    lines = "".join(f"- {name}: {text}\n" for name, text in state.told().items())
    return f"{model_card(plan, prepared, result, metrics)}\n{OUT_OF_FOLD}\n\n{lines}"
