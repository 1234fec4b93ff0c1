"""Semantic segmentation: each pixel gets one class."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, Classes, LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import UsageError
from reunet.io.annotations.geojson import region_features
from reunet.io.georeference import map_tags
from reunet.io.masks import unlabelled_value, write_mask
from reunet.io.render import overlay
from reunet.storage import atomic_path
from reunet.tasks.base import Maps, Pairs, Task
from reunet.tasks.given import Reader
from reunet.tasks.headline import Headline, headlines
from reunet.tasks.outputs import MASK_SUFFIXES, Destination, Output
from reunet.tasks.semantic.cleaning import cleaned
from reunet.tasks.semantic.decode import EXPORTS, decode
from reunet.tasks.semantic.fit import fit_calibration, validation_score
from reunet.tasks.semantic.given import is_there, read
from reunet.tasks.semantic.partial import merged_probabilities, target
from reunet.tasks.semantic.scorer import Scorer
from reunet.tasks.tempering import tempered
from reunet.tasks.uncertainty import UNCERTAINTY

MISSES = "hd95/penalised/mean_foreground"

HEADLINES = {
    "dice/per_image/mean_foreground": (
        "Dice per image",
        "mean foreground Dice of each image, then the mean over images",
    ),
    "dice/pooled/mean_foreground": ("Dice pooled", "all pixels of all images counted together"),
    "iou/pooled/mean_foreground": (
        "IoU pooled",
        "intersection over union of the foreground, all pixels counted together",
    ),
    "iou/pooled/mean": ("Mean IoU", "over all classes, all pixels of all images counted together"),
    "auc": ("AUC", "area under the ROC curve over all labelled pixels"),
    "average_precision": (
        "Average precision",
        "area under the precision-recall curve over all labelled pixels",
    ),
    "v_rand": ("V_rand", "agreement of the separated regions, mean over images"),
    "v_info": ("V_info", "information shared by the separated regions, mean over images"),
    "cl_dice/mean_foreground": ("clDice", "Dice of the centre lines of thin structures, mean over images"),
    "hd95/mean_foreground": (
        "HD95",
        "within which distance 95 % of a surface lies, in pixels or mm; lower is better",
    ),
    MISSES: (
        "HD95 with misses",
        "the same, with the image's diagonal where a class was missed or invented, which HD95 leaves out",
    ),
    "nsd/mean_foreground": ("Surface Dice", "share of the surfaces that are within a pixel of each other"),
    "pixel_error": ("Pixel error", "share of the labelled pixels with a wrong class; lower is better"),
    "ece": ("Calibration error", "mean gap between confidence and accuracy (ECE); lower is better"),
    "video/j": ("J", "region similarity of the object of a video, mean over sequences"),
    "video/f": ("F", "agreement of its boundaries, mean over sequences"),
    "video/j_and_f": ("J&F", "the mean of the two"),
    "video/flicker": (
        "Flicker",
        "mean change from frame to frame where the truth stands still; lower is better",
    ),
}


def write_probabilities(values: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write them as .npy."""
    with atomic_path(to.path("probabilities", ".npy")) as temporary:
        np.save(temporary, values)


def write_labels(values: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write class indices as the values of a mask file."""
    wide = to.labels.to_ids(np.zeros(1, np.uint8)).dtype != np.uint8
    path = to.mask("masks", ".tif" if wide else ".png")
    nodata = None if to.nodata is None else unlabelled_value(to.labels)
    tags = map_tags(to.map, nodata) if path.suffix == ".tif" else {}
    write_mask(path, values, to.labels, to.like, to.spacing, **tags)


def write_regions(values: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write the outlines of the regions of classes, where they are wanted and there are no objects."""
    if to.regions and not to.pages and result.instances is None:
        to.write_outlines(region_features(values, to.labels, to.place))


OUTPUTS = (
    Output("probabilities", (".npy",), "probabilities", write_probabilities, is_proof=True, asked=True),
    Output("geojson", (".geojson",), "labels", write_regions),
    UNCERTAINTY,
    Output("masks", MASK_SUFFIXES, "labels", write_labels, is_proof=True),
)


def outside_value(labels: LabelMap) -> int:
    """The class index written outside the field of view: the background, else unlabelled.

    Raises UsageError when the classes have neither.
    """
    if labels.background is not None:
        return labels.background
    if labels.ignore is None:
        raise UsageError(
            "this run has no background class to write outside the field of view",
            where="--fov",
            received=f"classes {', '.join(labels.names)}",
            fix="predict without --fov",
        )
    return IGNORE


class Semantic(Task):
    """The task: one softmax head with a channel per class, cross-entropy and Dice; where the dataset has
    regions, a sigmoid head with a channel per region.
    """

    name = "semantic"
    title = "Semantic segmentation"
    score = "mean foreground Dice"
    reader = Reader(is_there, read)
    outputs = OUTPUTS
    exports = EXPORTS
    pixels_across = 20  # they tell all of its outline that a network draws
    has_tables = False
    learned_from = ("masks", "instances")

    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        """The classes of pixels, or their regions."""
        labels = classes.labels
        kind = {"activation": "sigmoid", "loss": "regions"} if labels.regions else {}
        told = {"name": "semantic", "channels": len(labels.outputs), **kind}
        return (HeadSpec.parse(told, where="semantic"),)

    def named_channels(self, classes: Classes) -> Mapping[str, tuple[str, ...]]:
        return {self.name: classes.labels.outputs}

    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        return (
            {} if truth.labels is None else {self.name: target(truth.labels, truth.classes, classes.labels)}
        )

    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        probabilities = maps.full(self.name)
        found = decode(probabilities, classes.labels, calibration)
        if maps.is_whole:
            found = cleaned(found, classes.labels, calibration.cleaning)
        return Prediction(found, tempered(probabilities, calibration.pixel_temperature))

    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        return decode(maps.heads[self.name], classes.labels, calibration)

    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> Scorer:
        return Scorer(classes.labels, calibration, split)

    def headlines(self, metrics: Mapping[str, Any]) -> list[Headline]:
        several = len(metrics["iou"]["pooled"]["per_class"]) > 2
        unused = {"iou/pooled/mean_foreground" if several else "iou/pooled/mean"}
        if not any(metrics.get("hd95", {}).get("left_out", {}).values()):
            unused.add(MISSES)
        found = headlines(metrics, {place: text for place, text in HEADLINES.items() if place not in unused})
        plain = HEADLINES[MISSES][0]  # its interval is that of the plain score
        found = [replace(one, interval=None) if one.title == plain else one for one in found]
        return [one for number, one in enumerate(found) if one.value is not None or number < 2]

    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        return validation_score(self._arrays(pairs, classes.labels), classes.labels)

    def drawn(self, image: np.ndarray, result: Prediction, labels: LabelMap) -> np.ndarray | None:
        return None if result.labels is None else overlay(image, result.labels, labels)

    def within(self, result: Prediction, inside: np.ndarray, labels: LabelMap) -> Prediction:
        if result.labels is not None:
            result.labels[~inside] = outside_value(labels)
        return result

    def check_outside(self, labels: LabelMap) -> None:
        outside_value(labels)

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        return fit_calibration(self._arrays(pairs, classes.labels), classes.labels)

    def _arrays(self, pairs: Pairs, labels: LabelMap) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (
            (truth.labels, merged_probabilities(maps.full(self.name), truth.classes, labels))
            for truth, maps in pairs
            if truth.labels is not None
        )


TASK = Semantic()
