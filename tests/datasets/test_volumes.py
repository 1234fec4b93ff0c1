"""Datasets of volumes: nnU-Net's folders, pairs of files with several channels, geometry and spacing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.case_arrays import CaseArrays, load_case
from reunet.datasets.scan import open_dataset
from reunet.datasets.splits import make_splits
from reunet.errors import ImageReadError, LabelError
from reunet.sampling.resize import at_size, size_at

from .examined import find_problems

Maker = Callable[..., Path]


@pytest.fixture
def root(make_volumes: Maker, tmp_path: Path) -> Path:
    return make_volumes(tmp_path / "data")


def only(root: Path, options: DataOptions | None = None) -> Problem:
    problems, _ = find_problems(root, options)
    assert len(problems) == 1, problems
    return problems[0]


def change(path: Path, affine: np.ndarray | None = None, unit: str = "mm", **fields: object) -> None:
    """Save a file anew with another header."""
    image = nib.load(path)
    new = nib.Nifti1Image(fields.get("voxels", np.asarray(image.dataobj)), affine, None)
    if affine is None:
        new = nib.Nifti1Image(fields.get("voxels", np.asarray(image.dataobj)), image.affine)
    new.header.set_xyzt_units(unit)
    nib.save(new, path)


def test_nnunet_s_folders_are_understood(root: Path) -> None:
    assert find_problems(root) == ([], {"train": 5, "test": 2})
    dataset = open_dataset(root)
    assert [case.id for case in dataset.split("test")] == ["test_00", "test_01"]
    assert dataset.labels.names == ("background", "right", "left")
    assert dataset.labels.foreground == (1, 2)
    assert dataset.given_splits == {"train", "test"}
    assert dataset.channel_names == ("T1",)
    assert len(make_splits(dataset).val) == 2


def test_all_orientations_show_the_same_side(root: Path) -> None:
    """Class `left` is on the patient's left, hence at higher columns, however the file is stored."""
    dataset = open_dataset(root)
    for case in dataset.cases:
        arrays = load_case(case, dataset.labels)
        assert arrays.labels is not None
        assert arrays.image.shape == (16, 18, 20, 1)
        assert arrays.spacing == (1.0, 1.0, 1.0)
        columns = [np.argwhere(arrays.labels == index)[:, 2].mean() for index in (1, 2)]
        assert columns[0] < columns[1]
        bright = [arrays.image[arrays.labels == index].mean() for index in (0, 1, 2)]
        assert bright[1] > bright[2] > bright[0]


def test_the_decathlon_s_layout(root: Path) -> None:
    """Names without channel numbers, classes by number, hidden files of macOS."""
    for split in ("Tr", "Ts"):
        for path in (root / f"images{split}").iterdir():
            path.rename(path.with_name(path.name.replace("_0000", "")))
    (root / "imagesTr" / "._train_00.nii.gz").write_bytes(b"macOS")
    shutil.rmtree(root / "labelsTs")
    facts = {"name": "Balls", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "a", "2": "b"}}
    (root / "dataset.json").write_text(json.dumps(facts))
    dataset = open_dataset(root)
    assert (dataset.name, dataset.channel_names) == ("Balls", ("CT",))
    assert dataset.labels.names == ("background", "a", "b")
    assert [case.files.mask for case in dataset.split("test")] == [None, None]
    assert only(root).code == "split-without-masks"


def test_a_channel_per_file(make_volumes: Maker, tmp_path: Path) -> None:
    root = make_volumes(tmp_path / "two", channels=2, train=3)
    dataset = open_dataset(root)
    case = dataset.split("train")[0]
    assert (case.id, [path.name for path in case.files.channels]) == ("train_00", ["train_00_0001.nii.gz"])
    arrays = load_case(case, dataset.labels)
    assert arrays.image.shape[-1] == 2
    first = np.asarray(nib.load(case.image).dataobj)
    np.testing.assert_array_equal(np.sort(arrays.image[..., 0].ravel()), np.sort(first.ravel()))
    change(case.files.channels[0], voxels=np.zeros((3, 4, 5), np.float32))
    with pytest.raises(ImageReadError, match="different sizes"):
        load_case(case, dataset.labels)
    case.files.channels[0].unlink()
    codes = {problem.code for problem in find_problems(root)[0]}
    assert "channel-count" in codes


def test_regions_and_unlabelled_voxels(root: Path) -> None:
    facts = {"labels": {"background": 0, "right": 1, "ignore": 2}}
    (root / "dataset.json").write_text(json.dumps(facts))
    assert open_dataset(root).labels.ignore == 2
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2], "left": 2}}))
    labels = open_dataset(root).labels
    assert [(region.name, region.classes) for region in labels.regions] == [("whole", (1, 2)), ("left", (2,))]


