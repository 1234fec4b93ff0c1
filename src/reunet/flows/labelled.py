"""Images with their truth, predicted when they are scored: each alone, or as frames of their sequence."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.errors import DataError, LabelError
from reunet.flows.scoring import Loaders
from reunet.inference.predictor import Predictor
from reunet.inference.sequence import SequencePredictor
from reunet.sampling.windows import sequences


@dataclass(frozen=True)
class Labelled:
    """An image with its truth, still to be read.

    read: gives the image (*space, C) and what is known of it. where: the file, for errors.
    sequence: the sequence it is a frame of, if any. spacing: of a volume, to be read too.
    """

    id: str
    sequence: str | None
    read: Callable[[], tuple[np.ndarray, Truth]]
    where: object
    spacing: Callable[[], tuple[float, ...] | None] = lambda: None


def loaders_of(predictor: Predictor | SequencePredictor, images: Sequence[Labelled]) -> Loaders:
    """What reads and predicts each image; of sequences, frames without truth are seen but not scored."""
    if isinstance(predictor, Predictor):
        return {image.id: partial(_load, predictor, image) for image in images}
    loaders: dict[str, Callable[[], Scored]] = {}
    for numbers in sequences(images):
        frames = [images[number] for number in numbers]
        run = _SequenceRun(predictor, frames)
        loaders |= {frame.id: partial(run.load, number) for number, frame in enumerate(frames)}
    return loaders


def _load(predictor: Predictor, image: Labelled) -> Scored:
    pixels, truth = image.read()
    if not truth:
        raise LabelError("the image has no annotation", where=image.where)
    spacing = image.spacing()
    return Scored(pixels, truth, predictor(pixels, where=image.where, spacing=spacing), spacing)


def _packed(result: Prediction) -> Callable[[], Prediction]:
    """What gives a result again, without its probabilities; the arrays are compressed meanwhile."""
    labels, instances = _packed_array(result.labels), _packed_array(result.instances)
    rest = replace(result, labels=None, instances=None, probabilities=None)
    return lambda: replace(rest, labels=labels(), instances=instances())


def _packed_array(array: np.ndarray | None) -> Callable[[], np.ndarray | None]:
    if array is None:
        return lambda: None
    data, dtype, shape = zlib.compress(array.tobytes(), 1), array.dtype, array.shape
    return lambda: np.frombuffer(zlib.decompress(data), dtype).reshape(shape)


class _SequenceRun:
    """One sequence, predicted as far as its frames are asked for; results are kept for a second time."""

    def __init__(self, predictor: SequencePredictor, frames: Sequence[Labelled]) -> None:
        self._frames = frames
        self._found: list[Callable[[], Prediction]] = []
        self._results = self._predict(predictor)

    def load(self, number: int) -> Scored:
        """Frame `number`; its probabilities only the first time."""
        pixels, truth = self._frames[number].read()
        if not truth:
            raise LabelError("the image has no annotation", where=self._frames[number].where)
        probabilities = None
        while len(self._found) <= number:
            result = next(self._results, None)
            if result is None:
                raise DataError("an earlier frame of its sequence failed", where=self._frames[number].where)
            self._found.append(_packed(result))
            probabilities = result.probabilities
        return Scored(pixels, truth, replace(self._found[number](), probabilities=probabilities))

    def _predict(self, predictor: SequencePredictor) -> Iterator[Prediction]:
        pixels = (frame.read()[0] for frame in self._frames)
        yield from predictor.predictions(pixels, len(self._frames), where=self._frames[0].where)
