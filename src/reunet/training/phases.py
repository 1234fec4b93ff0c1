"""A training in phases: a pretrained encoder rests at first, and memory joins late.

In the first steps of a network for sequences each frame is an image of its own: its recurrences are skipped
and many independent frames are a batch. Then windows of frames follow each other in chains that grow.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from reunet.contracts.plan import ClipSpec, Plan
from reunet.networks.recurrence import Recurrence
from reunet.networks.residual import MEMORY, GainedSum
from reunet.training.carry import CarryingModel, network_of
from reunet.training.rates import ENCODER


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    begins_at: its progress, 0..1. resting: what does not learn in it. plan: how its batches are cut, in
    `batch` and `clip`.
    """

    begins_at: float
    resting: frozenset[str]
    plan: Plan

    @property
    def step(self) -> tuple[frozenset[str], int]:
        """What a compiled step depends on."""
        return self.resting, self.plan.batch


def phases_of(plan: Plan, late: Collection[str]) -> list[Phase]:
    """The phases of a plan for a network of which `late`, some of ENCODER and MEMORY, may join late."""
    joins = {ENCODER: plan.schedule.encoder_from, MEMORY: plan.schedule.memory_from}
    chains = {joins[MEMORY]: plan} if MEMORY in late else {}
    if MEMORY in late and plan.clip is not None:
        chains = {0.0: _single_frames(plan, plan.clip)} | _chains(plan, plan.clip, joins[MEMORY])
    phases, cut = [], plan
    for begin in sorted({0.0, *(joins[name] for name in late), *chains}):
        cut = chains.get(begin, cut)
        phases.append(Phase(begin, frozenset(name for name in late if begin < joins[name]), cut))
    return phases


def _single_frames(plan: Plan, clip: ClipSpec) -> Plan:
    """As many frames per batch, each a window by itself; none is spoilt, since nothing is remembered."""
    single = {
        "clip": clip.model_copy(update={"frames": 1, "carry": 1}),
        "batch": plan.batch * clip.frames,
        "augmentation": plan.augmentation.model_copy(update={"frames": None}),
    }
    return plan.model_copy(update=single)


def _chains(plan: Plan, clip: ClipSpec, begin: float) -> dict[float, Plan]:
    """Chains of 1, 2, 4, ... up to `carry` windows, in equal parts of what is left from `begin` on."""
    doubled = [2**power for power in range(clip.carry.bit_length())]
    lengths = [length for length in doubled if length < clip.carry] + [clip.carry]
    cuts = (clip.model_copy(update={"carry": length}) for length in lengths)
    return {
        begin + (1 - begin) * number / len(lengths): plan.model_copy(update={"clip": clip})
        for number, clip in enumerate(cuts)
    }


class Phases:
    """Which phase a model trains in; each kind of step is compiled once.

    now: the number of the phase; None before the first one.
    """

    def __init__(self, model: keras.Model, plan: Plan) -> None:
        self._model, self._gain = model, plan.network.recurrence.gain
        self.all = phases_of(plan, model.optimizer.late)
        self.now: int | None = None
        self._begins = [phase.begins_at for phase in self.all]
        self._steps: dict[Any, Any] = {}
        self._step: Any = None
        recurrent = [one for one in network_of(model).layers if isinstance(one, Recurrence | GainedSum)]
        self._memory = [*recurrent, model] if isinstance(model, CarryingModel) else recurrent

    @property
    def phase(self) -> Phase:
        """The phase of now."""
        return self.all[self.now or 0]

    def begin(self) -> None:
        """Call before the first step of a training: memory that rests shows nothing of itself."""
        if MEMORY in self.all[0].resting:
            self._set_gains(0.0)

    def enter(self, progress: float) -> bool:
        """Be in the phase of a progress, 0..1. Returns whether another one begins with it."""
        number, before = bisect_right(self._begins, progress) - 1, self.now
        self.now = number
        if len(self.all) == 1:
            return False
        self._take_step()
        if before is None or before == number:
            return False
        for name in self.all[before].resting - self.phase.resting:
            self._model.optimizer.join(name)
            if name == MEMORY:
                self._set_gains(self._gain or 0.0)
        if isinstance(self._model, CarryingModel):
            self._model.forget()
        return True

    @contextmanager
    def training(self) -> Iterator[None]:
        """Make the steps of a phase inside: memory that rests is skipped there, and only there."""
        skipped = self._memory if MEMORY in self.phase.resting else ()
        for layer in skipped:
            layer.resting = True
        try:
            yield
        finally:
            for layer in skipped:
                layer.resting = False

    def _take_step(self) -> None:
        """Train with the compiled step of this phase from here on."""
        model, kind = self._model, self.phase.step
        if kind == self._step:
            return
        if self._step is not None:
            self._steps[self._step] = model.train_function
        self._step = kind
        model.optimizer.rest(self.phase.resting)
        model.train_function = self._steps.get(kind)
        if model.train_function is None:  # JAX would take the step it has compiled of the same method
            model.train_step = partial(type(model).train_step, model)

    def _set_gains(self, value: float) -> None:
        for layer in self._memory:
            if isinstance(layer, GainedSum):
                layer.gain.assign(keras.ops.full(layer.gain.shape, value, layer.gain.dtype))
