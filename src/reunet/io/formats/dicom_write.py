"""DICOM-SEG of a prediction, with references to the slices that it was made from and without any name."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from reunet import __version__
from reunet.backend import import_extra
from reunet.contracts.labels import LabelMap
from reunet.io.formats.dicom import volume_of
from reunet.storage import atomic_path

PERSONAL = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""What a SEG repeats of its source, and is empty here; the UIDs of study and slices tell where it belongs."""


def write_segmentation(path: Path, indices: np.ndarray, labels: LabelMap, source: Path) -> None:
    """Write class indices (D, H, W) atomically: a segment for each foreground class, in their order.

    source: the series or file that was predicted. Raises BackendError without the packages, StorageError.
    """
    highdicom, seg = import_extra("highdicom", "dicom"), import_extra("highdicom.seg", "dicom")
    slices, order, grid = volume_of(source)
    segments = np.zeros(256, np.uint8)
    segments[list(labels.foreground)] = np.arange(1, len(labels.foreground) + 1)
    stored = segments[grid.unturned(indices)]
    frames = np.empty_like(stored)
    frames[order] = stored  # as the slices come, from the first file to the last
    facts = list({one.file: _nameless(one.samples.facts) for one in slices}.values())
    found = seg.Segmentation(
        source_images=facts,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=[_segment(number, labels) for number in range(1, len(labels.foreground) + 1)],
        series_instance_uid=highdicom.UID(),
        series_number=1000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="reunet",
        manufacturer_model_name="reunet",
        software_versions=__version__,
        device_serial_number="0",
        omit_empty_frames=bool(frames.any()),
    )
    found.SpecificCharacterSet = "ISO_IR 192"
    with atomic_path(path) as temporary:
        found.save_as(temporary)


def _segment(number: int, labels: LabelMap) -> Any:
    """A foreground class as a segment; its kind is a code of our own, as names may be any."""
    highdicom, seg = import_extra("highdicom", "dicom"), import_extra("highdicom.seg", "dicom")
    codes = import_extra("pydicom.sr.codedict", "dicom").codes
    name = labels.names[labels.foreground[number - 1]]
    kind = highdicom.sr.CodedConcept(f"class-{number}", "99REUNET", name[:64])
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=kind,
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="reunet", version=__version__, family=codes.cid7162.ArtificialIntelligence
        ),
    )


def _nameless(facts: Any) -> Any:
    """A copy of a dataset in which nobody is named."""
    copy = deepcopy(facts)
    for element in copy.iterall():
        if element.VR == "PN":
            element.value = ""
    for name in PERSONAL:
        setattr(copy, name, "")
    return copy
