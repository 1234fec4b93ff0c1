"""Training of networks that think: how many iterations come first, what is learned from, and resuming."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from reunet.contracts.plan import Plan, ThinkingSpec
from reunet.errors import PlanError, UsageError
from reunet.flows.train.train import train
from reunet.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture(scope="module")
def discs(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("discs"), train=4, test=2, size=(24, 24))


def plan_of(data: Path, backend: str, **thinking: Any) -> Plan:
    from reunet.flows.plan import plan

    made = plan(data, steps=4, backend=backend, preset="thinking_unet").model_dump()
    made["network"].update(filters=(3, 4))
    made["network"]["recurrence"]["steps"] = 2
    made["schedule"].update(validations=1)
    made["thinking"].update(thinking)
    made.update(patch=(16, 16), inference={"tile": (16, 16)}, batch=2, precision="float32")
    return Plan.parse(made, where="test")


def numbers(values: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(values))


@pytest.mark.keras
def test_a_step_learns_from_the_last_iterations_and_no_gradient_flows_through_those_before(
    discs: Path, backend: str
) -> None:
    """After `ahead` iterations the loss and the step are those of the network that is given their states."""
    import keras

    from reunet.training.compile import compiled_network
    from reunet.training.thinking import ThinkingModel

    plan = plan_of(discs, backend, iterations=4)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 16, 16, 1)).astype(np.float32)
    labels = {"semantic": rng.integers(0, 2, (2, 16, 16)).astype(np.int32)}
    model = compiled_network(plan)
    assert isinstance(model, ThinkingModel)
    weights, losses = {}, {}
    for ahead in (0, 3):
        model, step = compiled_network(plan), compiled_network(plan).network
        model.ahead.assign(ahead)
        states = {
            name: keras.ops.zeros((2, *x.shape[1:])) for name, x in step.input.items() if name != "image"
        }
        tensor = keras.ops.convert_to_tensor(image)
        for _ in range(ahead):
            outputs = step({"image": tensor, **states})
            states = {name: outputs[name] for name in states}
        given = {"image": image, **{name: numbers(x) for name, x in states.items()}}
        bare = keras.Model(step.input, {"semantic": step.output["semantic"]})
        for one in (model, bare):
            one.compile(
                keras.optimizers.SGD(0.1),
                loss=compiled_network(plan).loss,
                jit_compile=False if backend == "tensorflow" else "auto",
            )
        inputs = ((model, image), (bare, given))
        losses[ahead] = [one.train_on_batch(x, labels, return_dict=True)["loss"] for one, x in inputs]
        weights[ahead] = [
            np.concatenate([numbers(v.value).ravel() for v in one.trainable_variables])
            for one in (model, bare)
        ]
        np.testing.assert_allclose(*losses[ahead], rtol=1e-5)
        np.testing.assert_allclose(*weights[ahead], atol=1e-6)
    assert np.abs(weights[0][0] - weights[3][0]).max() > 1e-6


def asking(data: Path, backend: str, **thinking: Any) -> Plan:
    """A plan of the network that is asked by points."""
    from reunet.flows.plan import plan

    made = plan(data, steps=4, backend=backend, preset="thinking_unet", prompt="points").model_dump()
    made["network"].update(filters=(3, 4))
    made["schedule"].update(validations=1)
    made["thinking"].update(thinking)
    made.update(patch=(16, 16), inference={"tile": (16, 16)}, batch=2, precision="float32")
    return Plan.parse(made, where="test")


def test_a_network_that_is_asked_by_points_is_planned_to_go_on_from_what_it_found(
    discs: Path, backend: str
) -> None:
    plan = asking(discs, backend)
    assert plan.thinking is not None
    assert (plan.thinking.feedback, plan.thinking.reach, plan.network.recurrence.steps) == (True, 8, 2)
    assert plan_of(discs, backend).thinking == ThinkingSpec()
    with pytest.raises(PlanError, match="reach is of networks with feedback"):
        asking(discs, backend, feedback=False)
    with pytest.raises(PlanError, match="asked by points"):
        plan_of(discs, backend, feedback=True)


@pytest.mark.keras
@pytest.mark.parametrize("ahead", [0, 2])
def test_what_was_found_is_shown_among_the_dots_and_only_what_is_near_it_is_learned(
    ahead: int, discs: Path, backend: str
) -> None:
    """The loss is that of the bare network given what it found, and labels without what is out of reach."""
    import keras

    from reunet.training.compile import compiled_network

    plan = asking(discs, backend, iterations=3, reach=2)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 16, 16, 2)).astype(np.float32)
    image[..., 1] = 0
    image[:, 4, 3, 1] = 1
    labels = np.zeros((2, 16, 16), np.int32)
    labels[:, 4, 2:14] = labels[:, 4:12, 13] = 1
    model, step = compiled_network(plan), compiled_network(plan).network
    model.ahead.assign(ahead)
    states = {name: keras.ops.zeros((2, *x.shape[1:])) for name, x in step.input.items() if name != "image"}
    found, seen = np.zeros((2, 16, 16), np.float32), image
    for _ in range(ahead):
        outputs = step({"image": keras.ops.convert_to_tensor(seen), **states})
        states = {name: outputs[name] for name in states}
        logits = numbers(outputs["semantic"])
        found = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
        seen = np.stack([image[..., 0], np.maximum(image[..., 1], found)], axis=-1)
    near = (labels == 1) & ((image[..., 1] > 0.25) | (found > 0.5))
    for _ in range(2):
        near = np.stack([ndimage.binary_dilation(one, np.ones((3, 3))) for one in near]) & (labels == 1)
    known = np.where((labels == 1) & ~near, 255, labels).astype(np.int32)
    assert ahead or (known == 255).any()
    given = {"image": seen, **{name: numbers(x) for name, x in states.items()}}
    bare = keras.Model(step.input, {"semantic": step.output["semantic"]})
    losses = []
    for one, shown, told in ((model, image, labels), (bare, given, known)):
        one.compile(
            keras.optimizers.SGD(0.1),
            loss=compiled_network(plan).loss,
            jit_compile=False if backend == "tensorflow" else "auto",
        )
        losses.append(one.train_on_batch(shown, {"semantic": told}, return_dict=True)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_predicting_shows_what_was_found_too(discs: Path, backend: str) -> None:
    from reunet.inference.thinking import Thinking

    class Spreading:
        """Says of each pixel what the channel of the dots says of it and of its neighbours."""

        name, precision = "spreading", "f32"
        states: dict[str, tuple[int, ...]] = {}

        def step(self, batch: np.ndarray, states: Any) -> dict[str, np.ndarray]:
            found = np.stack([ndimage.grey_dilation(one, (3, 3)) for one in batch[..., -1]])
            return {"semantic": np.stack([1 - found, found], axis=-1)}

    image = np.zeros((1, 16, 16, 2), np.float32)
    image[0, 8, 8, 1] = 1
    for feedback, sides in ((True, 9), (False, 3)):
        plan = asking(discs, backend, **({} if feedback else {"feedback": False, "reach": None}))
        runtime: Any = Spreading()
        found = Thinking(runtime, plan, iterations=4).step(image, {})["semantic"][0, ..., 1]
        assert (found > 0.5).sum() == sides**2
        assert image[..., 1].sum() == 1, "the caller's tiles stay as they are"


def test_the_number_of_the_batch_decides_how_many_come_first(discs: Path, backend: str) -> None:
    from reunet.training.carry import begin_batch
    from reunet.training.compile import compiled_network

    plan = plan_of(discs, backend, iterations=5, window=2)
    drawn = []
    for _ in range(2):
        model = compiled_network(plan)
        drawn.append([])
        for k in range(30):
            begin_batch(model, plan, k)
            drawn[-1].append(int(numbers(model.ahead.value)))
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {0, 1, 2, 3}


def test_alpha_weighs_the_loss_of_all_iterations_against_the_progressive_one(
    discs: Path, backend: str
) -> None:
    from reunet.training.compile import compiled_network

    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 16, 16, 1)).astype(np.float32)
    labels = {"semantic": rng.integers(0, 2, (2, 16, 16)).astype(np.int32)}
    found = []
    for alpha in (0.0, 0.25, 1.0):
        model = compiled_network(plan_of(discs, backend, iterations=3, alpha=alpha))
        found.append(model.train_on_batch(image, labels, return_dict=True)["loss"])
    assert found[0] != pytest.approx(found[2], rel=1e-4)
    assert found[1] == pytest.approx(0.75 * found[0] + 0.25 * found[2], rel=1e-4)


def test_the_engine_of_a_training_has_its_weights_of_now(discs: Path, backend: str) -> None:
    """A network that goes step by step is another model, also when nothing was validated since."""
    from reunet.inference.runtime import first_states
    from reunet.training.compile import compiled_network
    from reunet.training.validation import Validator

    plan = plan_of(discs, backend)
    model = compiled_network(plan)
    validator: Any = Validator(model, plan, None, ())  # type: ignore[arg-type]
    image = np.ones((1, 16, 16, 1), np.float32)
    found = []
    for _ in range(2):
        runtime = validator.runtime
        found.append(runtime.step(image, first_states(runtime, 1))["semantic"])
        for weight in model.trainable_variables:
            weight.assign(numbers(weight.value) + 0.1)
    assert np.abs(found[0] - found[1]).max() > 1e-3


class CutError(Exception):
    """The training ends here, as if killed."""


@pytest.fixture(scope="module")
def run(discs: Path, backend: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("thinking")
    plan_of(discs, backend, iterations=3).write(folder / "plan.json")
    train(discs, output=folder / "run", plan=folder / "plan.json")
    return folder / "run"


@pytest.mark.slow  # test_resume.py resumes others, and the number of the batch decides what is drawn here
def test_resumed_equals_uninterrupted(
    run: Path, discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.training import loop

    save = loop.Training._save

    def save_and_end(self: loop.Training, step: int) -> None:
        save(self, step)
        if step == 2:
            raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_EVERY_S", 0.0)
        patch.setattr(loop.Training, "_save", save_and_end)
        with pytest.raises(CutError):
            train(discs, output=tmp_path / "cut", plan=run / "plan.json")
    train(discs, output=tmp_path / "cut", resume=True)
    arrays = [load_checkpoint(folder / "checkpoints")[1] for folder in (run, tmp_path / "cut")]
    assert arrays[0].keys() == arrays[1].keys()
    for name in arrays[0]:
        np.testing.assert_array_equal(arrays[0][name], arrays[1][name], err_msg=name)


def test_engines_agree_at_any_number_of_iterations_and_auto_ends(run: Path) -> None:
    import reunet

    image = np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)
    for count in (1, 3, 7):
        found = [
            reunet.load(run, engine=name, precision="f32", iterations=count)(image).probabilities
            for name in ("openvino", "onnx", "keras")
        ]
        for other in found[1:]:
            np.testing.assert_allclose(other, found[0], atol=1e-4)
    model = reunet.load(run)
    model(image)
    assert 3 <= model.predictor.runtime.taken <= 12


def test_a_wish_for_iterations_is_checked(run: Path, tiny_run: Path, tmp_path: Path) -> None:
    import reunet

    for wish in (0, "-3", "many", 10_001):
        with pytest.raises(UsageError, match="1 to 10000"):
            reunet.load(run, iterations=wish)
    with pytest.raises(UsageError, match="does not iterate"):
        reunet.load(tiny_run, iterations=5)
    copy = shutil.copytree(run, tmp_path / "run")
    text = (copy / "plan.json").read_text().replace('"iterations": 3', '"iterations": 0')
    (copy / "plan.json").write_text(text)
    with pytest.raises(PlanError, match="iterations"):
        reunet.load(copy)


def test_more_than_the_memory_holds_is_refused(
    discs: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.training import thinking
    from reunet.training.compile import compiled_network

    monkeypatch.setattr(thinking, "memory_bytes", lambda: 10**9)
    compiled_network(plan_of(discs, backend, iterations=4096))
    with pytest.raises(PlanError, match="memory of this machine"):
        compiled_network(plan_of(discs, backend, iterations=4096, alpha=0.5))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["openvino", "onnx"])
def test_an_exported_file_iterates_as_often_as_the_training(run: Path, tmp_path: Path, form: str) -> None:
    import reunet

    exported = reunet.export(run, format=form, output=tmp_path / "exported")
    assert exported.max_difference < 1e-3
