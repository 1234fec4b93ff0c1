"""The verb `train` from Python: budgets, plans, options of the network, starting from another run."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import reunet
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import PlanError, TrainingError, UsageError

MakePlan = Callable[..., Path]


def trained(data: Path, folder: Path, make_plan: MakePlan, **changes: Any) -> RunFolder:
    from reunet.flows.train.train import train

    folder.mkdir(exist_ok=True)
    train(data, output=folder / "run", plan=make_plan(folder / "plan.json", data, **changes))
    return RunFolder(folder / "run")


def layers(file: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(file) as content:
        content.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


@pytest.mark.keras
@pytest.mark.parametrize(
    "changes",
    [
        {
            "network__deep_supervision": True,
            "network__filters": (4, 8, 8),
            "network__strides": ((2, 2), (2, 2)),
        },
        pytest.param(
            {"network__padding": "valid", "patch": (36, 36), "inference": {"tile": (36, 36)}},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "network__normalisation": "group",
                "network__activation": "leaky_relu",
                "network__dropout": 0.3,
                "loss": {"cross_entropy": 1, "dice": 0},
                "input__intensity": {"method": "image_percentile"},
            },
            marks=pytest.mark.slow,
        ),
        {"network__normalisation": "batch", "schedule__ema": 0.9},
    ],
    ids=["deep supervision", "valid padding", "group and loss", "batch and ema"],
)
def test_every_option_trains_exports_and_predicts(
    changes: dict[str, Any], tiny_dataset: Path, tmp_path: Path, backend: str, make_plan: MakePlan
) -> None:
    if backend != "tensorflow" and "schedule__ema" not in changes:
        pytest.skip("one case is enough to see that another backend trains")
    run = trained(tiny_dataset, tmp_path, make_plan, **changes)
    engine = json.loads(run.engine_facts_file.read_text())
    assert engine["precision"]["f32"]["max_difference"] < 1e-4
    image = np.random.default_rng(0).integers(0, 255, (45, 70), np.uint8)
    by_engine = reunet.load(run.path, engine="openvino", precision="f32")(image)
    by_keras = reunet.load(run.path, engine="keras")(image)
    assert by_engine.labels.shape == (45, 70)
    np.testing.assert_allclose(by_engine.probabilities, by_keras.probabilities, atol=1e-4)


@pytest.mark.keras
def test_the_score_of_training_is_the_score_of_evaluate(tiny_run: Path, tiny_dataset: Path) -> None:
    """Validation uses the predictor that users call; only threshold and bfloat16 may differ a little."""
    with open(tiny_run / "history.csv", newline="") as file:
        scores = [float(row["val_score"]) for row in csv.DictReader(file) if row["val_score"]]
    metrics = json.loads((tiny_run / "evaluation" / "val" / "metrics.json").read_text())
    assert metrics["dice"]["per_image"]["mean_foreground"] >= max(scores) - 0.02
    assert max(scores) > 0.7


def test_a_run_folder_is_complete_and_names_no_place(tiny_run: Path, tiny_dataset: Path) -> None:
    for name in (
        "plan.json", "fingerprint.json", "splits.json", "history.csv", "calibration.json", "environment.json",
        "checkpoints/LATEST", "weights/best.weights.h5", "engine/model.xml", "test/input.npy",
        "model_card.md", "report.html", "evaluation/val/metrics.json",
    ):  # fmt: skip
        assert (tiny_run / name).is_file(), name
    assert not (tiny_run / ".lock").exists()
    for file in tiny_run.rglob("*"):
        if file.is_file():
            assert str(tiny_dataset.parent).encode() not in file.read_bytes(), file


def test_the_test_images_are_never_opened(
    make_dataset: Callable[..., Path], tmp_path: Path, make_plan: MakePlan
) -> None:
    data = make_dataset(tmp_path / "data")
    for file in (data / "test").rglob("*.png"):
        file.write_bytes(b"not an image")
    trained(data, tmp_path / "work", make_plan)


@pytest.mark.slow
def test_minutes_are_kept(tiny_dataset: Path, tmp_path: Path, make_plan: MakePlan) -> None:
    from reunet.flows.train.train import train

    changes = {"schedule__steps": None, "schedule__minutes": 0.6, "network__deep_supervision": True}
    plan = make_plan(tmp_path / "plan.json", tiny_dataset, **changes)
    result = train(tiny_dataset, output=tmp_path / "run", plan=plan)
    assert 0.4 * 36 < result.seconds < 1.3 * 36  # wide, since machines are shared


@pytest.mark.keras_slow
def test_start_from_another_run_with_another_class_list(
    make_dataset: Callable[..., Path], tiny_run: Path, tmp_path: Path, backend: str
) -> None:
    from reunet.flows.train.train import train

    data = make_dataset(tmp_path / "data", seed=3)
    facts = json.loads((data / "dataset.json").read_text())
    facts["classes"] = [facts["classes"][0], {"id": 2, "name": "debris"}, facts["classes"][1]]
    (data / "dataset.json").write_text(json.dumps(facts))
    messages: list[str] = []

    class Listener:
        def start(self, task: str, total: int | None) -> None: ...
        def advance(self, n: int = 1, **info: object) -> None: ...
        def message(self, text: str) -> None:
            messages.append(text)

    run = tmp_path / "run"
    train(data, output=run, init=tiny_run, freeze="encoder", steps=2, backend=backend, on_progress=Listener())
    assert any("'debris'" in message for message in messages)
    before, after = (
        layers(tiny_run / "weights" / "best.weights.h5"),
        layers(run / "weights" / "best.weights.h5"),
    )
    kernels = [name for name in before if before[name].ndim == 4 and before[name].shape == after[name].shape]
    same = [name for name in kernels if np.array_equal(before[name], after[name])]
    assert same, "the frozen encoder should not have moved"
    assert len(same) < len(kernels), "the decoder should have learned"
    heads = [name for name in before if before[name].shape[-1:] == (2,) and after[name].shape[-1:] == (3,)]
    assert heads
    train(data, output=run, resume=True)  # finished already, and still a run that can be resumed


def test_a_network_of_another_shape_is_refused_as_a_start(
    tiny_dataset: Path, tiny_run: Path, tmp_path: Path, make_plan: MakePlan
) -> None:
    from reunet.training.compile import compiled_network
    from reunet.training.transfer import transfer_weights

    plan = Plan.read(make_plan(tmp_path / "plan.json", tiny_dataset))
    with pytest.raises(PlanError, match="another one"):
        transfer_weights(compiled_network(plan), plan, RunFolder(tiny_run))


@pytest.mark.fault("the loss becomes NaN or infinite", "training stops, the last finite checkpoint stays")
def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoints(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_plan: MakePlan
) -> None:
    from reunet.training.steps import Steps

    real = Steps.make

    def failing(self: Steps, k: int, batch: Any) -> float:
        loss = real(self, k, batch)
        return float("nan") if self.model.optimizer.iterations > 4 else loss

    monkeypatch.setattr(Steps, "make", failing)
    with pytest.raises(TrainingError, match="no longer a finite number"):
        trained(tiny_dataset, tmp_path, make_plan)
    assert (tmp_path / "run" / "checkpoints" / "LATEST").is_file()


def test_options_that_contradict_each_other(tiny_dataset: Path, tiny_run: Path, tmp_path: Path) -> None:
    from reunet.flows.train.train import train

    for wrong in (
        {"resume": True, "steps": 3},
        {"minutes": 1, "steps": 3},
        {"freeze": "encoder"},
        {"init": tiny_run, "encoder": "vgg16"},
        {"minutes": -1},
        {"workers": -2},
    ):
        with pytest.raises(UsageError):
            train(tiny_dataset, output=tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_overwriting_removes_only_a_run(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path, make_plan: MakePlan
) -> None:
    from reunet.flows.train.train import train

    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "checkpoints" / "old").mkdir()
    train(tiny_dataset, output=run, plan=make_plan(tmp_path / "plan.json", tiny_dataset), overwrite=True)
    assert not (run / "checkpoints" / "old").exists()
