"""COCO files, told by their content: which ones a folder holds, of which split, where their images lie."""

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reunet.datasets.foreign import start_of
from reunet.datasets.vocabulary import SPLIT_NAMES, role_of
from reunet.errors import DataError
from reunet.io.annotations.files import is_below
from reunet.io.listing import folders_in, visible
from reunet.storage import read_json

USUAL = ("boxes.json", "annotations.json", "_annotations.coco.json")
"""Names that go before others."""

_MOST_LISTED = 20
_FILE_NAME = re.compile(r'"file_name"\s*:\s*("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")')
"""With all that a JSON string may hold, and nothing else."""
_ANNOTATION = re.compile(r'"annotations"\s*:\s*\[.*"image_id"|"image_id".*"annotations"', re.DOTALL)


def is_coco(path: Path) -> bool:
    """Whether a JSON file begins as COCO does, with the list of its images or with annotations of images, or
    is named as the files of COCO are, which may be damaged.
    """
    head = start_of(path)[1]
    told = bool(_FILE_NAME.search(head) and '"images"' in head) or _ANNOTATION.search(head) is not None
    return told or re.match(r"instances_[a-z]+", path.name) is not None


def coco_files(folder: Path) -> list[Path]:
    """The COCO files in a folder itself; of several those that tell of objects, not of captions and such."""
    if not folder.is_dir():
        return []
    found = [path for path in visible(folder) if path.suffix.lower() == ".json" and path.is_file()]
    found = [path for path in found if is_coco(path) and path.name != "predictions.json"]
    return [path for path in found if "instances" in path.name.lower()] or found


def coco_file(folder: Path) -> Path | None:
    """The COCO file in the folder of a split. Raises DataError for several."""
    usual = next((folder / name for name in USUAL if (folder / name).is_file()), None)
    found = [usual] if usual else coco_files(folder)
    if len(found) > 1:
        raise DataError(
            "several COCO files are in one folder, and it is not clear which one is meant",
            where=folder,
            expected=f"one, or one named {' or '.join(USUAL)}",
            received=", ".join(path.name for path in found),
            fix="keep the one that is meant, or name each after its split, such as instances_train.json",
        )
    return found[0] if found else None


def split_word(path: Path) -> str | None:
    """The word of a file's name that is a split, with its year: train2017."""
    words = re.findall(r"(?i)[a-z]+[0-9]*", path.stem)
    found = [word for word in words if word.lower().rstrip("0123456789") in SPLIT_NAMES]
    return found[-1] if found else None


def images_of(path: Path, root: Path) -> Path:
    """The folder of the images that a COCO file lists, which its file names count from, or lead to.

    Raises DataError where none of them is anywhere near.
    """
    listed, word = _listed(path), split_word(path)
    inside = folders_in(root)
    pictures = [one for one in inside if role_of(one.name) == "images"]
    names = [] if word is None else [word, word.rstrip("0123456789")]
    near = [base / name for base in (*pictures, root, path.parent) for name in names]
    bases = [*near, path.parent, *pictures, root, path.with_suffix(""), *inside]
    for base in dict.fromkeys(one for one in bases if one.is_dir()):
        if (not listed and base in (*near, *pictures)) or any(os.path.isfile(base / file) for file in listed):
            tops = {file.split("/")[0] for file in listed if "/" in file}
            own = base == path.parent and len(tops) == 1 and all("/" in file for file in listed)
            return base / tops.pop() if own else base
    raise DataError(
        "the folder of its images is missing",
        where=path,
        expected=" or ".join(one.relative_to(root).as_posix() for one in near) or "images/",
        received=f"it lists {', '.join(listed[:3])}" if listed else "it lists no images",
        fix="put the images beside the file, as it names them",
    )


def _listed(path: Path) -> Sequence[str]:
    """Some of the file names in a COCO file, with "/"."""
    found = [json.loads(one) for one in _FILE_NAME.findall(start_of(path)[1])[:_MOST_LISTED]]
    if not found:  # the annotations come first
        try:
            data = read_json(path, DataError)
        except DataError:  # said when its annotations are read
            return []
        images = data.get("images") if isinstance(data, dict) else None
        entries = images[:_MOST_LISTED] if isinstance(images, list) else []
        found = [one.get("file_name") for one in entries if isinstance(one, dict)]
    names = [one.replace("\\", "/").removeprefix("./") for one in found if isinstance(one, str)]
    return [one for one in names if is_below(one)]


def one_per_split(files: Sequence[Path]) -> dict[str, Path]:
    """The COCO file of each split; one that names none is for training. Raises DataError for several."""
    splits = [SPLIT_NAMES[(split_word(path) or "train").lower().rstrip("0123456789")] for path in files]
    for split, count in Counter(splits).items():
        if count > 1:
            named = [path for path, own in zip(files, splits, strict=True) if own == split]
            raise DataError(
                "two files are about this split",
                where=named[0].parent,
                expected=f"one COCO file about {split}",
                received=", ".join(path.name for path in named),
                fix="keep the one that is meant",
            )
    return dict(zip(splits, files, strict=True))
