"""Training of a network that thinks: any number of iterations without gradients, then some to learn from.

So no iteration learns to rely on how many came before it, and what is begun is carried on (Bansal et al.
2022, arXiv 2202.05826, section 3.2, "progressive training"). A network that is asked by points sees what it
has found among its dots, as flood-filling networks do (Januszewski et al. 2018, Nature Methods 15).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from reunet.contracts.labels import IGNORE
from reunet.contracts.plan import Plan, ThinkingSpec
from reunet.errors import PlanError
from reunet.machine import memory_bytes
from reunet.networks import build_network
from reunet.planning.cost import training_bytes

States = dict[str, Any]


class ThinkingModel(keras.Model):
    """A network for one iteration, called as often as its plan says.

    Called with patches (B, *patch, C); gives the logits after the last iteration. While training the
    iterations before the last `window` ones are without gradients, and there are `ahead` of them, a variable
    that `draw` sets.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(name=plan.network.preset)
        self._plan, self._spec = plan, spec_of(plan)
        self.network = build_network(plan.network, seed=plan.seed, size=plan.patch, carry=True)
        self._shapes = {name: x.shape[1:] for name, x in self.network.input.items() if name != "image"}
        self.ahead = self.add_weight((), initializer="zeros", dtype="int32", trainable=False, name="ahead")

    def draw(self, k: int) -> None:
        """Before the step on batch `k`, which alone decides together with the seed."""
        rng = np.random.default_rng((self._plan.seed, 6, k))
        self.ahead.assign(int(rng.integers(self._spec.iterations - self._spec.window + 1)))

    def call(self, image: Any, training: bool | None = None) -> dict[str, Any]:
        states, found, spec = self._first(image), ops.zeros_like(image[..., -1:]), self._spec
        if not training:
            return self._iterated(image, states, found, spec.iterations, training)
        states, self._before = self._thought(image, states, found)
        return self._iterated(image, states, self._before, spec.window, training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool | None = True,
    ) -> Any:
        """Alpha L_progressive + (1 - alpha) L_all (equation 2 of the paper)."""
        alpha = self._spec.alpha
        told = self._in_reach(x, y, self._before) if training and self._spec.reach is not None else y
        loss = super().compute_loss(x, told, y_pred, sample_weight, training)
        if not training or alpha == 1:
            return loss
        begun = self._first(x), ops.zeros_like(x[..., -1:])
        found = self._iterated(x, *begun, self._spec.iterations, training)
        return alpha * loss + (1 - alpha) * super().compute_loss(x, y, found, sample_weight, training)

    def _in_reach(self, image: Any, truth: dict[str, Any], before: Any) -> dict[str, Any]:
        """Truth, whose labels (B, *space) are IGNORE where the thing goes on beyond reach of the dots and of
        what was found `before` of it.
        """
        labels = ops.cast(truth["semantic"], "int32")
        is_asked = ops.logical_and(labels != self._plan.labels.background, labels != IGNORE)
        thing = ops.cast(is_asked, "float32")[..., None]
        reached = thing * ops.cast(ops.maximum(2 * image[..., -1:], before) > 0.5, "float32")
        for _ in range(self._spec.reach or 0):
            reached = thing * ops.max_pool(reached, 3, 1, "same")
        return {**truth, "semantic": ops.where((thing > reached)[..., 0], IGNORE, labels)}

    def _first(self, image: Any) -> States:
        batch = ops.shape(image)[0]
        return {name: ops.zeros((batch, *shape), "float32") for name, shape in self._shapes.items()}

    def _iterated(
        self, image: Any, states: States, found: Any, count: int, training: bool | None
    ) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        for _ in range(count):
            if outputs and self._spec.feedback:
                found = self._found(outputs)
            outputs = dict(self.network({"image": self._shown(image, found), **states}, training=training))
            states = {name: outputs.pop(name) for name in states}
        return outputs

    def _found(self, outputs: dict[str, Any]) -> Any:
        """How sure it is of each pixel that it belongs, (B, *space, 1) float32; without gradients."""
        chances = ops.softmax(ops.cast(outputs["semantic"], "float32"), axis=-1)
        background = self._plan.labels.background or 0
        return ops.stop_gradient(1 - chances[..., background : background + 1])

    def _shown(self, image: Any, found: Any) -> Any:
        return with_found(image, found) if self._spec.feedback else image

    def _thought(self, image: Any, states: States, found: Any) -> tuple[States, Any]:
        """The states after `ahead` iterations, through which no gradient flows, nor to any weight, and what
        was found.
        """
        fixed = [(v, ops.stop_gradient(v.value)) for v in self.network.variables]

        def once(number: Any, found: Any, *before: Any) -> tuple[Any, ...]:
            given = dict(zip(states, before, strict=True))
            with keras.StatelessScope(state_mapping=fixed):
                outputs = self.network({"image": self._shown(image, found), **given}, training=False)
            if self._spec.feedback:
                found = self._found(outputs)
            return number + 1, found, *[ops.cast(outputs[name], "float32") for name in states]

        _, found, *after = ops.while_loop(
            lambda number, *_: number < self.ahead,
            once,
            (ops.zeros((), "int32"), found, *[ops.stop_gradient(state) for state in states.values()]),
        )
        carried = {name: ops.stop_gradient(x) for name, x in zip(states, after, strict=True)}
        return carried, ops.stop_gradient(found)


def with_found(image: Any, found: Any) -> Any:
    """What an iteration is shown: the image, in whose last channel, of the dots, stands what was found."""
    return ops.concatenate([image[..., :-1], ops.maximum(image[..., -1:], found)], axis=-1)


def spec_of(plan: Plan) -> ThinkingSpec:
    """How a network that thinks is trained."""
    return plan.thinking or ThinkingSpec()


def check_memory(plan: Plan) -> None:
    """Raise PlanError where the iterations that are learned from need more memory than the machine has."""
    spec, memory = spec_of(plan), memory_bytes()
    count = spec.window + (spec.iterations if spec.alpha < 1 else 0)
    needed = training_bytes(plan.network, plan.patch, plan.batch * count)
    if memory is not None and needed > memory:
        raise PlanError(
            "so many iterations do not fit into the memory of this machine",
            where="thinking",
            expected=f"at most {memory / 1e9:.1f} GB",
            received=f"about {needed / 1e9:.1f} GB for {count} iterations that are learned from, "
            f"of {plan.batch} patches",
            fix="make thinking.window smaller, thinking.alpha 1, or batch smaller",
        )
