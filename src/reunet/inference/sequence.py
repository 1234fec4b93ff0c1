"""From the raw frames of a sequence to their predictions, frame after frame, however long it is."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import ceil, prod
from typing import Any

import numpy as np

from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import Prediction
from reunet.errors import DataError, PlanError
from reunet.inference.predictor import Heads, Predictor, mean_of, network_input, tiling_of, views_of
from reunet.inference.runtime import StepRuntime, first_states
from reunet.inference.thinking import thinking
from reunet.inference.tiling import Network, cut_axis, predict_tiled
from reunet.tasks.base import Maps
from reunet.tasks.work import Work

OVERLAP = 0.5
"""Share of its frames that a window has in common with the one before it: no frame is only at a border."""


States = dict[str, np.ndarray]
"""What is carried from frame to frame, (tiles, ...) float32 by name."""


class SequencePredictor:
    """A network for sequences with everything around it that turns frames into labels.

    A causal network gets frame after frame and carries its states along, a set for every tile. Any other
    gets windows of `plan.clip.frames` that overlap by half and are blended in time as tiles are in space.
    At no time more than one window is in memory.

    Parameters
    ----------
    plan: of the run. runtime: the engine. calibration: thresholds of the run.
    tta: average over the four mirrorings of the frames (test-time augmentation): four times slower.
    batch: tiles per call of the engine.
    """

    def __init__(
        self,
        plan: Plan,
        runtime: StepRuntime,
        calibration: Calibration | None = None,
        *,
        tta: bool = False,
        batch: int = 8,
    ) -> None:
        if plan.clip is None:
            raise PlanError("this plan is for single images", where="clip")
        self.plan, self.runtime, self.window = plan, runtime, plan.clip.frames
        self.calibration = calibration or Calibration()
        self.tta, self.batch = tta, batch
        self.rank = len(plan.inference.tile)
        self.work = Work.of(plan)

    @property
    def state_bytes_per_pixel(self) -> int:
        """What is carried from frame to frame, per pixel of a frame, in bytes; 0 without states."""
        inference = self.plan.inference
        values = sum(prod(shape) for shape in self.runtime.states.values())
        return ceil(4 * values / (prod(inference.tile) * (1 - inference.overlap) ** len(inference.tile)))

    def __call__(self, frames: Any, *, where: object = "sequence") -> Prediction:
        """Predict one sequence, (T, H, W) or (T, H, W, C) or a list of T images, as it was read.

        T may be anything from 1. Labels and probabilities of the result have the axis T in front. `where`
        names the sequence in errors. Raises DataError when these are no frames of one size, PlanError when
        their channels do not fit the plan, ModelFileError when the network's output is not finite.
        """
        stack = as_frames(frames, where)
        results = list(self.predictions(stack, len(stack), where=where))

        def stacked(name: str) -> np.ndarray | None:
            parts = [getattr(result, name) for result in results]
            return None if parts[0] is None else np.stack(parts)

        return Prediction(stacked("labels"), stacked("probabilities"), stacked("instances"))

    def predictions(
        self, frames: Iterable[Any], count: int, *, where: object = "sequence"
    ) -> Iterator[Prediction]:
        """Predict `count` frames, (H, W) or (H, W, C), one after the other, as they are read.

        where: of the sequence, or a list with the name of every frame. Raises as calling does.
        """
        for maps in self.maps(frames, count, where=where):
            yield self.work.decode(maps, self.calibration)

    def maps(self, frames: Iterable[Any], count: int, *, where: object = "sequence") -> Iterator[Maps]:
        """What the network says of each frame, before it is decoded. Raises as calling does."""
        sizes: list[tuple[int, ...]] = []
        inputs = self._inputs(frames, where, sizes)
        if self.plan.network.causal:
            results: Iterator[Heads] = map(Steps(self), inputs)
        else:
            results = self._in_windows(inputs, count, where)
        return (Maps(result, sizes[0]) for result in results)

    def _inputs(
        self, frames: Iterable[Any], where: object, sizes: list[tuple[int, ...]]
    ) -> Iterator[np.ndarray]:
        """Each frame as the network sees it; the size of the frames is put into `sizes`."""
        for number, frame in enumerate(frames):
            here = where[number] if isinstance(where, list) else f"{where}, frame {number + 1}"
            pixels, size = network_input(frame, self.plan, here)
            sizes += [] if sizes else [size]
            check_same_size(size, sizes[0], here)
            yield pixels

    def _in_windows(self, inputs: Iterator[np.ndarray], count: int, where: object) -> Iterator[Heads]:
        """Windows blended in time; a frame is given once no further window shows it."""
        cut = cut_axis(max(count, self.window), self.window, OVERLAP)
        held: list[np.ndarray] = []  # the frames of the window
        sums: list[Heads] = []  # of those frames, as far as windows were predicted
        ends = (*cut.starts[1:], count)
        for start, end, weights in zip(cut.starts, ends, cut.weights, strict=True):
            held += islice(inputs, min(start + self.window, count) - start - len(held))
            if len(held) < min(self.window, count):
                raise DataError("the sequence ended early", where=where, expected=f"{count} frames")
            found = self._window(held)
            sums += [{head: np.zeros_like(x) for head, x in found[0].items()} for _ in held[len(sums) :]]
            for total, weight, heads in zip(sums, weights, found, strict=False):
                for head, values in heads.items():
                    total[head] += weight * values
            yield from sums[: end - start]
            held, sums = held[end - start :], sums[end - start :]

    def _window(self, frames: Sequence[np.ndarray]) -> list[Heads]:
        """Frames (H, W, C), at most a window of them, to what the network says of each."""
        missing = self.window - len(frames)
        places = np.pad(np.arange(len(frames)), (0, missing), mode="reflect")
        stack = np.stack([frames[place] for place in places])
        views = [self._flipped_window(stack, axes) for axes in views_of(self.rank, self.tta)]
        return [mean_of(view[number] for view in views) for number in range(len(frames))]

    def _flipped_window(self, stack: np.ndarray, axes: tuple[int, ...]) -> list[Heads]:
        # Tiles are cut from an image whose channels are the channels of all frames.
        count, channels = stack.shape[0], stack.shape[-1]

        def network(tiles: np.ndarray) -> dict[str, np.ndarray]:
            windows = np.moveaxis(tiles.reshape(*tiles.shape[:-1], count, channels), -2, 1)
            outputs = self.runtime(windows)
            return {head: _as_channels(np.moveaxis(values, 1, -2)) for head, values in outputs.items()}

        image = _as_channels(np.moveaxis(stack, 0, -2))
        tiling = tiling_of(self.plan, max(1, self.batch // count))
        heads = predict_tiled(network, np.flip(image, axes), tiling)
        split = {head: np.split(values, count, axis=-1) for head, values in heads.items()}
        frames = [{head: values[number] for head, values in split.items()} for number in range(count)]
        return [self.work.flipped(frame, axes) for frame in frames]


class Steps:
    """A causal network from one frame (H, W, C), as it sees it, to the next: each gives what it says of the
    frame, and is remembered.

    carried: for each mirrored view the states of its tiles, in groups that come in the same order.
    """

    def __init__(self, predictor: SequencePredictor) -> None:
        self._predictor = predictor
        self.carried: dict[tuple[int, ...], list[States]] = {
            axes: [] for axes in views_of(predictor.rank, predictor.tta)
        }

    def __call__(self, pixels: np.ndarray) -> Heads:
        """A frame that raises an error is not remembered."""
        after = {axes: list[States]() for axes in self.carried}
        heads = mean_of([self._view(pixels, axes, after[axes]) for axes in self.carried])
        self.carried = after
        return heads

    def _view(self, pixels: np.ndarray, axes: tuple[int, ...], after: list[States]) -> Heads:
        runtime, before = self._predictor.runtime, iter(self.carried[axes])

        def network(tiles: np.ndarray) -> Heads:
            states = next(before, None) or first_states(runtime, len(tiles))
            outputs = dict(runtime.step(tiles, states))
            after.append({name: outputs.pop(name) for name in runtime.states})
            return outputs

        tiling = tiling_of(self._predictor.plan, self._predictor.batch)
        return self._predictor.work.flipped(predict_tiled(network, np.flip(pixels, axes), tiling), axes)


COMPARED = 2
"""Iterations by which engines are compared: the first has no state yet, and in many a difference of rounding
may grow, or decide when the mask stands still.
"""

AnyPredictor = Predictor | SequencePredictor
"""What a run is loaded as."""


def over_windows(runtime: StepRuntime, plan: Plan) -> Network:
    """The engine as a function of whole tiles (B, h, w, C), or of windows (B, T, h, w, C) of any T for a
    network with time: a causal one is stepped through the frames, one that thinks through some iterations.
    """
    if not plan.network.causal:
        return thinking(runtime, plan, COMPARED)

    def network(windows: np.ndarray) -> dict[str, np.ndarray]:
        states, found = first_states(runtime, len(windows)), []
        for frame in np.moveaxis(windows, 1, 0):
            outputs = dict(runtime.step(np.ascontiguousarray(frame), states))
            states = {name: outputs.pop(name) for name in runtime.states}
            found.append(outputs)
        return {head: np.stack([outputs[head] for outputs in found], axis=1) for head in found[0]}

    return network


def check_same_size(size: tuple[int, ...], first: tuple[int, ...], where: object) -> None:
    """Raise DataError for a frame of another size than those before it."""
    if size != first:
        raise DataError(
            "the frames of a sequence have different sizes",
            where=where,
            expected=" x ".join(map(str, first)),
            received=" x ".join(map(str, size)),
        )


def as_frames(frames: Any, where: object) -> Sequence[Any]:
    """The frames of a stack or a list. Raises DataError for what is no sequence of images."""
    if not isinstance(frames, (list, tuple)):
        frames = np.asarray(frames)
        if frames.ndim not in (3, 4):
            raise DataError(
                "this array is not a sequence of images",
                where=where,
                expected="shape (frames, height, width) or (frames, height, width, channels)",
                received=f"shape {frames.shape}",
                fix="this run predicts sequences: a single image is one of one frame, image[None]",
            )
    if len(frames) == 0:
        raise DataError("the sequence has no frame", where=where)
    return frames


def _as_channels(values: np.ndarray) -> np.ndarray:
    """(..., T, K) to (..., T * K)."""
    return np.ascontiguousarray(values).reshape(*values.shape[:-2], -1)
