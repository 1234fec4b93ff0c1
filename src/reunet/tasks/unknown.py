"""What the folder of a truth tells to be unknown, whichever task is scored: it adds up."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.contracts.truth import Truth
from reunet.datasets.cases import Case
from reunet.datasets.classes import class_list
from reunet.datasets.folders import SplitFolders
from reunet.datasets.pairs import PairedFiles
from reunet.datasets.reading import CaseReader
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.masks import check_shape, read_mask
from reunet.tasks.given import read_boxes


@dataclass(frozen=True)
class Unknown:
    """Unlabelled pixels of masks and unknown areas of boxes. masks: cases by the names of their images, with
    the classes `labels`. boxes: what is told of images by their names.
    """

    masks: Mapping[str, Case]
    labels: LabelMap | None
    boxes: Mapping[str, AnnotatedImage]
    axes: str | None = None

    def without(self, truth: Truth, name: str, size: tuple[int, ...], page: int | None = None) -> Truth:
        """What is known of an image whose size is (*space). Raises LabelError for a mask of another size."""
        case, told = self.masks.get(name), self.boxes.get(name)
        if case is not None and case.files.mask is not None and self.labels is not None:
            indices = read_mask(case.files.mask, self.labels, page, self.axes)
            check_shape(case.files.mask, indices.shape, size)
            truth = truth.within(indices != IGNORE)
        if told is not None and told.size == size and (known := told.known(truth.objects)) is not None:
            truth = truth.within(known)
        return truth


def unknown_beside(file: Path, options: DataOptions) -> Unknown:
    """What the folder tells in which `file` lies, a folder `masks` or `instances` or a file of boxes, beside
    what that file tells itself. What is not understood there says nothing.
    """
    root, labels = file.parent, None
    masks, boxes = root / "masks", root / "boxes.json"
    cases: dict[str, Case] = {}
    told: Mapping[str, AnnotatedImage] = {}
    if file.name in ("instances", "boxes.json") and masks.is_dir():
        with suppress(DataError):
            pairs = PairedFiles(SplitFolders("test", root, masks, masks), root, options.axes)
            reader = CaseReader(root, options.axes, keep=False)
            labels = class_list(root, options, pairs.cases, reader, Findings(root))
            cases = {case.id: case for case in pairs.cases}
    if file.name in ("instances", "masks") and boxes.is_file():
        with suppress(DataError):
            _, told = read_boxes(boxes, None)
    return Unknown(cases, labels, told, options.axes)
