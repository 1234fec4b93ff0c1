"""A fifth task is one room and a registry entry: here the number of objects in an image, end to end."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet import console, evaluate, predict, tasks, train
from reunet.contracts.labels import Classes
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.datasets.synthetic import make_scene
from reunet.tasks.base import Maps, Pairs, Task
from reunet.tasks.headline import Headline, headlines
from reunet.tasks.scorer import Scorer

# -- the room ---------------------------------------------------------------------------------------


def number_of(truth: Truth) -> int | None:
    return None if truth.objects is None else len(np.setdiff1d(truth.objects, 0))


@dataclass(frozen=True)
class Counted:
    id: str
    truth: int
    found: float


class CountScorer(Scorer[Counted]):
    task = "count"

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        number = number_of(truth)
        if number is not None and prediction.numbers is not None:
            self.images.append(Counted(case, number, prediction.numbers["objects"]))

    def main_scores(self) -> list[float]:
        return [1 / (1 + abs(one.truth - one.found)) for one in self.images]

    def scores(self) -> dict[str, Any]:
        return {"error": float(np.mean([abs(one.truth - one.found) for one in self.images]))}

    def image_rows(self) -> Iterator[dict[str, Any]]:
        return ({"true": one.truth, "found": one.found} for one in self.images)


class Count(Task):
    name, title = "count", "Number of objects"
    score = "1 / (1 + mean error)"
    learned_from = ("instances",)

    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        return (HeadSpec(name="count", channels=1, activation="linear", of="image", loss="smooth_l1"),)

    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        number = number_of(truth)
        return {"count": np.array([np.nan if number is None else number], np.float32)}

    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        return Prediction(numbers={"objects": float(maps.heads["count"][0])})

    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        return np.round(maps.heads["count"]).astype(np.int64)

    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> CountScorer:
        return CountScorer(classes.labels, calibration, split)

    def headlines(self, metrics: Mapping[str, Any]) -> list[Headline]:
        return headlines(metrics, {"error": ("Count error", "objects too many or too few per image")})

    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        pairs = [(number_of(truth), float(maps.heads["count"][0])) for truth, maps in pairs]  # type: ignore[misc]
        return 1 / (1 + float(np.mean([abs(truth - found) for truth, found in pairs])))  # type: ignore[operator]


TASK = Count()

# -- its use ----------------------------------------------------------------------------------------


def dataset(folder: Path) -> Path:
    for split, count in (("train", 6), ("test", 2)):
        for i in range(count):
            scene = make_scene(np.random.default_rng([split == "test", i]), (64, 64))
            for kind, pixels in (("images", scene.image), ("instances", scene.instances.astype(np.uint16))):
                file = folder / split / kind / f"{split}{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)
    return folder


def test_a_task_needs_its_room_and_an_entry_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(tasks.ROOMS, "count", __name__)
    data, run, out = dataset(tmp_path / "data"), tmp_path / "run", tmp_path / "out"
    train(data, output=run, task=("count",), steps=4, backend=backend)
    metrics = json.loads((run / "evaluation" / "val" / "metrics.json").read_text())
    assert (
        f"Count error (objects too many or too few per image): {metrics['error']:.4f}"
        in (run / "model_card.md").read_text()
    )

    predict(run, data / "test" / "images", output=out)
    with open(out / "numbers.csv", newline="") as file:
        rows = {row["image"]: float(row["objects"]) for row in csv.DictReader(file)}
    told = json.loads((out / "predictions.json").read_text())["images"]
    numbers = {image["file_name"]: image["numbers"]["objects"] for image in told}
    assert numbers == pytest.approx({f"{name}.png": number for name, number in rows.items()}, rel=1e-4)
    assert predict(run, data / "test" / "images", output=out, skip_existing=True).predicted == ()

    result = evaluate(run, data)
    assert (result.metrics["task"], result.metrics["n_images"]) == ("count", 2)
    with open(result.output / "metrics.csv", newline="") as file:
        scored = {row["id"]: float(row["found"]) for row in csv.DictReader(file)}
    assert scored == pytest.approx(rows, rel=1e-3)
    page = result.report.read_text(encoding="utf-8")
    assert "Number of objects" in page
    assert f"<b>{result.metrics['error']:.3f}</b>" in page
    console.print_evaluation(result)
    assert "Count error" in capsys.readouterr().out
