"""How good a run just trained is on the images that it held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reunet.contracts.results import EvaluateResult
from reunet.contracts.run import RunFolder
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.flows.evaluate.labelled import Labelled, Sizes, loaders_of
from reunet.flows.evaluate.scoring import Loaders, score_images, write_evaluation
from reunet.flows.folds.ledger import State
from reunet.inference.load import load
from reunet.inference.sequence import AnyPredictor
from reunet.progress import Progress
from reunet.report.page import Report
from reunet.texts import Language

if TYPE_CHECKING:  # it plans, hence imports a training framework, which evaluating must not need
    from reunet.flows.prepare import Prepared
    from reunet.inference.keras_runtime import OwnNetwork

SEEN_ALREADY = (
    "These images were held out of training, but they chose the weights and thresholds: expect a little "
    "less on new images."
)


def evaluate_split(
    run: RunFolder,
    prepared: Prepared,
    progress: Progress,
    split: str = "val",
    network: OwnNetwork | None = None,
    language: Language = "en",
) -> EvaluateResult:
    """Score a run just trained on its held-out cases with its exported engine; network: of its own, if it has
    one. language: of the report.

    Writes RUN/evaluation/<split>/ and the same report to RUN/report.html. Raises StorageError, DataError.
    """
    predictor = load(run.path, network=network)
    loaders = loaders_of(predictor, [_labelled(case) for case in prepared.val])
    evaluation = score_images(loaders, predictor.work, predictor.calibration, split, progress)
    known = [f"{problem.file}: {problem.message}" for problem in prepared.warnings]
    warnings = [SEEN_ALREADY, *prepared.splits.notes, *known[:20]]
    if len(known) > 20:
        warnings.append(f"and {len(known) - 20} more warnings: see `reunet check`")
    report = report_of(run, predictor, loaders, f"{prepared.dataset.name}: {split}", warnings)
    report = replace(report, language=language)
    return write_evaluation(evaluation, report, run.evaluation(split), also=run.report_file)


def _labelled(case: CaseArrays) -> Labelled:
    def read() -> tuple[np.ndarray, Truth]:
        return np.asarray(case.image), case.truth

    def sizes() -> Sizes:
        return Sizes(case.spacing, case.stated)

    return Labelled(case.id, case.sequence, read, case.id, sizes, bool(case.truth))


def report_of(
    run: RunFolder, predictor: AnyPredictor, images: Loaders, title: str, warnings: Sequence[str]
) -> Report:
    """What a report tells of the run beside the scores."""
    plan = predictor.plan
    facts = {
        "Run": run.path.resolve().name,
        "Network": f"{plan.network.preset}, {plan.network.filters[0]} to {plan.network.filters[-1]} filters",
        "Engine": f"{predictor.runtime.name} {predictor.runtime.precision}",
    }
    if predictor.tta:
        facts["Test-time augmentation"] = f"mirrored {2**predictor.rank} ways"
    if run.trainings_file.is_file():
        facts |= State.read(run.trainings_file).told()
    return Report(title, facts=facts, images=images, warnings=warnings, plan=plan, history=run.history())
