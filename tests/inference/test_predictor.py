"""The predictor: raw arrays of every kind to labels, and arrays that are no images to errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import Classes
from reunet.contracts.plan import Calibration, Inference, InputSpec, Intensity
from reunet.contracts.truth import Truth
from reunet.errors import DataError, PlanError, ReunetError
from reunet.inference.load import load
from reunet.inference.predictor import Predictor, as_image, part_spacing, seen_size
from reunet.tasks.work import Work


class RampRuntime:
    """Foreground probability = pixel value of a tile scaled by its column: not symmetric to mirroring."""

    name, precision = "ramp", "f32"

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        ramp = np.linspace(0, 1, batch.shape[2], dtype=np.float32)[None, None, :, None]
        foreground = 1 / (1 + np.exp(-batch[..., :1] * ramp / 50))
        return {"semantic": np.concatenate([1 - foreground, foreground], axis=-1)}


@pytest.fixture(scope="module")
def run(make_bright_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bright_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return load(run, precision="f32")


@pytest.mark.fault("sizes that no stride divides", "every size from 1 to 67 comes back, each pixel once")
@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 67), width=st.integers(1, 67))
def test_any_size_is_predicted_exactly(predictor: Predictor, height: int, width: int) -> None:
    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width), np.uint8)
    result = predictor(image)
    assert result.labels.shape == (height, width)
    assert result.labels.dtype == np.uint8
    np.testing.assert_array_equal(result.labels, image >= 128)
    expected = 1 / (1 + np.exp(-0.05 * (image - 127.5)))
    np.testing.assert_allclose(result.probabilities[..., 1], expected, atol=1e-5)
    np.testing.assert_allclose(result.probabilities.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<u2", ">i4", "<i8", "<f4", ">f8", "<f2"])
def test_dtype_byte_order_and_strides_do_not_matter(predictor: Predictor, dtype: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 1), np.uint8)
    expected = predictor(image)
    other = np.asfortranarray(image.astype(dtype)[::-1, ::-1])[::-1, ::-1]
    np.testing.assert_array_equal(predictor(other).labels, expected.labels)


def test_the_image_is_left_as_it_was(predictor: Predictor) -> None:
    image = np.random.default_rng(0).random((40, 40, 1), np.float32)
    image.flags.writeable = False
    predictor(image)


def test_calibration_decides_the_labels(run: Path) -> None:
    plain = load(run, precision="f32")
    strict = Predictor(plain.plan, plain.runtime, Calibration(threshold=0.9))
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    bright_enough = 127.5 + np.log(0.9 / 0.1) / 0.05
    np.testing.assert_array_equal(strict(image).labels, image >= bright_enough)


def test_test_time_augmentation_is_the_mean_over_the_mirrorings(run: Path) -> None:
    plan = load(run).plan
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 1), np.uint8)
    plain = Predictor(plan, RampRuntime())
    augmented = Predictor(plan, RampRuntime(), tta=True)(image).probabilities
    views = [np.flip(plain(np.flip(image, axes)).probabilities, axes) for axes in [(), (0,), (1,), (0, 1)]]
    np.testing.assert_allclose(augmented, np.mean(views, axis=0), atol=1e-6)
    assert np.abs(augmented - views[0]).max() > 0.01


class OracleRuntime:
    """Says of a tile whose pixels are object ids what a perfect network would say."""

    name, precision = "oracle", "f32"

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        (ids,) = batch[..., 0].round().astype(np.int32)
        found = [np.nonzero(ids == i) for i in np.unique(ids)[1:]]
        corners = [[y.min(), x.min(), y.max() + 1, x.max() + 1] for y, x in found]
        boxes = Boxes(np.array(corners, np.float32), np.ones(len(corners), np.uint8))
        told = self.work.targets(Truth((ids > 0).astype(np.uint8), ids, boxes))
        maps = {
            "box": told["box"][..., :4],
            "centre": told["centre"],
            "flows": np.nan_to_num(told["flows"]),
        }
        maps["instances"] = np.eye(2, dtype=np.float32)[told["instances"]]
        return {name: values[None] for name, values in maps.items()}


def test_mirrored_objects_and_boxes_are_turned_back(run: Path) -> None:
    """A perfect network is as perfect with test-time augmentation: nothing is left mirrored in the mean."""
    ids = np.zeros((48, 64), np.uint8)
    ids[3:14, 5:28], ids[20:45, 8:17], ids[20:35, 17:24], ids[9:16, 50:63] = 1, 2, 3, 4
    plan = load(run).plan
    work = Work(("detection", "instances"), Classes(plan.labels))
    plain_input = InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(0.0,), scale=(1.0,)))
    network = plan.network.model_copy(update={"heads": work.heads(2)})
    changes = {"tasks": ("detection", "instances"), "network": network, "input": plain_input}
    changes["inference"] = Inference(tile=ids.shape)
    plan = plan.model_copy(update=changes)
    plain, augmented = (Predictor(plan, OracleRuntime(work), tta=tta)(ids) for tta in (False, True))
    for found in (plain, augmented):
        order = np.argsort(found.boxes.corners[:, 0] * 100 + found.boxes.corners[:, 1])
        expected = [[3, 5, 14, 28], [9, 50, 16, 63], [20, 8, 45, 17], [20, 17, 35, 24]]
        np.testing.assert_allclose(found.boxes.corners[order], expected, atol=1e-3)
        pairs = np.unique(np.stack([found.instances.ravel(), ids.ravel()]), axis=1)
        assert len(pairs.T) == len(set(pairs[0])) == len(set(pairs[1])) == 5


def test_grey_is_repeated_only_when_the_plan_says_so(
    make_bright_run: Callable[..., Path], tmp_path: Path
) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    generous = load(make_bright_run(tmp_path / "a", channels=3, grey_to_rgb=True), precision="f32")
    np.testing.assert_array_equal(generous(grey).labels, grey >= 128)
    strict = load(make_bright_run(tmp_path / "b", channels=3))
    with pytest.raises(PlanError, match=r"cell\.png") as caught:
        strict(grey, where="cell.png")
    assert "3 channel" in str(caught.value.expected)
    assert "1 channel" in str(caught.value.received)


@pytest.mark.parametrize(
    "image",
    [
        np.float32(3),
        np.zeros(5),
        np.zeros((0, 5)),
        np.zeros((5, 5, 0)),
        np.zeros((5, 5, 2)),
        np.zeros((2, 5, 5, 1)),
        np.zeros((5, 5), complex),
        np.zeros((5, 5), object),
        np.zeros((5, 5), "U3"),
        np.full((5, 5), np.nan),
        np.full((5, 5), -np.inf, np.float32),
        None,
        "image.png",
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(predictor: Predictor, image: object) -> None:
    with pytest.raises(ReunetError):
        predictor(image)


def test_pixels_that_are_no_numbers_are_counted() -> None:
    image = np.zeros((4, 4, 1), np.float32)
    image[0, :3, 0] = np.nan, np.inf, -np.inf
    with pytest.raises(DataError, match="3 pixels"):
        as_image(image)


def test_bool_images_are_0_and_1() -> None:
    np.testing.assert_array_equal(as_image(np.array([[True, False]]))[..., 0], [[1, 0]])


class BrightRuntime:
    """Foreground probability = sigmoid of the normalised voxel; works for any number of axes."""

    name, precision = "bright", "f32"

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        foreground = 1 / (1 + np.exp(-batch[..., :1] / 10))
        return {"semantic": np.concatenate([1 - foreground, foreground], axis=-1)}


def volume_predictor(run: Path, *, tta: bool = False) -> Predictor:
    plan = load(run).plan
    network = plan.network.model_copy(update={"spatial_dims": 3, "strides": ((2, 2, 2),)})
    inference = plan.inference.model_copy(update={"tile": (16, 16, 16)})
    changes = {"network": network, "inference": inference, "spacing": (2.0, 1.0, 1.0), "patch": (16, 16, 16)}
    return Predictor(plan.model_copy(update=changes), BrightRuntime(), tta=tta)


@settings(deadline=None, max_examples=25)
@given(
    size=st.tuples(*[st.integers(1, 37)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6.0)] * 3),
    tta=st.booleans(),
)
def test_any_volume_keeps_its_size_whatever_its_spacing(
    run: Path, size: tuple[int, ...], spacing: tuple[float, ...], tta: bool
) -> None:
    volume = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    result = volume_predictor(run, tta=tta)(volume, spacing=spacing)
    assert result.labels.shape == size
    assert result.probabilities.shape == (*size, 2)
    np.testing.assert_allclose(result.probabilities.sum(-1), 1, atol=1e-5)


def test_a_volume_is_seen_at_the_spacing_of_the_plan_and_put_back(run: Path) -> None:
    """A bright box in a volume of another spacing is found where it is, up to the edge's half voxel."""
    volume = np.zeros((40, 30, 60), np.float32)
    volume[10:30, 8:22, 20:50] = 255
    predictor = volume_predictor(run)
    labels = predictor(volume, spacing=(1.0, 2.0, 0.5)).labels
    wrong = labels != (volume > 0)
    assert wrong.mean() < 0.03
    assert not wrong[12:28, 10:20, 23:47].any()
    np.testing.assert_array_equal(predictor(volume, spacing=(2.0, 1.0, 1.0)).labels, volume > 0)
    np.testing.assert_array_equal(predictor(volume).labels, volume > 0)


