"""A run as a model in Python: files, arrays, batches; what it finds shows and saves itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import reunet
from reunet.errors import DataError, ImageReadError, PlanError, ReunetError, UsageError
from reunet.io.images import read_image

SQUARE = np.zeros((40, 48), np.uint8)
SQUARE[8:20, 10:30] = 250


@pytest.fixture(scope="module")
def model(make_bright_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return reunet.load(make_bright_run(tmp_path_factory.mktemp("bright") / "run"))


def test_files_arrays_and_batches_give_the_same(model: Any, tmp_path: Path) -> None:
    file = tmp_path / "square.png"
    Image.fromarray(SQUARE).save(file)
    expected = (SQUARE > 127).astype(np.uint8)
    for image in (SQUARE, SQUARE[..., None], file, str(file)):
        np.testing.assert_array_equal(model(image).labels, expected)
    for images in ([SQUARE, file], np.stack([SQUARE, SQUARE])):
        assert [found.labels.tolist() for found in model.batch(images)] == [expected.tolist()] * 2
    assert model.classes == ("background", "bright")
    assert "bright" in repr(model)


def test_a_prediction_shows_itself(model: Any) -> None:
    found = model(SQUARE)
    assert "bright 12.5% of the pixels" in repr(found)
    picture = found.overlay()
    assert picture.size == (48, 40)
    assert np.ptp(np.asarray(picture), axis=-1).max() > 0, "something is drawn in colour"
    shown = found._repr_html_()
    assert shown.startswith("<img")
    assert "12.5% of the pixels" in shown
    assert len(found.plot().axes) == 3
    assert found.plot()._repr_png_().startswith(b"\x89PNG")


def test_a_prediction_is_saved_as_what_the_suffix_says(model: Any, tmp_path: Path) -> None:
    found = model(SQUARE)
    found.save(tmp_path / "mask.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), found.labels)
    with Image.open(found.save(tmp_path / "mask.png")) as mask:
        assert mask.mode == "P"
    outlines = json.loads(Path(found.save(tmp_path / "outlines.geojson")).read_text("utf-8"))
    (feature,) = outlines["features"]
    ring = np.array(feature["geometry"]["coordinates"][0])
    assert [*ring.min(axis=0), *ring.max(axis=0)] == [10, 8, 30, 20]
    assert feature["properties"]["classification"]["name"] == "bright"
    with np.load(found.save(tmp_path / "all.npz")) as arrays:
        np.testing.assert_array_equal(arrays["labels"], found.labels)
    with pytest.raises(UsageError, match=r"overlay\(\)\.save"):
        found.save(tmp_path / "picture.jpg")


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        (lambda m: m(np.zeros((2, 40, 48, 1))), DataError, r"model\.batch"),
        (lambda m: m(np.zeros((1, 40, 48))), DataError, r"moveaxis"),
        (lambda m: m("images/nowhere.png"), ImageReadError, "does not exist"),
        (lambda m: m(Path(__file__).parent), ImageReadError, r"reunet\.predict"),
        (lambda m: m.batch("image.png"), UsageError, r"model\('image\.png'\)"),
        (lambda m: m.stream(), PlanError, "each image by itself"),
        (lambda m: reunet.load(SQUARE), UsageError, r"reunet\.load\(RUN\)\(image\)"),
        (lambda m: reunet.load("run", engine="onx"), UsageError, r"engine\n(.|\n)*'onnx'"),
    ],
)
def test_what_is_likely_to_go_wrong_is_answered_with_the_right_call(
    wrong: Callable[[Any], Any], error: type[ReunetError], told: str, model: Any
) -> None:
    with pytest.raises(error, match=told):
        wrong(model)


def test_a_stack_is_no_image(model: Any, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([SQUARE, SQUARE]), metadata={"axes": "TYX"})
    with pytest.raises(DataError, match=r"2 pages(.|\n)*reunet\.predict"):
        model(tmp_path / "stack.tif")


def test_results_and_plans_are_tables_in_a_notebook(tiny_run: Path, tiny_dataset: Path) -> None:
    from reunet.contracts.plan import Plan

    assert "discs" in Plan.read(tiny_run / "plan.json")._repr_html_()
    assert "<table>" in reunet.check(tiny_dataset)._repr_html_()


def test_the_network_of_a_run_says_what_its_engine_says(tiny_run: Path, tiny_dataset: Path) -> None:
    """But for the temperature, which is no part of the network."""
    from reunet.contracts.plan import Calibration
    from reunet.inference.predictor import network_input
    from reunet.tasks.tempering import tempered

    model = reunet.load(tiny_run, precision="f32")
    image = read_image(next((tiny_dataset / "test" / "images").iterdir()))
    pixels, _ = network_input(image, model.plan, "test")
    logits = np.asarray(model.network()(pixels[None])["semantic"])[0]
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    heat = Calibration.read(tiny_run / "calibration.json").pixel_temperature
    assert heat is not None
    found = tempered(model(image).probabilities, 1 / heat)
    np.testing.assert_allclose(odds / odds.sum(axis=-1, keepdims=True), found, atol=1e-4)


def test_batches_of_a_dataset_are_those_that_training_sees(tiny_dataset: Path, tiny_run: Path) -> None:
    from reunet.contracts.plan import Plan

    plan = Plan.read(tiny_run / "plan.json")
    batches = reunet.dataset(tiny_dataset, plan)
    images, labels = batches[0]
    assert images.shape == (plan.batch, *plan.patch, 1)
    assert labels.shape == (plan.batch, *plan.patch)
    assert set(np.unique(labels)) <= {0, 1, 255}
    assert len(list(batches)) == len(batches) == 1
    np.testing.assert_array_equal(next(iter(batches))[0], images)
    batches.on_epoch_end()
    assert (batches[0][0] != images).any(), "another epoch shows other patches"
    held_out = reunet.dataset(tiny_dataset, tiny_run / "plan.json", split="val", steps=2, threads=0)
    assert len(list(held_out)) == 2
    with pytest.raises(PlanError, match=r"reunet\.plan\(DATA\)"):
        reunet.dataset(tiny_dataset, 3)
    with pytest.raises(UsageError, match="did you mean 'masks'"):
        reunet.dataset(tiny_dataset, plan, mask="x")


def test_keras_fits_these_batches_with_these_losses(tiny_dataset: Path, tiny_run: Path) -> None:
    from reunet.contracts.plan import Plan

    plan = Plan.read(tiny_run / "plan.json")
    network = reunet.networks.build(plan.network, seed=1)
    network.compile(optimizer="adam", loss=reunet.losses.losses_of(plan))
    batches = reunet.dataset(tiny_dataset, plan, steps=2)
    history = network.fit(batches, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
