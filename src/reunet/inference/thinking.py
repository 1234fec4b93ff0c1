"""An engine that is asked again and again about the same tiles, until what it says stands still."""

from collections.abc import Mapping
from math import ceil, prod

import numpy as np

from reunet.contracts.plan import Plan, ThinkingSpec
from reunet.errors import UsageError
from reunet.inference.runtime import StateShapes, StepRuntime, first_states

MOST_ITERATIONS = 10_000
"""More are a slip of the finger: each takes as long as a prediction of another network."""

STILL = 2
"""In so many iterations one after the other no pixel may change its mind."""

AHEAD = 4
"""Auto goes on for so many times what a path through the whole tile is expected to take."""


class Thinking(StepRuntime):
    """A network that thinks, for a number of iterations.

    iterations: exactly so many; None until no pixel crosses one half any more, and at most AHEAD times those
    of the training, by so many times more as the tile has pixels than the patch. taken: in the last call.
    """

    def __init__(self, runtime: StepRuntime, plan: Plan, iterations: int | None = None) -> None:
        self._runtime, self.name, self.precision = runtime, runtime.name, runtime.precision
        self.states: StateShapes = {}
        self.iterations, self.taken = iterations, 0
        spec = plan.thinking or ThinkingSpec()
        trained, self._background = spec.iterations, (plan.labels.background or 0) if spec.feedback else None
        self._least = min(trained, STILL + 1)
        self._most = AHEAD * ceil(trained * max(1.0, prod(plan.inference.tile) / prod(plan.patch)))

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        carried, before, still = first_states(self._runtime, len(batch)), dict[str, np.ndarray](), 0
        for number in range(1, (self.iterations or self._most) + 1):
            found = dict(self._runtime.step(self._shown(batch, before), carried))
            carried = {name: found.pop(name) for name in carried}
            stands = all(np.array_equal(x > 0.5, before[name] > 0.5) for name, x in found.items() if before)
            still = still + 1 if stands and before else 0
            before = found
            if self.iterations is None and still == STILL and number >= self._least:
                break
        self.taken = number
        return found

    def _shown(self, batch: np.ndarray, before: Mapping[str, np.ndarray]) -> np.ndarray:
        """What an iteration sees: with feedback what was found stands in the channel of the dots."""
        if self._background is None or not before:
            return batch
        found = 1 - before["semantic"][..., self._background, None]
        return np.concatenate([batch[..., :-1], np.maximum(batch[..., -1:], found)], axis=-1)


def thinking(runtime: StepRuntime, plan: Plan, iterations: int | None = None) -> StepRuntime:
    """The engine as it is asked: over and over where the network thinks, else as it is."""
    if not plan.network.thinks or isinstance(runtime, Thinking):
        return runtime
    return Thinking(runtime, plan, iterations)


def iterations_of(wish: int | str | None, plan: Plan) -> int | None:
    """How many iterations were asked for; None for as many as it takes. Raises UsageError."""
    if wish is None:
        return None
    if not plan.network.thinks:
        raise UsageError(
            "this option has no effect: the network of this run does not iterate",
            where="--iterations",
            received=f"network {plan.network.preset}",
            fix="leave --iterations out; the preset thinking_unet trains a network that thinks",
        )
    if wish == "auto":
        return None
    try:
        count = int(wish)
    except ValueError:
        count = 0
    if not 1 <= count <= MOST_ITERATIONS:
        raise UsageError(
            "not a number of iterations",
            where="--iterations",
            expected=f"auto, or 1 to {MOST_ITERATIONS}",
            received=wish,
            fix="use --iterations auto: until the mask stands still",
        )
    return count
