"""Networks that think: an iteration is a step with states, and any number of them is one computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reunet.errors import PlanError

from .family import config_of, give_weights, image_for, numpy_of

pytestmark = pytest.mark.usefixtures("backend")


def iterated(step: Any, image: np.ndarray, count: int) -> np.ndarray:
    from keras import ops

    from reunet.networks import state_names

    states = {name: ops.zeros((len(image), *step.input[name].shape[1:])) for name in state_names(step)}
    assert states
    for _ in range(count):
        outputs = step({"image": ops.convert_to_tensor(image), **states})
        states = {name: outputs[name] for name in states}
    return numpy_of(outputs["semantic"])


@pytest.mark.parametrize(
    "case",
    [pytest.param("thinking_unet", marks=pytest.mark.keras), "thinking_unet lstm", "thinking_unet forgets"],
)
def test_iterations_one_by_one_are_all_steps_at_once(case: str) -> None:
    from reunet.networks import build_network, build_step_network

    config = config_of(case)
    image = image_for(config, small=True)
    step = build_step_network(config, size=image.shape[1:-1])
    give_weights(step)
    longer = config.recurrence.model_copy(update={"steps": 3 * config.recurrence.steps})
    whole = build_network(config.model_copy(update={"recurrence": longer}))
    whole.set_weights(step.get_weights())
    np.testing.assert_allclose(iterated(step, image, 3), numpy_of(whole(image)["semantic"]), atol=1e-5)


def test_an_update_is_the_convolutional_gru_of_the_equations() -> None:
    """With a kernel of 1 at a single pixel it is the GRU of Keras over one input again and again."""
    import keras

    from reunet.networks.recurrence import Recurrence
    from reunet.networks.thinking import Thinking

    x = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, 1, 1, 3)).astype(np.float32))
    layer, published = Thinking("gru", 4, kernel=1, steps=5), Recurrence("gru", 4)
    layer(x), published(x[:, None, 0, 0])
    published.set_weights(layer.get_weights())
    outputs = published(keras.ops.repeat(x[:, None, 0, 0], 5, axis=1))[0]
    np.testing.assert_allclose(numpy_of(layer(x)[0])[:, 0, 0], numpy_of(outputs)[:, -1], atol=1e-6)


def test_only_with_recall_does_a_later_iteration_see_the_image() -> None:
    from keras import ops

    from reunet.networks import build_step_network, state_names

    for case, sees in (("thinking_unet", True), ("thinking_unet forgets", False)):
        config = config_of(case)
        image = image_for(config, small=True)
        step = build_step_network(config, size=image.shape[1:-1])
        give_weights(step)
        states = {name: ops.ones((len(image), *step.input[name].shape[1:])) for name in state_names(step)}
        after = []
        for one in (image, image + 1):
            outputs = step({"image": ops.convert_to_tensor(one), **states})
            after.append({name: numpy_of(outputs[name]) for name in states})
        changed = max(np.abs(after[0][name] - after[1][name]).max() for name in states)
        assert (changed > 1e-4) == sees, case


def test_what_cannot_think_is_refused() -> None:
    from reunet.networks import configure

    tiny = {"in_channels": 1, "heads": ({"channels": 2},), "filters": (4, 8)}
    for fields, said in (
        ({"time": "frames"}, "time must be 'none'"),
        ({"recurrence": {"cell": "min_gru"}}, "gates see its state"),
        ({"recurrence": {"steps": 0}}, "needs a step"),
    ):
        with pytest.raises(PlanError, match=said):
            configure("thinking_unet", **tiny, **fields)
