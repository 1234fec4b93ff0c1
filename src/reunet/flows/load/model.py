"""A loaded run: files, arrays and batches in, predictions out; and its network, to go on with in Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import DataError, ImageReadError, PlanError, UsageError, beside
from reunet.flows.load.found import Found
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.inference.stream import Stream
from reunet.io.images import read_channel_files, read_header, read_pages
from reunet.sampling.prompt import check_points

if TYPE_CHECKING:
    import keras

Spacing = tuple[float, ...]


class Model:
    """What `reunet.load` gives. Threads may share it; each takes a stream of its own.

    plan: of the run. classes: the names of its classes of pixels and objects. predictor: what predicts.
    """

    def __init__(
        self, run: RunFolder, predictor: AnyPredictor, network: Callable[..., keras.Model] | None = None
    ) -> None:
        self._run, self.predictor, self._own = run, predictor, network

    @property
    def plan(self) -> Plan:
        return self.predictor.plan

    @property
    def classes(self) -> tuple[str, ...]:
        return self.plan.labels.names

    def __repr__(self) -> str:
        engine, plan = self.predictor.runtime, self.plan
        return (
            f"<reunet model of {self._run.path.name}: {plan.network.preset} for {', '.join(plan.tasks)}, "
            f"{plan.input.channels} channel(s), classes {', '.join(self.classes)}; "
            f"{engine.name} {engine.precision}>"
        )

    def __call__(
        self, image: Any, *, spacing: Spacing | None = None, points: Sequence[Sequence[float]] | None = None
    ) -> Found:
        """Predict one image.

        image: an image file; or an array as read from one, of any size and real dtype: (H, W) or (H, W, C),
        of volumes (D, H, W) or (D, H, W, C). Of a run for sequences a stack of frames (T, H, W) or
        (T, H, W, C), a list of such frames or of files, or the file of a stack or video.
        spacing: size of the voxels of a volume in mm per axis; of a file, what it states.
        points: places (row, column) on what is asked for, of a run that was trained with a prompt.
        Raises DataError, ImageReadError, PlanError, ModelFileError.
        """
        plan, predictor = self.plan, self.predictor
        if isinstance(predictor, SequencePredictor):
            check_points(points, plan, (0, 0), "the sequence")
            frames, where = self._frames(image)
            found = predictor(frames, where=where)
            return Found.of(found, np.asarray(frames), plan)
        where = image if isinstance(image, str | Path) else "image"
        if isinstance(image, str | Path):
            image, spacing = self._read(Path(image), spacing)
        pixels = np.asarray(image)
        self._check_axes(pixels, where)
        found = predictor(pixels, where=where, spacing=spacing, points=points)
        return Found.of(found, pixels, plan, spacing)

    def batch(self, images: Iterable[Any]) -> list[Found]:
        """Predict several images, one after the other: a list of arrays or files, or an array with one more
        axis in front. Raises as calling does.
        """
        if isinstance(images, str | Path):
            raise UsageError(
                "a batch is several images",
                where="batch()",
                received=f"the path {images}",
                fix=f"model({str(images)!r}) predicts a file, reunet.predict(RUN, FOLDER) a folder",
            )
        return [self(image) for image in images]

    def network(self) -> keras.Model:
        """The Keras model with the weights of the run: from normalised float32 images (B, [T,] *space, C) to
        a dict of float32 logits by the name of the head. It may be trained, changed and saved.

        Raises BackendError where no training framework is installed.
        """
        from reunet.inference.keras_runtime import load_logits

        return load_logits(self._run, self.plan, self._own)

    def stream(self) -> Stream:
        """A function from one frame after the other, None for one that was lost, to Prediction, whose memory
        can be saved. Raises PlanError with the reason where the network cannot go frame by frame.
        """
        if isinstance(self.predictor, SequencePredictor):
            return Stream(self.predictor)
        raise PlanError(
            "this run predicts each image by itself, so there is nothing to stream",
            where=f"network {self.plan.network.preset}",
            expected="a run of a network that remembers earlier frames, such as conv_gru_unet",
            fix="call the model with each frame: model(frame)",
        )

    # -- what is asked ---------------------------------------------------------------------------------

    def _read(self, path: Path, spacing: Spacing | None) -> tuple[np.ndarray, Spacing | None]:
        _check_file(path)
        header = read_header(path)
        if header.pages > 1:
            raise DataError(
                f"this file holds {header.pages} pages, a model predicts one image at a time",
                where=path,
                fix=f"reunet.predict(RUN, {str(path)!r}) predicts all pages and writes what it finds",
            )
        names = self.plan.input.channel_names
        return read_channel_files((path,), channels=names)[1], spacing or header.voxel

    def _frames(self, frames: Any) -> tuple[Any, object]:
        names = self.plan.input.channel_names
        if isinstance(frames, str | Path):
            path = Path(frames)
            _check_file(path)
            return list(read_pages(path, read_header(path).pages, channels=names)), path
        if isinstance(frames, list | tuple) and all(isinstance(one, str | Path) for one in frames):
            for one in frames:
                _check_file(Path(one))
            files = [Path(one) for one in frames]
            return [read_channel_files((one,), channels=names)[1] for one in files], files
        return frames, "sequence"

    def _check_axes(self, pixels: np.ndarray, where: object) -> None:
        """Raise DataError for what is likely to be a batch, or an image whose channels come first."""
        rank, channels, shape = self.predictor.rank, self.plan.input.channels, pixels.shape
        sides = ", ".join(("depth", "height", "width")[-rank:])
        expected = f"shape ({sides}, {channels})" + (f" or ({sides})" if channels == 1 else "")
        first = pixels.ndim == rank + 1 and shape[-1] != channels and shape[0] in (1, channels)
        if first and shape[-1] > 4:
            raise DataError(
                "the channels of this array come first, a model reads them last",
                where=where,
                expected=expected,
                received=f"shape {shape}",
                fix="model(np.moveaxis(image, 0, -1))",
            )
        if pixels.ndim == rank + 2:
            raise DataError(
                "this array is a batch, a model predicts one image at a time",
                where=where,
                expected=expected,
                received=f"shape {shape}",
                fix="model.batch(images) gives a list of predictions",
            )


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ImageReadError(
            "this is a folder, a model predicts one image at a time",
            where=path,
            fix=f"reunet.predict(RUN, {str(path)!r}) predicts all images in it",
        )
    if not path.exists():
        raise ImageReadError("the image does not exist", where=path, fix=beside(path))
