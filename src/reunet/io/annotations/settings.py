"""What other programs say of the classes of a dataset: YOLO in data.yaml, CVAT in labelmap.txt."""

import re
from pathlib import Path
from typing import Any

from reunet.contracts.findings import some_of, understood
from reunet.errors import DataError, LabelError
from reunet.io.annotations.class_lists import ClassList, check_alike
from reunet.io.annotations.coco_fields import whole
from reunet.storage import read_text

_MOST_BYTES = 1 << 20
_ESCAPED = re.compile(r"\\[uU](?:0000)?[dD][89a-fA-F]")
"""How a half character is written in YAML."""


def read_settings(root: Path) -> dict[str, Any]:
    """What data.yaml, or another file like it in a folder, says of the dataset; nothing without one.

    Raises DataError for a file that is no YAML.
    """
    return next((told for told in map(_told, _files(root)) if "names" in told), {})


def listed_classes(root: Path) -> list[ClassList]:
    """The classes that data.yaml, and the files like it in a folder, list; that of `read_settings` is first.

    Raises DataError (LabelError) for the first one; what is wrong with others does not matter.
    """
    lists: list[ClassList] = []
    for path in _files(root):
        try:
            if "names" in (told := _told(path)):
                lists.append(_listed(path, told))
        except DataError:
            if not lists:
                raise
    return lists


def _files(root: Path) -> list[Path]:
    found = [*root.glob("*.yaml"), *root.glob("*.yml")]
    return sorted(found, key=lambda one: (one.stem != "data", one))


def _told(path: Path) -> dict[str, Any]:
    """What a YAML file says, nothing where that is no table. Raises DataError."""
    import yaml

    text = read_text(path, DataError, "the settings of a dataset", _MOST_BYTES)
    with understood("the YAML is", path):
        _check_characters(text)
        told = yaml.safe_load(text)
    return told if isinstance(told, dict) else {}


def _listed(path: Path, settings: dict[str, Any]) -> ClassList:
    """The classes of a YAML file. Raises DataError (LabelError), also where `nc` counts other ones."""
    with understood("the list of classes is", path):
        names = class_names(settings)
    if names and (count := whole(settings.get("nc"))) is not None and count != len(names):
        what = f"{path.name} states another number of classes than it lists"
        received = f"names: {some_of(names)} ({len(names)})"
        fix = "correct nc, or complete names"
        raise LabelError(what, where=path, expected=f"nc: {count}", received=received, fix=fix)
    return ClassList(path, path.name, names)


def _check_characters(text: str) -> None:
    """Raise UnicodeEncodeError for half characters that a YAML text escapes, which no file could hold."""
    import yaml

    for event in yaml.parse(text, yaml.SafeLoader) if _ESCAPED.search(text) else ():
        if isinstance(event, yaml.ScalarEvent):
            event.value.encode()


def class_names(settings: dict[str, Any]) -> tuple[str, ...]:
    """The classes that settings list, by index; none where they list none. Raises LabelError."""
    told = settings.get("names", ())
    if isinstance(told, dict):
        numbers = [int(str(one)) for one in told]
        if sorted(numbers) != list(range(len(numbers))):
            received = some_of([str(one) for one in told])
            raise LabelError("the classes are not numbered from 0", expected="0, 1, 2 ...", received=received)
        told = [told[key] for _, key in sorted(zip(numbers, told, strict=True))]
    if not isinstance(told, list | tuple) or not all(isinstance(one, str | int | float) for one in told):
        raise LabelError("names is no list of classes", expected="[cell, nucleus]", received=type(told))
    return tuple(map(str, told))


def mask_facts(root: Path) -> dict[str, Any]:
    """The class list of masks of CVAT (labelmap.txt) or YOLO (`masks_dir`) in the words of dataset.json;
    nothing without these.

    Masks of YOLO hold the index of the class of each pixel, 255 where it is unlabelled. Raises DataError.
    """
    if (path := root / "labelmap.txt").is_file():
        return {"classes": label_map(path)}
    lists = listed_classes(root) if "masks_dir" in read_settings(root) else []
    check_alike(lists)
    names = lists[0].names if lists else ()
    entries = [{"id": i, "name": name} for i, name in enumerate(names)]
    return {"classes": entries, "ignore_index": 255} if len(names) > 1 else {}


def label_map(path: Path) -> list[dict[str, Any]]:
    """The classes of CVAT's labelmap.txt, lines `name:red,green,blue:parts:actions`, background first.

    Raises DataError.
    """
    text = read_text(path, DataError, "the list of classes", _MOST_BYTES)
    found = []
    with understood("the list of classes is", path, "lines name:red,green,blue:parts:actions"):
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                name, color, *_ = line.strip().split(":")
                found.append((name, [int(value) for value in color.split(",")]))
    found.sort(key=lambda one: one[0] != "background")
    return [{"id": i, "name": name, "color": color} for i, (name, color) in enumerate(found)]
