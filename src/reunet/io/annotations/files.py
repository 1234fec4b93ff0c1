"""The image files that an annotation file names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from reunet.contracts.findings import Findings
from reunet.errors import LabelError
from reunet.io.images import composed, image_suffix, read_header, without_suffix


def is_below(file: str) -> bool:
    """Whether a file name, read on any system, leads to below the folder it starts from."""
    path = PurePosixPath(file.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", file)
    return bool(path.parts) and not outside and "\0" not in file


def size_of(path: Path | None) -> tuple[int, int] | None:
    """Height and width of an image file; None where it does not exist. Raises LabelError, ImageReadError."""
    if path is None:
        raise LabelError("its height and width are not told", expected="whole numbers above 0")
    size = read_header(path).size if os.path.isfile(path) else None
    if size is not None and len(size) != 2:
        raise LabelError("boxes and outlines are of images, not of volumes", received=f"{len(size)} axes")
    return None if size is None else (size[0], size[1])


class NamedImages:
    """The image files that an annotation file names, from `folders`; none where they need not be there."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._known: dict[Path, dict[str, Path]] = {}

    def find(self, file: str) -> tuple[str, Path | None]:
        """The file of a name that `is_below`, after its name from the first folder with "/".

        It is in the first folder that holds it, whatever form its accents have, if need be without its
        suffix; one that does not exist, in the first.
        """
        name = PurePosixPath(file.replace("\\", "/")).as_posix()
        candidates = [folder / one for folder in self._folders for one in dict.fromkeys((file, name))]
        found = next((path for path in candidates if os.path.isfile(path)), None)
        if found is None:
            others = (self._listed(path.parent).get(composed(path.name)) for path in candidates)
            found = next(filter(None, others), None)
        if found is None or not found.is_relative_to(self._folders[0]):
            return name, found or (self._folders[0] / name if self._folders else None)
        return found.relative_to(self._folders[0]).as_posix(), found

    def _listed(self, folder: Path) -> dict[str, Path]:
        """The images of a folder by name, and by name without suffix where that is one file's."""
        if folder not in self._known:
            entries = os.listdir(folder) if os.path.isdir(folder) else []
            paths = [folder / entry for entry in sorted(entries)]
            images = [path for path in paths if image_suffix(path) and path.is_file()]
            stems = [composed(without_suffix(path).name) for path in images]
            counts = Counter(stems)
            single = {stem: path for stem, path in zip(stems, images, strict=True) if counts[stem] == 1}
            self._known[folder] = single | {composed(path.name): path for path in images}
        return self._known[folder]

    def match(self, source: Path, named: Iterable[tuple[str, Path | None]], problems: Findings) -> None:
        """Add an error for each file, by its name, that does not exist, a warning for each image beside such
        files that `source` does not name.
        """
        files = sorted((path, name) for name, path in named if path is not None)
        for path, name in files:
            if not os.path.isfile(path):
                message = f"{name}: the file of this image does not exist"
                problems.error("image-missing", source, message, path.as_posix())
        known = {path for path, _ in files}
        for parent in sorted({path.parent for path in known}):
            for path in sorted(set(self._listed(parent).values()) - known):
                message = f"{source.name} does not name this image: it counts as not annotated"
                problems.warning("image-not-listed", path, message)
