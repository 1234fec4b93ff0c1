"""`reunet train --folds K` and `--preset race`: several trainings in one run."""

from __future__ import annotations

import gc
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from reunet.contracts.options.records import TrainOptions
from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.errors import UsageError
from reunet.flows.folds.budget import FEWEST_S, Division, with_budget
from reunet.flows.folds.data import FoldedData
from reunet.flows.folds.finish import ensemble_plan, finish, fit_together, publish_ensemble
from reunet.flows.folds.held_out import HeldOut
from reunet.flows.folds.ledger import RACE, Ledger, State, Trained
from reunet.flows.folds.race import best, entrants, heats
from reunet.flows.folds.refining import LOOKED_AT, fit_cleaning, masks_of, mirroring_helps
from reunet.flows.prepare import Prepared
from reunet.flows.train.beginning import Beginning, begun, settled_plan, weights_of
from reunet.flows.train.training import begin_folder, made_network, trained, write_beginning
from reunet.tasks.work import Work

if TYPE_CHECKING:
    from reunet.networks.pretrained import Weights

MAPS = "out_of_fold/maps"


def train_several(options: TrainOptions, started: float) -> TrainResult:
    """Race, train the folds, choose, average, and finish the run; raises as `train` does."""
    file = RunFolder(options.run).trainings_file
    resumed = State.read(file) if options.resume and file.is_file() else None
    settled = next(iter(resumed.plans.values())) if resumed else settled_plan(options)
    with begun(options, settled, started) as begin:
        prepared = begin.read()
        data = FoldedData(prepared, resumed.folds if resumed else options.folds or 0, begin.seed)
        state = resumed or _begun(data, begin)
        for plan in state.plans.values():
            _check_single(plan)
        plans = {name: begin.fitted(plan, data.whole) for name, plan in state.plans.items()}
        begin.open_folder(next(iter(plans.values())), data.whole)
        ledger = Ledger(file, state.model_copy(update={"plans": plans}), started)
        return Trainings(begin, data, ledger).all()


def _check_single(plan: Plan) -> None:
    """Raise UsageError for a network that has no mean with others yet."""
    if plan.prompt is not None or plan.network.thinks:
        raise UsageError(
            "networks that think or are asked by points are trained alone",
            where="--folds, --preset race",
            received=plan.network.preset,
            fix="train it without them",
        )


def _begun(data: FoldedData, begin: Beginning) -> State:
    """What a new command has to do. Raises UsageError for too few minutes, and what planning raises."""
    options, settled = begin.options, begin.settled
    budget = dict(options.budget) if settled is None else _budget_of(settled)
    minutes = budget.get("minutes")
    planned = partial(begin.new_plan, data.whole.fingerprint)
    if minutes is not None:
        rough = Division(2 * options.races, 1, data.folds)
        each = (minutes * (1 - rough.race_share) - rough.after(minutes * 60) / 60) / rough.trainings
        planned = partial(planned, minutes=max(each, 1e-3))
    if settled is not None:
        plans = {settled.network.preset: settled}
    elif options.races:
        plans = entrants(planned, data.whole.fingerprint.rank)
    else:
        plans = {options.preset: planned()}
    if minutes is not None:
        while len(plans) > 2 and Division(len(plans), 1, data.folds).shortest(minutes) < FEWEST_S:
            plans.popitem()  # fewer race where the minutes are few
        Division(len(plans) if len(plans) > 1 else 0, 1, data.folds).check(minutes)
    told = options.encoder_weights
    return State(folds=data.folds, seed=data.seed, budget=budget, plans=plans, encoder_weights=told)


def _budget_of(plan: Plan) -> dict[str, float]:
    told = {name: getattr(plan.schedule, name) for name in ("minutes", "steps", "epochs")}
    return {name: value for name, value in told.items() if value is not None}


