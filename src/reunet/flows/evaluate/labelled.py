"""Images with their truth, predicted when they are scored: each alone, or as frames of their sequence."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap
from reunet.contracts.results import MAPS, Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import load_case
from reunet.datasets.cases import Case, FrameSequence, raise_errors
from reunet.errors import DataError, LabelError
from reunet.flows.evaluate.scoring import Loaders
from reunet.inference.predictor import Predictor
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.io.annotations.ctc import read_tracks
from reunet.io.images import read_header
from reunet.sampling.prompt import asked
from reunet.sampling.windows import sequences
from reunet.tasks.instances.tracks import linked


class Sizes(NamedTuple):
    """Of the pixels of an image. voxel: as of an `ImageHeader`. stated: its spacing."""

    voxel: tuple[float, ...] | None
    stated: tuple[float, ...] | None


def _sizes(case: Case, axes: str | None) -> Sizes:
    header = read_header(case.image, axes)
    return Sizes(header.voxel, header.spacing)


@dataclass(frozen=True)
class Labelled:
    """An image with its truth, still to be read.

    read: gives the image (*space, C) and what is known of it. where: the file, for errors.
    sequence: as of the `Case`. sizes: of its pixels, to be read too.
    scored: False of a frame that nobody annotated.
    """

    id: str
    sequence: FrameSequence | None
    read: Callable[[], tuple[np.ndarray, Truth]]
    where: object
    sizes: Callable[[], Sizes]
    scored: bool

    def annotated(self) -> tuple[np.ndarray, Truth]:
        """The image and its truth. Raises LabelError where nothing is known of it."""
        pixels, truth = self.read()
        if not truth:
            raise LabelError("the image has no annotation", where=self.where)
        return pixels, truth


def labelled_cases(cases: Sequence[Case], labels: LabelMap, axes: str | None) -> list[Labelled]:
    """Cases whose files are still to be read, their masks in class indices of `labels`."""

    def read(case: Case) -> tuple[np.ndarray, Truth]:
        arrays = load_case(case, labels, axes=axes, keep=False)
        return np.asarray(arrays.image), arrays.truth

    def labelled(case: Case) -> Labelled:
        sizes = partial(_sizes, case, axes)
        return Labelled(case.id, case.sequence, partial(read, case), case.image, sizes, bool(case.kinds))

    return [labelled(case) for case in cases]


def loaders_of(predictor: AnyPredictor, images: Sequence[Labelled]) -> Loaders:
    """What reads and predicts each image; of sequences, frames without truth are seen but not scored.

    In time, objects get identities. Raises DataError for a file of tracks that is not understood.
    """
    loaders: dict[str, Callable[[], Scored]] = {}
    for numbers in sequences(images):
        frames = [images[number] for number in numbers]
        sequence = frames[0].sequence
        in_time = sequence is not None and sequence.axis == "T"
        if sequence is not None and in_time:
            frames = _placed(frames, sequence)
        has_identities = in_time and predictor.work.has_identities
        if isinstance(predictor, SequencePredictor) or has_identities:
            run = _SequenceRun(predictor, frames, has_identities=has_identities)
            loaders |= {one.id: partial(run.load, number) for number, one in enumerate(frames) if one.scored}
        else:
            loaders |= {one.id: partial(_load, predictor, one) for one in frames if one.scored}
    return loaders


def _placed(frames: Sequence[Labelled], sequence: FrameSequence) -> list[Labelled]:
    """The frames of a sequence, whose truth then tells which one it is and where its objects came from."""
    parents = None
    if (file := sequence.tracks) is not None:
        problems = Findings(file.parent)
        tracks = read_tracks(file, problems)
        raise_errors(problems, file)
        parents = np.zeros(1 + max((track.id for track in tracks), default=0), np.int32)
        for track in tracks:
            parents[track.id] = track.parent

    def read(frame: Labelled, number: int) -> tuple[np.ndarray, Truth]:
        pixels, truth = frame.read()
        return pixels, replace(truth, sequence=sequence.name, frame=number, parents=parents)

    return [replace(frame, read=partial(read, frame, number)) for number, frame in enumerate(frames)]


def _load(predictor: Predictor, image: Labelled) -> Scored:
    pixels, truth = image.annotated()
    truth, points = asked(truth, predictor.plan, image.id)
    sizes = image.sizes()
    found = predictor(pixels, where=image.where, spacing=sizes.voxel, points=points)
    return Scored(pixels, truth, found, *sizes)


def _packed(result: Prediction) -> Callable[[], Prediction]:
    """What gives a result again, without its probabilities; the arrays are compressed meanwhile."""
    kept = [name for name in MAPS if name != "probabilities"]
    maps: dict[str, Callable[[], Any]] = {name: _packed_array(getattr(result, name)) for name in kept}
    rest = replace(result, **dict.fromkeys(MAPS))
    return lambda: replace(rest, **{name: unpacked() for name, unpacked in maps.items()})


def _packed_array(array: np.ndarray | None) -> Callable[[], np.ndarray | None]:
    if array is None:
        return lambda: None
    data, dtype, shape = zlib.compress(array.tobytes(), 1), array.dtype, array.shape
    return lambda: np.frombuffer(zlib.decompress(data), dtype).reshape(shape)


class _SequenceRun:
    """One sequence, predicted as far as its frames are asked for; results are kept for a second time."""

    def __init__(self, predictor: AnyPredictor, frames: Sequence[Labelled], *, has_identities: bool) -> None:
        self._frames = frames
        self._found: list[Callable[[], Prediction]] = []
        self._results = self._predict(predictor)
        if has_identities:
            found = ((None, result) for result in self._predict(predictor))
            self._results = (result for _, result in linked(found, frames[0].sizes().voxel))

    def load(self, number: int) -> Scored:
        """Frame `number`; its probabilities only the first time."""
        pixels, truth = self._frames[number].annotated()
        probabilities = None
        while len(self._found) <= number:
            result = next(self._results, None)
            if result is None:
                raise DataError("an earlier frame of its sequence failed", where=self._frames[number].where)
            self._found.append(_packed(result))
            probabilities = result.probabilities
        found = replace(self._found[number](), probabilities=probabilities)
        return Scored(pixels, truth, found, stated=self._frames[number].sizes().stated)

    def _predict(self, predictor: AnyPredictor) -> Iterator[Prediction]:
        if isinstance(predictor, SequencePredictor):
            pixels = (frame.read()[0] for frame in self._frames)
            yield from predictor.predictions(pixels, len(self._frames), where=self._frames[0].where)
        else:
            for frame in self._frames:
                yield predictor(frame.read()[0], where=frame.where, spacing=frame.sizes().voxel)