def test_an_image_is_seen_at_the_spacing_of_the_plan_and_put_back(run: Path) -> None:
    plan = load(run).plan.model_copy(update={"spacing": (2.0, 2.0)})
    image = np.zeros((75, 90), np.uint8)
    image[20:41, 30:61] = 255
    found = Predictor(plan, BrightRuntime())(image)
    wrong = found.labels != (image > 0)
    assert found.probabilities.shape == (75, 90, 2)
    assert not wrong[22:39, 32:59].any()
    assert wrong.mean() < 0.02


def test_photographs_are_seen_at_one_size_whatever_theirs(run: Path) -> None:
    plan = load(run).plan
    plan = plan.model_copy(update={"input": plan.input.model_copy(update={"longest": 60})})
    for factor in (1, 2, 3):
        image = np.zeros((25 * factor, 30 * factor), np.uint8)
        image[7 * factor : 14 * factor, 10 * factor : 21 * factor] = 255
        assert seen_size(image.shape, plan) == (50, 60)
        found = Predictor(plan, BrightRuntime())(image)
        assert found.labels.shape == image.shape
        assert (found.labels != (image > 0)).mean() < 0.02
    part = image[:30, 15:60]
    assert seen_size(part.shape, plan) == (40, 60)
    assert seen_size(part.shape, plan, part_spacing(image.shape, plan)) == (20, 30)
    assert part_spacing(image.shape, load(run).plan) is None


