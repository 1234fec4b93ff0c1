"""What was found in a file, in the format that the client accepts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.results import Prediction
from reunet.flows.predict.result_tables import described, write_predictions
from reunet.server.predictions import Found
from reunet.server.problems import RefusedError
from reunet.tasks import task
from reunet.tasks.outputs import MASK_SUFFIXES, Destination, Page

FORMATS = {
    "json": "application/json",
    "png": "image/png",
    "tiff": "image/tiff",
    "geojson": "application/geo+json",
    "coco": "application/vnd.coco+json",
}
"""Media types by name; the first is that of clients that accept anything."""


def wanted_format(accept: str, name: str | None) -> str:
    """The format of an answer: the one asked for by name, or the one that is accepted before others.

    accept: header of the request. Raises RefusedError (406) where it names none of `FORMATS`.
    """
    if name is not None:
        return name
    ranked: list[tuple[float, str]] = []
    for part in accept.split(",") if accept.strip() else ["*/*"]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        shares = [one[2:] for one in parameters if one.startswith("q=")]
        try:
            share = float(shares[0]) if shares else 1.0
        except ValueError:
            share = 0.0
        ranked += [(share, found) for found, known in FORMATS.items() if _accepts(media, known)][:1]
    usable = [one for one in ranked if one[0] > 0]
    if not usable:
        raise RefusedError(
            406,
            "there is no answer in the format that the request accepts",
            where="Accept",
            expected=", ".join(FORMATS.values()),
            received=accept[:100],
        )
    return max(usable, key=lambda one: one[0])[1]


def _accepts(media: str, known: str) -> bool:
    return media in ("*/*", known, f"{known.partition('/')[0]}/*")


def answer(found: Found, kind: str, folder: Path) -> bytes:
    """What was found, as a file of that format. folder: for what is written on the way.

    Raises RefusedError (406) for a format that has no place for it.
    """
    content = _WRITERS[kind](found, folder)
    if content is None:
        raise RefusedError(
            406,
            f"{kind} has no place for what this model finds in this file",
            received=f"{' and '.join(found.model.plan.tasks)}, "
            f"{'a volume' if found.header.is_volume else f'{len(found.pages)} page(s)'}",
            expected="application/json, which tells all of it; image/tiff for stacks and volumes",
        )
    return content


def _label_image(found: Found, folder: Path, suffix: str) -> bytes | None:
    """The label image of the first task that gives one; a stack of pages as one TIFF."""
    is_flat = len(found.pages) == 1 and not found.header.is_volume
    if suffix == ".png" and not is_flat:
        return None
    to = Destination(lambda kind, ending: folder / f"{kind}{ending}", found.model.plan.labels)
    if suffix == ".tif":
        to = replace(to, pages=True, map=found.header.map, nodata=found.header.nodata)
    for output in (one for name in found.model.plan.tasks for one in task(name).outputs):
        values = [getattr(result, output.of) for _, result in found.pages]
        if output.suffixes != MASK_SUFFIXES or values[0] is None:
            continue
        output.write(values[0] if len(values) == 1 else np.stack(values), found.pages[0][1], to)
        file = folder / f"{output.kind}{suffix}"
        return file.read_bytes() if file.is_file() else None
    return None


def _png(found: Found, folder: Path) -> bytes | None:
    return _label_image(found, folder, ".png")


def _tiff(found: Found, folder: Path) -> bytes | None:
    return _label_image(found, folder, ".tif")


def _geojson(found: Found, folder: Path) -> bytes | None:
    """Outlines of the objects of an image, or of the regions of its classes, as QuPath reads them."""
    if len(found.pages) > 1 or found.header.is_volume:
        return None
    result, file = found.pages[0][1], folder / "geojson.geojson"
    to = Destination(lambda *_: file, found.model.plan.labels, map=found.header.map, regions=True)
    for output in (one for name in found.model.plan.tasks for one in task(name).outputs):
        if output.kind == "geojson" and (values := getattr(result, output.of)) is not None:
            output.write(values, result, to)
    return file.read_bytes() if file.is_file() else None


def _coco(found: Found, folder: Path) -> bytes | None:
    file = folder / "predictions.json"
    write_predictions(file, _described(found))
    return file.read_bytes() if file.is_file() else None


def _json(found: Found, folder: Path) -> bytes:
    told = {
        "model": found.model.id,
        "weights": found.model.weights,
        "file": found.name,
        "spacing": found.header.spacing,
        "unit": "mm" if found.header.is_volume else "micrometre",
        "seconds": round(found.seconds, 4),
        "pages": [
            _page(found, entry, result)
            for entry, (_, result) in zip(_described(found), found.pages, strict=True)
        ],
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False).encode()


_WRITERS: Mapping[str, Callable[[Found, Path], bytes | None]] = {
    "json": _json, "png": _png, "tiff": _tiff, "geojson": _geojson, "coco": _coco,
}  # fmt: skip


def _described(found: Found) -> list[dict[str, Any]]:
    """What the tables of `predict` tell, page by page."""
    plan, spacing = found.model.plan, found.header.spacing
    entries = []
    for number, (image, result) in enumerate(found.pages, 1):
        name = found.name if len(found.pages) == 1 else f"{found.name}.pages/{number:04d}"
        page = Page(image.shape[:-1], plan.labels, plan.categories, image, spacing=spacing)
        entries.append(described((name, name), result, page))
    return entries


def _page(found: Found, entry: dict[str, Any], result: Prediction) -> dict[str, Any]:
    """A page in JSON: its size, objects and boxes in rows, pixels per class, class of the image."""
    page: dict[str, Any] = {"size": entry["size"]}
    if result.labels is not None:
        labels = found.model.plan.labels
        counts = np.bincount(result.labels.ravel(), minlength=len(labels.classes))
        page["pixels"] = {one.name: int(counts[i]) for i, one in enumerate(labels.classes)}
    if entry["tables"]:
        rows = (zip(*table.values(), strict=True) for table in entry["tables"])
        page["objects"] = [
            dict(zip(table, row, strict=True))
            for table, listed in zip(entry["tables"], rows, strict=True)
            for row in listed
        ]
    if result.instance_scores is not None:
        for row in page.get("objects", ()):
            row["score"] = round(float(result.instance_scores[row["id"]]), 4)
    return page | {name: entry[name] for name in ("class", "probabilities", "numbers") if name in entry}
