"""`--log tensorboard`: curves, pictures of held-out images and the plan, as TensorBoard reads them."""

import io
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from reunet.backend import import_extra
from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.run import RunFolder
from reunet.tasks.work import draw_results
from reunet.training.validation import Validator

PICTURES = 3
"""Held-out images that are shown after each validation."""


class TensorBoard(keras.callbacks.Callback):
    """Writes RUN/tensorboard, without TensorFlow. No name of the machine is in it.

    Raises BackendError where the extra is missing.
    """

    def __init__(self, run: RunFolder, plan: Plan, validator: Validator) -> None:
        super().__init__()
        self._plan, self._validator, self._started = plan, validator, time.time()
        self._proto = import_extra("tensorboard.compat.proto.summary_pb2", "track", "--log tensorboard")
        self._event = import_extra("tensorboard.compat.proto.event_pb2", "track").Event
        records = import_extra("tensorboard.summary.writer.record_writer", "track")
        folder = run.path / "tensorboard"
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{int(self._started)}.reunet"
        self._file = (folder / name).open("ab")
        self._writer = records.RecordWriter(self._file)
        self._write(self._event(wall_time=self._started, file_version="brain.Event:2"))

    def on_train_begin(self, logs: Any = None) -> None:
        text = import_extra("tensorboard.plugins.text.summary_v2", "track").text_pb
        plan = f"```json\n{self._plan.model_dump_json(indent=2)}\n```"
        self._write(self._event(wall_time=time.time(), step=0, summary=text("plan", plan)))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after each validation."""
        told = dict(logs or {})
        step, value = int(told.pop("step", epoch)), self._proto.Summary.Value
        values = [value(tag=name, simple_value=float(number)) for name, number in told.items()]
        values += [value(tag=f"held out/{name}", image=image) for name, image in self._pictures()]
        summary = self._proto.Summary(value=values)
        self._write(self._event(wall_time=time.time(), step=step, summary=summary))

    def on_train_end(self, logs: Any = None) -> None:
        self._file.close()

    def _pictures(self) -> Iterator[tuple[str, Any]]:
        from PIL import Image

        if self._plan.network.spatial_dims == 3:
            return
        shown = self._validator.cases[:PICTURES]
        with self._validator.ready():
            for case, maps in self._validator.maps(shown):
                found = self._validator.work.decode(maps, Calibration())
                picture = draw_results(np.asarray(case.image), found, self._plan.labels)
                if picture is None:
                    continue
                content = io.BytesIO()
                Image.fromarray(picture).save(content, format="PNG")
                height, width = picture.shape[:2]
                yield (
                    case.id,
                    self._proto.Summary.Image(
                        height=height, width=width, colorspace=3, encoded_image_string=content.getvalue()
                    ),
                )

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())
        self._file.flush()
