"""DICOM files for tests: a series of slices, its segmentation, made with the libraries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SECRET = "Doe^Jane"
"""Name of the patient, which no output may tell."""

AXIAL, CORONAL = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1)


def volume(depth: int = 6, rows: int = 12, columns: int = 10) -> np.ndarray:
    """(slices, rows, columns) of stored values, none like another."""
    return np.arange(depth * rows * columns, dtype=np.int16).reshape(depth, rows, columns)


def write_series(
    folder: Path,
    stored: np.ndarray,
    *,
    directions: Sequence[float] = AXIAL,
    sides: tuple[float, float, float] = (2.5, 0.5, 0.75),
    rescale: tuple[float, float] = (1, -1024),
    suffix: str = ".dcm",
    **changed: Any,
) -> list[Path]:
    """Slices by name in another order than in space. sides: mm from slice to slice, row, column."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = (generate_uid() for _ in range(3))
    normal = np.cross(directions[:3], directions[3:])
    files = []
    for number in np.random.default_rng(0).permutation(len(stored)).tolist():
        ds = Dataset()
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = SECRET, "id-4711", "19700101", "F"
        ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "study-4711", "acc-4711", "House^Gregory"
        ds.StudyDate = ds.StudyTime = ""
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, generate_uid(), "CT"
        ds.InstanceNumber, ds.SeriesNumber = number + 1, 1
        ds.Rows, ds.Columns, ds.SamplesPerPixel = *stored.shape[1:3], 1
        ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME2", 1
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
        ds.RescaleSlope, ds.RescaleIntercept = rescale
        ds.ImageOrientationPatient, ds.PixelSpacing = list(directions), list(sides[1:])
        ds.ImagePositionPatient = (np.array([-20.0, 30, 40]) + number * sides[0] * normal).tolist()
        ds.SliceThickness = sides[0]
        ds.PixelData = stored[number].astype("<i2").tobytes()
        for name, value in changed.items():
            setattr(ds, name, value)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        files.append(folder / f"IM{len(files):04d}{suffix}")
        ds.save_as(files[-1], enforce_file_format=True)
    return files


def change(path: Path, **values: Any) -> None:
    """Write a file again with other values."""
    import pydicom

    ds = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(ds, name, value)
    ds.save_as(path)
