"""What can go wrong while predicting: unfit, damaged and failing images, engines that give nonsense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.cli import main
from reunet.errors import ModelFileError, PlanError, StorageError
from reunet.flows.predict import predict as flow
from reunet.flows.predict.predict import predict
from reunet.inference.load import load
from reunet.inference.predictor import Predictor

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def run(make_bright_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bright_run(tmp_path_factory.mktemp("runs") / "bright")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two good images with a broken one of each kind between them."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    for name in ("a_good.png", "z_good.png"):
        Image.fromarray(pixels).save(folder / name)
    whole = (folder / "a_good.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.png").write_bytes(whole[:1000] + bytes([whole[1000] ^ 255]) + whole[1001:])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("this is no picture")
    tifffile.imwrite(folder / "cut.tif", pixels, compression="zlib")
    (folder / "cut.tif").write_bytes((folder / "cut.tif").read_bytes()[:-2000])
    (folder / "cut.tif").rename(folder / "damaged.tif")
    nan = pixels.astype(np.float32)
    nan[3, 4] = np.nan
    tifffile.imwrite(folder / "nan.tif", nan)
    Image.fromarray(np.dstack([pixels, pixels.T, pixels])).save(folder / "rgb.png")
    return folder


BROKEN = {"cut.png", "flipped.png", "empty.png", "text.png", "damaged.tif", "nan.tif", "rgb.png"}


def results(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.fault("an image with other channels than the run has", "an error with both numbers")
def test_another_number_of_channels(make_bright_run: MakeRun, tmp_path: Path) -> None:
    predictor = load(make_bright_run(tmp_path / "rgb", channels=3))
    with pytest.raises(PlanError) as caught:
        predictor(np.zeros((20, 20), np.uint8), where="grey.png")
    for part in ("grey.png", "3 channel", "1 channel"):
        assert part in str(caught.value)


@pytest.mark.fault("images of one pixel, one row, smaller than a tile", "a result of the image's size")
@pytest.mark.parametrize("size", [(1, 1), (1, 67), (67, 1), (2, 3), (31, 33), (16, 200)])
def test_an_image_of_any_size_comes_back(run: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    """Every size from 1 to 67 is a property test in tests/inference."""
    image = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    predict(run, tmp_path / "a.png", output=tmp_path / "out")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/masks/a.png")), image >= 128)


@pytest.mark.fault(
    "truncated or corrupt files at prediction", "each is named, the others are predicted; exit code 2"
)
def test_broken_images_are_named_and_the_others_finished(
    run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["predict", str(run), str(images), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in BROKEN)
    assert "Traceback" not in error
    good = {"a_good.png", "z_good.png"}
    assert results(out) == {f"{kind}/{name}" for kind in ("masks", "overlays") for name in good}


@pytest.mark.fault("seams between tiles", "tiled and whole agree; every pixel is covered")
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_tiled_equals_whole(run: Path, overlap: float) -> None:
    """The engine is pointwise, so tiling may change nothing but rounding."""
    plain = load(run, precision="f32")
    image = np.random.default_rng(0).integers(0, 256, (150, 170), np.uint8)

    def probabilities(tile: int) -> np.ndarray:
        inference = plain.plan.inference.model_copy(update={"tile": (tile, tile), "overlap": overlap})
        plan = plain.plan.model_copy(update={"inference": inference})
        plan.write(run / "plan.json")
        return load(run, precision="f32")(image).probabilities

    try:
        whole, tiled = probabilities(192), probabilities(32)
    finally:
        plain.plan.write(run / "plan.json")
    assert np.abs(whole - tiled).max() < 1e-5


@pytest.mark.fault("an engine gives NaN or infinity", "an error that names the tile")
def test_an_engine_that_gives_nan_names_the_tile(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        name, precision = "broken", "f32"

        def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
            return {"semantic": np.full((*batch.shape[:3], 2), np.nan, np.float32)}

    predictor = Predictor(load(run).plan, Broken())
    with pytest.raises(ModelFileError, match="tile at row 0, column 0"):
        predictor(np.zeros((20, 20), np.uint8))
    monkeypatch.setattr(flow, "load", lambda *_, **__: predictor)
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "a.png")
    assert main(["predict", str(run), str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]) == 1
    assert "tile at row 0" in capsys.readouterr().err
    assert results(tmp_path / "out") == set()


@pytest.mark.fault("a prediction fails where there are old results", "no old mask stays that looks new")
def test_a_failed_image_keeps_no_old_result(run: Path, images: Path, tmp_path: Path) -> None:
    for name in BROKEN:
        (images / name).unlink()
    out = tmp_path / "out"
    predict(run, images, output=out, probabilities=True)
    (images / "z_good.png").write_bytes(b"broken now")
    result = predict(run, images, output=out, probabilities=True, overwrite=True)
    assert list(result.failures) == [str(images / "z_good.png")]
    assert results(out) == {"masks/a_good.png", "overlays/a_good.png", "probabilities/a_good.npy"}


@pytest.mark.fault("a prediction breaks while it writes", "its results are whole or absent")
@pytest.mark.parametrize(
    "fails",
    ["tasks.semantic.write_mask", "flows.predict.outputs.write_png", "tasks.semantic.overlay"],
)
def test_results_are_whole_or_absent(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("could not write a file: no space left on device")

    monkeypatch.setattr(f"reunet.{fails}", full)
    with pytest.raises(StorageError, match="no space"):
        predict(run, images / "a_good.png", output=tmp_path / "out", probabilities=True)
    assert results(tmp_path / "out") == set()


def test_a_stack_that_breaks_on_its_last_page_leaves_nothing(run: Path, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).random((4, 20, 20), np.float32)
    stack[-1, 3, 3] = np.inf
    tifffile.imwrite(tmp_path / "stack.tif", stack, metadata={"axes": "ZYX"}, photometric="minisblack")
    result = predict(run, tmp_path / "stack.tif", output=tmp_path / "out", probabilities=True)
    assert "page 4" in result.failures[str(tmp_path / "stack.tif")]
    assert results(tmp_path / "out") == set()
