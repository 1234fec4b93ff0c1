"""Volumes from end to end: check, train, predict, evaluate, in the geometry of the files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import UsageError
from reunet.flows.check import check
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.predict.inputs import find_sources
from reunet.flows.predict.predict import predict
from reunet.flows.prepare import as_planned, prepare
from reunet.flows.train.train import train
from reunet.inference.load import load
from reunet.io.images import read_image, volume_spacing
from reunet.io.masks import read_raw_mask
from reunet.progress import NullProgress

from .messages import Messages

Maker = Callable[..., Path]

SMALL = {
    "network__filters": (8, 16),
    "network__strides": ((1, 2, 2),),
    "network__kernels": ((1, 3, 3), (3, 3, 3)),
    "patch": (8, 16, 16),
    "inference": {"tile": (8, 16, 16)},
    "schedule__validations": 1,
}


@pytest.fixture(scope="module")
def data(make_volumes: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slices half as many and twice as thick as pixels, and some volumes with thin ones."""
    folder = make_volumes(tmp_path_factory.mktemp("volumes") / "balls", size=(20, 18, 10), spacing=(1, 1, 2))
    return make_volumes(folder, train=1, test=0, size=(20, 18, 20), seed=7)


@pytest.fixture(scope="module")
def run(data: Path, make_plan: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    plan = make_plan(folder / "plan.json", data, steps=60, **SMALL)
    train(data, output=folder / "balls", plan=plan)
    return folder / "balls"


@pytest.mark.keras
def test_a_run_on_volumes_learns_and_reports(run: Path, data: Path) -> None:
    assert not check(data).errors
    plan = RunFolder(run).plan()
    assert plan.spacing == (2.0, 1.0, 1.0)
    assert plan.network.preset == "unet3d"
    result = evaluate(run, data, overwrite=True)
    assert result.metrics["n_images"] == 2
    assert result.metrics["dice"]["per_image"]["mean_foreground"] > 0.5
    assert "data:image/jpeg" in result.report.read_text(encoding="utf-8")
    assert (run / "evaluation" / "val" / "metrics.json").is_file()


@pytest.mark.keras
def test_masks_lie_where_the_volumes_lie(run: Path, data: Path, tmp_path: Path) -> None:
    result = predict(run, [data / "imagesTs"], output=tmp_path / "out", probabilities=True)
    assert result.failures == {}
    scored = evaluate(pred=tmp_path / "out", truth=data / "labelsTs", output=tmp_path / "scores")
    direct = evaluate(run, data, output=tmp_path / "direct")
    assert scored.metrics["dice"] == direct.metrics["dice"]
    for number in range(2):
        image = nib.load(data / "imagesTs" / f"test_{number:02d}_0000.nii.gz")
        mask = nib.load(tmp_path / "out" / "masks" / f"test_{number:02d}.nii.gz")
        assert mask.shape == image.shape
        np.testing.assert_array_equal(mask.affine, image.affine)
        assert set(np.unique(mask.dataobj)) <= {0, 1, 2}
        picture = np.asarray(Image.open(tmp_path / "out" / "overlays" / f"test_{number:02d}.png"))
        assert picture.ndim == 3
        probabilities = np.load(tmp_path / "out" / "probabilities" / f"test_{number:02d}.npy")
        assert probabilities.shape == (10, 18, 20, 3)


@pytest.mark.keras
def test_engines_agree_and_spacing_counts(run: Path, data: Path) -> None:
    path = data / "imagesTs" / "test_00_0000.nii.gz"
    volume, spacing = read_image(path), volume_spacing(path)
    probabilities = [
        load(run, engine, "f32")(volume, spacing=spacing).probabilities for engine in ("openvino", "keras")
    ]
    np.testing.assert_allclose(*probabilities, atol=2e-4)
    assert probabilities[0].shape == (10, 18, 20, 3)
    other = load(run, "openvino", "f32")(volume, spacing=(4.0, 1.0, 1.0)).probabilities
    assert np.abs(other - probabilities[0]).max() > 0.01


def test_volumes_of_another_spacing_are_trained_at_the_plan_s(
    data: Path, make_plan: Maker, tmp_path: Path
) -> None:
    """One volume has twice the slices in its file, and as many as the others for the network."""
    prepared = prepare(data, DataOptions(), NullProgress())
    cases = (*prepared.train, *prepared.val)
    assert sorted(case.image.shape[0] for case in cases) == [10, 10, 10, 10, 20]
    plan = Plan.read(make_plan(tmp_path / "plan.json", data, **SMALL))
    assert [case.image.shape for case in as_planned(cases, plan)] == [(10, 18, 20, 1)] * 5


@pytest.mark.keras
def test_images_are_not_volumes(
    run: Path, tiny_run: Path, data: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    flat = next((tiny_dataset / "test" / "images").iterdir())
    failures = predict(run, [flat], output=tmp_path / "a").failures
    assert "this run was trained on volumes" in failures[str(flat)]
    volume = data / "imagesTs" / "test_00_0000.nii.gz"
    failures = predict(tiny_run, [volume], output=tmp_path / "b").failures
    assert "this run was trained on images" in failures[str(volume)]
    with pytest.raises(UsageError, match="for images"):
        train(data, output=tmp_path / "c", init=tiny_run, steps=1)
    assert not (tmp_path / "c").exists()


@pytest.mark.keras
def test_a_damaged_volume_is_named_and_the_others_are_done(run: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(data / "imagesTs", folder)
    damaged = folder / "test_00_0000.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    result = predict(run, [folder], output=tmp_path / "out")
    assert list(result.failures) == [str(damaged)]
    assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["test_01_0000.nii.gz"]


@pytest.mark.keras
def test_a_volume_that_does_not_state_its_spacing_is_told(run: Path, data: Path, tmp_path: Path) -> None:
    image = nib.load(data / "imagesTs" / "test_00_0000.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.eye(4)), tmp_path / "a.nii.gz")
    listener = Messages()
    predict(run, tmp_path / "a.nii.gz", output=tmp_path / "out", on_progress=listener)
    assert any("a.nii.gz" in text and "1 mm" in text for text in listener.texts)
    stated = load(run)(read_image(tmp_path / "a.nii.gz"), spacing=(1.0, 1.0, 1.0)).labels
    np.testing.assert_array_equal(read_raw_mask(tmp_path / "out" / "masks" / "a.nii.gz"), stated)


def test_files_of_channels_are_one_input(make_volumes: Maker, tmp_path: Path) -> None:
    data = make_volumes(tmp_path / "two", channels=2, train=1)
    sources, _ = find_sources([data / "imagesTs"], exclude=tmp_path / "out")
    assert [str(source.name) for source in sources] == ["test_00", "test_01"]
    assert [len(source.channels) for source in sources] == [1, 1]
    shutil.copytree(data / "imagesTs", tmp_path / "elsewhere")  # there, numbers may be frames
    names = [
        str(source.name) for source in find_sources([tmp_path / "elsewhere"], exclude=tmp_path / "out")[0]
    ]
    assert names == ["test_00_0000", "test_00_0001", "test_01_0000", "test_01_0001"]
