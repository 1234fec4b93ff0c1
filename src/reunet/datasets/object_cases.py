"""Cases of layouts that give each image, or each sequence, a folder of its own."""

from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.datasets.cases import Case, CaseFiles, FrameSequence
from reunet.datasets.folders import SplitFolders
from reunet.datasets.pairs import Found
from reunet.io.annotations.ctc import CtcSequence, find_sequences
from reunet.io.listing import folders_in, image_files


def object_folders(folders: SplitFolders, root: Path, axes: str | None) -> Found:
    """Cases of `<image>/images/a.png` and `<image>/masks/*.png`, one mask per object; named like the folder.

    Where no image of the split has masks, it is not annotated.
    """
    found = Found(root, axes)
    entries = folders_in(folders.images)
    has_masks = any((entry / "masks").is_dir() for entry in entries)
    for entry in entries:
        images = image_files(entry / "images") if (entry / "images").is_dir() else []
        masks = tuple(image_files(entry / "masks")) if (entry / "masks").is_dir() else None
        if len(images) != 1:
            received = f"{len(images)} images"
            found.error("one-image", entry, "a folder per image has one image", "1 image", received)
        elif masks is None and has_masks:
            fix = "add it, empty where the image has no objects"
            found.error("image-without-instances", entry, "the folder masks/ is missing", "", "", fix)
        else:
            case = Case(entry.name, folders.split, CaseFiles(images[0], object_masks=masks))
            found.add(case)
    return found


def tracked_frames(folders: SplitFolders, root: Path, axes: str | None) -> Found:
    """Cases of a folder of the Cell Tracking Challenge, `01/t000.tif`; each of its sequences runs in time.

    Objects are the segmented ones (gold truth before silver) under the ids of their tracks. Frames without a
    segmentation are seen, but not learned from or scored. Where no frame has one, the marks of the tracks are
    the objects.
    """
    found = Found(root, axes)
    for sequence in find_sequences(folders.images, found):
        _say_what_is_used(sequence, folders.images / sequence.name, found)
        film = FrameSequence(sequence.name, "T", sequence.lineage if 0 in sequence.frames else None)
        for number, image in sorted(sequence.frames.items()):
            marks = sequence.tracked.get(number)
            segmented = sequence.segmented.get(number, None if sequence.segmented else marks)
            files = CaseFiles(image, instances=segmented, markers=marks if sequence.segmented else None)
            case = Case(f"{sequence.name}/{image.stem}", folders.split, files, sequence=film)
            found.add(case)
    return found


def _say_what_is_used(sequence: CtcSequence, folder: Path, problems: Findings) -> None:
    if sequence.slices and not sequence.segmented:
        message = "single annotated slices of volumes (man_seg_TTT_ZZZ.tif) are not read"
        problems.warning("slices-unread", folder, message)
    if not sequence.segmented and sequence.tracked:
        message = "no frame is segmented: the marks of the tracks are taken for the objects"
        fix = "add SEG/ where marks do not show objects to their full extent"
        problems.warning("marks-only", folder, message, "SEG/man_seg000.tif", "", fix)
    elif len(sequence.segmented) < len(sequence.frames):
        message = "frames without a segmentation are seen, but not learned from or scored"
        received = f"{len(sequence.segmented)} of {len(sequence.frames)} frames are segmented"
        problems.warning("frames-unsegmented", folder, message, "", received)
