"""The image files that an annotation file names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from reunet.contracts.findings import Findings
from reunet.io.images import image_suffix


def is_below(file: str) -> bool:
    """Whether a file name, read on any system, leads to below the folder it starts from."""
    parts = PurePosixPath(file.replace("\\", "/")).parts
    return bool(parts) and not {"..", "/"} & set(parts) and ":" not in parts[0] and "\0" not in file


def match_files(source: Path, folder: Path, listed: Iterable[str], problems: Findings) -> None:
    """Add an error for each listed file that is not below `folder`, a warning for each image beside listed
    ones that `source` does not list.
    """
    known = {PurePosixPath(file) for file in listed}
    for file in sorted(known):
        if not (folder / file).is_file():
            message = f"{file}: the file of this image does not exist"
            problems.error("image-missing", source, message, (folder / file).as_posix())
    for parent in sorted({file.parent for file in known}):
        entries = sorted((folder / parent).iterdir()) if (folder / parent).is_dir() else []
        for path in entries:
            if image_suffix(path) and path.is_file() and parent / path.name not in known:
                message = f"{source.name} does not name this image: it counts as not annotated"
                problems.warning("image-not-listed", path, message)
