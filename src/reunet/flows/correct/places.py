"""Which image of a dataset a file of edited labels is about, by its name."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reunet.corrections.editing import Editing
from reunet.datasets.pairs import MASK_ENDINGS
from reunet.errors import DataError, UsageError, closest
from reunet.io.images import composed


@dataclass(frozen=True)
class About:
    """An image: its name in the dataset, as in "train/a", or, of one that is `new`, the name it gets."""

    name: str
    new: Path | None = None

    def __str__(self) -> str:
        return self.name


class Images:
    """The images that edited labels may be about: those of the dataset, in one split if it is named, and new
    ones by name.
    """

    def __init__(self, editing: Editing, split: str | None, new: Mapping[str, Path]) -> None:
        self._new, self._split, self._root = new, split, editing.root
        self._known: dict[str, list[str]] = defaultdict(list)
        self._pages: dict[str, list[str]] = defaultdict(list)
        for name in editing.names:
            case = editing.case(name)
            if split in (None, case.split):
                whole, *page = case.id.rsplit("#", 1) if case.page is not None else (case.id,)
                if page:
                    self._pages[f"{case.split}/{whole}"].append(name)
                if not self._known[whole] or self._known[whole][-1] != f"{case.split}/{whole}":
                    self._known[whole].append(f"{case.split}/{whole}")

    def find(self, file: str) -> About:
        """The image of a file: the end of its path without suffix is the image's name, perhaps followed by
        `_mask` and the like. Raises DataError where there is none, UsageError where there are several.
        """
        parts = PurePosixPath(composed(file.replace("\\", "/"))).parts
        for begin in range(len(parts)):
            told = "/".join(parts[begin:])
            for name in (told, *(told.removesuffix(end) for end in MASK_ENDINGS if told.endswith(end))):
                if (found := self._known.get(name)) is not None:
                    return About(self._only(name, found, parts))
                if name in self._new:
                    return About(name, self._new[name])
        fix = closest(parts[-1], [*self._known, *self._new]) if parts else None
        raise DataError(
            "no image has the name of this file",
            where=file,
            expected="the name of an image of the dataset" + (" or of --add" if self._new else ""),
            fix=fix or "call it like the image, or give the folder of new images with --add",
        )

    def pages(self, about: About) -> list[str] | None:
        """The names of the pages of a stack, in their order; None of a single image."""
        return self._pages.get(about.name)

    def _only(self, name: str, found: list[str], parts: tuple[str, ...]) -> str:
        """Of images of the same name in several splits, the one whose split is a folder of the path."""
        told = [one for one in found if one.partition("/")[0] in parts]
        chosen = found if len(found) == 1 else told
        if len(chosen) != 1:
            raise UsageError(
                "images of this name are in several splits",
                where=name,
                received=", ".join(found),
                fix="say which with --split",
            )
        return chosen[0]
