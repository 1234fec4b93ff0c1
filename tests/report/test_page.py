from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Calibration, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.run import RunFolder
from reunet.contracts.truth import Truth
from reunet.report.content import format_score
from reunet.report.examples import choose_examples
from reunet.report.page import Report, write_report
from reunet.tasks.semantic import Scorer, decode
from reunet.tasks.work import Work

Images = dict[str, Callable[[], Scored]]
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Text, tags and addresses of a page; fails when tags are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def scorer(names: list[str], images: int, *, probabilities: bool = True) -> tuple[Scorer, Images]:
    rng = np.random.default_rng(0)
    labels = LabelMap(classes=default_classes(list(range(len(names))), names))
    result = Scorer(labels, Calibration(), "test")
    kept = {}
    for k in range(images):
        p = rng.dirichlet([0.4] * len(names), (16, 16)).astype(np.float32)
        truth = rng.integers(0, len(names), (16, 16)).astype(np.uint8)
        found = Prediction(decode(p, labels, Calibration()), p if probabilities else None)
        result.add(f"image {k}", Truth(truth), found)
        kept[f"image {k}"] = Scored(rng.integers(0, 255, (16, 16, 1)).astype(np.uint8), Truth(truth), found)
    return result, {name: partial(kept.__getitem__, name) for name in kept}


def scores(*scorers: Any) -> list[tuple[Any, dict[str, Any]]]:
    return [(one, one.metrics()) for one in scorers]


def written(path: Path, report: Report) -> Page:
    write_report(path, report)
    return Page(path.read_text(encoding="utf-8"))


def test_a_full_report_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    rows = [f"{k},{k / 9},{k},{1 / k},{0.001},{0.5 + k / 200 if k % 10 == 0 else ''}" for k in range(1, 60)]
    history.write_text("step,epoch,time_s,loss,learning_rate,val_score\n" + "\n".join(rows) + "\n")
    result, images = scorer(["background", "cell", "vessel"], 7)
    head = Work(("semantic",), Classes(result.labels)).heads(2)
    plan = Plan(
        dataset="x", labels=result.labels, patch=(64, 64), batch=4, inference=Inference(tile=(64, 64)),
        input=InputSpec(channels=1, intensity=Intensity(method="image_zscore")), schedule=Schedule(steps=5),
        network=NetworkConfig(in_channels=1, filters=(4, 8), strides=((2, 2),), heads=head),
        reasons={"patch": "half of the median image", "input.intensity": "uneven light", "gone": "kept"},
    )  # fmt: skip
    page = written(
        tmp_path / "report.html",
        Report(
            "Nuclei",
            scores(result),
            {"Run": "my-run"},
            images,
            {"broken": "truncated"},
            ["a warning"],
            plan,
            RunFolder(tmp_path).history(),
        ),
    )
    dice = result.metrics()["dice"]["per_image"]["mean_foreground"]
    for expected in (
        "Nuclei", "my-run", format_score(dice), "broken", "truncated", "a warning", "median image",
        "64 \u00d7 64", "method image_zscore", "Training loss", "Score on held-out images", "Best", "Median",
        "Worst", "image 0", "vessel", "95 % CI",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert page.tags.count("svg") == 6
    assert page.tags.count("img") == 4 * len(choose_examples(result.image_scores()))
    assert all(address.startswith(("data:", "#")) or address == "./" for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    result, _ = scorer(["background", "<script>alert(1)</script>"], 3)
    page = written(
        tmp_path / "report.html",
        Report("<b>x</b>", scores(result), {"a": "<i>"}, failures={"<u>": "</main><s>"}),
    )
    assert not {"script", "b", "i", "u", "s"} & (set(page.tags) - {"b"})
    assert "<script>alert(1)</script>" in page.text


@pytest.mark.parametrize("images", [1, 2, 3])
def test_few_images_without_probabilities(tmp_path: Path, images: int) -> None:
    result, shown = scorer(["background", "cell"], images, probabilities=False)
    page = written(tmp_path / "report.html", Report("masks", scores(result), images=shown))
    assert "AUC" not in page.text
    assert "Calibration error" not in page.text
    assert "Training" not in page.text


def test_undefined_scores_are_not_available_rather_than_zero(tmp_path: Path) -> None:
    labels = LabelMap(classes=default_classes([0, 1], ["background", "cell"]))
    result = Scorer(labels, Calibration(), "test")
    empty = np.zeros((8, 8), np.uint8)
    p = np.stack([1 - empty, empty], -1).astype(np.float32)
    result.add("empty", Truth(empty), Prediction(empty, p))
    page = written(tmp_path / "report.html", Report("empty", scores(result)))
    assert "Dice per image \u2013" in page.text


@pytest.mark.parametrize(
    "text", ["", "step,epoch,time_s,loss,learning_rate,val_score\n", "step,loss\n1,\n2,\n"]
)
def test_a_history_without_usable_rows_draws_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text)
    result, _ = scorer(["background", "cell"], 1)
    report = Report("x", scores(result), history=RunFolder(tmp_path).history())
    assert "Training loss" not in written(tmp_path / "r.html", report).text


def test_long_plans_many_classes_and_many_images(tmp_path: Path) -> None:
    result, images = scorer([f"class number {k}" for k in range(30)], 320, probabilities=False)
    page = written(tmp_path / "report.html", Report("many", scores(result), images=images))
    assert "20 more in metrics.csv" in page.text
    assert (tmp_path / "report.html").stat().st_size < 6_000_000
