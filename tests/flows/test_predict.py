"""The verb `predict` on a run whose results are known exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.cli import main
from reunet.contracts.labels import LabelMap, default_classes
from reunet.errors import DataError, StorageError, UsageError
from reunet.flows.predict.predict import predict
from reunet.tasks.semantic import outside_value

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def run(make_bright_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bright_run(tmp_path_factory.mktemp("runs") / "bright", ids=(0, 7))


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return image


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class Recorder:
    """Keeps what a progress bar would be told."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.messages: list[str] = []

    def start(self, task: str, total: int | None) -> None:
        self.total = total

    def advance(self, n: int = 1, **info: object) -> None:
        self.done += n

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_one_image_gives_a_mask_with_class_ids_and_colours(run: Path, tmp_path: Path) -> None:
    image = write_image(tmp_path / "cell.png")
    result = predict(run, tmp_path / "cell.png", output=tmp_path / "out")
    assert result.predicted == (tmp_path / "cell.png",)
    assert not result.failures
    assert files(tmp_path / "out") == {"masks/cell.png", "overlays/cell.png"}
    with Image.open(tmp_path / "out/masks/cell.png") as mask:
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.asarray(mask), 7 * (image >= 128))
        colours = np.asarray(mask.convert("RGB"))
    np.testing.assert_array_equal(colours[image >= 128][0], default_classes([0, 7])[1].color)
    with Image.open(tmp_path / "out/overlays/cell.png") as overlay:
        assert overlay.mode == "RGB"
        assert overlay.size == (50, 40)


def test_the_default_output_lies_beside_the_run(run: Path, tmp_path: Path) -> None:
    own = shutil.copytree(run, tmp_path / "my run")
    write_image(tmp_path / "a.png")
    assert predict(own, [tmp_path / "a.png"]).output == tmp_path / "my run-predictions"
    assert (tmp_path / "my run-predictions/masks/a.png").is_file()


def test_folders_are_searched_and_keep_their_structure(run: Path, tmp_path: Path) -> None:
    images = tmp_path / "in"
    for name in ("b.png", "deep/er/c.png", "deep/b.png", ".hidden/x.png", "deep/.y.png"):
        write_image(images / name)
    (images / "notes.txt").write_text("no image")
    write_image(tmp_path / "single.png")
    progress = Recorder()
    given = [images, tmp_path / "single.png", images / "b.png"]
    predict(run, given, output=images / "out", on_progress=progress)
    expected = {"b.png", "deep/er/c.png", "deep/b.png", "single.png"}
    assert files(images / "out/masks") == expected
    assert (progress.total, progress.done) == (4, 4)
    predict(run, given, output=images / "out", overwrite=True)  # its own results are no inputs
    assert files(images / "out/masks") == expected


