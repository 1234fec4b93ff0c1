"""Frames as they come from a camera: each answered at once, lost ones too, with a memory that can be kept."""

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from reunet.contracts.results import Prediction
from reunet.errors import DataError, PlanError, UsageError
from reunet.inference.predictor import Predictor, network_input, seen_size
from reunet.inference.saved_state import Memory, read_memory, write_memory
from reunet.inference.sequence import AnyPredictor, SequencePredictor, Steps, check_same_size
from reunet.sampling.bad_frames import lost
from reunet.tasks.base import Maps


class Stream:
    """Frames of one sequence as they come: `stream(frame) -> Prediction`; `reset()` begins another one.

    Frames are (H, W) or (H, W, C), all of one size; None is one that was lost. Where the network learned
    from lost frames (`augmentation.frames` of the plan), it is shown what it was shown then, blank pixels:
    its memory goes on, and it tells what it expects. Else the result of the frame before is held, and the
    memory stays as it was. A frame that raises an error is not remembered; the next goes on from the last.

    Raises as the predictor does, PlanError for a network that cannot go frame by frame, and UsageError for a
    frame that comes while another one is predicted: a sequence has an order, so each thread takes its own
    stream.
    """

    def __init__(self, predictor: SequencePredictor) -> None:
        if not predictor.plan.network.causal:
            raise PlanError(
                "this network needs later frames to predict a frame, so it cannot stream",
                where=f"network {predictor.plan.network.preset}",
                expected="a causal network, such as conv_gru_unet",
                fix="call the model with the whole sequence",
            )
        self._predictor, self._turn = predictor, Lock()
        bad = predictor.plan.augmentation.frames
        self.expects = bad is not None and bad.lost > 0
        """Whether it tells what it expects of lost frames; else the last result is held."""
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._steps, self._number = Steps(self._predictor), 0
        self._size: tuple[int, ...] | None = None
        self._pixels: np.ndarray | None = None
        self._held: Maps | None = None

    def __call__(self, frame: Any | None) -> Prediction:
        if not self._turn.acquire(blocking=False):
            raise UsageError(
                "this stream is predicting another frame",
                where="stream",
                fix="give each thread a stream of its own: `load(RUN).stream()`; they may share the model",
            )
        try:
            maps = self._missed() if frame is None else self._seen(frame)
            self._number += 1
            return self._predictor.work.decode(maps, self._predictor.calibration)
        finally:
            self._turn.release()

    def _seen(self, frame: Any) -> Maps:
        where = f"stream, frame {self._number + 1}"
        pixels, size = network_input(frame, self._predictor.plan, where)
        check_same_size(size, self._size or size, where)
        maps = Maps(self._steps(pixels), size)
        self._size, self._pixels = size, pixels
        self._held = None if self.expects else maps
        return maps

    def _missed(self) -> Maps:
        if self.expects and self._pixels is not None and self._size is not None:
            return Maps(self._steps(lost(self._pixels)), self._size)
        if self._held is None:
            raise DataError(
                "a stream cannot begin with a frame that was lost: nothing was seen before it",
                where=f"stream, frame {self._number + 1}",
                expected="a frame",
                received="None",
                fix="leave lost frames out until the first one comes",
            )
        return self._held

    @property
    def has_seen(self) -> bool:
        """Whether there is anything to remember."""
        return self._size is not None

    def save_state(self, path: str | Path) -> None:
        """Write what is remembered into a file (.npz), for `load_state`. Raises StorageError, and UsageError
        where nothing was seen yet.
        """
        if self._size is None:
            raise UsageError(
                "this stream has seen no frame, so there is no memory to save", where="save_state()"
            )
        write_memory(Path(path), Memory(self._number, self._size, self._steps.carried), self._predictor)

    def load_state(self, path: str | Path) -> None:
        """Go on from what another stream of the same run saved, with frames of the same size; what was seen
        is forgotten. Raises ModelFileError for a file that is missing, damaged or of another network.
        """
        memory = read_memory(Path(path), self._predictor)
        self.reset()
        self._number, self._size, self._steps.carried = memory.frames, memory.size, memory.carried
        plan = self._predictor.plan
        self._pixels = np.zeros((*seen_size(memory.size, plan), plan.input.channels), np.float32)


class Singles:
    """As a `Stream`, of a network that sees each frame by itself: for a lost one the last result is held."""

    expects = False

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.reset()

    def reset(self) -> None:
        """Forget the last result."""
        self._held: Prediction | None = None

    def __call__(self, frame: Any | None) -> Prediction:
        if frame is not None:
            self._held = self._predictor(frame)
        if self._held is None:
            raise DataError("a stream cannot begin with a frame that was lost", where="stream")
        return self._held


def stream_of(predictor: AnyPredictor) -> Stream | Singles:
    """Raises PlanError for a network that needs later frames too."""
    return Stream(predictor) if isinstance(predictor, SequencePredictor) else Singles(predictor)
