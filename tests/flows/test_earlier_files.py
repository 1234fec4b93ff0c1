"""Run folders that an earlier version wrote stay valid: they predict the same, resume, export and are scored.

`tests/files/run_0.1.0.zip` holds a dataset of discs (`discs`), a training on it of 30 steps (`finished`),
the same training ended at step 10 by a signal (`interrupted`), and what that version predicted
(`predictions`) and measured (`evaluation`) in float32. It is not written anew when the code changes: that
is its point.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet import evaluate, export, load, predict, train
from reunet.training.checkpoint import load_checkpoint

ARCHIVE = Path(__file__).parents[1] / "files" / "run_0.1.0.zip"


@pytest.fixture
def earlier(tmp_path: Path, backend: str) -> Path:
    """The content of the archive, in a folder that a test may write to."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    return tmp_path


@pytest.mark.parametrize("engine", ["openvino", "keras"])
def test_it_predicts_the_same_masks(earlier: Path, engine: str) -> None:
    out = earlier / "now"
    images = earlier / "discs" / "test" / "images"
    predict(earlier / "finished", images, output=out, engine=engine, precision="f32", probabilities=True)
    before = earlier / "predictions"
    for file in sorted((before / "masks").iterdir()):
        mask = np.array(Image.open(file))
        assert mask.any()
        np.testing.assert_array_equal(np.array(Image.open(out / "masks" / file.name)), mask)
    for file in sorted((before / "probabilities").iterdir()):
        now = np.load(out / "probabilities" / file.name)
        np.testing.assert_allclose(now, np.load(file), atol=1e-4)


def test_it_is_read_as_a_predictor(earlier: Path) -> None:
    image = np.array(Image.open(earlier / "discs" / "test" / "images" / "test_00.png"))
    mask = np.array(Image.open(earlier / "predictions" / "masks" / "test_00.png"))
    np.testing.assert_array_equal(load(earlier / "finished", precision="f32")(image).labels, mask)


def test_its_scores_are_the_same(earlier: Path) -> None:
    evaluate(earlier / "finished", earlier / "discs", output=earlier / "now", precision="f32")
    now, before = (
        json.loads((earlier / name / "metrics.json").read_text()) for name in ("now", "evaluation")
    )
    assert [name for name in now if name in before] == list(before), "all that was told is told still"
    assert now["classes"] == before["classes"]
    for score in ("dice", "iou"):
        for way in ("pooled", "per_image"):
            assert now[score][way].keys() == before[score][way].keys()
            expected = before[score][way]["per_class"]
            assert now[score][way]["per_class"] == pytest.approx(expected, abs=1e-6)
    rows = [(earlier / name / "metrics.csv").read_text().splitlines()[0] for name in ("now", "evaluation")]
    assert set(rows[1].split(",")) <= set(rows[0].split(","))


def test_its_training_goes_on_to_the_same_end(earlier: Path, backend: str) -> None:
    if backend != "tensorflow":
        pytest.skip("it was trained with TensorFlow")
    train(earlier / "discs", output=earlier / "interrupted", resume=True)
    steps, arrays, _, _ = load_checkpoint(earlier / "interrupted" / "checkpoints")
    expected_steps, expected, _, _ = load_checkpoint(earlier / "finished" / "checkpoints")
    assert steps == expected_steps
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():  # bit for bit on one machine; another one may round otherwise
        np.testing.assert_allclose(arrays[name], array, rtol=1e-2, atol=1e-3, err_msg=name)


def test_it_is_exported(earlier: Path) -> None:
    export(earlier / "finished", format="openvino", output=earlier / "model")
    assert any((earlier / "model").glob("*.xml"))
