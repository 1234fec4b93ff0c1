"""What a report opens with: the result of a task as one plain sentence."""

from collections.abc import Mapping
from typing import Any

from reunet.texts import Translate

SEEN = {
    "train": "On {count} image(s) that it was trained on, ",
    "val": "On {count} image(s) that were held back from its training, ",
    "test": "On {count} image(s) it never saw, ",
}


def sentence(metrics: Mapping[str, Any], say: Translate) -> str:
    """The main result of metrics.json for somebody who knows no scores; empty where it tells none."""
    tell = {
        "instances": _objects,
        "detection": _boxes,
        "classification": _images,
        "semantic": _pixels,
    }.get(metrics["task"])
    told = "" if tell is None else tell(metrics, say)
    if not told:
        return ""
    return say(SEEN.get(metrics["split"], SEEN["test"]), count=metrics["n_images"]) + told


def _names(metrics: Mapping[str, Any]) -> list[str]:
    return [entry["name"] for entry in metrics["classes"] if entry["foreground"]]


def _found(true: int, found: int, invented: int, names: list[str], say: Translate) -> str:
    what = names[0] if len(names) == 1 else say("object")
    text = "it found {found} of {true} objects ({what}) and invented {invented}."
    return say(text, found=found, true=true, what=what, invented=invented)


def _objects(metrics: Mapping[str, Any], say: Translate) -> str:
    true, predicted = metrics["objects"]["true"], metrics["objects"]["predicted"]
    found = round(true * (metrics["recall"] or 0.0))
    return _found(true, found, max(0, predicted - found), _names(metrics), say)


def _boxes(metrics: Mapping[str, Any], say: Translate) -> str:
    own = metrics["per_class"]
    true = found = invented = 0
    for name, count in own["true"].items():
        here, precision = round(count * (own["recall"].get(name) or 0.0)), own["precision"].get(name)
        true, found = true + count, found + here
        invented += round(here / precision - here) if precision else 0
    return _found(true, found, invented, _names(metrics), say)


def _images(metrics: Mapping[str, Any], say: Translate) -> str:
    if metrics["accuracy"] is None:
        return ""
    right = round(metrics["accuracy"] * metrics["n_images"])
    return say("it named the class of {right} of {count} rightly.", right=right, count=metrics["n_images"])


def _pixels(metrics: Mapping[str, Any], say: Translate) -> str:
    mean, error, names = metrics["iou"]["pooled"]["mean_foreground"], metrics["pixel_error"], _names(metrics)
    if mean is None or error is None:
        return ""
    what = names[0] if len(names) == 1 else say("a class of the foreground")
    text = (
        "it gave {right} of 100 pixels the right class; of the pixels that are {what} or were taken for it, "
        "{share} of 100 are right."
    )
    return say(text, right=f"{100 * (1 - error):.0f}", what=what, share=f"{100 * mean:.0f}")
