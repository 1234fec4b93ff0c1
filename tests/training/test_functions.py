"""What a training in Python is given as functions: callbacks, a loss, a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reunet
from reunet.cli import main
from reunet.contracts.plan import Plan
from reunet.errors import UsageError

pytestmark = pytest.mark.usefixtures("backend")


def one_convolution(config: Any) -> Any:
    """A network of one's own."""
    import keras

    image = keras.Input((None, None, config.in_channels))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    return keras.Model(image, keras.layers.Conv2D(config.heads[0].channels, 1)(x))


def wrong_class(labels: Any, logits: Any) -> Any:
    """A loss that is least where every pixel is background, whatever the labels say."""
    from keras import ops

    return -ops.log_softmax(logits)[..., 0]


@pytest.fixture(scope="module")
def own_run(
    tiny_dataset: Path, make_plan: Callable[..., Path], tmp_path_factory: Any
) -> tuple[Path, list[Any]]:
    """A run with functions of all kinds, and what the callback heard."""
    import keras

    folder, heard = tmp_path_factory.mktemp("own"), []

    class Listens(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            heard.append("begin")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append((batch, sorted(logs)))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            heard.append((epoch, sorted(logs)))
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs: Any = None) -> None:
            heard.append("end")

    plan = make_plan(folder / "plan.json", tiny_dataset, steps=6, schedule__validations=3)
    reunet.train(
        tiny_dataset, output=folder / "run", plan=plan, log="tensorboard",
        callbacks=[Listens()], loss=wrong_class, network=one_convolution,
    )  # fmt: skip
    return folder / "run", heard


def test_callbacks_hear_of_steps_and_validations_and_may_end_the_training(
    own_run: tuple[Path, list[Any]],
) -> None:
    step, validation = ["loss"], ["learning_rate", "loss", "step", "val_score"]
    assert own_run[1] == [
        "begin", (0, step), (1, step), (0, validation), (2, step), (3, step), (1, validation), "end",
    ]  # fmt: skip


def test_the_plan_names_the_functions(own_run: tuple[Path, list[Any]]) -> None:
    custom = Plan.read(own_run[0] / "plan.json").custom
    assert custom is not None
    assert (custom.network or "").endswith("test_functions.one_convolution")
    assert custom.losses["semantic"].endswith("test_functions.wrong_class")
    assert custom.callbacks == ("Listens",)
    assert not (own_run[0] / "engine").exists()
    assert (own_run[0] / "evaluation" / "val" / "metrics.json").is_file()


def test_the_network_of_the_caller_predicts_and_its_loss_was_learned(
    own_run: tuple[Path, list[Any]], tiny_dataset: Path
) -> None:
    model = reunet.load(own_run[0], network=one_convolution)
    image = next((tiny_dataset / "test" / "images").iterdir())
    assert model(image).labels is not None
    network = model.network()
    assert tuple(network.weights[0].shape) == (3, 3, 1, 4)
    logits = np.asarray(network(np.zeros((1, 16, 16, 1), np.float32))["semantic"])
    assert logits.shape == (1, 16, 16, 2)


def test_what_is_missing_is_named(
    own_run: tuple[Path, list[Any]], tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = own_run[0]
    images = tiny_dataset / "test" / "images"
    for words in (
        ["predict", str(run), str(images), "-o", str(tmp_path)],
        ["evaluate", str(run), str(tiny_dataset)],
    ):
        assert main(words) == 1
        told = capsys.readouterr().err
        assert "one_convolution" in told
        assert "reunet.load(RUN, network=one_convolution)" in told
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert main(["train", str(tiny_dataset), "-o", str(copy), "--resume"]) == 1
    assert "one_convolution" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"wrong_class"):
        reunet.train(tiny_dataset, output=copy, resume=True, network=one_convolution)
    again = reunet.train(tiny_dataset, output=copy, resume=True, network=one_convolution, loss=wrong_class)
    assert again.steps == 6
    found = reunet.evaluate(run, tiny_dataset, network=one_convolution, output=tmp_path / "scores")
    assert found.metrics["n_images"] == 2


def test_a_log_for_tensorboard_holds_curves_pictures_and_the_plan(own_run: tuple[Path, list[Any]]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    (file,) = (own_run[0] / "tensorboard").iterdir()
    events = list(LegacyEventFileLoader(str(file)).Load())
    tags = [value.tag for event in events for value in event.summary.value]
    assert tags.count("val_score") == tags.count("loss") == 2
    assert "plan" in tags
    assert any(tag.startswith("held out/") for tag in tags)
    assert [event.step for event in events if event.summary.value][-1] == 4


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"network": lambda config: None}, "keras.Model"),
        ({"loss": {"semantik": wrong_class}}, "semantik"),
        ({"loss": 3}, "loss"),
        ({"callbacks": [print]}, "keras.callbacks.Callback"),
        ({"callbacks": 3}, "list"),
        ({"network": "resnet"}, "function"),
    ],
)
def test_what_is_no_such_function_is_refused(
    wrong: dict[str, Any], told: str, tiny_dataset: Path, make_plan: Callable[..., Path], tmp_path: Path
) -> None:
    plan = make_plan(tmp_path / "plan.json", tiny_dataset)
    with pytest.raises(UsageError, match=told):
        reunet.train(tiny_dataset, output=tmp_path / "run", plan=plan, **wrong)
    assert not (tmp_path / "run").exists()


def test_a_run_without_functions_takes_no_network(tiny_run: Path) -> None:
    with pytest.raises(UsageError, match="leave `network` out"):
        reunet.load(tiny_run, network=one_convolution)


def test_a_plan_is_made_as_if_nobody_had_a_loss_of_their_own() -> None:
    from reunet.contracts.options.records import TrainOptions
    from reunet.planning.request import PlanRequest

    options = TrainOptions(data="cells", loss=wrong_class)
    assert PlanRequest.of(options, "tensorflow", "cpu").loss == "auto"
