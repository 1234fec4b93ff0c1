"""A video that is predicted while it comes, such as that of a camera: results as they are found."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from reunet.contracts.options.records import STANDARD_INPUT
from reunet.contracts.results import PredictResult
from reunet.errors import PlanError, ReunetError, StorageError
from reunet.flows.predict.attempts import latency_of
from reunet.flows.predict.inputs import Source
from reunet.flows.predict.outputs import Job, Kinds, write_image
from reunet.flows.predict.result_tables import PARTS, remove_tables, write_tables
from reunet.inference.pace import Followed, follow
from reunet.inference.sequence import AnyPredictor
from reunet.inference.stream import Singles, Stream, stream_of
from reunet.io.header import ImageHeader
from reunet.io.video import timed_frames
from reunet.progress import Progress
from reunet.storage import csv_text, refuse_existing, remove_old, write_text
from reunet.tasks import every_task

NAME = "stdin"
"""Results of the first frame are called stdin/000001."""

FRAMES = "frames.csv"
COLUMNS = ("frame", "seconds", "told")


def predict_live(
    stream: BinaryIO,
    predictor: AnyPredictor,
    folder: Path,
    kinds: Kinds,
    progress: Progress,
    *,
    overwrite: bool,
    state: Path | None = None,
) -> PredictResult:
    """Predict the frames of a video stream one after the other, and write what is found in each at once.

    A network that looks back only carries its state from frame to frame; one that looks ahead is refused.
    Frames that are missing by the times of the others are told too, see `follow`. frames.csv says when each
    was taken and whether it was seen. state: a file that the memory is taken from, where it exists,
    and written to at the end. A stream that breaks off leaves the results of its frames and is among the
    failures. Raises PlanError, StorageError, UsageError, ModelFileError.
    """
    predict = stream_of(predictor)
    written = _Written(predictor, folder, kinds, "predicted" if predict.expects else "held")
    failures: dict[str, str] = {}
    with _kept(predict, state):
        _make_room(folder, overwrite)
        if kinds.has_tables:
            remove_tables(folder)
        progress.start("predicting", None)
        try:
            for one in follow(predict, timed_frames(stream, "standard input")):
                written.add(one)
                progress.advance(1)
        except StorageError:
            raise
        except ReunetError as cause:
            failures[str(STANDARD_INPUT)] = str(cause)
        finally:
            written.close()
    for message in written.messages():
        progress.message(message)
    return PredictResult(folder, tuple(written.names), failures=failures)


class _Written:
    """The results of a stream, frame by frame. lost: what is told of frames that were lost."""

    def __init__(self, predictor: AnyPredictor, folder: Path, kinds: Kinds, lost: str) -> None:
        self._predictor, self._folder, self._kinds = predictor, folder, kinds
        self._words = {"seen": "seen", "lost": lost, "late": "late"}
        self._rows: list[tuple[int | None, float | None, str]] = []
        self._seconds: list[float] = []
        self._like: np.ndarray | None = None
        self.names: list[Path] = []

    def add(self, one: Followed) -> None:
        """Write what was found in a frame; a lost one is shown black."""
        told = "first" if one.begins else self._words[one.kind]
        at = None if one.seconds is None else round(one.seconds, 6)
        if one.result is None:
            self._rows.append((None, at, told))
            return
        frame = np.zeros_like(self._like) if one.frame is None and self._like is not None else one.frame
        if frame is None:
            return
        name = Path(NAME) / f"{len(self.names) + 1:06d}"
        job = Job(Source(STANDARD_INPUT, name), self._folder, None, None, self._kinds)
        header = ImageHeader(frame.shape[:2], frame.shape[2], "uint8", 1, "YXC", None, False, True)
        write_image(job, self._predictor.plan, header, frame, one.result)
        self._like = frame
        self.names.append(name)
        self._seconds.append(one.took)
        self._rows.append((len(self.names), at, told))

    def close(self) -> None:
        """Write the tables."""
        if self._kinds.has_tables:
            write_tables(self._folder)
        if self._rows:
            write_text(self._folder / FRAMES, csv_text(COLUMNS, self._rows))

    def messages(self) -> Iterator[str]:
        """How fast it was, and what did not come as usual."""
        if self._seconds:
            yield latency_of(self._seconds)
        counts = Counter(told for _, _, told in self._rows)
        for told, text in (
            ("predicted", "{} frame(s) were lost: what the network expected of them"),
            ("held", "{} frame(s) were lost: they have the result of the frame before"),
            ("late", "{} frame(s) came after later ones and were left out"),
            ("first", "{} time(s) the stream paused or its clock began anew, and the memory with it"),
        ):
            if counts[told]:
                yield f"{text.format(counts[told])} ({FRAMES})"


@contextmanager
def _kept(stream: Stream | Singles, state: Path | None) -> Iterator[None]:
    """Take up the memory from a file, if it is there, and write it at the end, however that comes."""
    if state is None:
        yield
        return
    if isinstance(stream, Singles):
        raise PlanError(
            "this run predicts each image by itself, so there is no memory to keep",
            where="--state",
            expected="a run of a network that remembers earlier frames, such as conv_gru_unet",
            fix="leave --state out",
        )
    if state.exists():
        stream.load_state(state)
    try:
        yield
    finally:
        if stream.has_seen:
            stream.save_state(state)


def _make_room(folder: Path, overwrite: bool) -> None:
    """Remove the results of an earlier stream. Raises StorageError when there are some that should stay."""
    kinds = dict.fromkeys(output.kind for one in every_task() for output in one.outputs)
    places = [*(folder / kind / NAME for kind in (*kinds, "overlays", PARTS)), folder / FRAMES]
    refuse_existing(folder, places, overwrite=overwrite)
    remove_old(places)
