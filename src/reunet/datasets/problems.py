"""The one validator: every problem of a dataset in one list, for `check` and before training."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings, relative, some_of
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.alike import tell_alike
from reunet.datasets.cache import prune
from reunet.datasets.cases import SPLITS, Case
from reunet.datasets.examine import Examined
from reunet.datasets.palettes import compare_used
from reunet.datasets.people import compare_folders
from reunet.datasets.scan import Scan, scan_dataset
from reunet.datasets.splits import shared_notes
from reunet.io.annotations.ctc import check_tracks, read_tracks
from reunet.progress import Progress


def examine_dataset(
    root: Path | None,
    options: DataOptions,
    *,
    splits: Collection[str] = SPLITS,
    progress: Progress | None = None,
) -> tuple[Scan, list[Examined], list[Problem]]:
    """What lies in the folders of a dataset, what each case is, and every problem of them, errors first.
    Reads every file once.

    splits: look at the pixels of these only. Raises DataError only when there is nothing to look at (no such
    folder, no images).
    """
    prune()
    scan = scan_dataset(root, options, progress=progress)
    cases = [case for case in scan.cases if case.split in splits]
    found = scan.reader.each(cases, lambda case, reading: Examined(case, reading, scan.labels, options))
    problems = _Comparison(scan, found)
    problems.sort(key=lambda problem: problem.severity != "error")  # stable: the order of the files stays
    return scan, found, with_fixes(dict.fromkeys(problems))  # a file of tracks may be read twice


class _Comparison(Findings):
    """What is wrong with the structure of a dataset, with each case, and with the cases as a whole."""

    def __init__(self, scan: Scan, found: Sequence[Examined]) -> None:
        super().__init__(scan.root)
        self._scan, self._found = scan, found
        self += [*scan.problems, *(problem for one in found for problem in one)]
        self._repeated_images()
        self._frame_sizes()
        compare_used([one.used for one in found if one.used is not None], scan.labels, self)
        self._turned()
        self._tracks()
        if scan.labels is not None:
            for folders in scan.folders:
                compare_folders(folders, [one.case for one in found], scan.labels, scan.reader, self)
        self._classes()
        self._objects()
        self._whole_set()

    def _repeated_images(self) -> None:
        """Identical images: in two splits an error, since the score would be of an image seen in training."""
        same: dict[str, list[Case]] = defaultdict(list)
        for one in self._found:
            if one.pixels is not None:
                same[one.pixels].append(one.case)
        for cases in same.values():
            first, *others = [relative(case.image, self._scan.root, case.page) for case in cases]
            received = f"also {', '.join(others)}{self._categories_of(cases)}"
            if len({case.split for case in cases}) > 1:
                message, fix = "the same image is in two splits", "remove it from one of the splits"
                self.error("identical-image", first, message, "each image in one split", received, fix)
            elif others:
                self.warning("duplicate-image", first, "the same image is there several times", "", received)

    def _categories_of(self, cases: Sequence[Case]) -> str:
        """The classes of images, where they differ."""
        names = () if self._scan.categories is None else self._scan.categories.names
        found = list(dict.fromkeys(names[case.category] for case in cases if case.category is not None))
        return f"; their classes differ: {', '.join(found)}" if len(found) > 1 else ""

    def _frame_sizes(self) -> None:
        """Frames of one sequence that differ in size from its first one."""
        firsts: dict[tuple[str, str], Examined] = {}
        for one in self._found:
            if one.case.sequence is None or one.header is None:
                continue
            first = firsts.setdefault((one.case.split, one.case.sequence.name), one)
            if first.header is not None and one.header.size != first.header.size:
                message = f"the frames of sequence {one.case.sequence.name} have different sizes"
                sizes = [" x ".join(map(str, header.size)) for header in (first.header, one.header)]
                fix = "crop them to one size, or make sequences of one size each"
                expected = f"{sizes[0]} as {first.case.id}"
                self.error("frame-size", one.case.image, message, expected, sizes[1], fix)

    def _turned(self) -> None:
        """Images that an orientation tag turns, where nothing tells whether that is how they were annotated:
        a warning unless those of other sizes show it.
        """
        told = [one for one in self._found if one.only_turned is not None]
        if told and not any(one.only_turned for one in told):
            message = (
                f"{len(told)} image(s) or masks are turned by their orientation tag (EXIF), and their "
                "annotations fit with and without it"
            )
            fix = "look at them with --pictures FILE.png; where they lie askew, take the tag out of the file"
            expected = "annotations of the image as the tag turns it"
            self.warning("image-turned", told[0].case.image, message, expected, "", fix)

    def _tracks(self) -> None:
        """Files of tracks that are damaged or disagree with the objects of the frames."""
        films: dict[Path, list[Examined]] = defaultdict(list)
        for one in self._found:
            if one.case.sequence is not None and one.case.sequence.tracks is not None:
                films[one.case.sequence.tracks].append(one)
        for path, frames in films.items():
            tracks = read_tracks(path, self)
            present = {frame: one.track_ids for frame, one in enumerate(frames) if one.track_ids is not None}
            if len(present) == len(frames):  # else an unreadable frame is reported already
                check_tracks(tracks, present, path, self)

    def _classes(self) -> None:
        """Classes that a split lacks: their scores there are undefined."""
        pixels: dict[str, np.ndarray] = {}
        images: dict[str, np.ndarray] = {}
        for one in self._found:
            split = one.case.split
            if one.class_counts is not None:
                pixels[split] = pixels.get(split, 0) + one.class_counts
            if one.case.category is not None:
                category = np.bincount([one.case.category], minlength=256)
                images[split] = images.get(split, 0) + category
        self._alike_classes()
        for labels, totals in ((self._scan.labels, pixels), (self._scan.categories, images)):
            for split, counts in totals.items():
                if labels is not None:
                    self._absent_classes(split, labels, counts)

    def _alike_classes(self) -> None:
        """Classes of pixels, objects and images that are probably one."""
        labels, categories = self._scan.labels, self._scan.categories
        pixels: dict[str, list[str]] = defaultdict(list)
        images: dict[str, list[str]] = defaultdict(list)
        for one in self._found:
            where = relative(one.case.image, self._scan.root, one.case.page)
            if labels is not None and one.class_counts is not None:
                for i in np.flatnonzero(one.class_counts[: len(labels.classes)]):
                    pixels[labels.names[i]].append(where)
            if categories is not None and one.case.category is not None:
                images[categories.names[one.case.category]].append(where)
        if labels is not None and labels is not categories:
            tell_alike(labels.names, pixels, self)
        if categories is not None:
            tell_alike(categories.names, images, self)

    def _objects(self) -> None:
        """Images that show no object."""
        empty: dict[str, list[str]] = defaultdict(list)
        for one in self._found:
            if one.object_counts is not None and not one.object_counts.any():
                empty[one.case.split].append(one.case.id)
        for split, names in empty.items():
            message = f"{len(names)} image(s) show no object, and are learned from as such"
            received = ", ".join(names[:10]) + ", ..." * (len(names) > 10)
            self.warning("no-objects", split, message, "", received)

    def _absent_classes(self, split: str, labels: LabelMap, counts: np.ndarray) -> None:
        """Regions are what is learned where there are any: that no pixel is in one alone says nothing."""
        foreground = list(labels.foreground)
        totals = counts[: len(labels.classes)] @ labels.membership
        absent = [name for name, count in zip(labels.outputs, totals, strict=True) if not count]
        if foreground and counts[foreground].sum() == 0:
            received = f"only {labels.names[int(counts[:IGNORE].argmax())]}" if counts[:IGNORE].any() else ""
            self.warning("no-foreground", split, "no image of this split shows any foreground", "", received)
        elif absent:
            effect = "it cannot be learned" if split == "train" else "its score there is undefined"
            self.warning(
                "class-absent", split, f"a class is nowhere in this split: {effect}", "", ", ".join(absent)
            )

    def _whole_set(self) -> None:
        """What concerns the whole dataset: too few cases, mixed sample types, groups shared by splits."""
        name, counts = self._scan.root.resolve().name, Counter(case.split for case in self._scan.cases)
        if counts["train"] == 1 and not counts["val"]:
            message = "one training case is too few: none can be held out"
            expected = "at least 2 images in train/, or images in val/"
            self.error("too-few-cases", "train", message, expected, "1 image")
        elif "train" not in {folders.split for folders in self._scan.folders}:
            self.warning("no-training-cases", "train", "there is no case to train on")
        dtypes = Counter(one.dtype for one in self._found if one.dtype is not None)
        if len(dtypes) > 1:
            message = "images have different sample types, and probably different intensity scales"
            received = ", ".join(f"{count} {dtype}" for dtype, count in sorted(dtypes.items()))
            self.warning("mixed-sample-types", name, message, "", received)
        self._channels(name)
        self._axes_and_spacing(name)
        if self._scan.labels is not None:
            for note in shared_notes(self._scan.cases):
                self.warning("shared-group", name, note)

    def _channels(self, name: str) -> None:
        """Images of which some have other channels; grey ones among coloured ones are repeated."""
        headers = [one.header for one in self._found if one.header is not None]
        counts = Counter(header.channels for header in headers)
        if len(counts) > 1 and (set(counts) != {1, 3} or any(header.is_volume for header in headers)):
            received = ", ".join(f"{n} with {channels}" for channels, n in sorted(counts.items()))
            message = "images have different numbers of channels"
            fix = "export all with the same channels"
            self.error("channel-count", name, message, "one number, or grey and RGB", received, fix)
        orders = Counter(header.channel_names for header in headers if header.channel_names)
        if len(orders) > 1:
            received = some_of([f"{n} with {', '.join(names)}" for names, n in orders.most_common()], 3)
            message = "the channels of the images have different names, or another order"
            fix = f"choose them by name: --channels {','.join(orders.most_common(1)[0][0])}"
            self.warning("channel-names", name, message, "the same channels", received, fix)

    def _axes_and_spacing(self, name: str) -> None:
        """Images and volumes in one dataset, and volumes that do not say how large their voxels are."""
        known = [(one.case.image, one.header) for one in self._found if one.header is not None]
        volumes = [(image, header) for image, header in known if header.is_volume]
        if volumes and len(volumes) != len(known):
            message = "the dataset holds images and volumes"
            received = f"{len(known) - len(volumes)} images, {len(volumes)} volumes"
            self.error("mixed-dimensions", name, message, "one kind", received, "make two datasets of it")
        unstated = [image for image, header in volumes if header.spacing is None]
        message, fix = "the volume does not state the size of its voxels", "write it into the file's header"
        if len(unstated) == len(volumes):
            for image in unstated:
                self.warning("no-spacing", image, message, "millimetres per axis", "taken as 1 x 1 x 1", fix)
        for image in unstated if len(unstated) < len(volumes) else ():
            self.error("no-spacing", image, message, "millimetres per axis, as in other volumes", "", fix)


FIXES = {
    "annotation": "draw this object again, or delete it from the file",
    "annotations-unreadable": "export the file again",
    "box-corners": "write boxes as x, y, width, height",
    "box-outline": "see which of both is right; reunet uses both as they are",
    "box-cut": "draw the box again, if that is no rounding",
    "box-reversed": "exchange its corners: x and y grow to the right and down",
    "channel-count": "add the missing files",
    "class-alike": "give them one name, if they mean the same: they are learned as different classes",
    "class-empty": "add images of the class, or remove the folder",
    "class-absent": "move images between the splits, or take the class out of the list",
    "doubled-file": "keep one of them",
    "doubled-id": "number them anew",
    "file-name": "name the file by its path below the folder of the images",
    "fov-without-image": "remove it, or add the image",
    "frame-missing": "add the missing frames, or number the frames without gaps",
    "hole-area": "write objects with holes as run lengths, or correct the area if there are none",
    "ids-full": "save the ids as 16-bit PNG or 32-bit TIFF",
    "image-missing": "add the image, or correct or remove what names it",
    "image-not-listed": "annotate it, with no objects if it shows none, or move it away",
    "image-size": "write the size of the image into the file",
    "image-unreadable": "open and save the image anew, or remove it",
    "image-in-no-split": "add it to one of the lists, if it belongs to the dataset",
    "image-in-two-splits": "take it out of one of the lists",
    "image-without-fov": "add it, or remove the folder fov/",
    "image-without-instances": "add it, without any object if the image shows none, or remove the image",
    "image-without-mask": "add it, all background if the image shows nothing, or remove the image",
    "instances-unreadable": "save whole numbers from 0: 16-bit PNG, or 32-bit TIFF above 65,535",
    "instances-without-image": "remove it, or add the image",
    "label-decimals": "reunet learns classes, not numbers: name the range each lies in, such as low, high",
    "label-id": "give each label one number of its own",
    "label-row": "move the image into the folder of its class, or complete the row",
    "label-table": "name the columns in the first line: file,label",
    "mask-palettes": "save all masks with one palette, or give --colors FILE to read them by colour",
    "mask-segments": "give a segment one number and one label in all files (and in the class list)",
    "mask-upside-down": "if white is the object, invert the masks or give --colors FILE",
    "mask-unreadable": "save the mask anew as PNG or TIFF, one value per pixel",
    "mask-without-image": "remove it, or add the image",
    "no-objects": "annotate them, if they show objects",
    "no-foreground": "see whether the right files are annotated",
    "not-coco": 'export as COCO "instances": {"images": [], "annotations": [], "categories": []}',
    "object-empty": "remove the file",
    "object-overlap": "decide which object the pixels belong to, if that matters",
    "one-image": "keep one image in each folder images/",
    "other-image": "see whether the labels are those of this image; they are used as they are",
    "page-count": "save image and mask with as many pages",
    "polygon-points": "draw the object again, or delete it",
    "shape-empty": "draw the object again, or delete it",
    "shape-mismatch": "find the annotation that belongs to this image; nothing is resized",
    "split-without-masks": "annotate it, if it is to be scored",
    "track-frames": "let man_track.txt say in which frames the track is",
    "track-line": "write it as: id begin end parent",
    "track-parent": "let the parent end before its children begin, or write 0 for no parent",
    "unknown-class": "add the class to the class list (without one: to train), or correct the name",
    "unknown-image": "correct its image_id, or delete it",
    "voc-from-zero": "correct the box if pixels are counted from 1; else nothing, it is understood",
    "wrong-type": "correct the entry",
    "yolo-turned-boxes": "draw outlines, or write upright boxes for --task detection",
}


def with_fixes(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, each with something to do about it."""
    return [replace(one, fix=one.fix or FIXES.get(one.code, "")) for one in problems]