@pytest.mark.parametrize("pages", [2, 5])
def test_a_stack_of_pages_gives_a_stack_of_masks(run: Path, tmp_path: Path, pages: int) -> None:
    stack = np.random.default_rng(0).integers(0, 256, (pages, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, metadata={"axes": "ZYX"}, photometric="minisblack")
    result = predict(run, tmp_path / "stack.tif", output=tmp_path / "out", probabilities=True)
    assert not result.failures
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out/masks/stack.tif"), 7 * (stack >= 128))
    assert len(files(tmp_path / "out/overlays/stack.pages")) == pages
    probabilities = np.load(tmp_path / "out/probabilities/stack.npy")
    np.testing.assert_allclose(probabilities[..., 1], 1 / (1 + np.exp(-0.05 * (stack - 127.5))), atol=1e-5)


def test_probabilities_on_request(run: Path, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    predict(run, tmp_path / "a.png", output=tmp_path / "out", probabilities=True)
    probabilities = np.load(tmp_path / "out/probabilities/a.npy")
    assert probabilities.shape == (40, 50, 2)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities[..., 1] > 0.5, image >= 128)


def test_ids_above_255_are_written_as_tiff(make_bright_run: MakeRun, tmp_path: Path) -> None:
    run = make_bright_run(tmp_path / "run", ids=(0, 1000))
    image = write_image(tmp_path / "a.png")
    predict(run, tmp_path / "a.png", output=tmp_path / "out")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out/masks/a.tif"), 1000 * (image >= 128))


def test_two_inputs_of_one_name_are_refused_before_work(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "a/x.png")
    write_image(tmp_path / "b/x.png")
    write_image(tmp_path / "b/x.bmp")
    for inputs in ([tmp_path / "a", tmp_path / "b/x.png"], [tmp_path / "b"]):
        with pytest.raises(UsageError, match="same name") as caught:
            predict(run, inputs, output=tmp_path / "out")
        assert "x.png" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_predicted_is_refused_before_work(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "train/images/a.png")
    write_image(tmp_path / "train/masks/a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.md").touch()
    for given, words in (
        ("train/image", "did you mean 'images'"),
        ("empty", r"readme\.md"),
        ("train", "dataset"),
        (".", "dataset"),
    ):
        with pytest.raises(DataError, match=words):
            predict(run, tmp_path / given, output=tmp_path / "out")
    with pytest.raises(UsageError):
        predict(run, [], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_existing_results_are_kept_replaced_or_left_out(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "in/a.png")
    out = tmp_path / "out"
    predict(run, tmp_path / "in", output=out, probabilities=True)
    write_image(tmp_path / "in/a.png", seed=1)
    image = write_image(tmp_path / "in/b.png", seed=2)
    before = (out / "masks/a.png").read_bytes()
    with pytest.raises(StorageError, match="overwrite"):
        predict(run, tmp_path / "in", output=out)
    assert not (out / "masks/b.png").exists()
    result = predict(run, tmp_path / "in", output=out, skip_existing=True)
    assert result.skipped == (tmp_path / "in/a.png",)
    assert result.predicted == (tmp_path / "in/b.png",)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "masks/b.png")), 7 * (image >= 128))
    assert (out / "masks/a.png").read_bytes() == before
    predict(run, tmp_path / "in", output=out, overwrite=True)
    assert (out / "masks/a.png").read_bytes() != before
    assert not (out / "probabilities/a.npy").exists()  # it belonged to the earlier result
    with pytest.raises(UsageError):
        predict(run, tmp_path / "in", output=out, overwrite=True, skip_existing=True)


def test_results_in_a_folder_told_from_here_are_no_less_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "in/a.png")
    monkeypatch.chdir(tmp_path)
    predict(run, "in", output="out")
    before = (tmp_path / "out/masks/a.png").stat().st_mtime_ns
    with pytest.raises(StorageError, match="received: masks/a"):
        predict(run, "in", output="out")
    assert (tmp_path / "out/masks/a.png").stat().st_mtime_ns == before
    predict(run, "in", output="out", overwrite=True)
    assert (tmp_path / "out/masks/a.png").stat().st_mtime_ns != before


def test_skipping_removes_nothing_of_other_tasks(run: Path, tmp_path: Path) -> None:
    """A dataset, say, whose instances lie where those of a run for them would be."""
    write_image(tmp_path / "data/images/a.png")
    write_image(tmp_path / "data/instances/a.png", seed=3)
    predict(run, tmp_path / "data/images", output=tmp_path / "data", skip_existing=True)
    assert {"instances/a.png", "masks/a.png"} <= files(tmp_path / "data")


@pytest.mark.parametrize("place", ["masks", "overlays", "instances"])
def test_an_image_in_the_place_of_a_result_is_refused_not_removed(
    place: str, run: Path, tmp_path: Path
) -> None:
    write_image(tmp_path / "out" / place / "a.png")
    before = (tmp_path / "out" / place / "a.png").read_bytes()
    with pytest.raises(UsageError, match="would be lost"):
        predict(run, tmp_path / "out" / place / "a.png", output=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / place / "a.png").read_bytes() == before


