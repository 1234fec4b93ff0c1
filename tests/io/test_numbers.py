"""Whole numbers whatever precision the file stores, and numbers that are too large to be computed with."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from reunet.errors import LabelError
from reunet.io.masks import read_mask_file, read_raw_mask
from reunet.io.numbers import LARGEST, unusable, whole_numbers


def scaled_file(path: Path, labels: np.ndarray, dtype: str) -> Path:
    """Labels as nibabel stores a float array under the header of an image of whole numbers."""
    like = nib.Nifti1Image(np.zeros((1, 1, 1), dtype), np.diag([-1.0, -1.0, 1.0, 1.0]))
    nib.save(nib.Nifti1Image(labels.astype(np.float64), like.affine, like.header), path)
    return path


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4"])
@pytest.mark.parametrize("values", [[0, 1, 2], [0, 3, 200], [0, 255], [-1, 0, 7]], ids=str)
def test_labels_that_were_stored_with_a_slope_are_the_labels(
    tmp_path: Path, dtype: str, values: list[int]
) -> None:
    labels = np.random.default_rng(0).choice(values, (4, 5, 6))
    path = scaled_file(tmp_path / "a.nii.gz", labels, dtype)
    np.testing.assert_array_equal(read_raw_mask(path), labels.transpose(2, 1, 0))


def test_ids_above_the_precision_of_floats_are_kept(tmp_path: Path) -> None:
    """An intercept of 1 makes numbers of 64 bits of them."""
    ids = np.array([2**24 + 1, 2**24 + 2, 2**30 + 7], np.int32).reshape(1, 1, 3)
    image = nib.Nifti1Image(ids - 1, np.diag([-1.0, -1.0, 1.0, 1.0]))
    nib.save(image, tmp_path / "a.nii")
    stored = bytearray((tmp_path / "a.nii").read_bytes())
    stored[112:120] = np.array([1, 1], "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(stored)
    assert read_raw_mask(tmp_path / "a.nii").ravel().tolist() == ids.ravel().tolist()


@pytest.mark.parametrize("dtype", ["u1", "i2"])
def test_probabilities_are_refused_however_they_are_stored(tmp_path: Path, dtype: str) -> None:
    maps = np.linspace(0, 1, 120).reshape(4, 5, 6)
    with pytest.raises(LabelError, match="scl_slope"):
        read_raw_mask(scaled_file(tmp_path / "a.nii", maps, dtype))
    assert read_mask_file(scaled_file(tmp_path / "b.nii", np.round(maps), dtype))[0].step > 0


@given(st.floats(1e-6, 0.9), st.sets(st.integers(-20, 300), min_size=1, max_size=9))
def test_what_lies_within_half_a_step_is_the_number(step: float, numbers: set[int]) -> None:
    """The reference is the rounding of a file: every number at the closest multiple of the step."""
    exact = np.array(sorted(numbers), np.float64)
    stored = np.round(exact / step) * step
    found, is_whole = whole_numbers(stored, step)
    clashes = len(np.unique(stored)) > len(np.unique(np.round(stored)))
    assert clashes or (is_whole.all() and found.tolist() == exact.tolist())


def test_several_values_are_never_made_one() -> None:
    assert whole_numbers(np.array([0, 0.4, 0.8, 1.2]), 0.4)[1].tolist() == [True, False, False, False]
    assert whole_numbers(np.array([0, 1.5, 3.0]), 1.5)[1].tolist() == [True, False, True]
    assert not whole_numbers(np.array([np.nan, np.inf, 2.0**40, 0.5]), 0.1)[1].any()


def test_rounding_of_the_last_bits_is_no_fraction(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 1 - 2**-24, 2 + 2**-22]], np.float32))
    assert read_raw_mask(tmp_path / "a.tif").tolist() == [[0, 1, 2]]
    tifffile.imwrite(tmp_path / "b.tif", np.array([[0, 0.9999, 2]], np.float32))
    with pytest.raises(LabelError, match="whole numbers"):
        read_raw_mask(tmp_path / "b.tif")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_numbers_that_cannot_be_computed_with_are_counted(dtype: str) -> None:
    most = min(LARGEST, float(np.finfo(dtype).max))
    assert unusable(np.array([0, -most, most / 2], dtype)) == 0
    assert unusable(np.array([0, np.nan, np.inf, -np.inf], dtype)) == 3
    if dtype in ("f8", "g"):
        assert unusable(np.array([1, 1e300, -3.5e38], dtype)) == 2
    if dtype != "f2":
        assert unusable(np.array([1, 3e38, -2e38, 1.7e38], dtype)) == 2
    assert unusable(np.arange(5)) == 0
