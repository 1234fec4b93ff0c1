"""The images of a dataset, by what annotation files call them and by what those files are called."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from reunet.contracts.findings import Findings, some_of
from reunet.errors import DataError, ImageReadError, LabelError
from reunet.io.annotations.files import size_of
from reunet.io.annotations.sheet import Sheet
from reunet.io.images import composed, without_suffix

_UPLOAD = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the names of files that are uploaded."""
_OWN = "the name of the image beside it, which the labels are taken for"


class Pictures:
    """Images by their names, which are their paths below the folder of the images, without suffix."""

    def __init__(self, files: Iterable[tuple[str, Path]]) -> None:
        self._by_name: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        self._by_file: dict[str, list[Path]] = defaultdict(list)
        for name, path in files:
            self._by_name[tuple(name.split("/"))].append(path)
            for key in {composed(path.name), composed(without_suffix(path).name)}:
                self._by_file[key].append(path)

    @property
    def paths(self) -> list[Path]:
        """All images."""
        return [path for some in self._by_name.values() for path in some]

    def named(self, parts: Sequence[str]) -> Path | None:
        """The image whose name is what `parts`, the path of an annotation file without ending, ends in."""
        for first in range(len(parts)):
            if found := self._by_name.get(tuple(map(composed, parts[first:]))):
                return found[0] if len(found) == 1 else None
        return None

    def has(self, told: str) -> bool:
        """Whether an image is called like a path of another machine ends, whatever its suffix."""
        name = last_of(told)
        return bool(name) and without_suffix(Path(name)).name in self._by_file

    def find(self, told: str) -> Path:
        """The image that a file means by a path or address of another machine: of its name, and of several
        the one in the folders that it names. Raises LabelError for none and for several.
        """
        path, _, query = told.replace("\\", "/").partition("?")
        *folders, last = map(composed, unquote(query[2:] if query[:2] == "d=" else path).split("/"))
        names = (last, _UPLOAD.sub("", last, count=1), without_suffix(Path(last)).name)
        found = next((some for name in names if (some := self._by_file.get(name))), [])
        if len(found) > 1:
            shared = [_shared(folders, [composed(one) for one in image.parent.parts]) for image in found]
            found = [image for image, count in zip(found, shared, strict=True) if count == max(shared)]
        if len(found) != 1:
            what = "there is no image of this name" if not found else "several images have this name"
            fix = "put the image into the dataset, or take it out of the file"
            raise LabelError(what, received=told[-80:], fix=fix)
        return found[0]

    def sheet(
        self, source: Path, told: str, problems: Findings, size: tuple[int, int] | None = None, by: str = ""
    ) -> Sheet | None:
        """A sheet for the image that a file means; size: as it states it, else that of the image. Adds an
        error for an image that is not there or cannot be read.
        """
        try:
            image = self.find(told)
        except DataError as cause:
            problems.caught("image-missing", source, cause)
            return None
        if size is not None:
            return Sheet(source, image, size, problems, by)
        return blank(source, image, problems)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many folders two paths share at their ends."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def paired(
    files: Sequence[Path],
    pictures: Pictures,
    problems: Findings,
    fill: Callable[[Path, Sheet], object],
    ending: str = "",
) -> list[Sheet]:
    """A sheet for each of the files, which tell an image each and are called like it, filled by `fill`.

    ending: what their names end in before the suffix, as a pattern. Adds an error for a file without image
    and for one that cannot be read.
    """
    sheets: list[Sheet] = []
    for path in files:
        name = re.sub(f"(?:{ending})$", "", path.stem, flags=re.IGNORECASE)
        image = pictures.named([*path.parent.parts, without_suffix(Path(name)).name])
        if image is None:
            problems.error("image-missing", path, "there is no image of its name")
        elif (sheet := blank(path, image, problems)) is not None:
            with problems.noting("annotations-unreadable", path, "the file is"):
                fill(path, sheet)
                sheets.append(sheet)
    return sheets


def blank(source: Path, image: Path, problems: Findings) -> Sheet | None:
    """A sheet on which nothing is; None for an image that cannot be read, which is said with it."""
    size = None
    with problems.noting("annotation", source, "the image is"), suppress(ImageReadError):
        size = size_of(image)
    return None if size is None else Sheet(source, image, size, problems)


def last_of(told: str) -> str:
    """The name of a file in a path of another machine."""
    return composed(told.replace("\\", "/").rsplit("/", 1)[-1])


def tell_other_names(sheets: Sequence[Sheet], problems: Findings) -> None:
    """Add a warning for files that are called like one image and name another one; suffixes do not matter."""
    found = []
    for sheet in sheets:
        with problems.noting("annotation", sheet.source, "the name of the image is"):
            name = last_of(sheet.named)
            told, own = (without_suffix(Path(one)).name.casefold() for one in (name, sheet.image.name))
            if name and told != composed(own):
                found.append(f"{problems.name(sheet.source)} names {name[:80]}")
    if found:
        message = f"{len(found)} file(s) name another image than the one that they are called like"
        problems.warning("other-image", sheets[0].source.parent, message, _OWN, some_of(found, 5))


def tell_unlisted(pictures: Pictures, sheets: Sequence[Sheet], problems: Findings) -> None:
    """Add a warning for each image that no file is about."""
    for path in sorted(set(pictures.paths) - {sheet.image for sheet in sheets}):
        message = "no annotation file is about this image: it counts as not annotated"
        problems.warning("image-not-listed", path, message)
