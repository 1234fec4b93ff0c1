"""Whole slides are predicted at the level of the run's micrometres, where there is tissue."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from tests.io.slides import coarser, tissue, write_svs

from reunet.flows.check import check
from reunet.flows.predict.predict import predict
from reunet.inference.predictor import Predictor
from reunet.io.tissue import find_tissue

from .messages import Messages

zarr = pytest.importorskip("zarr")

SLIDE = tissue((640, 800), [(150, 200, 90), (480, 600, 60)])
"""Glass is brighter than 128 in the mean, tissue is not: the run finds glass."""


@pytest.fixture(scope="module")
def run(make_bright_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_bright_run(tmp_path_factory.mktemp("run"), channels=3, tile=(64, 64), logit=-0.05)
    return told(folder, micrometres=[1.0, 1.0])


def told(run: Path, **facts: Any) -> Path:
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    (run / "plan.json").write_text(json.dumps(plan | facts), encoding="utf-8")
    return run


def mask_of(out: Path, name: str = "a") -> np.ndarray:
    return np.asarray(zarr.open_group(str(out / "masks" / f"{name}.ome.zarr"), mode="r")["0"])


def scale_of(out: Path) -> list[float]:
    facts = dict(zarr.open_group(str(out / "masks" / "a.ome.zarr"), mode="r").attrs)
    scale: list[float] = facts["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    return scale


@pytest.mark.parametrize(("mpp", "factor"), [(0.25, 4), (0.5, 2), (1.0, 1), (1.02, 1), (0.24, 4)])
def test_the_level_of_the_training_is_predicted(run: Path, tmp_path: Path, mpp: float, factor: int) -> None:
    write_svs(tmp_path / "a.svs", SLIDE, mpp, factors=(2, 4))
    result = predict(run, tmp_path / "a.svs", output=tmp_path / "out", precision="f32")
    assert not result.failures
    np.testing.assert_array_equal(mask_of(tmp_path / "out"), coarser(SLIDE, factor).mean(-1) < 128)
    assert scale_of(tmp_path / "out") == pytest.approx([mpp * factor] * 2, rel=1e-6)


def test_between_two_levels_pixels_are_put_together(run: Path, tmp_path: Path) -> None:
    write_svs(tmp_path / "a.svs", SLIDE, 0.4, factors=(4,))
    predict(run, tmp_path / "a.svs", output=tmp_path / "out", precision="f32")
    found = mask_of(tmp_path / "out")
    assert found.shape == SLIDE.shape[:2]
    assert np.mean(found != (SLIDE.mean(-1) < 128)) < 0.01


def test_outlines_are_in_pixels_of_the_finest_level(run: Path, tmp_path: Path) -> None:
    write_svs(tmp_path / "a.svs", SLIDE, 0.25, factors=(4,))
    predict(run, tmp_path / "a.svs", output=tmp_path / "out", precision="f32")
    found = json.loads((tmp_path / "out" / "geojson" / "a.geojson").read_text(encoding="utf-8"))
    assert len(found["features"]) == 2
    drawn = np.zeros(SLIDE.shape[:2], np.uint8)
    for feature in found["features"]:
        assert feature["properties"]["classification"]["name"] == "bright"
        cv2.fillPoly(drawn, [np.array(feature["geometry"]["coordinates"][0]).astype(np.int32)], 1)
    both = drawn & (SLIDE.mean(-1) < 128)
    assert both.sum() / (SLIDE.mean(-1) < 128).sum() > 0.97
    assert both.sum() / drawn.sum() > 0.93


def test_glass_is_not_shown_to_the_network(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svs(tmp_path / "a.svs", SLIDE, 1.0)
    shown: list[np.ndarray] = []
    network = Predictor.network

    def counting(self: Predictor, tiles: np.ndarray) -> dict[str, np.ndarray]:
        shown.append(tiles)
        return network(self, tiles)

    monkeypatch.setattr(Predictor, "network", counting)
    predict(run, tmp_path / "a.svs", output=tmp_path / "out", precision="f32")
    tiles = np.concatenate(shown)
    everything = (640 / 48) * (800 / 48)
    assert len(tiles) < 0.6 * everything
    np.testing.assert_array_equal(mask_of(tmp_path / "out"), SLIDE.mean(-1) < 128)


def test_a_slide_without_micrometres_asks_for_a_level(run: Path, tmp_path: Path) -> None:
    write_svs(tmp_path / "a.svs", SLIDE, None, factors=(2,))
    (reason,) = predict(run, tmp_path / "a.svs", output=tmp_path / "out").failures.values()
    assert "micrometres" in reason
    assert "--level 0" in reason
    assert not (tmp_path / "out" / "masks").exists()
    assert not predict(run, tmp_path / "a.svs", output=tmp_path / "out", level=1).failures
    assert mask_of(tmp_path / "out").shape == (320, 400)
    (reason,) = predict(
        run, tmp_path / "a.svs", output=tmp_path / "out", level=2, overwrite=True
    ).failures.values()
    assert "no such level" in reason


@pytest.mark.parametrize(
    ("mpp", "told"), [(0.25, "4 times as large"), (2.0, "0.5 times as large"), (0.8, "")]
)
def test_pixels_of_another_size_are_told(run: Path, tmp_path: Path, mpp: float, told: str) -> None:
    per_cm = 1e4 / mpp
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, SLIDE[:128, :128], resolution=(per_cm, per_cm), resolutionunit="CENTIMETER")
    seen = Messages()
    predict(run, path, output=tmp_path / "out", on_progress=seen)
    warnings = [one for one in seen.texts if one.startswith("warning: a.tif: a pixel is")]
    assert [told in one for one in warnings] == [True] * bool(told)


def test_check_names_slides_without_micrometres(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name, mpp in (("a", 0.5), ("b", None)):
        write_svs(tmp_path / "images" / f"{name}.svs", SLIDE, mpp)
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), (SLIDE.mean(-1) < 128).astype(np.uint8))
    problems = check(tmp_path).problems
    (problem,) = [one for one in problems if one.code == "slide-without-micrometres"]
    assert problem.file == "images/b.svs"
    assert "--level" in problem.fix


def test_tissue_is_what_is_darker_or_more_coloured_than_glass() -> None:
    found = find_tissue(SLIDE, 8.0)
    assert found.map[SLIDE.mean(-1) < 128].all()
    assert found.share < 0.25
    assert not found.touches((slice(0, 20), slice(700, 800)), SLIDE.shape[:2])
    assert found.touches((slice(0, 40), slice(0, 50)), (160, 200))
    faint = np.where(SLIDE == 240, 240, 226).astype(np.uint8)  # hardly stained
    assert find_tissue(faint, 8.0).map[SLIDE.mean(-1) < 128].all()


@pytest.mark.parametrize(
    "view",
    [
        np.full((64, 64, 3), 150, np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64, 1), 255, np.uint8),
    ],
    ids=["tissue alone", "fluorescence", "grey"],
)
def test_without_glass_all_is_tissue(view: np.ndarray) -> None:
    assert find_tissue(view, 8.0).share == 1
