"""Whether an exported file gives what `reunet predict` gives: on synthetic images, before it is published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.plan import Plan
from reunet.errors import BackendError
from reunet.exporting.formats import Arrays, Example, Format, Run
from reunet.exporting.openvino import synthetic_image
from reunet.inference.openvino_runtime import AFTER
from reunet.inference.predictor import Predictor
from reunet.inference.runtime import first_states
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.sampling.intensity import normalise
from reunet.tasks.base import Maps

TOLERANCE = 1e-3
"""Largest difference of a number, relative to the largest where that is above 1: resampling and statistics
are rounded differently.
"""

STEPS = 3
"""Frames that are compared, of networks that carry states."""


def compare(form: Format, model: Path, plan: Plan, predictor: AnyPredictor) -> tuple[dict[str, Any], Example]:
    """How far the exported `model` and `predictor` (in float32) agree, and an example of what it gives.

    Images of one tile and of several are looked at. Raises BackendError when they do not agree.
    """
    differ = decisions = 0
    largest, sizes, example = 0.0, [], None
    with form.opened(model) as run:
        for raw, given, found in _examples(run, plan, predictor):
            example = example or Example(given, found)
            sizes.append(list(raw.shape))
            for name, expected in _expected(predictor, raw, plan):
                own = found[name][0]
                if expected.dtype.kind == "f":
                    scale = max(1.0, float(np.abs(expected).max()))
                    largest = max(largest, float(np.abs(own - expected).max()) / scale)
                else:
                    differ += int(np.count_nonzero(own != expected))
                    decisions += np.size(expected)
    if not largest <= TOLERANCE or example is None:
        raise BackendError(
            "the exported file does not compute what the network computes",
            expected=f"numbers within {TOLERANCE}",
            received=f"a difference of {largest:.2g}",
            fix="use another --format, and report this with the output of `reunet doctor`",
        )
    ppm = round(1e6 * differ / max(decisions, 1), 1)
    return {"differ_ppm": ppm, "max_difference": largest, "decisions": decisions, "images": sizes}, example


def test_images(plan: Plan) -> list[np.ndarray]:
    """Pixels as in a file, (*space, C) float32: of one tile and of more than one."""
    tile = plan.input.size or plan.inference.tile
    factors = plan.spacing if plan.spacing and len(tile) == 2 else (1.0,) * len(tile)
    size = tuple(round(side * factor) for side, factor in zip(tile, factors, strict=True))
    images = []
    for sides in (size, (*size[:-1], size[-1] + size[-1] // 2 + 1)):
        image = synthetic_image(sides, plan.input.channels)
        intensity = plan.input.intensity
        if intensity.method == "fixed":
            image = image * np.array(intensity.scale, np.float32) + np.array(intensity.offset, np.float32)
        else:
            image = 120 + 40 * image
        images.append(image.astype(np.float32))
    return images


def _examples(run: Run, plan: Plan, predictor: AnyPredictor) -> Iterator[tuple[np.ndarray, Arrays, Arrays]]:
    """Of each image (or frames of it in motion) its pixels, the inputs of the last run and its outputs."""
    for raw in test_images(plan):
        if plan.clip is not None:
            count = STEPS if plan.network.causal else plan.clip.frames
            raw = np.stack([np.roll(raw, 3 * t, axis=(0, 1)) for t in range(count)])
        if not isinstance(predictor, SequencePredictor) or not plan.network.causal:
            yield raw, *_ran(run, raw, plan)
            continue
        states = first_states(predictor.runtime, 1)
        for frame in raw:
            given, found = _ran(run, frame, plan, states)
            states = {name: found[name + AFTER if name + AFTER in found else name] for name in states}
        yield raw, given, found


def _ran(run: Run, image: np.ndarray, plan: Plan, states: Arrays | None = None) -> tuple[Arrays, Arrays]:
    if plan.input.intensity.method == "image_percentile":  # the caller's part
        image = normalise(image, plan.input.intensity)
    given = {"image": image[None], **(states or {})}
    return given, run(given)


def _expected(predictor: AnyPredictor, raw: np.ndarray, plan: Plan) -> Iterator[tuple[str, np.ndarray]]:
    """What `predictor` says, under the names of the outputs; of the last frame where frames are steps."""
    if isinstance(predictor, Predictor):
        found = [predictor.maps(raw)]
    else:
        found = list(predictor.maps(raw, len(raw)))
    if plan.network.causal:
        found = found[-1:]
    work, calibration = predictor.work, predictor.calibration
    results = [work.decode(maps, calibration) for maps in found]

    def joined(parts: list[Any]) -> np.ndarray:
        whole = np.stack([np.asarray(part) for part in parts])
        return whole if plan.clip is not None and not plan.network.causal else whole[0]

    for head in plan.network.heads:
        yield head.name, joined([_as_exported(maps, head.name, work.small) for maps in found])
    for one in work.tasks:
        decided = [one.exports.decided(result, work.classes) for result in results]
        for name in one.exports.decisions:
            yield name, joined([found[name] for found in decided])


def _as_exported(maps: Maps, head: str, small: frozenset[str]) -> np.ndarray:
    return maps.heads[head] if maps.heads[head].ndim == 1 or head in small else maps.full(head)
