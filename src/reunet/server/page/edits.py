"""Labels on their way to the tools of the page, and back into the dataset."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.contracts.results import Prediction, Problem
from reunet.corrections.editing import Editing
from reunet.corrections.labels import Editable, Edited, Saved
from reunet.errors import UsageError
from reunet.io.images import without_suffix
from reunet.server.models import Model
from reunet.server.page.entries import Entry, class_list
from reunet.server.page.layers import PACKS, described, labelled, prediction
from reunet.server.page.library import KINDS, Library
from reunet.server.page.packing import packed
from reunet.server.problems import RefusedError

MOST_ID = 2**24
"""Ids of objects that the page may send."""

MOST_NAME = 80
"""Letters of the name of a person."""

Sent = tuple[Mapping[str, Any], dict[str, np.ndarray]]
"""Facts and arrays, as the page sends them."""


def to_edit(library: Library, entry: Entry, page: int, model: Model | None) -> bytes:
    """The labels of a page, or what a model predicts where it has none, packed for the tools.

    `from` says which; `obstacles` what cannot be written back, or is changed by saving.
    """
    editing, case = library.editing, entry.place(page).case
    if entry.is_cut or entry.is_lazy:
        return _refused(entry, editing, model)
    editable = None if editing is None or case is None else editing.load(case)
    labels, categories = _classes(editing, model)
    kinds = _kinds(editable, editing, model)
    found, origin = _begin_with(editable, entry, page, model, labels)
    found = _completed(found, kinds, entry, labels)
    known = editable.object_classes if editable is not None and origin == "labels" else None
    told, arrays = described(found, entry, page, (0, 0, *entry.size), labels, known)
    if found.labels is not None and "masks" in kinds:
        arrays["classes"] = found.labels.astype(np.uint8)
    if "ids" in arrays:
        arrays["ids"] = arrays["ids"].astype(np.int32)
    index = found.category
    told |= {
        "from": origin, "kinds": list(kinds), "version": None if editable is None else editable.version,
        "next_id": 1 if editable is None else editable.next_id, "target": _target(library, model),
        "obstacles": [_told(one) for one in ([] if editable is None else editable.obstacles)],
        "categories": [] if categories is None else class_list(categories),
    }  # fmt: skip
    if index is not None and categories is not None:
        told["category"] = {"index": index, "name": categories.names[index]}
    return packed(told, arrays)


def save(library: Library, entry: Entry, page: int, sent: Sent, model: Model | None) -> Saved:
    """Write what was edited into the dataset, which is begun where there is none.

    Raises LabelsChangedError when somebody else has saved meanwhile, and what `Editing.save` raises.
    """
    editing = library.begun(model)
    case = entry.place(page).case
    by = str(sent[0].get("by") or "").strip()[:MOST_NAME] or None
    editable = None if case is None else editing.load(case)
    edited = _edited(sent, entry, page, editable)
    if case is None or editable is None:
        if entry.pages > 1:
            what = "a page of a stack outside of the dataset cannot be saved by itself"
            raise UsageError(what, where=entry.name, fix="put the stack into the dataset, and open that")
        saved = editing.add(entry.places[0].path, edited, by=by, name=_name(entry), source="page")
    else:
        saved = editing.save(case, edited, by=by, version=sent[0].get("version"), source="page")
    library.now_labelled(entry, saved.name)
    PACKS.forget(entry.id, "truth")
    return saved


def _begin_with(
    editable: Editable | None, entry: Entry, page: int, model: Model | None, labels: LabelMap
) -> tuple[Prediction, str]:
    """What one begins with: the labels, else what is predicted, else nothing."""
    if editable is not None:
        given = labelled(editable, entry, page)
        parts = (given.labels, given.instances, given.boxes, given.category)
        if any(part is not None for part in parts):
            return given, "labels"
    if model is not None and model.plan.labels.names == labels.names:
        found, _ = prediction(model, entry, page)
        aside = ("candidates", "probabilities", "instance_scores", "doubtful", "doubtful_scores")
        return replace(found, **dict.fromkeys(aside)), "prediction"
    return Prediction(), "nothing"


def _completed(found: Prediction, kinds: tuple[str, ...], entry: Entry, labels: LabelMap) -> Prediction:
    """With an empty picture, or no boxes, for each kind that can be edited and is not there yet."""
    empty: dict[str, Any] = {}
    if "masks" in kinds and found.labels is None:
        empty["labels"] = np.full(entry.size, labels.background or 0, np.uint8)
    if "instances" in kinds and found.instances is None:
        empty["instances"] = np.zeros(entry.size, np.int32)
    if "boxes" in kinds and found.boxes is None:
        empty["boxes"] = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8))
    if "instances" not in kinds:
        empty["instances"] = None
    return replace(found, **empty)


def _classes(editing: Editing | None, model: Model | None) -> tuple[LabelMap, LabelMap | None]:
    if editing is not None:
        return editing.labels, editing.categories
    if model is not None:
        return model.plan.labels, model.plan.categories
    raise RefusedError(
        409, "there are no classes to label with", fix="start the page with a dataset, or with a run"
    )


def _kinds(editable: Editable | None, editing: Editing | None, model: Model | None) -> tuple[str, ...]:
    """What can be edited, that to begin with first."""
    if editable is not None and editable.kinds:
        return tuple(editable.kinds)
    if model is not None:
        tasks = model.predictor.work.tasks
        return tuple(dict.fromkeys(KINDS[one.learned_from[0]] for one in tasks))
    known = () if editing is None else editing.dataset.kinds
    return tuple(kind for name, kind in KINDS.items() if name in known)


def _target(library: Library, model: Model | None) -> str | None:
    """The folder that labels are saved in, as people know it."""
    if library.root is not None:
        return library.root.name
    return None if model is None else f"{model.folder.path.name}-corrected"


def _refused(entry: Entry, editing: Editing | None, model: Model | None) -> bytes:
    labels, _ = _classes(editing, model)
    problem = {
        "severity": "error",
        "message": "this image is too large to be corrected on the page",
        "fix": "cut out what matters, or draw elsewhere and give the file to `reunet correct`",
    }
    height, width = 1, 1
    told = {
        "height": height, "width": width, "labels": class_list(labels), "categories": [], "kinds": ["masks"],
        "objects": [], "boxes": [], "category": None, "obstacles": [problem], "from": "nothing",
        "target": None, "version": None, "next_id": 1,
    }  # fmt: skip
    return packed(told, {"classes": np.zeros((height, width), np.uint8)})


def _told(one: Problem) -> dict[str, str]:
    details = [
        f"{name} {value}" for name, value in (("expected", one.expected), ("received", one.received)) if value
    ]
    message = one.message + (f" ({'; '.join(details)})" if details else "")
    return {"severity": one.severity, "message": message, "fix": one.fix}


def _name(entry: Entry) -> str:
    """The name of an added image: its path below images/, without the suffix."""
    return without_suffix(Path(entry.name)).as_posix()


def _edited(sent: Sent, entry: Entry, page: int, editable: Editable | None) -> Edited:
    """What the page sent, checked. Raises UsageError."""
    told, arrays = sent
    try:
        classes, ids = (_shaped(arrays.get(name), entry.size) for name in ("classes", "ids"))
        kinds = None if ids is None else _object_classes(told["objects"], ids)
        boxes = None if told.get("boxes") is None else _boxes(told["boxes"])
        category = None if told.get("category") is None else int(told["category"])
    except (ValueError, TypeError, KeyError, OverflowError) as cause:
        raise UsageError("these are not labels as the page sends them", fix="reload the page") from cause
    if entry.is_volume and editable is not None:
        classes, ids, kinds = _into_volume(classes, ids, kinds, page, editable)
    return Edited(classes, ids, kinds, boxes, category)


def _shaped(array: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    return None if array is None else array.reshape(size)


def _object_classes(rows: Any, ids: np.ndarray) -> np.ndarray | None:
    """(max id + 1,) uint8 of the objects that say of which class they are; None where none does."""
    known = {int(row["id"]): int(row["class"]) for row in rows if row.get("class") is not None}
    highest = max([int(ids.max(initial=0)), *known])
    if not 0 <= highest <= MOST_ID or ids.min(initial=0) < 0:
        raise ValueError("ids")
    if not known:
        return None
    classes = np.full(highest + 1, min(known.values()), np.uint8)
    for key, kind in known.items():
        classes[key] = kind
    return classes


def _boxes(rows: Any) -> Boxes:
    corners = np.array([[float(side) for side in row["box"]] for row in rows], np.float32).reshape(-1, 4)
    if not np.isfinite(corners).all():
        raise ValueError("corners")
    return Boxes(corners, np.array([int(row["class"]) for row in rows], np.uint8))


def _into_volume(
    classes: np.ndarray | None, ids: np.ndarray | None, kinds: np.ndarray | None, page: int, before: Editable
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """A slice in place of what the volume has there."""

    def placed(part: np.ndarray | None, whole: np.ndarray | None) -> np.ndarray | None:
        if part is None or whole is None:
            return None
        changed = np.array(whole)
        changed[page] = part
        return changed

    known = before.object_classes
    if kinds is not None and known is not None:
        longer = np.zeros(max(len(kinds), len(known)), np.uint8)
        longer[: len(known)] = known
        if ids is not None:
            present = np.unique(ids[ids > 0])
            longer[present] = kinds[present]
        kinds = longer
    return placed(classes, before.labels), placed(ids, before.objects), kinds
