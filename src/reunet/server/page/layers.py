"""What is known of a page, as facts and arrays for the browser."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reunet.contracts.labels import ClassInfo, LabelMap, majority_class
from reunet.contracts.plan import Calibration
from reunet.contracts.results import MAPS, Prediction
from reunet.corrections.labels import Editable
from reunet.errors import PlanError, UsageError
from reunet.inference.predictor import part_spacing
from reunet.inference.sequence import SequencePredictor
from reunet.server.models import Model
from reunet.server.page.entries import Box, Entry, class_list
from reunet.server.page.kept import Kept
from reunet.server.page.packing import packed
from reunet.tasks.detection.decode import thresholds
from reunet.tasks.instances.properties import object_table
from reunet.tasks.instances.task import LEAST
from reunet.tasks.instances.tracks import linked
from reunet.tasks.semantic.decode import positive_class, threshold

MOST_SIDE = 2048
"""Pixels per side of what is predicted at once of a large image."""

AROUND = 128
"""Pixels around it that are predicted along, so that its edges are not those of an image."""

MOST_FRAMES = 500
"""Frames of a sequence that are predicted together, from the first one."""

UNNAMED = ClassInfo(id=0, name="background", color=(0, 0, 0), foreground=False)

PACKS = Kept[bytes](2**28, len)
FOUND = Kept[list[Prediction]](2**29, lambda pages: sum(_bytes(page) for page in pages))
"""Predictions of volumes and sequences, page by page."""


def predicted(model: Model, entry: Entry, page: int, box: Box | None = None) -> bytes:
    """What a model finds in a page, packed; of an image that is shown as tiles in `box`.

    Raises what predicting and reading do; UsageError for a box that is too large, or missing.
    """
    key = (entry.id, "predicted", model.id, model.weights, page, box)
    return PACKS.get(key, lambda: _predicted(model, entry, page, box))


def prediction(model: Model, entry: Entry, page: int, box: Box | None = None) -> tuple[Prediction, Box]:
    """What a model finds in a page, and where in it: all of it, or `box`."""
    whole: Box = (0, 0, *entry.size)
    if entry.is_cut:
        where = _checked(box, entry.size)
        return _in_part(model, entry, page, where), where
    if isinstance(model.predictor, SequencePredictor) or entry.is_volume:
        key = (entry.id, "found", model.id, model.weights)
        pages = FOUND.get(key, lambda: _all_pages(model, entry))
        if page >= len(pages):
            what = "of a sequence only the first frames are predicted on the page"
            fix = "reunet predict does all of it"
            raise UsageError(what, expected=f"at most {MOST_FRAMES}", received=page + 1, fix=fix)
        return pages[page], whole
    return model.predictor(entry.pixels(page), where=entry.name), whole


def _all_pages(model: Model, entry: Entry) -> list[Prediction]:
    predictor = model.predictor
    if isinstance(predictor, SequencePredictor):
        count = min(entry.pages, MOST_FRAMES)
        frames = (entry.pixels(page) for page in range(count))
        found = predictor.predictions(frames, count, where=entry.name)
        if predictor.work.has_identities:
            found = (one for _, one in linked((None, one) for one in found))
        return list(found)
    if predictor.rank != 3:
        raise PlanError(
            "this model is for images, the file is a volume", where=entry.name, fix="choose another model"
        )
    whole = predictor(entry.volume(), where=entry.name, spacing=entry.header.voxel)
    return [whole.at(k) for k in range(entry.pages)]


def _in_part(model: Model, entry: Entry, page: int, box: Box) -> Prediction:
    y0, x0, y1, x1 = box
    top, left = max(0, y0 - AROUND), max(0, x0 - AROUND)
    around = (top, left, min(entry.size[0], y1 + AROUND), min(entry.size[1], x1 + AROUND))
    if isinstance(model.predictor, SequencePredictor):
        raise PlanError("this model is for sequences, the file is a single image", where=entry.name)
    seen_as = part_spacing(entry.size, model.plan)
    found = model.predictor(entry.part(page, around), where=entry.name, spacing=seen_as)
    shift = np.array([top, left, top, left], np.float32)
    moved: dict[str, Any] = {}
    for name in ("boxes", "candidates"):
        if (boxes := getattr(found, name)) is not None:
            moved[name] = replace(boxes, corners=boxes.corners + shift)
    return replace(found.at((slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))), **moved)


def _checked(box: Box | None, size: tuple[int, int]) -> Box:
    if box is None:
        raise UsageError("an image of this size is predicted where one looks", where="?box=")
    y0, x0, y1, x1 = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
    if not (0 < y1 - y0 <= MOST_SIDE and 0 < x1 - x0 <= MOST_SIDE):
        expected = f"a part of at most {MOST_SIDE} x {MOST_SIDE} pixels"
        raise UsageError("this part cannot be predicted at once", expected=expected, received=box)
    return y0, x0, y1, x1


def _predicted(model: Model, entry: Entry, page: int, box: Box | None) -> bytes:
    found, where = prediction(model, entry, page, box)
    plan, calibration = model.plan, model.predictor.calibration
    told, arrays = described(_with_doubtful(found), entry, page, where, plan.labels)
    told["category"] = _category(found, plan.categories)
    arrays |= _sureness(found, plan.labels, calibration, told)
    if found.instances is not None:
        told["threshold"] = calibration.instance_thresholds.get(LEAST, 0.0)
    if found.candidates is not None:
        told["has_threshold"], told["thresholds"] = True, thresholds(plan.labels, calibration).tolist()
    return packed(told, arrays)


def _with_doubtful(found: Prediction) -> Prediction:
    """With the objects that were left out, after the others; the browser hides them below the threshold."""
    sure, doubted = found.instance_scores, found.doubtful_scores
    if found.instances is None or found.doubtful is None or sure is None or doubted is None:
        return found
    ids = np.where(found.doubtful > 0, found.doubtful + np.int32(len(sure) - 1), found.instances)
    return replace(found, instances=ids, instance_scores=np.concatenate([sure, doubted[1:]]))


def _sureness(
    found: Prediction, labels: LabelMap, calibration: Calibration, told: dict[str, Any]
) -> dict[str, np.ndarray]:
    """How probable what was decided is, 0..255 for 0..1, so that the browser can decide anew."""
    if found.instances is not None or found.probabilities is None or labels.regions:
        return {}
    positive = positive_class(labels)
    told["has_threshold"], told["positive"] = True, positive
    told["threshold"] = threshold(labels, calibration) or 0.0
    chosen = found.probabilities.max(axis=-1) if positive is None else found.probabilities[..., positive]
    return {"sure": np.rint(chosen * 255).astype(np.uint8)}


def described(
    found: Prediction,
    entry: Entry,
    page: int,
    where: Box,
    labels: LabelMap,
    classes: np.ndarray | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of what was found, or is labelled, in a part of a page. classes: of the objects by id,
    where they are labelled.
    """
    top, left, bottom, right = where
    told: dict[str, Any] = {
        "height": bottom - top, "width": right - left, "top": top, "left": left, "labels": class_list(labels),
        "pixel_um2": entry.pixel_um2, "has_threshold": False, "threshold": None, "objects": [], "boxes": [],
        "category": None,
    }  # fmt: skip
    arrays: dict[str, np.ndarray] = {}
    if found.instances is not None:
        arrays["ids"] = _ids(found.instances)
        kinds = majority_class(found.instances, found.labels, labels)
        if classes is not None:
            kinds[: len(classes)] = classes[: len(kinds)]
        told["objects"] = _objects(found, entry, where, kinds)
        told["has_threshold"], told["threshold"] = found.instance_scores is not None, 0.0
    elif found.labels is not None:
        arrays["classes"] = found.labels.astype(np.uint8)
    boxes = found.boxes if found.candidates is None else found.candidates
    if boxes is not None:
        scores: Sequence[float | None] = [None] * len(boxes)
        if boxes.scores is not None:
            scores = [round(float(score), 4) for score in boxes.scores]
        rows = zip(boxes.corners.tolist(), boxes.classes.tolist(), scores, strict=True)
        told["boxes"] = [_known({"box": box, "class": kind, "score": score}) for box, kind, score in rows]
    return told, arrays


