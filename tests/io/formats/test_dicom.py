"""DICOM: series in any order and direction, missing and mixed slices, codecs, segmentations and privacy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.contracts.run import RunFolder
from reunet.datasets.cache import mapped
from reunet.datasets.case_arrays import load_case
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import scan_dataset
from reunet.errors import ImageReadError, LabelError, TooLargeError
from reunet.flows.check import check
from reunet.flows.predict.inputs import Source, find_sources
from reunet.flows.predict.outputs import Job, Kinds, write_image
from reunet.io.annotations.instances import read_instances
from reunet.io.formats.table import is_store
from reunet.io.images import read_header, read_image
from reunet.io.lazy import open_lazily
from reunet.io.masks import read_mask_file, read_raw_mask
from reunet.io.placing import placed
from reunet.tasks.semantic.given import read

from .dicom_files import CORONAL, SECRET, change, volume, write_series

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

LABELS = LabelMap(classes=default_classes([0, 1, 2], ["background", "liver", "Läsion"]))


def test_a_series_is_one_volume(tmp_path: Path) -> None:
    stored = volume()
    write_series(tmp_path / "p1", stored)
    assert is_store(tmp_path / "p1")
    header = read_header(tmp_path / "p1")
    assert (header.size, header.spacing, header.dtype) == ((6, 12, 10), (2.5, 0.5, 0.75), "int32")
    # columns lead to the left, rows to the back, slices upwards: only what counts is turned, nothing else
    np.testing.assert_array_equal(read_image(tmp_path / "p1")[..., 0], stored - 1024.0)
    np.testing.assert_allclose(header.affine @ [0, 0, 0, 1], [20, -30, 40, 1])
    np.testing.assert_allclose(header.affine @ [1, 1, 1, 1], [20 - 0.75, -30 - 0.5, 42.5, 1])
    with open_lazily(tmp_path / "p1", rank=3) as image:
        part = image.read((slice(1, 3), slice(2, 7), slice(4, 9)))
    np.testing.assert_array_equal(part[..., 0], stored[1:3, 2:7, 4:9] - 1024)


def test_a_coronal_series_is_turned(tmp_path: Path) -> None:
    stored = volume()  # slices lead to the front, rows down
    write_series(tmp_path / "p1", stored, directions=CORONAL, rescale=(1, 0))
    header, image = read_header(tmp_path / "p1"), read_image(tmp_path / "p1")
    assert (header.size, header.spacing) == ((12, 6, 10), (0.5, 2.5, 0.75))
    normal = np.cross(CORONAL[:3], CORONAL[3:])
    expected = stored.transpose(1, 0, 2)[::-1, :: int(normal[1])]
    np.testing.assert_array_equal(image[..., 0], expected)


def test_slopes_of_their_own(tmp_path: Path) -> None:
    files = write_series(tmp_path / "p1", volume(3), rescale=(1, 0))
    change(files[0], RescaleSlope=0.5)
    number = int(pydicom.dcmread(files[0]).InstanceNumber) - 1
    image = read_image(tmp_path / "p1")[..., 0]
    expected = volume(3).astype(np.float32)
    expected[number] *= 0.5
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("suffix", [".dcm", "", ".IMA"])
def test_suffixes_of_slices(tmp_path: Path, suffix: str) -> None:
    write_series(tmp_path / "1.2.840.113", volume(3), suffix=suffix)
    (source,), _ = find_sources([tmp_path / "1.2.840.113"], exclude=tmp_path / "out")
    assert (source.path, source.name) == (tmp_path / "1.2.840.113", Path("1.2.840.113"))


def test_folders_that_are_no_series(tmp_path: Path) -> None:
    write_series(tmp_path / "images", volume(3))
    assert not is_store(tmp_path / "images")  # of a dataset: slices are images of their own
    files = write_series(tmp_path / "xray", volume(3))
    for file in files:
        ds = pydicom.dcmread(file)
        del ds.ImagePositionPatient
        ds.save_as(file)
    assert not is_store(tmp_path / "xray")
    header = read_header(files[0])
    assert (header.size, header.spacing) == ((12, 10), (500, 750))  # micrometres of an image


def refused(folder: Path) -> str:
    with pytest.raises(ImageReadError) as caught:
        read_header(folder)
    return str(caught.value)


def test_missing_slices_are_counted(tmp_path: Path) -> None:
    files = write_series(tmp_path / "p1", volume(8))
    for file in files:
        if int(pydicom.dcmread(file).InstanceNumber) in (4, 5):
            file.unlink()
    assert "slices are missing" in (told := refused(tmp_path / "p1"))
    assert "2 missing, the first between 45 and 52.5 mm" in told
    assert "steps of 2.5 mm" in told


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"StudyInstanceUID": "1.2.3"}, "slices of 2 studies"),
        ({"SeriesInstanceUID": "1.2.3"}, "slices of 2 series"),
        ({"PixelSpacing": [0.5, 0.5]}, "pixels of different sizes"),
        ({"ImageOrientationPatient": list(CORONAL)}, "not parallel"),
        ({"ImagePositionPatient": [-20, 30, 40.9]}, "not evenly spaced"),
    ],
)
def test_slices_that_do_not_belong_together(tmp_path: Path, changed: dict[str, object], told: str) -> None:
    files = write_series(tmp_path / "p1", volume())
    change(next(file for file in files if pydicom.dcmread(file).InstanceNumber == 1), **changed)
    message = refused(tmp_path / "p1")
    assert told in message
    assert "series into a folder of its own" in message or "one series in a folder of its own" in message


def test_two_phases_in_one_place(tmp_path: Path) -> None:
    files = write_series(tmp_path / "p1", volume(4))
    place = pydicom.dcmread(files[0]).ImagePositionPatient
    for file in files[1:2]:
        change(file, ImagePositionPatient=place)
    assert "several slices lie in one place" in refused(tmp_path / "p1")


def test_a_compression_without_its_codec_is_named(tmp_path: Path) -> None:
    (file, *_) = write_series(tmp_path / "p1", volume(1))
    ds = pydicom.dcmread(file)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4
    ds["PixelData"].is_undefined_length = True
    ds.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
    ds.save_as(file)
    told = refused(file)
    assert "compressed in a way that no codec here reads" in told
    assert "MPEG-4" in told
    assert "gdcmconv --raw" in told


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLSLossless", "JPEGLosslessSV1", "JPEG2000Lossless"])
def test_compressed_slices(tmp_path: Path, syntax: str) -> None:
    import imagecodecs

    stored = volume(2, 64, 48).astype(np.uint16)
    encode = {
        "JPEGLSLossless": imagecodecs.jpegls_encode,
        "JPEGLosslessSV1": imagecodecs.ljpeg_encode,
        "JPEG2000Lossless": lambda one: imagecodecs.jpeg2k_encode(
            one, level=0, codecformat="j2k", reversible=True
        ),
    }
    files = write_series(tmp_path / "p1", stored, rescale=(1, 0), PixelRepresentation=0)
    for file in files:
        ds = pydicom.dcmread(file)
        if syntax in encode:
            pixels = np.ascontiguousarray(ds.pixel_array)
            ds.PixelData = pydicom.encaps.encapsulate([bytes(encode[syntax](pixels))])
            ds["PixelData"].is_undefined_length = True
            ds.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
        else:
            ds.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        ds.save_as(file)
    np.testing.assert_array_equal(read_image(tmp_path / "p1")[..., 0], stored)


@pytest.mark.parametrize("damage", ["truncated", "huge", "no pixels", "other size"])
def test_hostile_files(tmp_path: Path, damage: str) -> None:
    (file, *_) = write_series(tmp_path / "p1", volume(1))
    content = file.read_bytes()
    if damage == "truncated":
        file.write_bytes(content[:-50])
    elif damage == "huge":
        change(file, Rows=60_000, Columns=60_000)
    elif damage == "no pixels":
        ds = pydicom.dcmread(file)
        del ds.PixelData, ds.Rows
        ds.save_as(file)
    else:
        import imagecodecs

        ds = pydicom.dcmread(file)
        ds.PixelData = pydicom.encaps.encapsulate(
            [bytes(imagecodecs.jpegls_encode(volume(1, 90, 90)[0].astype(np.uint16)))]
        )
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
        ds.save_as(file)
    with pytest.raises(ImageReadError if damage != "huge" else TooLargeError):
        read_image(file)


def test_pictures_of_other_kinds(tmp_path: Path) -> None:
    (file, *_) = write_series(tmp_path / "p1", volume(1), rescale=(1, 0), PixelRepresentation=0)
    change(file, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(
        read_image(file)[..., 0], np.uint16(65535) - volume(1)[0].astype(np.uint16)
    )  # white is high
    colours = np.random.default_rng(0).integers(0, 255, (5, 12, 10, 3)).astype(np.uint8)
    change(
        file,
        PhotometricInterpretation="RGB", SamplesPerPixel=3, PlanarConfiguration=0, NumberOfFrames=5,
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=colours.tobytes(),
    )  # fmt: skip
    header = read_header(file)
    assert (header.size, header.pages, header.channels, header.axes) == ((12, 10), 5, 3, "TYXC")
    np.testing.assert_array_equal(read_image(file, page=3), colours[3])


def test_tiles_of_a_slide_are_no_stack(tmp_path: Path) -> None:
    (file, *_) = write_series(tmp_path / "p1", volume(1))
    change(file, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6", NumberOfFrames=5)
    assert "whole slide in DICOM" in refused(file)


def segmentation(
    folder: Path, file: Path, labels: np.ndarray, names: int = 2, told: tuple[str, ...] = ()
) -> None:
    """A SEG of a series by its own library, independent of what is written here. told: labels of segments."""
    import highdicom
    from highdicom import seg
    from pydicom.sr.codedict import codes

    slices = [pydicom.dcmread(one) for one in sorted(folder.iterdir())]
    slices.sort(key=lambda ds: ds.InstanceNumber)
    described = [
        seg.SegmentDescription(
            number, name, codes.SCT.Tissue, codes.SCT.Tissue, seg.SegmentAlgorithmTypeValues.MANUAL
        )
        for number, name in enumerate(told or [f"s{number}" for number in range(1, names + 1)], 1)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg.Segmentation(
            slices, labels, "BINARY", described, highdicom.UID(), 2, highdicom.UID(), 1, "m", "m", "1", "1"
        ).save_as(file)


def test_a_segmentation_without_its_empty_slices_is_put_onto_its_series(tmp_path: Path) -> None:
    data, expected = tmp_path / "data", {}
    for number, split in enumerate(["train", "train", "test"]):
        folder = data / split / "images" / f"p{number}"
        write_series(folder, volume() + number)
        labels = np.zeros((6, 12, 10), np.uint8)
        labels[1, 2:5, 3:8], labels[3, 4:9, 1:4] = 1, 2
        if number == 1:
            labels[3] = 0  # one slice alone
        segmentation(folder, data / split / "masks" / f"p{number}.dcm", labels)
        expected[f"p{number}"] = labels
    result = check(data)
    assert not result.errors, result.errors
    assert result.counts == {"train": 2, "test": 1}
    scan = scan_dataset(data, DataOptions())
    for case in scan.cases:
        np.testing.assert_array_equal(mapped(scan.reader(case).arrays["mask"]), expected[case.id])
    own = read_raw_mask(data / "train/masks/p0.dcm")  # by itself from its first slice to its last
    np.testing.assert_array_equal(own, expected["p0"][1:4])


def test_slices_without_any_segment_are_left_out_in_between(tmp_path: Path) -> None:
    write_series(tmp_path / "p1", volume(9))
    labels = np.zeros((9, 12, 10), np.uint8)
    labels[[1, 3, 6], 2:5, 3:8] = 1
    segmentation(tmp_path / "p1", tmp_path / "mask.dcm", labels, 1)
    for told in (True, False):
        if not told:
            ds = pydicom.dcmread(tmp_path / "mask.dcm")
            measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            del measures.SliceThickness
            measures.pop("SpacingBetweenSlices", None)
            ds.save_as(tmp_path / "mask.dcm")
        own = read_mask_file(tmp_path / "mask.dcm")
        np.testing.assert_array_equal(placed(*own, read_header(tmp_path / "p1"))[1], labels)


def test_segments_over_each_other_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "p1", volume())
    both = np.zeros((6, 12, 10, 2), np.uint8)
    both[2, :5, :5] = 1
    segmentation(tmp_path / "p1", tmp_path / "mask.dcm", both)
    with pytest.raises(LabelError, match="segments lie over each other"):
        read_raw_mask(tmp_path / "mask.dcm")


def segmented(root: Path, *told: tuple[str, ...], used: int = 2) -> Path:
    """A series and its SEG for each of several lists of labels, of which the first so many have voxels."""
    for number, names in enumerate(told):
        folder = root / "images" / f"p{number}"
        write_series(folder, volume() + number)
        labels = np.zeros((6, 12, 10), np.uint8)
        labels[1, 2:5, 3:8] = 1
        labels[3, 4:9, 1:4] = min(2, used)
        segmentation(folder, root / "masks" / f"p{number}.dcm", labels, told=names)
    return root


@pytest.mark.parametrize(
    ("told", "expected", "received"),
    [
        ((("Liver", "Spleen"), ("Spleen", "Liver")), "segment 1 is liver", "segment 1 is Spleen"),
        ((("Liver", "Spleen"), ("Liver", "Kidney")), "segment 2 is spleen", "segment 2 is Kidney"),
        ((("Liver", "Spleen"), ("Segment_1", "Liver")), "segment 2 is spleen", "segment 2 is Liver"),
        ((("Liver", "Segment_2"), ("Segment 1", "liver")), "liver is segment 1", "segment 2 is liver"),
        ((("Liver", "Left kidney"), ("LIVER ", "left_kidney")), "", ""),
        ((("Liver", "Spleen"), ("Segment_1", "")), "", ""),
    ],
)  # fmt: skip
def test_segments_mean_the_same_in_all_files(
    tmp_path: Path, told: tuple[tuple[str, ...], ...], expected: str, received: str
) -> None:
    errors = check(segmented(tmp_path, *told)).errors
    assert [(one.code, one.file, one.expected, one.received) for one in errors] == (
        [("mask-segments", "masks/p1.dcm", f"{expected}, as in masks/p0.dcm", received)] if expected else []
    )


def test_segments_without_voxels_do_not_matter(tmp_path: Path) -> None:
    assert check(segmented(tmp_path, ("Liver", "Spleen"), ("Liver", "Kidney"), used=1)).errors == ()


def test_labels_of_segments_name_the_classes(tmp_path: Path) -> None:
    segmented(tmp_path, ("Liver", "Left kidney"), ("liver", "left kidney"))
    scan = scan_dataset(tmp_path, DataOptions())
    assert scan.labels is not None
    assert scan.labels.names == ("background", "Liver", "Left kidney")
    for case in scan.cases:
        header = scan.reader(case).headers["mask"]  # from the files, then from the cache
        assert [number for number, _ in header.value_names] == [1, 2]


@pytest.mark.parametrize(
    ("names", "fits"),
    [(("liver", "spleen"), True), (("class_1", "class_2"), True), (("spleen", "liver"), False)],
)
def test_segments_are_held_against_the_class_list(tmp_path: Path, names: tuple[str, ...], fits: bool) -> None:
    segmented(tmp_path, ("Liver", "Spleen"), ("Liver", "Spleen"))
    (tmp_path / "classes.csv").write_text(
        "0,background\n" + "".join(f"{i},{n}\n" for i, n in enumerate(names, 1))
    )
    options = DataOptions(classes=tmp_path / "classes.csv")
    errors = [one for one in examine_dataset(tmp_path, options)[-1] if one.severity == "error"]
    told = [("mask-segments", f"segment 1 is {names[0]}")]
    assert [(one.code, one.expected) for one in errors] == told * (0 if fits else 2)
    labels = LabelMap(classes=default_classes([0, 1, 2], ["background", *names]))
    case = scan_dataset(tmp_path, options).cases[0]
    if fits:
        load_case(case, labels)
        return
    with pytest.raises(LabelError, match="contradict the class list") as refused_:
        load_case(case, labels)  # as another dataset that a run is evaluated on
    assert refused_.value.received == "segment 1 is Liver"


def test_given_segmentations_mean_what_the_true_ones_do(tmp_path: Path) -> None:
    segmented(tmp_path / "true", ("Liver", "Spleen"))
    for name, told in (("alike", ("liver", "spleen")), ("swapped", ("Spleen", "Liver"))):
        segmented(tmp_path / name, told)
    options = DataOptions()
    read(tmp_path / "alike" / "masks", tmp_path / "true" / "masks", options).images["p0"]()
    given = read(tmp_path / "swapped" / "masks", tmp_path / "true" / "masks", options)
    with pytest.raises(LabelError, match="contradict the class list"):
        given.images["p0"]()


def test_a_dataset_with_two_studies_is_told_by_check(tmp_path: Path) -> None:
    files = write_series(tmp_path / "images/p1", volume())
    change(files[0], StudyInstanceUID="1.2.3")
    write_series(tmp_path / "images/p2", volume())
    for name in ("p1", "p2"):
        labels = np.ones((6, 12, 10), np.uint8)
        segmentation(tmp_path / "images/p2", tmp_path / "masks" / f"{name}.dcm", labels, 1)
    (problem,) = [one for one in check(tmp_path).errors if one.code == "image-unreadable"]
    assert "2 studies" in problem.message
    assert "folder of its own" in problem.fix


def test_predictions_refer_to_their_series_and_name_nobody(
    make_bright_run: Callable[..., Path], tmp_path: Path
) -> None:
    series, out = tmp_path / "p1", tmp_path / "out"
    stored = volume()
    files = write_series(series, stored, directions=CORONAL)
    base: Plan = RunFolder(make_bright_run(tmp_path / "run")).plan()
    plan = base.model_copy(update={"labels": LABELS})
    header, image = read_header(series), read_image(series)
    labels = np.zeros(header.size, np.uint8)
    labels[2:5, 1:4, 3:6], labels[8:10, 3:6, 7:9] = 1, 2
    job = Job(Source(series, Path("p1")), out, None, None, Kinds(("semantic", "instances")))
    write_image(job, plan, header, image, Prediction(labels, instances=labels.astype(np.int32)))
    np.testing.assert_array_equal(read_raw_mask(out / "masks/p1.nii.gz"), labels)
    np.testing.assert_array_equal(read_instances(out / "instances/p1.nii.gz"), labels)
    np.testing.assert_allclose(read_header(out / "masks/p1.nii.gz").affine, header.affine, atol=1e-4)
    written = pydicom.dcmread(out / "segmentations/p1.dcm")
    assert [one.SegmentLabel for one in written.SegmentSequence] == ["liver", "Läsion"]
    sources = {str(pydicom.dcmread(file).SOPInstanceUID): file for file in files}
    told = written.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {str(one.ReferencedSOPInstanceUID) for one in told} <= set(sources)
    assert written.StudyInstanceUID == pydicom.dcmread(files[0]).StudyInstanceUID
    for frame, pixels in zip(written.PerFrameFunctionalGroupsSequence, written.pixel_array, strict=True):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        item = frame.DerivationImageSequence[0].SourceImageSequence[0]
        at = int(pydicom.dcmread(sources[item.ReferencedSOPInstanceUID]).InstanceNumber) - 1
        place = labels.transpose(1, 0, 2)[:, ::-1][:: int(np.cross(CORONAL[:3], CORONAL[3:])[1])][at]
        np.testing.assert_array_equal(pixels != 0, place == number)
    secrets = (SECRET, "Doe", "id-4711", "study-4711", "acc-4711", "House", "19700101")
    for file in out.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not [secret for secret in secrets if secret.encode() in content], file
