"""How good a run just trained is on the images that it held out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from reunet.contracts.results import EvaluateResult
from reunet.contracts.run import RunFolder
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.flows.evaluate.labelled import Labelled, loaders_of
from reunet.flows.evaluate.scoring import Context, score_images, write_evaluation
from reunet.inference.load import load
from reunet.inference.predictor import Predictor
from reunet.inference.sequence import SequencePredictor
from reunet.progress import Progress
from reunet.tasks.work import Work

if TYPE_CHECKING:  # it plans, hence imports a training framework, which evaluating must not need
    from reunet.flows.prepare import Prepared

SEEN_ALREADY = (
    "These images were held out of training, but they chose the weights and thresholds: expect a little "
    "less on new images."
)


def evaluate_split(
    run: RunFolder, prepared: Prepared, progress: Progress, split: str = "val"
) -> EvaluateResult:
    """Score a run just trained on its held-out cases with its exported engine.

    Writes RUN/evaluation/<split>/ and the same report to RUN/report.html. Raises StorageError, DataError.
    """
    plan, predictor = run.plan(), load(run.path)
    images = [
        Labelled.of(case, partial(_arrays, case), partial(getattr, case, "spacing")) for case in prepared.val
    ]
    loaders = loaders_of(predictor, images)
    evaluation = score_images(loaders, Work.of(plan), predictor.calibration, split, progress)
    known = [f"{problem.file}: {problem.message}" for problem in prepared.warnings]
    warnings = [SEEN_ALREADY, *prepared.splits.notes, *known[:20]]
    if len(known) > 20:
        warnings.append(f"and {len(known) - 20} more warnings: see `reunet check`")
    context = context_of(run, predictor, prepared.dataset.name, split, warnings)
    return write_evaluation(evaluation, context, run.evaluation(split), also=run.report_file)


def _arrays(case: CaseArrays) -> tuple[np.ndarray, Truth]:
    return np.asarray(case.image), case.truth


def context_of(
    run: RunFolder,
    predictor: Predictor | SequencePredictor,
    dataset: str,
    split: str,
    warnings: Sequence[str],
) -> Context:
    """What a report tells of the run beside the scores."""
    plan = predictor.plan
    facts = {
        "Run": run.path.resolve().name,
        "Network": f"{plan.network.preset}, {plan.network.filters[0]} to {plan.network.filters[-1]} filters",
        "Engine": f"{predictor.runtime.name} {predictor.runtime.precision}",
    }
    if predictor.tta:
        facts["Test-time augmentation"] = f"mirrored {2**predictor.rank} ways"
    return Context(f"{dataset}: {split}", facts, warnings, plan, run.history_file)