def _ids(instances: np.ndarray) -> np.ndarray:
    return instances.astype(np.uint16 if instances.max(initial=0) < 2**16 else np.int32)


def _objects(found: Prediction, entry: Entry, where: Box, classes: np.ndarray) -> list[dict[str, Any]]:
    """A row per object: id, class, area, box and score. classes: by id."""
    ids = found.instances
    if ids is None or not ids.any():
        return []
    table = object_table(ids, np.zeros((*ids.shape, 0), np.uint8), classes=classes)
    top, left = where[:2]
    corners = np.column_stack([table[f"box_{side}"] for side in ("y0", "x0", "y1", "x1")])
    corners += np.array([top, left, top, left])
    rows, scores, um2 = [], found.instance_scores, entry.pixel_um2
    for number, key in enumerate(table["id"].tolist()):
        area = int(table["area"][number])
        score = None if scores is None or key >= len(scores) else float(scores[key])
        told = {
            "id": key, "class": int(table["class"][number]), "area": area,
            "area_um2": None if um2 is None else round(area * um2, 4), "box": corners[number].tolist(),
            "score": None if score is None or score != score else round(score, 4),
        }  # fmt: skip
        rows.append(_known(told))
    return rows


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _category(found: Prediction, categories: LabelMap | None) -> dict[str, Any] | None:
    if found.category is None or categories is None:
        return None
    chances = found.category_probabilities
    rows = [] if chances is None else [round(float(one), 4) for one in chances]
    probabilities = dict(zip(categories.names, rows, strict=True)) if rows else None
    return {"index": found.category, "name": categories.names[found.category], "probabilities": probabilities}


def labelled(editable: Editable, entry: Entry, page: int) -> Prediction:
    """The labels of a page that a dataset has."""
    whole = Prediction(
        editable.labels, instances=editable.objects, boxes=editable.boxes, category=editable.category
    )
    return whole.at(page) if entry.is_volume else whole


def truth(
    editable: Editable, entry: Entry, page: int, labels: LabelMap, categories: LabelMap | None
) -> bytes:
    """The labels of a page, packed as `predicted` is."""
    found = labelled(editable, entry, page)
    whole: Box = (0, 0, *entry.size)
    told, arrays = described(found, entry, page, whole, labels, editable.object_classes)
    told["category"] = _category(found, categories)
    return packed(told, arrays)


def _bytes(page: Prediction) -> int:
    arrays = (getattr(page, name) for name in MAPS)
    return sum(array.nbytes for array in arrays if array is not None)


def nothing(entry: Entry) -> bytes:
    """Of a page without labels."""
    told, arrays = described(Prediction(), entry, 0, (0, 0, *entry.size), LabelMap(classes=(UNNAMED,)))
    return packed(told | {"labels": None}, arrays)
