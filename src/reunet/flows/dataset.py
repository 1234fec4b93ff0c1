"""`reunet.dataset`: the batches of a training, for anybody's own loop."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reunet.backend import use_any_backend
from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Plan
from reunet.contracts.sizes import margin
from reunet.errors import PlanError, UsageError, known_name
from reunet.progress import NullProgress
from reunet.sampling.patches import PatchSampler
from reunet.tasks.work import Work

if TYPE_CHECKING:
    from reunet.flows.batches import Batches


def dataset(
    data: str | Path,
    plan: Plan | str | Path,
    *,
    split: Literal["train", "val"] = "train",
    steps: int | None = None,
    augment: bool | None = None,
    threads: int = 2,
    **options: Any,
) -> Batches:
    """The batches that `train` would train on, as NumPy arrays, for Keras `fit`, JAX or PyTorch.

    Parameters
    ----------
    data: a folder with a dataset.
    plan: what `reunet.plan` gives, or a plan.json.
    split: `train`, or `val`: what is held out of it.
    steps: batches of one pass; None for as many as show every image once.
    augment: change patches at random; None for the training split only.
    threads: that sample ahead; 0 for none.
    options: what explains a dataset, as `train` takes it: images, masks, axes, classes, ...

    Raises DataError, PlanError, UsageError.
    """
    known_name(split, ("train", "val"), where="split", error=UsageError)
    for name in options:
        known_name(name, DataOptions.OPTIONS, where="dataset()", error=UsageError)
    made = plan if isinstance(plan, Plan) else _read(plan)
    use_any_backend(made.backend)
    from reunet.flows.batches import Batches
    from reunet.flows.prepare import as_planned, prepare
    from reunet.flows.train.checks import check_plan_fits

    prepared = prepare(Path(data), DataOptions(**options), NullProgress(), seed=made.seed, plan=made)
    check_plan_fits(made, prepared)
    cases = prepared.train if split == "train" else prepared.val
    draw = partial(PatchSampler, targets=Work.of(made).targets, margin=margin(made.network))
    sampler = draw(as_planned(cases, made), made, augment=split == "train" if augment is None else augment)
    passes = max(1, round(sampler.patches_per_epoch / made.batch))
    return Batches(sampler, passes if steps is None else steps, threads)


def _read(plan: Any) -> Plan:
    if not isinstance(plan, str | Path):
        raise PlanError(
            "a dataset is cut into batches by a plan",
            where="dataset()",
            received=f"{plan!r}"[:80],
            fix="plan = reunet.plan(DATA); batches = reunet.dataset(DATA, plan)",
        )
    return Plan.read(Path(plan))