def test_the_folder_convention_with_volumes(root: Path, tmp_path: Path) -> None:
    data = tmp_path / "plain"
    shutil.copytree(root / "imagesTr", data / "images")
    shutil.copytree(root / "labelsTr", data / "masks")
    for path in (data / "images").iterdir():
        path.rename(path.with_name(path.name.replace("_0000", "")))
    dataset = open_dataset(data)
    assert [case.id for case in dataset.cases] == [f"train_{i:02d}" for i in range(5)]
    assert dataset.labels.names == ("background", "class_1", "class_2")


SHIFT = np.array([[0, 0, 0, 5.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_another_place_or_spacing_is_an_error_unless_allowed(root: Path) -> None:
    mask = root / "labelsTr" / "train_00.nii.gz"
    affine = nib.load(mask).affine
    change(mask, affine + SHIFT)
    problem = only(root)
    assert (problem.severity, problem.code) == ("error", "place-mismatch")
    assert "5 mm" in problem.received
    assert "--allow-geometry-mismatch" in problem.fix
    assert only(root, DataOptions(allow_geometry_mismatch=True)).severity == "warning"
    change(mask, affine @ np.diag([2.0, 1.0, 1.0, 1.0]))
    problem = only(root)
    assert (problem.severity, problem.code) == ("error", "spacing-mismatch")
    assert (problem.expected, problem.received) == ("1 x 1 x 1 mm", "1 x 1 x 2 mm")
    change(mask, affine + 0.01 * SHIFT)
    assert find_problems(root)[0] == []


def test_a_mask_that_was_turned_otherwise_is_never_accepted(root: Path) -> None:
    mask = root / "labelsTr" / "train_00.nii.gz"
    change(mask, nib.load(mask).affine @ np.diag([-1.0, 1.0, 1.0, 1.0]))
    for allowed in (False, True):
        problem = only(root, DataOptions(allow_geometry_mismatch=allowed))
        assert (problem.severity, problem.code) == ("error", "place-mismatch")
        assert "RAS" in problem.expected
        assert "LAS" in problem.received
        assert "--allow" not in problem.fix


def test_the_same_place_in_another_orientation_is_no_problem(root: Path) -> None:
    mask = root / "labelsTr" / "train_00.nii.gz"
    before = load_case(open_dataset(root).cases[0], open_dataset(root).labels).labels
    nib.save(nib.load(mask).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), mask)
    assert find_problems(root)[0] == []
    dataset = open_dataset(root)
    np.testing.assert_array_equal(load_case(dataset.cases[0], dataset.labels).labels, before)


def test_volumes_without_spacing_are_found(root: Path) -> None:
    images = sorted((root / "imagesTr").iterdir()) + sorted((root / "imagesTs").iterdir())
    change(images[0], unit="unknown")
    problem = only(root)
    assert (problem.severity, problem.code, problem.file) == (
        "error",
        "no-spacing",
        "imagesTr/train_00_0000.nii.gz",
    )
    for path in images:
        change(path, unit="unknown")
    problems, _ = find_problems(root)
    assert {(problem.severity, problem.code) for problem in problems} == {("warning", "no-spacing")}
    assert len(problems) == len(images)


def test_another_size_a_wrong_value_and_a_damaged_file_are_all_listed(root: Path) -> None:
    change(root / "labelsTr" / "train_00.nii.gz", voxels=np.zeros((20, 18, 15), np.uint8))
    change(root / "labelsTr" / "train_02.nii.gz", voxels=np.full((20, 18, 16), 9, np.uint8))
    damaged = root / "imagesTr" / "train_04_0000.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:500])
    found = {problem.code: problem for problem in find_problems(root)[0]}
    assert set(found) >= {"shape-mismatch", "mask-values", "image-unreadable"}
    assert found["shape-mismatch"].expected.startswith("16 x 18 x 20 (depth x height x width)")
    assert found["shape-mismatch"].received == "15 x 18 x 20"


def test_voxels_that_are_no_numbers(root: Path) -> None:
    path = root / "imagesTr" / "train_00_0000.nii.gz"
    voxels = np.asarray(nib.load(path).dataobj).copy()
    voxels[3, 4, 5] = np.nan
    change(path, voxels=voxels)
    assert only(root).code == "not-finite"


def test_images_and_volumes_are_not_mixed(root: Path, tmp_path: Path) -> None:
    from PIL import Image

    data = tmp_path / "mixed"
    for kind, source in (("images", "imagesTr"), ("masks", "labelsTr")):
        (data / kind).mkdir(parents=True)
        for i in range(3):
            name = f"train_{i:02d}" + "_0000" * (kind == "images")
            shutil.copy(root / source / f"{name}.nii.gz", data / kind / f"{i}.nii.gz")
        pixels = np.random.default_rng(0).integers(0, 3, (16, 16), np.uint8)
        Image.fromarray(pixels).save(data / kind / "flat.png")
    assert {problem.code for problem in find_problems(data)[0]} >= {"mixed-dimensions"}


def test_a_png_is_no_mask_of_a_volume(root: Path) -> None:
    from PIL import Image

    (root / "labelsTr" / "train_00.nii.gz").unlink()
    Image.fromarray(np.zeros((18, 20), np.uint8)).save(root / "labelsTr" / "train_00.png")
    dataset = open_dataset(root)
    with pytest.raises(LabelError, match="16 x 18 x 20"):
        load_case(dataset.cases[0], dataset.labels)


def at_spacing(case: CaseArrays, spacing: tuple[float, ...] | None) -> CaseArrays:
    return at_size(case, size_at(case.image.shape[:-1], case.spacing, spacing), spacing)


def test_a_case_is_resampled_once_and_kept(make_volumes: Maker, tmp_path: Path) -> None:
    root = make_volumes(tmp_path / "thick", train=2, size=(20, 18, 10), spacing=(1.0, 1.0, 2.0))
    dataset = open_dataset(root)
    case = load_case(dataset.cases[0], dataset.labels)
    assert case.spacing == (2.0, 1.0, 1.0)
    finer = at_spacing(case, (1.0, 1.0, 1.0))
    assert finer.image.shape == (20, 18, 20, 1)
    assert finer.spacing == (1.0, 1.0, 1.0)
    assert finer.labels is not None
    assert case.labels is not None
    share = [(labels > 0).mean() for labels in (case.labels, finer.labels)]
    assert share[0] == pytest.approx(share[1], rel=0.1)
    again = at_spacing(load_case(dataset.cases[0], dataset.labels), (1.0, 1.0, 1.0))
    assert again.key == finer.key != case.key
    np.testing.assert_array_equal(again.image, finer.image)
    assert at_spacing(case, None) is case
    assert at_spacing(case, (2.0, 1.0, 1.0)) is case


def contradict(path: Path) -> None:
    """Take the scale out of the sform of a file, whose qform keeps it."""
    image = nib.load(path)
    image.set_qform(image.affine @ np.diag([1.5, 1.0, 1.0, 1.0]), code=1)
    image.header["sform_code"] = 2
    nib.save(image, path)


def test_a_header_that_contradicts_itself_is_an_error_unless_allowed(root: Path) -> None:
    contradict(root / "imagesTr" / "train_00_0000.nii.gz")
    contradict(root / "labelsTr" / "train_00.nii.gz")
    for allowed, severity in ((False, "error"), (True, "warning")):
        problems, _ = find_problems(root, DataOptions(allow_geometry_mismatch=allowed))
        assert {(one.severity, one.code) for one in problems} == {(severity, "header-contradiction")}
        assert len(problems) == 2
        assert problems[0].expected.endswith("mm (pixdim)")
        assert problems[0].received == "1 x 1 x 1 mm (sform)"
        assert "1.5" in problems[0].expected


def test_channels_that_lie_elsewhere_are_an_error(make_volumes: Maker, tmp_path: Path) -> None:
    root = make_volumes(tmp_path / "two", channels=2, train=3)
    second = root / "imagesTr" / "train_00_0001.nii.gz"
    affine = nib.load(second).affine
    change(second, affine @ np.diag([2.0, 1.0, 1.0, 1.0]))
    assert "its channels state different sizes" in only(root).message
    change(second, affine + SHIFT)
    assert "its channels state different places" in only(root).message


def test_what_dataset_json_tells_is_held_against_the_files(tmp_path: Path, make_volumes: Maker) -> None:
    root = make_volumes(tmp_path, train=4, test=1)
    assert not [one for one in find_problems(root)[0] if one.code == "description-differs"]
    (root / "imagesTr" / "train_03_0000.nii.gz").unlink()
    (root / "labelsTr" / "train_03.nii.gz").unlink()
    facts = json.loads((root / "dataset.json").read_text("utf-8"))
    (root / "dataset.json").write_text(json.dumps(facts | {"file_ending": ".nrrd"}), encoding="utf-8")
    told = [one for one in find_problems(root)[0] if one.code == "description-differs"]
    assert [(one.severity, one.file, one.expected, one.received) for one in told] == [
        ("warning", "dataset.json", "4 (numTraining)", "3"),
        ("warning", "dataset.json", ".nrrd (file_ending)", "train_00_0000.nii.gz"),
    ]
