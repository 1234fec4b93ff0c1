"""Several trainings in one run: folds, their mean, the choice, the race, going on after an interruption."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.errors import InterruptedRunError, UsageError
from reunet.flows.folds.budget import Division
from reunet.flows.folds.held_out import ranked
from reunet.flows.folds.race import best, heats, shares
from reunet.flows.folds.refining import Quality
from reunet.flows.train.train import train


def test_each_heat_of_a_race_takes_as_much_and_leaves_the_better_half() -> None:
    assert heats(8) == [8, 4, 2]
    assert heats(5) == [5, 3, 2]
    assert heats(5, finalists=2) == [5, 3]
    assert heats(2, finalists=2) == []
    for count, finalists in ((8, 1), (5, 1), (5, 2), (3, 1)):
        running, each = heats(count, finalists), shares(count, finalists)
        spent = [a * b for a, b in zip(running, each, strict=True)]
        assert np.allclose(spent, 1 / len(running))
    assert best({"a": 0.5, "b": None, "c": 0.7, "d": 0.5}, 3) == ["c", "a", "d"]
    assert best({"a": None, "b": -0.5}, 1) == ["b"]


def test_the_best_single_or_pair_is_chosen_by_its_score() -> None:
    scores = {
        ("a",): 0.7,
        ("b",): 0.6,
        ("c",): float("nan"),
        ("a", "b"): 0.7,
        ("a", "c"): 0.1,
        ("b", "c"): 0.8,
    }
    found = ranked(("a", "b", "c"), lambda names: scores[tuple(names)])
    assert [one.names for one in found][:4] == [("b", "c"), ("a",), ("a", "b"), ("b",)]
    assert found[-1].names == ("c",)
    assert found[-1].score is None


def test_what_raises_the_score_but_lowers_a_class_is_not_taken() -> None:
    before = Quality(0.7, {"cell": 0.8, "debris": 0.6})
    assert Quality(0.71, {"cell": 0.8, "debris": 0.62}).is_better_than(before)
    assert not Quality(0.75, {"cell": 0.9, "debris": 0.59}).is_better_than(before)
    assert not Quality(0.75, {"cell": 0.9}).is_better_than(before)
    assert not Quality(0.701, {"cell": 0.8, "debris": 0.6}).is_better_than(before, worth=0.002)
    assert not before.is_better_than(before)


def test_too_few_minutes_say_how_many_are_enough() -> None:
    few = Division(racers=4, finalists=1, folds=5)
    with pytest.raises(UsageError, match="too few for so many trainings") as error:
        few.check(1.0)
    needed = float(str(error.value).split("--minutes ")[1].split()[0])
    few.check(needed)
    with pytest.raises(UsageError):
        few.check(0.8 * needed)


def test_folds_are_refused_beside_what_only_one_training_has(tiny_dataset: Path) -> None:
    for other in ({"init": tiny_dataset}, {"processes": 2}, {"log": "tensorboard"}, {"network": print}):
        with pytest.raises(UsageError, match="contradict"):
            train(tiny_dataset, folds=2, **other)
    with pytest.raises(UsageError, match="contradict"):
        train(tiny_dataset, preset="race", init=tiny_dataset)
    with pytest.raises(UsageError, match="not a usable number"):
        train(tiny_dataset, folds=1)


@pytest.fixture(scope="module")
def folded(
    tiny_dataset: Path, make_plan: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    folder = tmp_path_factory.mktemp("folded")
    plan = make_plan(folder / "plan.json", tiny_dataset, steps=4)
    return train(tiny_dataset, output=folder / "run", plan=plan, folds=2)


def test_the_run_is_the_mean_of_the_folds(folded: TrainResult) -> None:
    """The one engine says the mean of the probabilities that the networks of the folds give."""
    import reunet

    run = folded.run
    image = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    raw = _plain(run, image)
    for engine in ("openvino", "keras"):
        whole = reunet.load(run, engine=engine, precision="f32")(image).probabilities
        assert np.abs(whole - np.mean(raw, axis=0)).max() < 1e-4
    assert np.abs(raw[0] - raw[1]).max() > 1e-3


def _plain(run: Path, image: np.ndarray) -> list[np.ndarray]:
    """What each fold's network says; from here on nothing is done to it, nor to what the run says."""
    import reunet

    folds = [run / f"fold{k}" for k in range(2)]
    for one in (run, *folds):
        facts = json.loads((one / "calibration.json").read_text())
        (one / "calibration.json").write_text(json.dumps({"weights": facts["weights"]}))
    return [reunet.load(one, engine="keras")(image).probabilities for one in folds]


