"""The images that the page shows: those of the dataset, and those that were dropped on it."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any

from reunet.contracts.run import RunFolder
from reunet.corrections.editing import Editing
from reunet.corrections.labels import Kind
from reunet.datasets.cases import Case
from reunet.datasets.corrected import corrected_images, image_name
from reunet.datasets.sequences import natural_order
from reunet.errors import DataError, UsageError
from reunet.io.images import image_suffix
from reunet.io.lazy import is_array
from reunet.io.listing import list_files
from reunet.io.video import is_video
from reunet.server.models import Model
from reunet.server.page.entries import Entry, Place, class_list
from reunet.server.problems import RefusedError
from reunet.server.service import Service

RUN, CORRECTED = "-run", "-corrected"
"""What the run of a dataset is called, and the dataset of what was corrected with a run alone."""

LATER = re.compile(rf"(.+){RUN}(?:-(\d+))?")
"""Runs of a dataset, the later ones of which have a number."""

NUMBERS = count()
"""Of images: what is kept of one is kept by its number, whatever list it is in."""

KINDS: dict[str, Kind] = {
    "masks": "masks",
    "instances": "instances",
    "boxes": "boxes",
    "categories": "category",
}
"""What labels are called for a dataset that begins, by the kind of annotation that a task is learned from."""


class Library:
    """The list on the left, and the dataset that labels are saved in; threads may share it.

    editing: of the dataset; None until there is one. why: there is none, where one was given.
    """

    def __init__(self, service: Service) -> None:
        self.service, self.why = service, ""
        self.editing: Editing | None = None
        self._entries: dict[str, Entry] = {}
        self._lock, self._is_open = RLock(), False

    def open(self) -> Library:
        """Look at what the server was started with, once: the dataset, and a model that belongs to it."""
        with self._lock:
            if not self._is_open:
                self._is_open = True
                self._open()
        return self

    def _open(self) -> None:
        data, models = self.service.data, self.service.models
        if data is None and len(models) == 1:
            data = _data_of(next(iter(models.values())))
        if data is None:
            return
        if not models and (runs := runs_of(data)):
            models.add(runs[-1])
        if is_array(data) or data.is_file():
            self._add(Entry(self._id(), data.name, (Place(data),)))
            return
        try:
            self.editing = Editing.open(data)
        except DataError as cause:
            self.why = cause.what
            files = list_files(data, lambda path: image_suffix(path) or is_video(path))[0]
            if not files:
                raise
            for path in sorted(files, key=lambda one: natural_order(one.as_posix())):
                self._add(Entry(self._id(), path.relative_to(data).as_posix(), (Place(path),)))
        else:
            self._list(self.editing)

    @property
    def root(self) -> Path | None:
        """Where the dataset lies."""
        return None if self.editing is None else self.editing.root

    def entries(self) -> list[Entry]:
        return list(self.open()._entries.values())

    def entry(self, name: str) -> Entry:
        """The image of an id. Raises RefusedError."""
        found = self.open()._entries.get(name)
        if found is None:
            raise RefusedError(404, "there is no such image", received=name[:100], fix="reload the page")
        return found

    def take(self, file: Path, name: str) -> Entry:
        """Add a file that was dropped; it may lie in the scratch folder. Raises ImageReadError."""
        entry = Entry(self._id(), name, (Place(file),))
        _ = entry.header
        with self._lock:
            return self._add(entry)

    def forget(self, name: str) -> None:
        """Take an image out of the list. Raises UsageError for one of the dataset."""
        entry = self.entry(name)
        if entry.case is not None:
            raise UsageError("an image of the dataset stays in the list", where=entry.name)
        with self._lock:
            del self._entries[name]
        path = entry.places[0].path
        if path.is_relative_to(self.service.scratch):
            path.unlink(missing_ok=True)

    def begun(self, model: Model | None) -> Editing:
        """The dataset that labels are saved in; one of its own is begun for a run that has none.

        Raises UsageError without a model.
        """
        with self._lock:
            if self.editing is not None:
                return self.editing
            if model is None:
                raise UsageError("labels need a dataset or a model that says what there is to be labelled")
            folder, plan = _corrected(model), model.plan
            kind = KINDS[model.predictor.work.main.learned_from[0]]
            self.editing = Editing.begin(folder, plan.labels, kind, plan.categories)
            return self.editing

    def now_labelled(self, entry: Entry, case: str) -> None:
        """An image was added to the dataset, or corrected there."""
        entry.case, entry.labelled, entry.corrected = case, True, True
        one = entry.places[0]
        if len(entry.places) == 1 and one.case is None:
            entry.places = (Place(one.path, one.page, one.channels, case),)

    def described(self) -> dict[str, Any] | None:
        """What the page tells of the dataset."""
        editing = self.editing
        if editing is None:
            return None
        return {"name": editing.root.name, "classes": class_list(editing.labels)}

    def _list(self, editing: Editing) -> None:
        """The images of a dataset; pages of one stack, or frames of one sequence, together."""
        root = editing.root
        corrected = corrected_images(root)
        groups: dict[tuple[str, ...], list[str]] = {}
        for name in editing.names:
            case = editing.case(name)
            groups.setdefault(_together(case, name), []).append(name)
        for (split, shown, *_), names in groups.items():
            cases = [editing.case(name) for name in names]
            places = [
                Place(case.image, case.page, case.files.channels, name)
                for name, case in zip(names, cases, strict=True)
            ]
            self._add(
                Entry(
                    self._id(), shown, tuple(places), split,
                    labelled=any(case.kinds for case in cases),
                    corrected=any(image_name(case, root) in corrected for case in cases),
                    case=names[0],
                )
            )  # fmt: skip

    def _add(self, entry: Entry) -> Entry:
        self._entries[entry.id] = entry
        return entry

    def _id(self) -> str:
        return f"i{next(NUMBERS)}"


def unlabelled(entries: Sequence[Entry]) -> list[Entry]:
    """Single images without labels, which could be labelled next."""
    return [one for one in entries if not one.labelled and len(one.places) == 1 and not one.is_lazy]


def _together(case: Case, name: str) -> tuple[str, ...]:
    """What the pages of one entry have in common; split and name for people first."""
    if case.sequence is not None:
        return case.split, case.sequence.name, "sequence"
    if case.page is not None:
        return case.split, case.id.partition("#")[0], "stack"
    return case.split, case.id, name


def _data_of(model: Model) -> Path | None:
    """The dataset that a run stands beside, or the one of what was corrected with it; None for neither."""
    run = model.folder.path
    named = LATER.fullmatch(run.name)
    beside = [run.with_name(named[1])] if named else []
    return next((folder for folder in (_corrected(model), *beside) if folder.is_dir()), None)


def runs_of(data: Path) -> list[Path]:
    """The finished runs beside a dataset that are called after it, the latest one last."""
    found = []
    for run in data.parent.glob(f"{glob.escape(data.name)}{RUN}*"):
        named = LATER.fullmatch(run.name)
        if named and named[1] == data.name and RunFolder(run).engine_file.is_file():
            found.append((int(named[2] or 1), run))
    return [run for _, run in sorted(found)]


def _corrected(model: Model) -> Path:
    run = model.folder.path
    return run.with_name(run.name + CORRECTED)
