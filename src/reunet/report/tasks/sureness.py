"""Whether the confidence of objects and boxes can be acted on, and how many a person should look at."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reunet.metrics.calibration import curve_of
from reunet.report import plots
from reunet.report.content import Table, cells

TERMS = {
    "Confidence": "The probability that an object is right, an IoU of 0.5 or more with a true one; fitted on "
    "held-out training images from the score and the size of each object.",
    "AUROC": "The probability that a right object has a higher confidence than a wrong one; 0.5 is chance.",
    "ECE": "Expected calibration error: the mean gap between confidence and share of right ones, over 15 "
    "bins that hold equally many.",
}


def sure_tables(metrics: Mapping[str, Any], unit: str) -> list[Table]:
    """A table of one row, where the confidence is known. unit: what is found, in plural."""
    told = metrics["confidence"]
    if told["review"] is None:
        return []
    review = told["review"]
    what = (
        f"Review the {review['to_review']:,} least sure of all {review['to_review'] + review['kept']:,} "
        f"{unit}: of the others {100 * review['promised']:g} of 100 are expected to be right."
    )
    columns = (unit, "to review", "right among the others", "AUROC", "ECE")
    numbers = (review["kept"] + review["to_review"], review["to_review"], review["precision_of_kept"])
    row = cells(f"{numbers[0]:,}", *numbers[1:], told["auroc"], told["ece"])
    return [Table("How far the confidence can be trusted", what, columns, [row])]


def sure_plots(confidences: np.ndarray, right: np.ndarray, unit: str) -> list[str]:
    """How often what was found at a confidence is right, where that is known."""
    known = len(right) > 0 and not np.isnan(confidences).any()
    return plots.reliability(curve_of(confidences, right), unit) if known else []
