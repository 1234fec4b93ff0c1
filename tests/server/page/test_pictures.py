"""Images that are too large to be sent whole: tiles from the copy that fits, predicted where one looks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.results import Prediction
from reunet.errors import DataError, UsageError
from reunet.server.models import Models
from reunet.server.page import entries, layers, pictures
from reunet.server.page.entries import Entry, Place
from reunet.server.page.packing import unpacked


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """An OME-Zarr of 1200 x 1300 pixels, bright at 700..719, 100..139; its copy is grey all over."""
    zarr = pytest.importorskip("zarr")
    monkeypatch.setattr(entries, "WHOLE", 10_000)
    group = zarr.open_group(str(tmp_path / "large.zarr"), mode="w", zarr_format=2)
    whole = group.create_array("0", shape=(1200, 1300), chunks=(256, 256), dtype="u1", fill_value=0)
    whole[700:720, 100:140] = 255
    group.create_array("1", shape=(600, 650), chunks=(256, 256), dtype="u1", fill_value=120)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    scales = [[{"type": "scale", "scale": [side, side]}] for side in (1.0, 2.0)]
    copies = [{"path": str(i), "coordinateTransformations": one} for i, one in enumerate(scales)]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": copies}]
    return Entry(f"large {tmp_path.name}", "large", (Place(tmp_path / "large.zarr"),))


def read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_tiles_come_from_the_copy_that_fits(large: Entry) -> None:
    assert large.facts()["tiles"] == {"size": 512, "levels": 3}
    with pytest.raises(DataError):
        large.pixels(0)  # nothing reads all of it
    overview = read(pictures.tile(large, 0, 0, 0, 0))
    assert overview.shape == (300, 325, 3)
    assert len(np.unique(overview)) == 1  # of the copy, all of which is grey
    finest = read(pictures.tile(large, 0, 2, 0, 1))
    assert finest.shape == (512, 512, 3)
    assert (finest[188:208, 100:140] > finest[0, 0]).all()
    assert (finest[:188] == finest[0, 0]).all()


def test_a_large_image_is_predicted_where_one_looks(
    large: Entry, make_bright_run: Callable[..., Path], tmp_path: Path
) -> None:
    model = Models().add(make_bright_run(tmp_path / "bright"))
    told, arrays = unpacked(layers.predicted(model, large, 0, (690, 90, 740, 190)))
    assert (told["top"], told["left"], told["height"], told["width"]) == (690, 90, 50, 100)
    found = arrays["classes"].reshape(50, 100)
    assert found[10:30, 10:50].all()
    assert found.sum() == 800
    for box in (None, (0, 0, 0, 0)):
        with pytest.raises(UsageError):
            layers.predicted(model, large, 0, box)
    told, _ = unpacked(layers.predicted(model, large, 0, (-50, -50, 20, 5000)))
    assert (told["top"], told["left"], told["height"], told["width"]) == (0, 0, 20, 1300)


def test_objects_that_were_left_out_come_after_the_others() -> None:
    """So that the threshold of the page brings them back: it begins at the fitted one."""
    kept, left = np.array([[1, 1, 0, 0], [0, 2, 0, 0]], np.int32), np.array([[0, 0, 1, 2]] * 2, np.int32)
    sure, doubted = np.array([np.nan, 0.9, 0.8]), np.array([np.nan, 0.1, 0.3])
    given = Prediction(instances=kept, instance_scores=sure, doubtful=left, doubtful_scores=doubted)
    found = layers._with_doubtful(given)
    np.testing.assert_array_equal(found.instances, [[1, 1, 3, 4], [0, 2, 3, 4]])
    np.testing.assert_array_equal(found.instance_scores, [np.nan, 0.9, 0.8, 0.1, 0.3])
    plain = Prediction(instances=kept, instance_scores=sure)
    assert layers._with_doubtful(plain) is plain