def test_images_and_volumes_are_not_mistaken_for_each_other(run: Path, predictor: Predictor) -> None:
    with pytest.raises(DataError, match="not a volume") as caught:
        volume_predictor(run)(np.zeros((5, 5)), where="a.png")
    assert "depth, height, width" in str(caught.value)
    with pytest.raises(DataError, match="not an image"):
        predictor(np.zeros((4, 5, 5, 1)))


def test_a_changed_tile_is_told_with_what_it_changes(
    make_bright_run: Callable[..., Path], tmp_path: Path
) -> None:
    """An engine that subtracts the mean of its tile: what it says depends on the tile."""
    import json

    from reunet.contracts.run import RunFolder
    from reunet.inference.agreement import changed_tile

    run = RunFolder(make_bright_run(tmp_path / "run", tile=(64, 64)))
    run.self_test.mkdir()
    ramp = np.linspace(-100, 100, 64, dtype=np.float32) + np.zeros((64, 1), np.float32)
    np.save(run.self_test / "input.npy", ramp[None, ..., None])
    facts = json.loads(run.engine_facts_file.read_text())
    run.engine_facts_file.write_text(json.dumps(facts | {"tile": [64, 64]}))

    class Relative(BrightRuntime):
        def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
            return super().__call__(batch - batch.mean((1, 2), keepdims=True))

    def predictor(tile: tuple[int, int], normalisation: str) -> Predictor:
        plan = run.plan()
        network = plan.network.model_copy(update={"normalisation": normalisation})
        inference = plan.inference.model_copy(update={"tile": tile})
        return Predictor(plan.model_copy(update={"network": network, "inference": inference}), Relative())

    assert changed_tile(run, predictor((64, 64), "instance")) is None
    assert changed_tile(run, predictor((32, 32), "batch")) is None
    told = changed_tile(run, predictor((32, 32), "instance"))
    assert told is not None
    assert "from 64 x 64 to 32 x 32" in told
    share = told.partition("1 label in ")[2].partition(" ")[0]
    assert int(share) < 10
