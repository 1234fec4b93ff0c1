"""What a network takes over from another run: the trunk always, outputs by the names of their classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.plan import Plan
from reunet.errors import PlanError
from reunet.tasks.work import Work

pytestmark = pytest.mark.usefixtures("backend")


def plan(task: str, names: list[str], **network: Any) -> Plan:
    """A plan for a network of three levels, told apart by its seed."""
    from reunet.networks import configure

    labels = LabelMap(classes=default_classes(list(range(len(names))), names))
    categories = labels if task == "classification" else None
    heads = Work([task], Classes(labels, categories)).heads(2)
    settings = {"in_channels": 1, "filters": (4, 8, 8), **network}
    return Plan.parse(
        {
            "dataset": "data",
            "tasks": (task,),
            "labels": labels,
            "categories": categories,
            "network": configure("unet", heads=heads, **settings),
            "input": {"channels": settings["in_channels"], "intensity": {"method": "image_zscore"}},
            "patch": (32, 32),
            "batch": 1,
            "schedule": {"steps": 1},
            "inference": {"tile": (32, 32)},
            "augmentation": {},
            "loss": {},
            "precision": "float32",
            "backend": "tensorflow",
            "seed": 0,
            "reasons": {},
        },
        where="plan",
    )


def values_of(model: Any) -> dict[str, np.ndarray]:
    import keras

    return {v.path: np.array(keras.ops.convert_to_numpy(v.value)) for v in model.weights}


def taken(into: Plan, begun: Plan) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    """Values of the source, values afterwards, and what was said."""
    from reunet.networks import build_network
    from reunet.training.transfer import copy_by_name

    source, model = build_network(begun.network, seed=1), build_network(into.network, seed=2)
    before = values_of(source)
    notes = copy_by_name(model, into, before, begun)
    return before, values_of(model), notes


def test_classes_of_boxes_are_found_by_their_names() -> None:
    """The channels of a map of centres are the foreground classes: the background is none of them."""
    before, after, notes = taken(
        plan("detection", ["background", "car", "cyclist", "sign"]),
        plan("detection", ["background", "sign", "car"]),
    )
    kernel, old = after["centre_logits/kernel"], before["centre_logits/kernel"]
    assert np.array_equal(kernel[..., 0], old[..., 1])
    assert np.array_equal(kernel[..., 2], old[..., 0])
    assert not np.isin(kernel[..., 1], old).any()
    assert np.array_equal(after["box_logits/kernel"], before["box_logits/kernel"])
    assert len(notes) == 1
    assert "'cyclist'" in notes[0]


@pytest.mark.parametrize("task", ["detection", "instances", "classification"])
def test_the_trunk_goes_from_task_to_task(task: str) -> None:
    names = ["background", "cell"]
    before, after, notes = taken(plan(task, names), plan("semantic", names))
    trunk = [path for path in after if path.startswith(("enc", "dec"))]
    assert trunk
    assert all(np.array_equal(before[path], after[path]) for path in trunk)
    assert all("starts fresh" in note for note in notes)
    assert notes


def test_a_run_on_whole_images_gives_its_encoder() -> None:
    names = ["background", "cell"]
    before, after, notes = taken(plan("semantic", names), plan("classification", names))
    assert all(np.array_equal(before[p], after[p]) for p in after if p.startswith("enc"))
    assert [note.split(" starts")[0] for note in notes] == ["the way up", "the output 'semantic'"]


def test_another_network_is_refused() -> None:
    names = ["background", "cell"]
    with pytest.raises(PlanError, match="another one"):
        taken(plan("semantic", names), plan("semantic", names, filters=(4, 8, 16)))
    _, _, notes = taken(plan("semantic", names, in_channels=3), plan("semantic", names))
    assert notes == ["the images have another channel count: the first convolution starts fresh"]


@pytest.mark.parametrize(("rate", "freeze"), [(1.0, None), (0.3, None), (0.3, "encoder"), (0.0, None)])
def test_what_is_kept_of_a_pretrained_encoder(rate: float, freeze: str | None) -> None:
    """Its statistics unless it learns like the rest, all of it where it is frozen, and nothing else."""
    import keras

    from reunet.networks import build_network
    from reunet.training.compile import fix_encoder

    light = {"filters": (4, 8, 8), "decoder_block": "conv", "output_level": 1}
    made = plan("semantic", ["background", "cell"], encoder="efficientnet_lite0", **light)
    schedule = made.schedule.model_copy(update={"encoder_rate": rate})
    network = build_network(made.network)
    slow = fix_encoder(network, made.model_copy(update={"schedule": schedule, "freeze": freeze}))
    for layer in network.layers:
        theirs, statistics = layer.name.startswith("enc_"), isinstance(layer, keras.layers.BatchNormalization)
        fixed = theirs and (freeze or rate == 0 or (statistics and rate < 1))
        assert layer.trainable != bool(fixed), layer.name
        learns_slowly = theirs and not fixed and rate < 1
        assert all((id(w) in map(id, slow)) == learns_slowly for w in layer.trainable_weights), layer.name


def test_a_slow_weight_takes_a_share_of_the_step() -> None:
    import keras

    from reunet.training.rates import AdamWOfParts, Part

    rng = np.random.default_rng(0)
    images, wanted = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    moved = []
    for share in (1.0, 0.25):
        first, second = (keras.layers.Dense(n, kernel_initializer="ones") for n in (3, 1))
        model = keras.Sequential([keras.layers.Input((4,)), first, second])
        before = [np.array(values) for values in model.get_weights()]
        optimizer = AdamWOfParts([Part(first.weights, share)], learning_rate=1e-2, weight_decay=0.0)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer, "mse")
        model.train_on_batch(images, wanted)
        moved.append([now - then for now, then in zip(model.get_weights(), before, strict=True)])
    for (whole, part), share in zip(zip(*moved, strict=True), (0.25, 0.25, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(part, whole * share, rtol=1e-3, atol=1e-7)


def resting_model() -> tuple[Any, Any, Any]:
    """A model of two layers, the first of which joins late, and a step of it on fixed data."""
    import keras

    from reunet.training.phases import Phases
    from reunet.training.rates import ENCODER, AdamWOfParts, Part

    rng = np.random.default_rng(0)
    images, wanted = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    first, second = (keras.layers.Dense(n, kernel_initializer="ones", name=f"layer{n}") for n in (3, 1))
    model = keras.Sequential([keras.layers.Input((4,)), first, second], name="model")
    slow = Part(first.weights, 0.25, ENCODER)
    optimizer = AdamWOfParts([slow], learning_rate=1e-2, weight_decay=0.0)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "mse", jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    made = plan("semantic", ["background", "cell"])
    late = made.model_copy(update={"schedule": made.schedule.model_copy(update={"encoder_from": 0.5})})
    return model, Phases(model, late), lambda: model.train_on_batch(images, wanted)


@pytest.mark.keras
def test_an_encoder_rests_then_joins_as_if_it_had_just_begun() -> None:
    """At rest nothing of it moves; its first step is Adam's first one, of the size of its rate."""
    model, phases, step = resting_model()
    for number in range(6):
        before = [np.array(values) for values in model.get_weights()]
        entered = phases.enter(number / 6)
        step()
        moved = [np.abs(now - then) for now, then in zip(model.get_weights(), before, strict=True)]
        assert entered == (number == 3)
        assert all(change.max() == 0 for change in moved[:2]) == (number < 3)
        assert all(change.max() > 0 for change in moved[2:])
        if number == 3:
            np.testing.assert_allclose(moved[0], 0.25 * 1e-2, rtol=1e-3)


@pytest.mark.keras
@pytest.mark.parametrize("stopped", [2, 4, 5])
def test_a_training_in_phases_goes_on_exactly(stopped: int) -> None:
    from reunet.training import state

    model, phases, step = resting_model()
    for number in range(8):
        if number == stopped:
            saved, before = state.capture(model), phases.now
        phases.enter(number / 8)
        step()
    again, phases, step = resting_model()
    state.restore(again, saved)
    phases.now = before
    for number in range(stopped, 8):
        phases.enter(number / 8)
        step()
    for there, here in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(there, here)
