"""From a raw image to its prediction: the one path of validation, `predict`, `evaluate` and Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import Prediction
from reunet.errors import DataError
from reunet.inference.runtime import Runtime
from reunet.inference.tiling import predict_tiled
from reunet.io.channels import fit_channels
from reunet.sampling.intensity import normalise
from reunet.tasks import task

FLIPS: tuple[tuple[int, ...], ...] = ((0,), (1,), (0, 1))
"""Axes mirrored by test-time augmentation, beside the image as it is."""


class Predictor:
    """A network with everything around it that turns an image into labels.

    Parameters
    ----------
    plan: of the run. runtime: the engine. calibration: thresholds of the run.
    tta: average over the four mirrorings of the image (test-time augmentation): four times slower.
    batch: tiles per call of the engine.
    """

    def __init__(
        self,
        plan: Plan,
        runtime: Runtime,
        calibration: Calibration | None = None,
        *,
        tta: bool = False,
        batch: int = 8,
    ) -> None:
        self.plan, self.runtime = plan, runtime
        self.calibration = calibration or Calibration()
        self.tta, self.batch = tta, batch
        tile = plan.inference.tile
        output = runtime.output_size(tile)
        self._margin = ((tile[0] - output[0]) // 2, (tile[1] - output[1]) // 2)
        self._task = task(plan.tasks[0])

    def __call__(self, image: Any, *, where: object = "image") -> Prediction:
        """Predict one image, (H, W) or (H, W, C), of any size and real dtype, as it was read.

        `where` names the image in errors. Raises DataError when it is not an image, PlanError when its
        channels do not fit the plan, ModelFileError when the network's output is not finite.
        """
        probabilities = self.probabilities(image, where=where)
        labels = self._task.decode(probabilities, self.plan.labels, self.calibration)
        return Prediction(labels, probabilities)

    def probabilities(self, image: Any, *, where: object = "image") -> np.ndarray:
        """The class probabilities, (H, W, classes) float32, summing to 1. Raises as calling does."""
        pixels = fit_channels(as_image(image, where), self.plan.input, where)
        pixels = normalise(pixels, self.plan.input.intensity)
        total = self._flipped(pixels, ())
        if not self.tta:
            return total
        for axes in FLIPS:
            total = total + self._flipped(pixels, axes)
        return total / np.float32(1 + len(FLIPS))

    def _flipped(self, pixels: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        inference = self.plan.inference
        heads = predict_tiled(
            self.runtime, np.flip(pixels, axes), inference.tile, inference.overlap, self._margin, self.batch
        )
        return np.flip(heads[self.plan.tasks[0]], axes)


def as_image(image: Any, where: object = "image") -> np.ndarray:
    """Check that an array can be an image and return it as (H, W, C), dtype unchanged.

    bool becomes uint8. Raises DataError for another number of axes, an empty axis, a dtype that is not
    a real number, NaN or infinity.
    """
    pixels = np.asarray(image)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if pixels.dtype.kind not in "uif":
        raise DataError(
            "this array does not hold pixels",
            where=where,
            expected="real numbers",
            received=f"dtype {pixels.dtype}",
        )
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise DataError(
            "this array is not an image",
            where=where,
            expected="shape (height, width) or (height, width, channels), no axis empty",
            received=f"shape {pixels.shape}",
            fix="predict one image at a time",
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        count = np.count_nonzero(~np.isfinite(pixels))
        raise DataError(
            "the image has pixels that are not numbers",
            where=where,
            expected="finite values",
            received=f"{count} pixels that are NaN or infinite",
            fix="replace them before predicting",
        )
    return pixels if pixels.ndim == 3 else pixels[..., None]
