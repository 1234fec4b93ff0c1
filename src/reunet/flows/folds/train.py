"""`reunet train --folds K` and `--preset race`: several trainings in one run."""

from functools import partial

from reunet.contracts.options.records import TrainOptions
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.errors import UsageError
from reunet.flows.folds.budget import FEWEST_S, Division
from reunet.flows.folds.data import FoldedData
from reunet.flows.folds.ledger import Ledger, State
from reunet.flows.folds.race import entrants
from reunet.flows.folds.trainings import Trainings
from reunet.flows.train.beginning import Beginning, begun
from reunet.flows.train.planned import settled_plan


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
