"""Regions: several classes taken as one thing, as other programs and dataset.json tell them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reunet.contracts.findings import understood
from reunet.contracts.labels import class_color
from reunet.errors import DataError

MOST_LAYERS = 7
"""Regions whose combinations are few enough to be classes."""

_NUMBER = re.compile(r"-?[0-9]{1,9}")


def nnunet_facts(data: dict[str, Any], where: Path) -> dict[str, Any]:
    """The class list of nnU-Net, in the words of ours.

    `labels` is {"background": 0, "tumour": 1, "ignore": 2}, or the Decathlon's {"0": "background", ...}.
    Where a name has a list of values, as in {"background": 0, "whole": [1, 2], "core": 2}, all but the
    background are regions, and `regions_class_order` has the value that each of them paints.
    """
    with understood("the class list is", where, '{"background": 0, "tumour": 1, ...}'):
        numbered = {
            str(value) if _NUMBER.fullmatch(name) else name: int(name) if _NUMBER.fullmatch(name) else value
            for name, value in data["labels"].items()
        }
        ignore = numbered.pop("ignore", None)
        made_of = {name: value if isinstance(value, list) else [value] for name, value in numbered.items()}
        values = sorted({value for some in made_of.values() for value in some})
        if not all(isinstance(value, int) for value in values):
            raise ValueError(str(data["labels"]))
    facts: dict[str, Any] = {"ignore_index": ignore}
    if not any(isinstance(value, list) for value in numbered.values()):
        names = {value: name for name, value in numbered.items()}
        return facts | {"classes": [{"id": value, "name": names[value]} for value in values]}
    regions = [{"name": name, "classes": some} for name, some in made_of.items() if some != [0]]
    order = data.get("regions_class_order")
    if isinstance(order, list) and len(order) == len(regions):
        regions = [region | {"paints": value} for region, value in zip(regions, order, strict=True)]
    names = {0: "background"}
    classes = [{"id": value, "name": names.get(value, f"label_{value}")} for value in values]
    return facts | {"classes": classes, "regions": regions}


def layer_names(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The regions whose masks lie in folders of their own: names under `regions`; empty without such."""
    names = facts.get("regions")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        return ()
    if not all(re.fullmatch(r"[^/\\\0]{1,80}", name) and name not in (".", "..") for name in names):
        received = ", ".join(names)[:80]
        raise DataError("regions are named like their folders", where="regions", received=received)
    return tuple(names)


def layered_facts(names: Sequence[str]) -> dict[str, Any]:
    """The class list of masks that are read as the sum of 1, 2, 4 ... of the regions at a pixel.

    Raises DataError for more regions than such a sum can hold.
    """
    if len(names) > MOST_LAYERS:
        raise DataError(
            "too many regions with masks of their own",
            where="regions",
            expected=MOST_LAYERS,
            received=len(names),
        )
    codes = range(1 << len(names))
    inside = [[name for bit, name in enumerate(names) if code >> bit & 1] for code in codes]
    classes = [
        {
            "id": code,
            "name": " and ".join(some) if len(some) != 1 else f"{some[0]} only",
            "foreground": code > 0,
        }
        for code, some in zip(codes, inside, strict=True)
    ]
    classes[0]["name"] = "background"
    regions = [
        {"name": name, "classes": [code for code in codes if code >> bit & 1], "paints": 1 << bit}
        for bit, name in enumerate(names)
    ]
    return {"classes": classes, "regions": regions}


def read_regions(entries: Any, classes: Sequence[dict[str, Any]], where: Path) -> list[dict[str, Any]]:
    """Regions for a LabelMap from a list of {name, classes, color, paints}, of which name and classes are
    required; classes by name or value. Raises DataError.
    """
    form = '[{"name": "whole", "classes": ["edema", "core"]}, ...] of classes that are listed'
    with understood("the regions are", where, form):
        known = {entry["id"]: i for i, entry in enumerate(classes)}
        known |= {entry["name"]: i for i, entry in enumerate(classes)}
        inside = [[known[one] for one in entry["classes"]] for entry in entries]
        shared = [sum(i in some for some in inside) for i in range(len(classes))]
        return [
            {
                "name": entry["name"],
                "color": entry.get("color", class_color(number + 1)),
                "classes": some,
                # Without a word on it, the class that lies in the fewest other regions.
                "paints": known[entry["paints"]] if "paints" in entry else min(some, key=shared.__getitem__),
            }
            for number, (entry, some) in enumerate(zip(entries, inside, strict=True))
        ]
