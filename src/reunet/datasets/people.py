"""Labels that several people gave to one image: those of one of them count, and how far the others agree."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings, some_of
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.datasets.cache import mapped
from reunet.datasets.case_arrays import encode_case
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.datasets.pairs import partners_of
from reunet.datasets.palettes import check_named
from reunet.datasets.reading import CaseReader
from reunet.errors import ReunetError, closest
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.listing import images_by_stem
from reunet.io.masks import encode_mask, read_raw_mask
from reunet.metrics.box_matching import hits
from reunet.metrics.matching import f1, match_counts
from reunet.metrics.object_overlap import object_overlap
from reunet.metrics.overlap import confusion, dice, mean_defined

CODE = "several-people"
_HALF = np.array([0.5])
_FIX = 'name whose labels count in dataset.json, as "labels_of": "{}"'


def one_of_each(
    drawn: Mapping[tuple[Path, str], AnnotatedImage], wanted: object, source: Path, problems: Findings
) -> dict[Path, AnnotatedImage]:
    """The labels of one person for each image: those of the `wanted` one, else of whoever labelled most.

    drawn: by the image and by who drew it. source: the file that tells them. Where an image has labels of
    several people a warning says whose count and how far the others agree with them. Adds an error where the
    wanted person labelled nothing.
    """
    people: dict[Path, dict[str, AnnotatedImage]] = defaultdict(dict)
    for (image, by), told in drawn.items():
        people[image][by] = told
    counts = Counter(by for _, by in drawn)
    ranked = sorted(counts, key=lambda by: (by != wanted, -counts[by], by))
    if wanted is not None and wanted not in counts:
        message = "the person whose labels are to count labelled nothing"
        fix = closest(str(wanted), ranked) or _FIX.format(ranked[0] if ranked else "")
        file = problems.root / "dataset.json"
        problems.error("labels-of", file, message, some_of(ranked), str(wanted)[:80], fix)
    chosen = {image: next(by for by in ranked if by in some) for image, some in people.items()}
    shared = {image: some for image, some in people.items() if len(some) > 1}
    if shared:
        others = {by for some in shared.values() for by in some} - {ranked[0]}
        agreement = [_agreement(by, ranked[0], shared) for by in sorted(others, key=ranked.index)]
        message = f"{len(shared)} image(s) are labelled by several people: those of {ranked[0]} count"
        fix = _FIX.format(sorted(others, key=ranked.index)[0])
        problems.warning(CODE, source, message, "", some_of([one for one in agreement if one], 8), fix)
    return {image: people[image][by] for image, by in chosen.items()}


def _agreement(by: str, first: str, shared: Mapping[Path, Mapping[str, AnnotatedImage]]) -> str:
    """How far the labels of a person agree with the first one's, in words."""
    pairs = [(some[first], some[by]) for some in shared.values() if first in some and by in some]
    pairs = [(a, b) for a, b in pairs if a.size == b.size]
    if not pairs:
        return ""
    objects = f1(np.sum([_counts(a, b) for a, b in pairs], axis=0))
    told = [f"F1 {float(objects):.3f} of objects at IoU 0.5"]
    pixels = [(_painted(a), _painted(b)) for a, b in pairs if a.shaped and b.shaped]
    if pixels:
        told.append(f"Dice {pixel_agreement(pixels, range(1, 255)):.3f} of pixels")
    return f"{by}: {', '.join(told)}, {len(pairs)} image(s)"


def _counts(one: AnnotatedImage, other: AnnotatedImage) -> np.ndarray:
    """Objects that both have, and that only the second and only the first one has, of the same class."""
    if one.shaped and other.shaped:
        maps = [image.objects() for image in (one, other)]
        ids = [np.zeros(one.size, np.int32) if drawn is None else drawn.ids for drawn in maps]
        found: np.ndarray = match_counts(object_overlap(*ids), _HALF)[0, :3]
        return found
    both = int(hits(one.boxes, other.boxes).sum())
    return np.array([both, len(other.boxes) - both, len(one.boxes) - both], np.float64)


def _painted(image: AnnotatedImage) -> np.ndarray:
    """(H, W) uint8: 0 outside of all objects, and 1 more than the class of an object inside."""
    drawn = image.objects()
    if drawn is None:
        return np.zeros(image.size, np.uint8)
    classes = np.concatenate([np.zeros(1, np.uint8), drawn.classes[1:] + 1])
    return np.asarray(classes[drawn.ids])


def pixel_agreement(pairs: Iterable[tuple[np.ndarray, np.ndarray]], classes: Sequence[int]) -> float:
    """Dice of class indices (*space) uint8, pooled over the images, the mean of some classes; unlabelled
    pixels of either are left out.
    """
    counts = np.zeros((255, 255), np.int64)
    for one, other in pairs:
        known = other != IGNORE
        counts += confusion(one[known], other[known], 255)
    return float(mean_defined(dice(counts)[list(classes)]))


def compare_folders(
    folders: SplitFolders, cases: Sequence[Case], labels: LabelMap, reader: CaseReader, problems: Findings
) -> None:
    """Add a warning that tells how far masks in the other folders of a split agree with those that count."""
    own = {case.id: case for case in cases if case.split == folders.split and case.files.mask is not None}
    for folder in folders.others:
        files = images_by_stem(folder)
        partners = partners_of(own, files)
        pairs = []
        for name, case in own.items():
            if partners[name] and case.page is None:
                with suppress(ReunetError):  # no mask, of another size or class list
                    check_named(path := files[partners[name][0]], labels)
                    other = encode_mask(read_raw_mask(path), labels, path)
                    mine = mapped(encode_case(case, reader(case), labels)["labels"])
                    pairs += [(mine, other)] * (mine.shape == other.shape)
        if pairs and folders.masks is not None:
            message = f"{len(pairs)} image(s) have masks of other people: those in {folders.masks.name} count"
            share = pixel_agreement(pairs, [i for i in labels.foreground if i < len(labels.classes)])
            told = f"{folder.name}: Dice {share:.3f} of pixels, {len(pairs)} image(s)"
            problems.warning(CODE, folder, message, "", told, "give --masks DIR for the others")
