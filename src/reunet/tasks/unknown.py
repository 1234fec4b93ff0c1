"""What the folder of a truth tells to be unknown, whichever task is scored: it adds up."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.contracts.truth import Truth
from reunet.datasets.cases import Case
from reunet.datasets.classes import class_list
from reunet.datasets.coco_files import USUAL, coco_file
from reunet.datasets.folders import SplitFolders
from reunet.datasets.pairs import PairedFiles, partners_of
from reunet.datasets.reading import CaseReader
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.listing import images_by_stem
from reunet.io.masks import check_shape, read_mask
from reunet.tasks.given import described_above, read_boxes


@dataclass
class Unknown:
    """Unlabelled pixels of masks, and unknown areas of a COCO file `listing`.

    masks: files by the names of images, with the classes `labels`. told: what the file tells of images, by
    their names. axes: as for `read_mask`. warnings: about what is there and is not understood.
    """

    axes: str | None = None
    masks: Mapping[str, Path] = field(default_factory=dict)
    labels: LabelMap | None = None
    told: Mapping[str, AnnotatedImage] = field(default_factory=dict)
    listing: Path = Path()
    warnings: list[str] = field(default_factory=list)

    def without(self, truth: Truth, name: str, size: tuple[int, ...], page: int | None = None) -> Truth:
        """What is known of an image `name` whose size is (*space). page: of its stack.

        Raises LabelError for a mask, and a COCO file with unknown areas, that tell of another size.
        """
        mask, told = self.masks.get(name), self.told.get(name)
        if mask is not None and self.labels is not None:
            indices = read_mask(mask, self.labels, page, self.axes)
            check_shape(mask, indices.shape, size)
            truth = truth.within(indices != IGNORE)
        if told is not None and (known := told.known()) is not None:
            check_shape(self.listing, told.size, size, "annotation")
            truth = truth.within(known if truth.objects is None else known | (truth.objects > 0))
        return truth


def image_name(case: Case) -> str:
    """What the image of a case is called, without the number of its page."""
    return case.id if case.page is None else case.id.rpartition("#")[0]


def unknown_beside(file: Path, names: Collection[str], options: DataOptions) -> Unknown:
    """What else the folder tells of the images `names` in which the truth lies: `file`, a folder `masks` or
    `instances` or a COCO file. A warning says what is not understood there.
    """
    root, found = file.parent, Unknown(options.axes)
    if file.name not in ("masks", "instances", *USUAL):
        return found
    if file.name != "masks" and (root / "masks").is_dir():
        try:
            _add_masks(found, root / "masks", names, options)
        except DataError as cause:
            told = "masks/ is not understood: what it leaves unlabelled is scored"
            found.warnings.append(f"{told} ({cause.what})")
    if file.name in ("masks", "instances"):
        try:
            _add_listing(found, root, names)
        except DataError as cause:
            told = "the COCO file is not understood: its crowds are scored"
            found.warnings.append(f"{told} ({cause.what})")
    return found


def _add_masks(found: Unknown, masks: Path, names: Collection[str], options: DataOptions) -> None:
    """Those of the images. Raises DataError."""
    files = images_by_stem(masks)
    own = {name: files[some[0]] for name, some in partners_of(names, files).items() if some}
    if own:
        root = described_above(masks)
        cases = PairedFiles(SplitFolders("test", masks, masks, masks), masks, options.axes).cases
        reader = CaseReader(root, options.axes, keep=False)
        found.labels, found.masks = class_list(root, options, cases, reader, Findings(root)), own


def _add_listing(found: Unknown, root: Path, names: Collection[str]) -> None:
    """What the COCO file in a folder tells of the images. Raises DataError."""
    if (file := coco_file(root)) is not None:
        told = read_boxes(file, None)[1]
        own = {name: told[some[0]] for name, some in partners_of(names, told).items() if some}
        found.told, found.listing = own, file
