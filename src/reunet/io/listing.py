"""Which files a folder holds: those that are read, and those whose format is not."""

import os
from collections.abc import Callable
from pathlib import Path

from reunet.errors import DataError
from reunet.io.formats.table import images_in, is_store
from reunet.io.images import composed, image_suffix, without_suffix

CORRECTIONS, GIVEN_LABELS = "corrections.csv", "corrections"
"""Who mended which label of a dataset, and beside it the folder of the labels as they were given."""

JUNK = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", CORRECTIONS})
"""What systems put into folders, and what is no data, in small letters; hidden files are such, too."""

DOCUMENTS = ("readme", "license", "licence", "copying", "citation", "changelog")
"""How files begin that people write about the others."""


def list_files(
    folder: Path, is_read: Callable[[Path], object] = image_suffix
) -> tuple[list[Path], list[Path]]:
    """The files below a folder that are read, and all others, both sorted.

    A folder that is an image, or several, is read as one. Not looked at are hidden files and folders and
    what nobody means. A link to a folder is not followed, and is one of the others. Raises DataError.
    """
    read: list[Path] = []
    others: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        entries = [Path(parent, name) for name in folders if not _is_junk(Path(parent), name)]
        single = [one for one in entries if is_store(one)]
        links = [one for one in entries if one not in single and one.is_symlink()]
        folders[:] = [one.name for one in entries if one not in single and one not in links]
        here = [Path(parent, name) for name in files if not _is_junk(Path(parent), name)]
        read += single + [one for one in here if is_read(one) and one.is_file()]
        others += links + [one for one in here if not (is_read(one) and one.is_file())]
    told = [path for path in others if not path.name.lower().startswith(DOCUMENTS)]
    return sorted(read), sorted(told)


def image_files(folder: Path) -> list[Path]:
    """The images below a folder: the files of `list_files`, and the paths of images in files of several."""
    return [image for file in list_files(folder)[0] for image in images_in(file)]


def stem_of(path: Path, folder: Path) -> str:
    """Path below the folder without suffix, by which images and what annotates them find each other."""
    return composed(without_suffix(path.relative_to(folder)).as_posix())


def images_by_stem(folder: Path) -> dict[str, Path]:
    """The images below a folder by `stem_of`; of several of one stem the last."""
    return {stem_of(path, folder): path for path in image_files(folder)}


def visible(folder: Path) -> list[Path]:
    """What is in a folder itself, sorted, without hidden files and folders and what nobody means."""
    return sorted(entry for entry in folder.iterdir() if not _is_junk(folder, entry.name))


def folders_in(folder: Path) -> list[Path]:
    """The visible folders in a folder itself, sorted."""
    return [entry for entry in visible(folder) if entry.is_dir()]


def _is_junk(folder: Path, name: str) -> bool:
    is_kept = name == GIVEN_LABELS and (folder / CORRECTIONS).is_file()
    return name.startswith(".") or name.lower() in JUNK or is_kept


def _refuse(cause: OSError) -> None:
    if not isinstance(cause, FileNotFoundError):
        raise DataError("a folder cannot be read", where=cause.filename, received=cause.strerror) from cause