class Trainings:
    """What is to be done in one run folder, and the ledger of what is done."""

    def __init__(self, begin: Beginning, data: FoldedData, ledger: Ledger) -> None:
        self.begin, self.data, self.ledger = begin, data, ledger
        self.run, self.progress = RunFolder(begin.options.run), begin.progress

    def all(self) -> TrainResult:
        """From where the ledger is to the finished run."""
        self.ledger.note()
        if not self.ledger.state.finalists:
            self.ledger.note(finalists=tuple(self._race()))
        if not self.data.folds:
            return self._single()
        for line in self.data.unseen():
            self.progress.message(f"warning: {line}")
        folds = self._train_folds()
        return self._finish(folds)

    # -- the race --------------------------------------------------------------------------------

    def _race(self) -> list[str]:
        """The names of those that are trained in full."""
        names = list(self.ledger.state.plans)
        if len(names) == 1:
            return names
        finalists = 2 if self._affords_two(len(names)) else 1
        division = Division(len(names), finalists, self.data.folds)
        budget = self.ledger.state.budget.get("minutes")
        for heat, share in enumerate(division.heat_shares):
            scores: dict[str, float | None] = {}
            for name in names:
                seconds = None if budget is None else budget * 60 * share
                plan = with_budget(self.ledger.state.plans[name], seconds, share)
                scores[name] = self._train(f"{RACE}/{heat}/{name}", plan, self.data.fold(0)).score
            left = heats(len(self.ledger.state.plans), finalists)[heat + 1 :]
            names = best(scores, left[0] if left else finalists)
            self.progress.message(f"race, heat {heat + 1}: {', '.join(names)} go on")
        return names

    def _affords_two(self, racers: int) -> bool:
        """Whether the folds may be trained of two networks, so that their mean can be tried."""
        if not self.data.folds:
            return False
        minutes = self.ledger.state.budget.get("minutes")
        if minutes is None:
            return True
        division = Division(racers, 2, self.data.folds)
        seconds = minutes * 60
        return (seconds * (1 - division.race_share) - division.after(seconds)) / division.trainings >= 60

    # -- trainings -------------------------------------------------------------------------------

    def _weights(self, plan: Plan) -> Weights | None:
        return weights_of(plan.network.encoder, self.ledger.state.encoder_weights)

    def _train(self, folder: str, plan: Plan, prepared: Prepared) -> Trained:
        """A training in a folder of its own below the run, or what is known of it; it is gone on with."""
        if (known := self.ledger.state.trained.get(folder)) is not None:
            return known
        run = RunFolder(self.run.path / folder)
        resume, before = run.has_checkpoint, self.ledger.state.seconds
        if not resume:
            before = self.ledger.elapsed
            self.ledger.note()
            begin_folder(run, plan, prepared, self.begin.device)
        setting = self.begin.setting(run.plan() if resume else plan, run, time.monotonic())
        self.progress.message(f"{folder}: {len(prepared.train)} images, {len(prepared.val)} held out")
        model = made_network(setting, resume=resume, weights=None if resume else self._weights(plan))
        result, _ = trained(setting, model, prepared, resume=resume)
        training = Trained(steps=result.steps, seconds=result.seconds, score=result.score)
        self.ledger.ended(folder, training, before)
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        del model
        _forget()
        return training

    def _single(self) -> TrainResult:
        """The winner of a race, in the run folder itself."""
        from reunet.flows.train.finish import finish as finish_single

        run, (name,) = self.run, self.ledger.state.finalists
        resume = any(run.checkpoints.glob("[0-9]*"))
        plan = run.plan() if resume else with_budget(self.ledger.state.plans[name], self.ledger.left)
        if not resume:
            why = plan.reasons | {"network.preset": f"{name} won the race: see trainings.json"}
            plan = plan.model_copy(update={"reasons": why})
            write_beginning(run, plan, self.data.prepared, self.begin.device)
        setting = self.begin.setting(plan, run, time.monotonic())
        model = made_network(setting, resume=resume, weights=None if resume else self._weights(plan))
        result, validator = trained(setting, model, self.data.prepared, resume=resume)
        finish_single(setting, self.data.prepared, validator, result, self.begin.options.lang)
        return replace(result, seconds=self.ledger.elapsed)

    def _train_folds(self) -> dict[str, list[RunFolder]]:
        """The run folders of each finalist, fold by fold."""
        state, count = self.ledger.state, self.data.folds
        turns = [(number, name) for number in range(count) for name in state.finalists]
        folders: dict[str, list[RunFolder]] = {name: [] for name in state.finalists}
        division = Division(0, len(state.finalists), count)
        for turn, (number, name) in enumerate(turns):
            folder = f"fold{number}" if len(state.finalists) == 1 else f"fold{number}-{name}"
            seconds = None
            if (left := self.ledger.left) is not None:
                kept = division.after(state.budget["minutes"] * 60)
                seconds = (left - kept) / (len(turns) - turn)
            plan = with_budget(state.plans[name], seconds)
            plan = plan.model_copy(update={"seed": plan.seed + number})
            self._train(folder, plan, self.data.fold(number))
            folders[name].append(RunFolder(self.run.path / folder))
        return folders

    # -- afterwards ------------------------------------------------------------------------------

    def _finish(self, folders: dict[str, list[RunFolder]]) -> TrainResult:
        state, run = self.ledger.state, self.run
        first = state.plans[state.finalists[0]]
        held = HeldOut(run.path / MAPS, self.data.whole.train, Work.of(first))
        self.progress.start("predicting what was held out", len(held.cases) * len(folders))
        for name, runs in folders.items():
            for number, one in enumerate(runs):
                held.predict(name, one, self.data.fold(number).val, self.progress)
                _forget()
        choices = [one for one in held.choices(state.finalists) if self._possible(one.names)]
        self.ledger.note(choices=tuple(choices))
        names = choices[0].names
        members = [one for name in names for one in folders[name]]
        why = f"the mean of {len(members)} networks ({' and '.join(names)}), each of which saw other images"
        plan = ensemble_plan(state.plans[names[0]], [one.plan() for one in members], why)
        self.progress.start("fitting thresholds on the out-of-fold predictions", None)
        calibration = held.work.fit(held.pairs(names))
        calibration = self._refined(calibration, held, names, folders[names[0]])
        for one in members:
            one.write_calibration(calibration)
        write_beginning(run, plan, self.data.whole, self.begin.device)
        publish_ensemble(run, plan, members)
        language = self.begin.options.lang
        finish(run, plan, self.data.whole, held, self.ledger.state, calibration, self.progress, language)
        shutil.rmtree(run.path / MAPS, ignore_errors=True)
        self.ledger.note()
        done = [self.ledger.state.trained[one.path.name] for one in members]
        steps = sum(one.steps for one in done)
        return TrainResult(run.path, steps, choices[0].score, self.ledger.elapsed, steps)

    def _refined(
        self, calibration: Calibration, held: HeldOut, names: Sequence[str], folds: Sequence[RunFolder]
    ) -> Calibration:
        """With what makes the out-of-fold predictions better, as far as there is time to try."""
        every = max(1, len(held.cases) // LOOKED_AT)
        update: dict[str, object] = {}
        seconds = self._to_spare()
        if held.work.main.name == "semantic":
            masks = masks_of(held.pairs(names, every), held.work, calibration)
            update["cleaning"] = fit_cleaning(masks, held.work.classes.labels, seconds / 4)
        if self._to_spare() > 2.0 * len(folds):
            pairs = [(one, self.data.fold(k).val) for k, one in enumerate(folds)]
            update["tta"] = mirroring_helps(pairs, held.work, calibration)
            _forget()
        return calibration.model_copy(update=update)

    def _possible(self, names: Sequence[str]) -> bool:
        plans = [self.ledger.state.plans[name] for name in names]
        return len(plans) == 1 or fit_together(*plans)

    def _to_spare(self) -> float:
        """Seconds until half of the time that is kept for afterwards is over; the export needs the rest."""
        if (left := self.ledger.left) is None:
            return math.inf
        kept = Division(0, 1, self.data.folds).after(self.ledger.state.budget["minutes"] * 60)
        return max(0.0, left - kept / 2)


def _forget() -> None:
    """Free what Keras keeps of the networks that were there."""
    import keras

    keras.utils.clear_session(free_memory=False)
    gc.collect()
