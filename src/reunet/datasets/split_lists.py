"""Splits that lists of images tell, or a column of a table, where a dataset has no folders for them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from reunet.contracts.findings import Findings, some_of
from reunet.datasets.cases import SPLITS, Case
from reunet.datasets.folders import SplitFolders
from reunet.datasets.tables import TABLES, column_of, stem_of
from reunet.datasets.vocabulary import SPLIT_NAMES
from reunet.errors import DataError, LabelError
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.settings import read_settings
from reunet.io.annotations.table import read_table
from reunet.storage import read_text

COLUMNS = ("split", "subset", "partition", "set")
"""What programs call the column of a table that tells the splits."""

FOLDERS = (".", "splits")
"""Where lists lie, called after their splits: train.txt, valid.txt."""

Told = dict[Path, str]
"""The split of each image file."""


def by_lists(
    folders: SplitFolders, cases: Sequence[Case], root: Path, problems: Findings
) -> tuple[SplitFolders, ...]:
    """The folders of a dataset without folders of splits, a part for each split that lists tell (data.yaml
    names them, or they are called after the splits), or else a column of items.csv or labels.csv; empty where
    nothing tells splits.

    cases: what is in the folders. Images that no list names are left out with a warning; without a list for
    training they are for that. Adds an error for images of two splits, and for lists that cannot be read.
    """
    told = _of_lists(cases, root, problems) or _of_tables(cases, root)
    if folders.parts != "images" or set(told.values()) <= {"train"}:
        return ()
    unlisted = sorted({case.image for case in cases} - told.keys())
    if "train" not in told.values():
        told |= dict.fromkeys(unlisted, "train")
    elif unlisted:
        message = f"{len(unlisted)} image(s) are in no split that is listed: they are left out"
        received = some_of([problems.name(image) for image in unlisted], 5)
        problems.warning("image-in-no-split", unlisted[0].parent, message, "", received)
    names = {split: {stem_of(case) for case in cases if told.get(case.image) == split} for split in SPLITS}
    return tuple(replace(folders, split=one, names=frozenset(own)) for one, own in names.items() if own)


def _of_lists(cases: Sequence[Case], root: Path, problems: Findings) -> Told:
    pictures = Pictures({case.image: (case.id, case.image) for case in cases}.values())
    found: Told = {}
    for split, path in dict.fromkeys(_lists(root)):
        for image in _listed(path, pictures, problems):
            if found.setdefault(image, split) != split:
                message = f"it is listed for {found[image]} and for {split}"
                problems.error("image-in-two-splits", image, message, "one of them", problems.name(path))
    return found


def _lists(root: Path) -> Iterable[tuple[str, Path]]:
    """Split and file of each list."""
    with suppress(DataError):  # what is wrong with data.yaml is said where it is needed
        settings = read_settings(root)
        for name, told in settings.items():
            if str(name) in SPLIT_NAMES and str(told).endswith(".txt"):
                near = root / str(settings.get("path", "")) / str(told), root / Path(str(told)).name
                yield from ((SPLIT_NAMES[str(name)], path) for path in near if os.path.isfile(path))
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.txt")):
            if path.stem.lower() in SPLIT_NAMES:
                yield SPLIT_NAMES[path.stem.lower()], path


def _listed(path: Path, pictures: Pictures, problems: Findings) -> set[Path]:
    """The images that a list names, a line each; nothing of a file that names none."""
    found, missing = set[Path](), list[str]()
    with problems.noting("annotations-unreadable", path, "the list of a split is"):
        lines = read_text(path, DataError, "the list of a split").splitlines()
        for line in filter(None, map(str.strip, lines)):
            for words in (line, line.split()[0]):  # VOC tells something behind the name
                with suppress(LabelError):
                    found.add(pictures.find(words))
                    break
            else:
                missing.append(line)
    if found and missing:
        message = f"{len(missing)} of the images that it lists are not there"
        problems.warning("image-missing", path, message, "", some_of([one[:80] for one in missing], 5))
    return found


def _of_tables(cases: Sequence[Case], root: Path) -> Told:
    for file in (path for name in TABLES if (path := root / name).is_file()):
        with suppress(DataError):  # what is wrong with a table is said where it is needed
            table = read_table(file)
            for column in COLUMNS:
                if splits := _splits(column_of(table, column, file, Findings(root))):
                    return {case.image: splits[stem] for case in cases if (stem := stem_of(case)) in splits}
    return {}


def _splits(values: Mapping[str, str]) -> dict[str, str]:
    """The values as splits; nothing where one of them is none."""
    words = {stem: value.strip().lower() for stem, value in values.items() if value.strip()}
    known = all(word in SPLIT_NAMES for word in words.values())
    return {stem: SPLIT_NAMES[word] for stem, word in words.items()} if known else {}
