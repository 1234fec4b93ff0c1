"""A video that is predicted while it comes, such as that of a camera: results as they are found."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import BinaryIO

from reunet.contracts.options.records import STANDARD_INPUT
from reunet.contracts.results import PredictResult
from reunet.errors import ReunetError, StorageError
from reunet.flows.predict.attempts import latency_of
from reunet.flows.predict.inputs import Source
from reunet.flows.predict.outputs import Job, Kinds, write_image
from reunet.flows.predict.result_tables import PARTS, remove_tables, write_tables
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.io.header import ImageHeader
from reunet.io.video import video_frames
from reunet.progress import Progress
from reunet.storage import refuse_existing, remove_old
from reunet.tasks import every_task

NAME = "stdin"
"""Results of the first frame are called stdin/000001."""


def predict_live(
    stream: BinaryIO,
    predictor: AnyPredictor,
    folder: Path,
    kinds: Kinds,
    progress: Progress,
    *,
    overwrite: bool,
) -> PredictResult:
    """Predict the frames of a video stream one after the other, and write what is found in each at once.

    A network that looks back only carries its state from frame to frame; one that looks ahead is refused.
    A stream that breaks off leaves the results of its frames and is among the failures. Raises PlanError,
    StorageError, UsageError.
    """
    predict = predictor.stream() if isinstance(predictor, SequencePredictor) else predictor
    _make_room(folder, overwrite)
    done: list[Path] = []
    failures: dict[str, str] = {}
    seconds: list[float] = []
    if kinds.has_tables:
        remove_tables(folder)
    progress.start("predicting", None)
    try:
        for frame in video_frames(stream, "standard input"):
            began = perf_counter()
            result = predict(frame)
            seconds.append(perf_counter() - began)
            name = Path(NAME) / f"{len(done) + 1:06d}"
            job = Job(Source(STANDARD_INPUT, name), folder, None, None, kinds)
            header = ImageHeader(frame.shape[:2], frame.shape[2], "uint8", 1, "YXC", None, False, True)
            write_image(job, predictor.plan, header, frame, result)
            done.append(name)
            progress.advance(1)
    except StorageError:
        raise
    except ReunetError as cause:
        failures[str(STANDARD_INPUT)] = str(cause)
    finally:
        if kinds.has_tables:
            write_tables(folder)
    if seconds:
        progress.message(latency_of(seconds))
    return PredictResult(folder, tuple(done), failures=failures)


def _make_room(folder: Path, overwrite: bool) -> None:
    """Remove the results of an earlier stream. Raises StorageError when there are some that should stay."""
    kinds = dict.fromkeys(output.kind for one in every_task() for output in one.outputs)
    places = [folder / kind / NAME for kind in (*kinds, "overlays", PARTS)]
    refuse_existing(folder, places, overwrite=overwrite)
    remove_old(places)
