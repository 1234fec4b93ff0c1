"""What of an image's labels cannot be written back to where they came from: said before the first stroke."""

import os
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap
from reunet.corrections.labels import Kind
from reunet.corrections.rasters import WRITABLE
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.datasets.tools import COCO, VOC
from reunet.errors import ReunetError
from reunet.io.images import image_suffix, read_header

COPY = "the labels as they were given are kept in corrections/"


def kinds_of(case: Case) -> tuple[Kind, ...]:
    """What of a case can be edited, the most specific first; masks follow objects where both are told."""
    files, objects = case.files, case.objects
    is_shaped = objects is not None and objects.shaped
    told: dict[Kind, bool] = {
        "instances": is_shaped or files.instances is not None or files.object_masks is not None,
        "boxes": objects is not None and not is_shaped,
        "masks": files.mask is not None,
        "category": case.category is not None,
    }
    return tuple(kind for kind, is_told in told.items() if is_told)


def obstacles(case: Case, folders: SplitFolders, labels: LabelMap, root: Path) -> Findings:
    """Errors where nothing of a case can be written back, warnings for what saving changes."""
    found, files = Findings(root, case.page), case.files
    if not kinds_of(case):
        message, fix = "this image has no labels yet", "add it to the dataset with labels of its own"
        found.error("no-labels", case.image, message, "", "", fix)
    if files.markers is not None or folders.parts == "tracked frames":
        message = "the layout of the Cell Tracking Challenge keeps objects and their marks apart"
        fix = "keep them as instances/ with tracks/, see docs/data.md, to mend them here"
        found.error("not-writable", case.image, message, "", "", fix)
    if files.layers:
        message = "each region has a mask of its own, which are not written back"
        fix = "keep one mask with a value per class"
        found.error("not-writable", files.mask or case.image, message, "", "", fix)
    for path in (files.mask, files.instances):
        if path is not None and not files.layers:
            _raster(path, found)
    if (listing := folders.listing) is not None and listing.tool not in (COCO, VOC):
        message = f"labels are not written back into files of {listing.tool.name}"
        fix = f"mend them in {listing.tool.name}, or keep them as COCO, Pascal VOC or instances/"
        found.error("not-writable", listing.place, message, "", "", fix)
    for path in (*folders.listed, *_places(case, folders)):
        if not os.access(path, os.W_OK):
            fix = "allow writing there, or copy the dataset to where you may"
            found.error("not-writable", path, "this may not be written to", "", "", fix)
    _changes(case, labels, found)
    return found


def _places(case: Case, folders: SplitFolders) -> list[Path]:
    """The folders in which label files are replaced."""
    files, masks = case.files, case.files.object_masks
    told = [path.parent for path in (files.mask, files.instances) if path is not None]
    told += [masks[0].parent.parent] if masks else []
    if folders.parts == "class folders":
        told.append(folders.images)
    return list(dict.fromkeys(told))


def _raster(path: Path, found: Findings) -> None:
    if image_suffix(path) not in WRITABLE:
        message = "labels are not written back in this format"
        received, fix = image_suffix(path) or path.suffix, "save it as PNG or TIFF under the same name"
        found.error("not-writable", path, message, ", ".join(WRITABLE), received, fix)
        return
    try:
        header = read_header(path)
    except ReunetError as cause:
        found.caught("not-writable", path, cause)
        return
    if header.lossy:
        message, fix = "the file is a JPEG, which changes labels", "save it as PNG or TIFF"
        found.error("not-writable", path, message, "a lossless file", "", fix)


def _changes(case: Case, labels: LabelMap, found: Findings) -> None:
    """What saving changes beside what was drawn."""
    objects = case.objects
    if objects is not None and objects.shaped:
        message = (
            "outlines that overlap become areas of one object each; a changed one is saved as run lengths"
        )
        found.warning("flattened", case.image, message, "", "", COPY)
    elif objects is not None and len(objects.unknown):
        message = "crowds and `difficult` objects are kept as they are and cannot be edited"
        found.warning("kept", case.image, message)
    if case.files.mask is not None and labels.regions:
        message = "regions are edited as the classes that they are made of"
        found.warning("regions", case.files.mask, message)
    has_unlabelled = labels.ignore_color if labels.encoding == "rgb" else labels.ignore
    if case.files.mask is not None and has_unlabelled is None:
        message = "this dataset has no value for unlabelled pixels: none can be marked as such"
        fix = 'name one in dataset.json, as "ignore_index": 255'
        found.warning("no-unlabelled", case.files.mask, message, "", "", fix)
