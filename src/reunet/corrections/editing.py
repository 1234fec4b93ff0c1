"""A dataset whose labels are edited: read as they are, saved where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings, relative
from reunet.contracts.labels import LabelMap, majority_class
from reunet.contracts.options.records import DataOptions
from reunet.corrections.adding import NewImage, begun
from reunet.corrections.homes import Change, Home
from reunet.corrections.labels import Editable, Edited, Kind, LabelsChangedError, Saved
from reunet.corrections.ledger import hash_of, keep_given, now, record, whoever
from reunet.corrections.obstacles import kinds_of, obstacles
from reunet.corrections.tracks import changed_ids, lineage, next_id
from reunet.corrections.turns import alone
from reunet.datasets.case_arrays import load_case
from reunet.datasets.cases import Case, Dataset, raise_errors
from reunet.datasets.corrected import Entry, image_name, read_entries
from reunet.datasets.folders import SplitFolders
from reunet.datasets.reading import content_hash, read_case
from reunet.datasets.scan import scan_dataset
from reunet.datasets.tables import DESCRIPTION
from reunet.errors import DataError, StorageError, closest
from reunet.io.annotations.ctc import read_tracks, write_tracks
from reunet.io.images import read_header, without_suffix
from reunet.storage import write_json


class Editing:
    """A dataset open for editing, by several people at once: whoever saves holds its lock, and what has been
    changed in the meantime is not written over.

    dataset: as it was read last. folders: of its splits.
    """

    def __init__(self, dataset: Dataset, folders: Sequence[SplitFolders], options: DataOptions) -> None:
        self.dataset, self.folders, self._options = dataset, {one.split: one for one in folders}, options
        self._index()

    @classmethod
    def open(cls, data: Path | None, options: DataOptions | None = None) -> Editing:
        """Raises DataError listing what is wrong with the dataset."""
        chosen = options or DataOptions()
        scan = scan_dataset(data, chosen)
        return cls(scan.dataset(), scan.folders, chosen)

    @property
    def root(self) -> Path:
        return self.dataset.root

    @property
    def labels(self) -> LabelMap:
        """Classes of pixels and objects."""
        return self.dataset.labels

    @property
    def categories(self) -> LabelMap | None:
        """Classes of whole images."""
        return self.dataset.categories

    @property
    def names(self) -> tuple[str, ...]:
        """Split and id of each image, as in "train/a"; a page of a stack ends in "#0003"."""
        return tuple(self._cases)

    def case(self, name: str) -> Case:
        """The case of that name. Raises DataError."""
        if name not in self._cases:
            fix = closest(name, self._cases)
            raise DataError("the dataset has no such image", where=self.root, received=name, fix=fix)
        return self._cases[name]

    def load(self, name: str) -> Editable:
        """The labels of an image as they are now. Raises DataError, ImageReadError, LabelError."""
        self._refresh()
        case = self.case(name)
        problems = obstacles(case, self._home(case).folders, self.labels, self.root)
        # What limits learning, such as a field of view, does not limit what is drawn.
        bare = replace(case, files=replace(case.files, fov=None), objects=None, boxed=())
        arrays = load_case(bare, self.labels, axes=self._options.axes, keep=False)
        size, kinds = arrays.image.shape[:-1], kinds_of(case)
        labels = arrays.labels if "masks" in kinds else None
        objects, classes, boxes = arrays.objects, None, None
        if case.objects is not None and objects is None:
            boxes, drawn = case.objects.boxes, case.objects.objects()
            if drawn is not None:
                objects, classes, boxes = drawn.ids, drawn.classes, None
        if objects is not None and classes is None:
            classes = majority_class(objects, labels, self.labels)
        return Editable(
            name=name,
            image=case.image,
            size=tuple(size),
            kinds=kinds,
            version=content_hash(case),
            labels=labels,
            objects=objects,
            object_classes=classes,
            boxes=boxes,
            category=case.category,
            next_id=1 if objects is None else self._next_id(case, objects),
            obstacles=tuple(problems),
        )

    def check(self, name: str, edited: Edited, version: str | None = None) -> tuple[Editable, list[Change]]:
        """What saving would replace; nothing is written. Raises as `save` does."""
        before = self.load(name)
        if version is not None and version != before.version:
            raise LabelsChangedError(
                "these labels were changed since they were opened",
                where=relative(before.image, self.root),
                fix="open the image again: what was drawn here is not saved over what another has drawn",
            )
        case = self.case(name)
        raise_errors(before.obstacles, case.image)
        told = edited.checked(before.size, self.labels, self.categories)
        return before, self._home(case).changes(before, told)

    def save(
        self,
        name: str,
        edited: Edited,
        *,
        by: str | None = None,
        version: str | None = None,
        source: str = "page",
    ) -> Saved:
        """Write edited labels back where they came from; the given ones are kept in corrections/ before.

        by: who drew them; else the name of the account. version: what was read before; None writes over
        whatever is there. source: page, or the file that they come from. Raises LabelsChangedError, DataError
        where something cannot be written back, LabelError for labels that do not fit, StorageError.
        """
        with alone(self.root):
            before, changes = self.check(name, edited, version)
            if not changes:
                return Saved(name, version=before.version)
            case = self.case(name)
            copies: list[str] = []
            rows: list[Entry] = []
            for change in changes:
                known = [*read_entries(self.root), *rows]
                copy = "" if change.moved else keep_given(self.root, change.label, known)
                copies += [copy] * bool(copy)
                change.write()
                if change.moved is not None:
                    case = replace(case, files=replace(case.files, image=change.moved))
                rows.append(self._row(case, change, whoever(by), source, copy))
                record(self.root, rows[-1:])
            if edited.objects is not None and before.objects is not None:
                self._trace(case, before.objects, edited.objects)
            self._stale = True
            self._refresh()
        files = tuple(row.label for row in rows)
        told = "; ".join(dict.fromkeys(change.told for change in changes))
        after = next((one for one, its in self._cases.items() if its.image == case.image
                      and its.page == case.page), name)  # fmt: skip
        return Saved(after, files, tuple(copies), told, content_hash(self.case(after)))

    @classmethod
    def begin(cls, folder: Path, labels: LabelMap, kind: Kind, categories: LabelMap | None = None) -> Editing:
        """A new dataset without images, into which `add` takes them with labels of a kind.

        labels: classes of pixels and objects. categories: of whole images, for the kind `category`. Raises
        StorageError for a folder that holds something.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            fix = "give an empty or new folder, or open the dataset in it"
            raise StorageError("this folder holds something already", where=folder, fix=fix)
        told = categories if kind == "category" and categories is not None else labels
        classes = [{"id": one.id, "name": one.name, "color": list(one.color)} for one in told.classes]
        facts = {"name": folder.name, "classes": classes, "ignore_index": told.ignore}
        write_json(folder / DESCRIPTION, facts)
        plain = told.model_copy(update={"encoding": "index", "ignore_color": None})
        dataset = Dataset(folder.name, folder, plain, (), frozenset({"train"}), (), categories)
        return cls(dataset, (begun(folder, kind, plain),), DataOptions())

    def add(
        self,
        image: Path,
        edited: Edited,
        *,
        by: str | None = None,
        name: str | None = None,
        source: str = "page",
    ) -> Saved:
        """Take an image into the training split, with labels of all kinds that the dataset tells.

        name: its path below the folder of the images, without suffix; else that of the file. Raises DataError
        for a layout that takes none and for a name that is there, LabelError for labels that are missing or
        do not fit, StorageError.
        """
        with alone(self.root):
            self._refresh()
            header = read_header(image)
            if header.pages > 1:
                raise DataError("a stack is not added page by page", where=image, received=header.axes)
            told = edited.checked(header.size, self.labels, self.categories)
            folders = self.folders.get("train") or next(iter(self.folders.values()))
            new = NewImage(
                self.dataset, folders, image, name or without_suffix(image).name, header.size, told
            )
            new.check()
            found = list(new.labels())
            entries = read_entries(self.root)
            copies = [keep_given(self.root, one.label, entries) for one in found]
            for one in found:
                one.write()
            new.copy()
            who, at = whoever(by), relative(new.target.absolute(), self.root.absolute())
            rows = [
                Entry(at, relative(one.label.absolute(), self.root.absolute()), one.kind, "new image", now(),
                      who, source, hash_of(one.label), copy)
                for one, copy in zip(found, copies, strict=True)
            ]  # fmt: skip
            record(self.root, rows)
            self._stale = True
            self._refresh()
        after = next(one for one, its in self._cases.items() if its.image.absolute() == new.target.absolute())
        kept = tuple(copy for copy in copies if copy)
        return Saved(
            after, (at, *(row.label for row in rows)), kept, "new image", content_hash(self.case(after))
        )

    def _home(self, case: Case) -> Home:
        folders = self.folders[case.split]
        return Home(self.root, case, folders, self.labels, self.categories, self._options.axes)

    def _row(self, case: Case, change: Change, by: str, source: str, copy: str) -> Entry:
        image, label = image_name(case, self.root), relative(change.label.absolute(), self.root.absolute())
        content = hash_of(change.label)
        return Entry(image, label, change.kind, change.told, now(), by, source, content, copy)

    # -- Sequences -----------------------------------------------------------------------------------

    def _frames(self, case: Case) -> list[Case]:
        if case.sequence is None or case.sequence.axis != "T":
            return [case]
        same = (one for one in self.dataset.split(case.split) if one.sequence == case.sequence)
        return list(same)

    def _ids_of(self, case: Case) -> tuple[int, ...]:
        found = read_case(case, axes=self._options.axes).ids
        return found.get("tracks", found.get("objects", ()))

    def _next_id(self, case: Case, objects: np.ndarray) -> int:
        frames = self._frames(case)
        others = [self._ids_of(one) for one in frames if one is not case] if len(frames) > 1 else []
        return next_id([*others, (int(objects.max(initial=0)),)])

    def _trace(self, case: Case, before: np.ndarray, after: np.ndarray) -> None:
        """Let the file of tracks tell what is seen after an edit."""
        tracks = None if case.sequence is None else case.sequence.tracks
        changed = changed_ids(before, after)
        if tracks is None or not changed:
            return
        problems = Findings(tracks.parent)
        known = read_tracks(tracks, problems)
        raise_errors(problems, tracks)
        present = {number: self._ids_of(one) for number, one in enumerate(self._frames(case))}
        entries = read_entries(self.root)
        copy = keep_given(self.root, tracks, entries)
        write_tracks(tracks, lineage(known, present, changed))
        told = Change("instances", tracks, f"tracks: {len(changed)} changed", lambda: None)
        record(self.root, [self._row(case, told, entries[-1].by, entries[-1].source, copy)])

    # -- Being up to date ------------------------------------------------------------------------------

    def _index(self) -> None:
        self._cases = {f"{case.split}/{case.id}": case for case in self.dataset.cases}
        self._stamps, self._stale = self._shared(), False

    def _shared(self) -> dict[Path, tuple[int, int] | None]:
        """Size and time of the files that tell about many images."""
        return {path: _stamp(path) for one in self.folders.values() for path in one.listed}

    def _refresh(self) -> None:
        """Read the dataset again where a file that tells about many images has changed."""
        if self._stale or self._shared() != self._stamps:
            root = None if self._options.images is not None and self._options.masks is not None else self.root
            scan = scan_dataset(root or self.root, self._options, self.labels, self.categories)
            self.dataset, self.folders = scan.dataset(), {one.split: one for one in scan.folders}
            self._index()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


__all__ = ["Editable", "Edited", "Editing", "LabelsChangedError", "Saved"]