@pytest.mark.parametrize("output", [".", "images"])
def test_the_output_may_hold_the_images(
    output: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "images" / "a.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert predict(run, "images", output=output, overwrite=True).predicted == (Path("images/a.png"),)
    assert files(tmp_path / output) >= {"masks/a.png", "overlays/a.png"}


def test_skipping_looks_for_the_probabilities_too(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    options = {"output": tmp_path / "out", "skip_existing": True}
    predict(run, tmp_path / "a.png", output=tmp_path / "out")
    assert predict(run, tmp_path / "a.png", **options, probabilities=True).skipped == ()
    assert (tmp_path / "out/probabilities/a.npy").is_file()
    assert predict(run, tmp_path / "a.png", **options, probabilities=True).skipped == (tmp_path / "a.png",)
    assert predict(run, tmp_path / "a.png", **options).skipped == (tmp_path / "a.png",)


@pytest.mark.parametrize(
    "names", [("imgs/a", "labels/a"), ("images/train/a", "masks/train/a"), ("img/a", "GT/a")]
)
def test_masks_of_every_layout_are_not_predicted(run: Path, tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        write_image(tmp_path / "data" / f"{name}.png")
    with pytest.raises(DataError, match="dataset") as caught:
        predict(run, tmp_path / "data", output=tmp_path / "out")
    assert f"give {tmp_path / 'data' / names[0].split('/')[0]}" in str(caught.value)
    for name in names:  # but one of them alone was meant
        predict(run, tmp_path / "data" / name.split("/")[0], output=tmp_path / "out", overwrite=True)


def test_axes_that_there_are_not_are_no_less_wrong_for_an_image(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    with pytest.raises(UsageError, match="axes is not understood"):
        predict(run, tmp_path / "a.png", output=tmp_path / "out", axes="QQ")


def test_an_animated_gif_is_named(run: Path, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((20, 30), value, np.uint8)) for value in (0, 200)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    (reason,) = predict(run, tmp_path / "film.gif", output=tmp_path / "out").failures.values()
    assert "animated GIF" in reason
    assert not files(tmp_path / "out")


def test_a_run_on_single_images_has_no_use_for_sequences(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "a_1.png")
    with pytest.raises(UsageError, match="sequence"):
        predict(run, tmp_path / "a_1.png", output=tmp_path / "out", sequence="{sequence}_{frame}")


def test_nothing_is_deleted_when_the_run_cannot_be_loaded(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    predict(run, tmp_path / "a.png", output=tmp_path / "out")
    with pytest.raises(UsageError):
        predict(run, tmp_path / "a.png", output=tmp_path / "out", overwrite=True, engine="unknown")
    assert files(tmp_path / "out") == {"masks/a.png", "overlays/a.png"}


def test_outside_the_field_of_view_is_background(run: Path, tmp_path: Path) -> None:
    image = write_image(tmp_path / "in/a.png")
    inside = np.zeros((40, 50), np.uint8)
    inside[10:30, 5:45] = 255
    (tmp_path / "fov").mkdir()
    Image.fromarray(inside).save(tmp_path / "fov/a.bmp")
    predict(run, tmp_path / "in", output=tmp_path / "out", fov=tmp_path / "fov")
    mask = np.asarray(Image.open(tmp_path / "out/masks/a.png"))
    np.testing.assert_array_equal(mask, 7 * ((image >= 128) & (inside > 0)))
    write_image(tmp_path / "in/b.png")
    with pytest.raises(DataError, match=r"b\.png"):
        predict(run, tmp_path / "in", output=tmp_path / "out2", fov=tmp_path / "fov")
    write_image(tmp_path / "fov/b.png", size=(3, 3))
    result = predict(run, tmp_path / "in", output=tmp_path / "out2", fov=tmp_path / "fov")
    assert list(result.failures) == [str(tmp_path / "in/b.png")]
    assert "size" in result.failures[str(tmp_path / "in/b.png")]


@pytest.mark.parametrize("ending", ["_mask", "_fov", "_seg"])
def test_fields_of_view_are_named_as_in_a_dataset(run: Path, tmp_path: Path, ending: str) -> None:
    write_image(tmp_path / "in/sub/a.png")
    (tmp_path / "fov/sub").mkdir(parents=True)
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(tmp_path / f"fov/sub/a{ending}.gif")
    predict(run, tmp_path / "in", output=tmp_path / "out", fov=tmp_path / "fov")
    assert not np.asarray(Image.open(tmp_path / "out/masks/sub/a.png")).any()
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(tmp_path / "fov/sub/a_label.gif")
    with pytest.raises(DataError, match="or several"):
        predict(run, tmp_path / "in", output=tmp_path / "out2", fov=tmp_path / "fov")


def test_axes_hold_for_the_field_of_view_too(run: Path, tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(128, 256, (3, 20, 30), np.uint8)
    inside = np.random.default_rng(1).integers(0, 2, (3, 20, 30), np.uint8)
    (tmp_path / "fov").mkdir()
    for path, values in ((tmp_path / "s.tif", stack), (tmp_path / "fov/s.tif", inside)):
        # Read without --axes these would be three channels of one image.
        tifffile.imwrite(path, values, imagej=True, metadata={"axes": "CYX"})
    options = {"output": tmp_path / "out", "fov": tmp_path / "fov", "axes": "ZYX"}
    assert not predict(run, tmp_path / "s.tif", **options).failures
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out/masks/s.tif"), 7 * inside)


def test_classes_without_background_have_no_outside() -> None:
    classes = default_classes([1, 2, 3], ["sky", "road", "tree"])
    with pytest.raises(UsageError, match="sky"):
        outside_value(LabelMap(classes=classes))
    assert outside_value(LabelMap(classes=classes, ignore=0)) == 255


def test_an_image_beyond_the_memory_allowed_is_named(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "in/big.png", size=(2000, 2000))
    write_image(tmp_path / "in/small.png")
    result = predict(run, tmp_path / "in", output=tmp_path / "out", max_memory=400_000_000)
    assert result.predicted == (tmp_path / "in/small.png",)
    assert "--max-memory" in result.failures[str(tmp_path / "in/big.png")]
    assert files(tmp_path / "out/masks") == {"small.png"}


def test_strange_names(run: Path, tmp_path: Path) -> None:
    names = ["mit leer.png", "ümläut ñ.png", "图像.png", "a.b.c.png", "x" * 200 + ".png", "-o.png", "#&%.png"]
    for name in names:
        write_image(tmp_path / "in" / name)
    result = predict(run, tmp_path / "in", output=tmp_path / "aus gabe")
    assert not result.failures
    assert files(tmp_path / "aus gabe/masks") == set(names)


@pytest.mark.parametrize("name", ["fvo", "fov.txt"])
def test_a_missing_folder_of_fields_is_said_first(run: Path, tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "in/a.png")
    write_image(tmp_path / "fov/a.png")
    (tmp_path / "fov.txt").touch()
    with pytest.raises(DataError, match="does not exist") as caught:
        predict(run, tmp_path / "in", output=tmp_path / "out", fov=tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "did you mean 'fov'" in str(caught.value)


def test_a_name_too_long_for_its_results_concerns_that_image_only(run: Path, tmp_path: Path) -> None:
    """Longest names fit for one page; the folder of the overlays of a stack has a longer suffix."""
    long = "x" * 251
    write_image(tmp_path / f"in/{long}.png")
    write_image(tmp_path / "in/a.png")
    stack = np.zeros((2, 20, 30), np.uint8)
    for name in ("y" * 251, "z"):
        tifffile.imwrite(tmp_path / f"in/{name}.tif", stack, metadata={"axes": "ZYX"})
    for options in ({}, {"overwrite": True}):
        result = predict(run, tmp_path / "in", output=tmp_path / "out", **options)
        assert list(result.failures) == [str(tmp_path / "in" / ("y" * 251 + ".tif"))]
        assert "too long" in next(iter(result.failures.values()))
        assert files(tmp_path / "out/masks") == {f"{long}.png", "a.png", "z.tif"}
    skipped = predict(run, tmp_path / "in", output=tmp_path / "out", skip_existing=True).skipped
    assert len(skipped) == 3


def test_files_that_are_not_read_are_counted_and_masks_among_images_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    write_image(images / "a.png")
    for name in ("b.heic", "sub/c.npy", "Thumbs.db", ".hidden.heic", "README.md"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes(b"x")
    assert main(["predict", str(run), str(images), "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "predicted: 1, left out: 2" in out
    assert "b.heic, c.npy" in out
    for name in ("a.png", "b.heic", "sub/c.npy"):
        (images / name).unlink()
    with pytest.raises(DataError, match="holds no images"):
        predict(run, images, output=tmp_path / "other")
    write_image(images / "x.jpg")
    write_image(images / "x_mask.png")
    with pytest.raises(DataError, match=r"masks of others(.|\n)*x_mask"):
        predict(run, images, output=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_dataset_in_another_language_is_refused(run: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "Bilder" / "a.png")
    write_image(tmp_path / "Masken" / "a.png")
    with pytest.raises(DataError, match="this folder is a dataset"):
        predict(run, tmp_path, output=tmp_path / "out")
