"""What other programs say of the classes of a dataset: YOLO in data.yaml, CVAT in labelmap.txt."""

from pathlib import Path
from typing import Any

from reunet.contracts.findings import some_of, understood
from reunet.errors import DataError, LabelError
from reunet.storage import read_text

_MOST_BYTES = 1 << 20


def read_settings(root: Path) -> dict[str, Any]:
    """What data.yaml, or another file like it in a folder, says of the dataset; nothing without one.

    Raises DataError for a file that is no YAML.
    """
    files = [*root.glob("*.yaml"), *root.glob("*.yml")]
    for path in sorted(files, key=lambda one: (one.stem != "data", one)):
        import yaml

        text = read_text(path, DataError, "the settings of a dataset", _MOST_BYTES)
        with understood("the YAML is", path):
            told = yaml.safe_load(text)
        if isinstance(told, dict) and "names" in told:
            return told
    return {}


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
    settings = read_settings(root)
    names = class_names(settings) if "masks_dir" in settings else ()
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
