"""Classification: images by true and predicted class."""

from dataclasses import replace
from typing import Any

import numpy as np

from reunet.contracts.results import Scored
from reunet.io.planes import sheet, telling_planes, voxels_across
from reunet.report import plots
from reunet.report.content import Content, Exhibit, Gallery, Matrix, Table, cells
from reunet.report.examples import Panel, display
from reunet.tasks.classification.scorer import ImageScore, Scorer

MOST_SHOWN = 25

TERMS = {
    "Accuracy": "Share of the images whose most probable class is the true one.",
    "Balanced accuracy": "Mean of the recall of the classes that occur, so that frequent classes do not hide "
    "rare ones.",
    "Recall and precision": "Share of the images of a class that are called so, and share of the images "
    "called so that are of the class.",
    "Calibration error": "Expected calibration error over 15 bins of the probability of the most probable "
    "class (Guo et al. 2017).",
}


def content(scorer: Scorer, metrics: dict[str, Any], plain: Content) -> Content:
    """The page of the task. plain: its scores."""
    wrong = sum(image.best != image.truth for image in scorer.images)
    note = f"{wrong} of {len(scorer.images)} images are wrong; the surest mistakes first."
    return replace(
        plain,
        tables=[_classes(scorer, metrics)],
        plots=plots.reliability(scorer.reliability().curve(), "images"),
        images=_images(scorer),
        terms=TERMS,
        galleries=[Gallery("Mistakes" if wrong else "Images", note, _exhibits(scorer), small=True)],
        matrix=Matrix(scorer.labels.names, scorer.confusion, "images"),
    )


def _exhibits(scorer: Scorer) -> list[Exhibit]:
    """The wrong images, the surest first; where there is none, the right ones that were least sure."""
    wrong = [image for image in scorer.images if image.best != image.truth]
    group, shown = "wrong", sorted(wrong, key=_sureness, reverse=True)
    if not shown:
        group, shown = "right, but least sure", sorted(scorer.images, key=_sureness)[: MOST_SHOWN // 5]
    names = scorer.labels.names

    def caption(image: ImageScore) -> str:
        return f"true {names[image.truth]}, predicted {names[image.best]} ({_sureness(image):.2f})"

    return [Exhibit(group, image.id, caption(image), panels) for image in shown[:MOST_SHOWN]]


def _sureness(image: ImageScore) -> float:
    return float(image.probabilities.max())


def _classes(scorer: Scorer, metrics: dict[str, Any]) -> Table:
    totals = scorer.confusion
    named = metrics["per_class"]
    rows = [
        cells(name, named["recall"][name], named["precision"][name], totals[i].sum(), totals[:, i].sum())
        for i, name in enumerate(scorer.labels.names)
    ]
    columns = ("class", "recall", "precision", "true images", "predicted images")
    return Table("Classes", "Each image counts for its most probable class.", columns, rows)


def _images(scorer: Scorer) -> Table:
    rows = [
        cells(
            image.id,
            scorer.labels.names[image.truth],
            scorer.labels.names[image.best],
            _sureness(image),
            float(image.probabilities[image.truth]),
        )
        for image in sorted(scorer.images, key=lambda image: float(image.probabilities[image.truth]))
    ]
    columns = ("image", "true class", "predicted class", "its probability", "probability of the true class")
    return Table("All images", "", columns, rows)


def panels(example: Scored) -> list[Panel]:
    """The image; of a volume its three middle slices."""
    image = example.image
    if image is None:
        return []
    across = float(image.shape[1])
    if image.ndim == 4:
        size = image.shape[:3]
        image = sheet(image[..., :1], telling_planes(np.zeros(size, np.bool_), example.spacing))
        across = voxels_across(image, size, example.spacing)
    return [Panel("image", display(image)[0], across)]
