"""Formats that are not read, told by name and content: what a file is, and which export of its tool works."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reunet.contracts.findings import Findings, relative, some_of
from reunet.errors import DataError
from reunet.io.images import IMAGE_SUFFIXES
from reunet.io.listing import list_files

_HEAD = 1 << 16
"""Bytes of a file that tell what it is."""

_MOST_OPENED = 3
"""Files of one suffix that are looked into."""


@dataclass(frozen=True)
class Format:
    """A format by its name for people; `way` is how its content gets here.

    suffixes: how names of such files end, in small letters. sign: found in the first bytes of those that are
    meant; None for all of that suffix. labels: they annotate images.
    """

    name: str
    suffixes: str
    way: str
    sign: str | None = None
    labels: bool = False

    def fits(self, path: Path, head: str) -> bool:
        """Whether a file that begins with `head` is one."""
        has_suffix = path.name.lower().endswith(tuple(self.suffixes.split()))
        return has_suffix and (self.sign is None or re.search(self.sign, head) is not None)


_COCO = "export it as COCO"
_BIOFORMATS = "open it in Fiji (File > Import > Bio-Formats) and save it as OME-TIFF, or use bfconvert"
_FILES = "write images and masks as files, such as PNG or TIFF"
_PHOTO = "save it as PNG or JPEG"

FORMATS = (
    Format("a table of VIA", ".csv", "save the project, or export the annotations as JSON",
           r"region_shape_attributes", labels=True),
    Format("CreateML annotations", ".json", _COCO, r'"coordinates"\s*:\s*\{', labels=True),
    Format("a Labelbox export", ".json .ndjson", _COCO, r'"(data_row|Labeled Data)"', labels=True),
    Format("a Datumaro dataset", ".json", f"{_COCO} (datum convert -f coco)", '"dm_format_version"',
           labels=True),
    Format("polygons of Cityscapes", ".json", "use the files ending in _labelIds.png as masks", '"imgHeight"',
           labels=True),
    Format("a table of boxes", ".csv .txt", f"{_COCO} or Pascal VOC", r"(?i)\A[^\n]*\b(x_?min|bbox|x1)\b",
           labels=True),
    Format("a table of run lengths", ".csv", "write a mask of its own for each image",
           r"(?i)\A[^\n]*(EncodedPixels|\brle\b|rle_mask)", labels=True),
    Format("an ilastik project", ".ilp", "export segmentation or labels from ilastik as TIFF", labels=True),
    Format("an ITK-SNAP workspace", ".itksnap", "save the segmentation as .nii.gz", labels=True),
    Format("TFRecord", ".tfrecord .tfrecords .record", _FILES),
    Format("packed samples", ".parquet .arrow .feather .pkl .pickle .pt .pth .lmdb .mdb .sqlite .db", _FILES),
    Format("MATLAB arrays", ".mat", f"{_FILES} (in MATLAB: imwrite)"),
    Format("arrays", ".npy .npz .h5 .hdf5 .n5 .ims",
           f"{_FILES} (in Python: tifffile.imwrite); predict reads .npy and .h5 that are named one by one"),
    Format("an archive", ".zip .tar .gz .tgz .7z .rar", "unpack it"),
    Format("Zeiss microscopy", ".lsm .zvi", _BIOFORMATS),
    Format("Leica microscopy", ".lof .xlef", f"{_BIOFORMATS}; reunet reads .lif"),
    Format("Olympus microscopy", ".oif .oir .vsi", f"{_BIOFORMATS}; reunet reads .oib"),
    Format("microscopy", ".ics .ids .dv .stk .sld .dm3 .dm4 .mrc .map", _BIOFORMATS),
    Format("a whole slide", ".mrxs .vms .vmu .tmap", "use vips tiffsave --tile --pyramid --compression jpeg"),
    Format("DICOM by another name", "",
           "call it .dcm; slices of a series may have any name in a folder of their own"),
    Format("a volume", ".mha .mhd .nrrd .nhdr .hdr .img .mgz .mgh .mnc",
           "save it as .nii.gz (SimpleITK, ITK-SNAP and 3D Slicer do)"),
    Format("a JPEG by another name", ".jpe .jif .pjpeg", "call it .jpg"),
    Format("a photo of a phone or browser", ".heic .heif", _PHOTO),
    Format("a camera's raw photo", ".nef .cr2 .cr3 .arw .dng .orf .rw2 .raf", _PHOTO),
    Format("a picture", ".jpx .j2c .psd .xcf .svg .eps .exr .pgm .ppm .pbm .pnm .tga .ico",
           "save it as PNG or TIFF"),
    Format("a video", ".mp4 .avi .mov .mkv .m4v .mpg .mpeg .webm",
           "write its frames as PNG (ffmpeg -i FILE %05d.png)"),
)  # fmt: skip


@dataclass(frozen=True)
class Unread:
    """Files of one format that is not read; `format` is None where it is not known."""

    format: Format | None
    suffix: str
    files: tuple[Path, ...]

    def describe(self, root: Path) -> str:
        """How many there are, what they are, and some of them."""
        what = f"{self.suffix or 'without suffix'}" + (f", {self.format.name}" if self.format else "")
        return f"{len(self.files)} {what}: {some_of([relative(path, root) for path in self.files], 5)}"


def unread(files: Iterable[Path]) -> list[Unread]:
    """Files whose suffix is not read by their format, the most frequent first."""
    groups: dict[tuple[str, Format | None], list[Path]] = defaultdict(list)
    known: dict[str, list[Format | None]] = defaultdict(list)
    for path in files:
        suffix = path.suffix.lower()
        if len(known[suffix]) < _MOST_OPENED:
            found = format_of(path)
            known[suffix].append(found)
        else:
            found = known[suffix][-1]
        groups[suffix, found].append(path)
    told = [Unread(found, suffix, tuple(some)) for (suffix, found), some in groups.items()]
    return sorted(told, key=lambda one: (-len(one.files), one.suffix))


def format_of(path: Path) -> Format | None:
    """Which of the formats a file has that is not read; None for others."""
    start, head = start_of(path)
    if start[128:132] == b"DICM":
        return next(one for one in FORMATS if one.name == "DICOM by another name")
    return next((one for one in FORMATS if one.fits(path, head)), None)


def start_of(path: Path) -> tuple[bytes, str]:
    """How a file begins, and that as text; nothing of one that cannot be read, which its reader says."""
    try:
        with open(path, "rb") as file:
            start = file.read(_HEAD)
    except OSError:
        start = b""
    return start, start.decode("utf-8", "replace").removeprefix("\ufeff")


def census(folder: Path) -> str:
    """The files below a folder whose format is not read."""
    return "; ".join(one.describe(folder) for one in unread(list_files(folder)[1]))


def tell_left_out(folder: Path, files: Iterable[Path], problems: Findings) -> None:
    """Add a warning that counts and names the files of a folder whose format is not read."""
    if found := unread(files):
        message = f"{sum(len(one.files) for one in found)} file(s) are left out: their format is not read"
        received = "; ".join(one.describe(folder) for one in found)
        problems.warning("files-left-out", folder, message, suffixes(), received, ways(found))


def refuse_export(root: Path) -> None:
    """Raise DataError for a folder with the export of a tool, or images in a format, that is not read."""
    found = [one for one in unread(list_files(root)[1]) if one.format is not None]
    labels = [one for one in found if one.format is not None and one.format.labels]
    shown = labels or found
    if shown and (labels or not list_files(root)[0]):
        names = " and ".join(dict.fromkeys(one.format.name for one in shown if one.format))
        raise DataError(
            f"the folder holds {names}: that is not read",
            where=root,
            expected="a layout that docs/data.md shows",
            received="; ".join(one.describe(root) for one in shown[:3]),
            fix=ways(shown),
        )


def ways(found: Iterable[Unread]) -> str:
    """What to do with them."""
    return "; ".join(dict.fromkeys(f"{one.suffix}: {one.format.way}" for one in found if one.format))


def suffixes() -> str:
    """What names of images end in."""
    return f"files ending in {' '.join(sorted(IMAGE_SUFFIXES))}"