def test_every_image_is_scored_by_a_network_that_has_not_seen_it(folded: TrainResult) -> None:
    run = folded.run
    held = [json.loads((run / f"fold{k}" / "splits.json").read_text())["val"] for k in range(2)]
    assert sorted(held[0] + held[1]) == [f"train_{i:02d}" for i in range(6)]
    metrics = json.loads((run / "evaluation" / "out_of_fold" / "metrics.json").read_text())
    assert (metrics["n_images"], metrics["split"]) == (6, "out_of_fold")
    assert len(list((run / "out_of_fold" / "masks").glob("*.png"))) == 6
    assert not (run / "out_of_fold" / "maps").exists()
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "the run is the mean of 2" in page
    assert "fold" in (run / "model_card.md").read_text(encoding="utf-8")
    assert folded.score is not None
    assert folded.steps == 8


def test_the_run_is_used_like_any_other(folded: TrainResult, tiny_dataset: Path, tmp_path: Path) -> None:
    import reunet

    images = tiny_dataset / "test" / "images"
    found = reunet.predict(folded.run, images, output=tmp_path / "out")
    assert len(found.predicted) == 2
    scores = reunet.evaluate(folded.run, tiny_dataset, output=tmp_path / "scores")
    assert scores.metrics["n_images"] == 2
    packed = reunet.pack(folded.run, output=tmp_path / "a.reunet")
    assert reunet.load(packed.output)(np.zeros((32, 32), np.uint8)).labels.shape == (32, 32)


@pytest.mark.slow
def test_an_interrupted_training_of_folds_goes_on_exactly(
    folded: TrainResult, tiny_dataset: Path, make_plan: Callable[..., Path], tmp_path: Path
) -> None:
    """Interrupted in the second fold, it ends with the weights of one that was not."""
    import keras

    class Stop(keras.callbacks.Callback):
        seen = 0

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            Stop.seen += 1
            if Stop.seen == 6:
                import os
                import signal

                os.kill(os.getpid(), signal.SIGINT)

    plan = make_plan(tmp_path / "plan.json", tiny_dataset, steps=4)
    with pytest.raises(InterruptedRunError):
        train(tiny_dataset, output=tmp_path / "run", plan=plan, folds=2, callbacks=[Stop()])
    assert not (tmp_path / "run" / "weights").exists()
    train(tiny_dataset, output=tmp_path / "run", resume=True)
    for k in range(2):
        one, other = (RunFolder(run / f"fold{k}").weights_file for run in (folded.run, tmp_path / "run"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_a_race_chooses_and_its_heats_are_shown(tiny_dataset: Path, tmp_path: Path) -> None:
    result = train(tiny_dataset, output=tmp_path / "run", preset="race", steps=4)
    told = json.loads((result.run / "trainings.json").read_text())
    heats = [name for name in told["trained"] if name.startswith("race/")]
    assert len(heats) >= 2
    assert told["finalists"][0] in told["plans"]
    assert "Race" in (result.run / "report.html").read_text(encoding="utf-8")
    shutil.rmtree(result.run)


def test_uncertainty_of_folds_is_that_of_their_probabilities(folded: TrainResult, tmp_path: Path) -> None:
    """In one piece, in bounded memory and by hand from the networks of the folds."""
    import tifffile

    import reunet
    from reunet.tasks.uncertainty import entropy

    image = np.random.default_rng(0).integers(0, 255, (32, 32), np.uint8)
    both = _plain(folded.run, image)
    whole = entropy(np.mean(both, axis=0), "softmax")[..., 0]
    within = np.mean([entropy(one, "softmax")[..., 0] for one in both], axis=0)
    found = reunet.load(folded.run, precision="f32", uncertainty=True)(image).uncertainty
    assert found is not None
    assert np.abs(found[..., 0] - whole).max() < 1e-3
    assert np.abs(found[..., 1] - (whole - within)).max() < 1e-3
    assert found[..., 1].max() > 1e-4

    large = np.random.default_rng(1).integers(0, 255, (300, 200), np.uint8)
    tifffile.imwrite(tmp_path / "large.tif", large, tile=(64, 64))
    for name, memory in (("whole", None), ("parts", 330_000_000)):
        out = reunet.predict(
            folded.run, tmp_path / "large.tif", output=tmp_path / name, uncertainty=True, max_memory=memory
        )
        assert not out.failures
    one, other = (
        tifffile.imread(tmp_path / name / "uncertainty" / "large.tif") for name in ("whole", "parts")
    )
    assert one.shape == (2, 300, 200)
    assert np.abs(one - other).max() < 1e-3


def test_a_single_network_is_asked_with_flips(tiny_run: Path) -> None:
    import reunet

    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    model = reunet.load(tiny_run, precision="f32", uncertainty=True)
    found, mirrored = model(image), reunet.load(tiny_run, precision="f32", tta=True)(image)
    assert np.allclose(found.probabilities, mirrored.probabilities, atol=1e-6)
    assert found.uncertainty is not None
    assert 0 < found.uncertainty[..., 1].max() <= 1
    assert mirrored.uncertainty is None
