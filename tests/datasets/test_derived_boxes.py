from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.measure import label, regionprops

from reunet.datasets.case_arrays import boxes_from_masks


def test_a_box_around_each_component() -> None:
    labels = np.zeros((30, 40), np.uint8)
    labels[2:8, 3:12] = 1
    labels[8:12, 12:15] = 1  # touches by a corner: the same object
    labels[20:30, 30:40] = 2
    labels[0, 39] = 1  # a speck
    labels[15, :] = 255
    boxes = boxes_from_masks(labels, (1, 2), minimum_area=4)
    np.testing.assert_array_equal(boxes.corners, [[2, 3, 12, 15], [20, 30, 30, 40]])
    assert boxes.classes.tolist() == [1, 2]
    assert len(boxes_from_masks(labels, (1,), minimum_area=1)) == 2
    assert boxes_from_masks(np.zeros((5, 5), np.uint8), (1, 2)).corners.shape == (0, 4)


def test_the_same_as_scikit_image() -> None:
    labels = (np.random.default_rng(0).random((60, 50)) < 0.3).astype(np.uint8)
    expected = [r.bbox for r in regionprops(label(labels, connectivity=2)) if r.area >= 5]
    assert sorted(map(tuple, boxes_from_masks(labels, (1,), 5).corners.tolist())) == sorted(expected)


def test_street_scenes(shared_data: Path) -> None:
    from PIL import Image

    file = sorted((shared_data / "camvid" / "test" / "masks").iterdir())[0]
    labels = np.asarray(Image.open(file))
    boxes = boxes_from_masks(labels, range(11), 50)
    assert len(boxes) > 5
    assert (boxes.corners[:, 2:] <= labels.shape).all()
