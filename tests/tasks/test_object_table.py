from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import regionprops_table

from reunet.tasks.instances import properties as module
from reunet.tasks.instances.properties import bounding_boxes, object_table, sureness_facts
from reunet.tasks.outputs import with_units


def random_objects(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Ellipsoids over each other, with gaps between their ids."""
    rng = np.random.default_rng(seed)
    objects = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    for number in range(3, 90, 2):
        middle, radius = rng.uniform(0, shape), rng.uniform(0.6, 9, len(shape))
        inside = sum(((g - m) / r) ** 2 for g, m, r in zip(grid, middle, radius, strict=True)) <= 1
        objects[inside] = number
    return objects


@pytest.mark.parametrize("pixels", [2**22, 700])
def test_agrees_with_scikit_image(pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIXELS", pixels)
    objects = random_objects((90, 110))
    image = np.random.default_rng(1).integers(0, 255, (90, 110, 2)).astype(np.uint8)
    table = object_table(objects, image)
    names = ("label", "area", "centroid", "bbox", "perimeter", "eccentricity", "mean_intensity")
    expected = regionprops_table(objects, image, properties=names)
    assert list(table) == [
        *("id", "area", "centroid_y", "centroid_x", "box_y0", "box_x0", "box_y1", "box_x1"),
        *("perimeter", "eccentricity", "mean_0", "mean_1"),
    ]
    for name, ours, theirs in zip(table, table.values(), expected.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-5, err_msg=name)


def test_volumes_in_voxels_and_millimetres() -> None:
    objects = random_objects((12, 30, 40))
    image = np.random.default_rng(1).random((12, 30, 40, 1)).astype(np.float32)
    table = object_table(objects, image)
    expected = regionprops_table(objects, image[..., 0], properties=("label", "area", "centroid", "bbox"))
    shared = [v for k, v in table.items() if not k.startswith("mean")]
    for ours, theirs in zip(shared, expected.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert "perimeter" not in table
    both = with_units(table, (2.0, 0.5, 0.25))
    np.testing.assert_array_equal(both["volume_mm3"], table["area"] * 0.25)
    np.testing.assert_array_equal(both["centroid_z_mm"], table["centroid_z"] * 2)
    np.testing.assert_array_equal(both["box_x1_mm"], table["box_x1"] * 0.25)


def test_images_in_pixels_and_micrometres() -> None:
    table = object_table(random_objects((30, 40)), np.zeros((30, 40, 1), np.uint8))
    both = with_units(table, (0.5, 0.5))
    names = list(both)
    assert names[names.index("area") + 1] == "area_um2"
    np.testing.assert_array_equal(both["area_um2"], table["area"] * 0.25)
    np.testing.assert_array_equal(both["perimeter_um"], table["perimeter"] * 0.5)
    assert {"eccentricity_um", "id_um", "mean_0_um"}.isdisjoint(both)
    oblong = with_units(table, (0.5, 0.25))
    np.testing.assert_array_equal(oblong["box_y0_um"], table["box_y0"] * 0.5)
    np.testing.assert_array_equal(oblong["centroid_x_um"], table["centroid_x"] * 0.25)
    assert "perimeter_um" not in oblong  # its steps along the axes and across them are not told apart
    assert with_units(table, None) == table


def test_scores_and_classes_by_id() -> None:
    objects = np.array([[0, 2, 2], [5, 0, 2]], np.int32)
    probability = np.array([[0.9, 0.5, 0.7], [0.25, 0.1, 0.9]], np.float32)
    flows = np.stack([probability, np.zeros_like(probability)], axis=-1)
    facts = sureness_facts(objects, probability, flows)
    np.testing.assert_allclose(facts["foreground"], [0.7, 0.25])
    np.testing.assert_allclose(facts["doubt"], [4 * (0.25 + 0.21 + 0.09) / 3, 0.75])
    np.testing.assert_allclose(facts["flow"], [1 / 3, 0])  # of 0.5, 0.7 and 0.9 one is longer than 0.7
    np.testing.assert_allclose(facts["size"], np.log([3, 1]))
    classes = np.array([0, 0, 1, 0, 0, 2], np.uint8)
    table = object_table(objects, np.zeros((2, 3, 1)), classes=classes)
    np.testing.assert_array_equal(table["class"], [1, 2])
    assert bounding_boxes(objects)[5].tolist() == [[1, 0], [2, 1]]


def test_no_objects() -> None:
    table = object_table(np.zeros((4, 5), np.int32), np.zeros((4, 5, 3)))
    assert all(len(column) == 0 for column in table.values())
    assert "mean_2" in table
