"""Label images of objects: every sample type, masks per object, and files that cannot be right."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.contracts.findings import Findings
from reunet.errors import LabelError
from reunet.io.annotations.instances import (
    check_instances,
    read_instances,
    read_object_masks,
    write_instances,
)


def codes(problems: Findings) -> list[tuple[str, str]]:
    return [(problem.severity, problem.code) for problem in problems]


@pytest.mark.parametrize(("suffix", "most"), [(".png", 65_535), (".tif", 65_535), (".tif", 70_000)])
def test_label_images_come_back(tmp_path: Path, suffix: str, most: int) -> None:
    ids = np.random.default_rng(0).integers(0, most, (30, 40))
    ids[0, 0] = most
    path = tmp_path / f"a{suffix}"
    write_instances(path, ids)
    found = read_instances(path)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, ids)
    if suffix == ".tif":
        assert tifffile.imread(path).dtype == (np.uint16 if most < 2**16 else np.uint32)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_stacks_and_volumes_come_back(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 70_000, (3, 5, 6))
    write_instances(tmp_path / "a.tif", ids)
    np.testing.assert_array_equal(read_instances(tmp_path / "a.tif", axes="ZYX"), ids)
    np.testing.assert_array_equal(read_instances(tmp_path / "a.tif", 1, "ZYX"), ids[1])
    like = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 5, 3), np.float32), np.diag([-2.0, 1, 3, 1])), like)
    write_instances(tmp_path / "b.nii.gz", ids, like)
    np.testing.assert_array_equal(read_instances(tmp_path / "b.nii.gz"), ids)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "b.nii.gz").affine, nibabel.load(like).affine)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint32", "float32", "float64", "bool"])
def test_every_sample_type_is_read(tmp_path: Path, dtype: str) -> None:
    ids = np.array([[0, 1], [0, 1]]).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", ids, photometric="minisblack")
    np.testing.assert_array_equal(read_instances(tmp_path / "a.tif") > 0, ids > 0)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 1.5]], np.float32),
        np.array([[0, np.nan]], np.float32),
        np.array([[0, 2.0**25]], np.float32),  # 2**25 + 1 would be the same number
        np.array([[0, -1]], np.int16),
        np.array([[0, 2**32 - 1]], np.uint32),
    ],
)
def test_ids_that_cannot_be_used(tmp_path: Path, values: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    with pytest.raises(LabelError) as caught:
        read_instances(tmp_path / "a.tif")
    assert caught.value.where == tmp_path / "a.tif"


def test_colours_and_jpeg_are_no_label_images(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(picture).save(tmp_path / name)
        with pytest.raises(LabelError):
            read_instances(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("a.png", np.array([[70_000]])),
        ("a.png", np.zeros((2, 3, 4), int)),
        ("a.tif", np.array([[-1]])),
        ("a.tif", np.array([[2**32]])),
        ("a.tif", np.array([[1.0]])),
    ],
)
def test_what_a_file_cannot_hold_is_refused(tmp_path: Path, name: str, ids: np.ndarray) -> None:
    with pytest.raises(LabelError):
        write_instances(tmp_path / name, ids)
    assert not list(tmp_path.iterdir())


def test_an_id_in_several_places_is_a_warning(tmp_path: Path) -> None:
    ids = np.zeros((8, 8), np.int32)
    ids[0, 0] = ids[1, 1] = 4  # across a corner: one place
    ids[5, 5] = ids[7, 7] = ids[5, 7] = 9
    ids[0, 4:], ids[1, 4:] = 2, 3  # touching objects are not one
    problems = Findings(tmp_path)
    check_instances(ids, tmp_path / "a.png", problems)
    (problem,) = problems
    assert (problem.severity, problem.code, problem.file) == ("warning", "id-scattered", "a.png")
    assert problem.received == "9 (3 places)"
    problems.clear()
    check_instances(np.zeros((4, 4, 4), np.int32), tmp_path / "a.png", problems)
    assert not problems


def test_a_mask_per_object(tmp_path: Path) -> None:
    masks = np.zeros((5, 6, 7), np.uint8)
    masks[0, :3, :3], masks[1, 2:4, 2:4], masks[2, 5, 5] = 255, 255, 1
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, mask in zip(paths, masks, strict=True):
        Image.fromarray(mask[:3] if path.name == "4.png" else mask).save(path)
    paths[4].rename(tmp_path / "small.png")
    paths[4] = tmp_path / "small.png"
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    problems = Findings(tmp_path)
    ids = read_object_masks([*paths, tmp_path / "broken.png"], problems)
    expected = np.zeros((6, 7), int)
    expected[2:4, 2:4], expected[:3, :3], expected[5, 5] = 2, 1, 3
    np.testing.assert_array_equal(ids, expected)
    assert codes(problems) == [
        ("warning", "object-overlap"),
        ("warning", "object-empty"),
        ("error", "shape-mismatch"),
        ("error", "mask-unreadable"),
    ]
    assert read_object_masks([], problems) is None


def test_real_objects_split_into_masks_and_joined(shared_data: Path, tmp_path: Path) -> None:
    file = sorted((shared_data / "dsb2018_nuclei" / "test" / "instances").iterdir())[3]
    ids = read_instances(file)
    np.testing.assert_array_equal(ids, np.asarray(Image.open(file)))
    paths = []
    for number in range(1, ids.max() + 1):
        paths.append(tmp_path / f"{number:03d}.png")
        Image.fromarray((ids == number).astype(np.uint8) * np.uint8(255)).save(paths[-1])
    problems = Findings(tmp_path)
    np.testing.assert_array_equal(read_object_masks(paths, problems), ids)
    assert not problems
