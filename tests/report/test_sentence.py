"""The sentence that a report opens with, in both languages."""

from __future__ import annotations

import json
import re
import string
from importlib.resources import files
from typing import Any

import pytest

from reunet.report import plots
from reunet.report.page import _plot_texts
from reunet.report.sentence import sentence
from reunet.texts import translator

CLASSES = [
    {"id": 0, "name": "background", "foreground": False},
    {"id": 1, "name": "nucleus", "foreground": True},
]
BASE: dict[str, Any] = {"split": "test", "n_images": 8, "classes": CLASSES}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "instances": (
        {"objects": {"true": 100, "predicted": 97}, "recall": 0.94},
        "On 8 image(s) it never saw, it found 94 of 100 objects (nucleus) and invented 3.",
    ),
    "detection": (
        {"per_class": {"true": {"nucleus": 10}, "recall": {"nucleus": 0.5}, "precision": {"nucleus": 0.25}}},
        "On 8 image(s) it never saw, it found 5 of 10 objects (nucleus) and invented 15.",
    ),
    "classification": (
        {"accuracy": 0.75},
        "On 8 image(s) it never saw, it named the class of 6 of 8 rightly.",
    ),
    "semantic": (
        {"iou": {"pooled": {"mean_foreground": 0.8}}, "pixel_error": 0.04},
        "On 8 image(s) it never saw, it gave 96 of 100 pixels the right class; "
        "of the pixels that are nucleus or were taken for it, 80 of 100 are right.",
    ),
}


@pytest.mark.parametrize("task", CASES)
def test_a_report_opens_with_a_plain_sentence(task: str) -> None:
    own, expected = CASES[task]
    metrics = BASE | own | {"task": task}
    assert sentence(metrics, translator("en")) == expected
    told = sentence(metrics, translator("zh"))
    assert told
    assert not re.search(r"[a-z]{4,}", told.replace("nucleus", ""))


def test_what_is_not_known_is_not_told() -> None:
    undefined = BASE | {"task": "classification", "accuracy": None}
    assert sentence(undefined, translator("en")) == ""
    assert sentence(BASE | {"task": "toy"}, translator("en")) == ""
    held = sentence(BASE | CASES["instances"][0] | {"task": "instances", "split": "val"}, translator("en"))
    assert held.startswith("On 8 image(s) that were held back from its training, ")


def test_translations_keep_their_values() -> None:
    known = json.loads(files("reunet.texts").joinpath("zh.json").read_text(encoding="utf-8"))

    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert all(fields(english) == fields(chinese) for english, chinese in known.items())


def test_plots_speak_the_language_of_the_page() -> None:
    svg = plots.by_threshold({"AP": {"0.5": 0.9, "0.9": 0.2}})
    assert "How exact the outlines are" in svg
    assert "轮廓有多精确" in _plot_texts(svg, translator("zh"))


def test_sizes_have_few_plain_ticks() -> None:
    import numpy as np

    (svg,) = plots.sizes([np.array([300, 410, 520]), np.array([350]), np.array([480])], "pixels")
    assert "\\times" not in svg
    assert len(re.findall(r">[\d,]+</text>", svg)) < 14
