"""Edited files as labels of the images that they are about."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.corrections.drawn import (
    class_indices,
    from_annotations,
    from_outlines,
    pages_of,
    turned_like,
)
from reunet.corrections.editing import Edited, Editing
from reunet.corrections.labels import Kind
from reunet.corrections.obstacles import kinds_of
from reunet.datasets.palettes import check_named
from reunet.errors import DataError, ReunetError, UsageError
from reunet.flows.correct.files import Source
from reunet.flows.correct.places import About, Images
from reunet.io.annotations.annotated_image import AnnotatedImage, ObjectMap
from reunet.io.annotations.coco import read_coco
from reunet.io.annotations.geojson import read_geojson
from reunet.io.annotations.image_labels import read_labels
from reunet.io.annotations.imagej import read_rois
from reunet.io.annotations.instances import read_instances
from reunet.io.header import ImageHeader
from reunet.io.images import read_header, without_suffix
from reunet.io.masks import read_raw_mask


@dataclass(frozen=True)
class Edit:
    """What a source tells of an image. read: gives it; kinds: that it tells."""

    about: About
    source: Source
    kinds: tuple[Kind, ...]
    read: Callable[[], Edited]


class Reading:
    """Reads sources for a dataset; adds whatever is wrong with them to `problems`. kind: of label images,
    where the user says it.
    """

    def __init__(self, editing: Editing, images: Images, kind: str | None, problems: Findings) -> None:
        self._editing, self._images, self._kind, self._problems = editing, images, kind, problems

    def edits(self, source: Source) -> Iterator[Edit]:
        """What a source tells, image by image; label images are read when they are needed."""
        how = {
            "label image": self._label_image,
            "geojson": self._outlines,
            "rois": self._outlines,
            "coco": self._coco,
            "classes": self._classes,
        }
        try:
            yield from how[source.form](source)
        except UsageError:
            raise
        except ReunetError as cause:
            self._problems.caught("edited", source.path, cause)

    def _about(self, source: Source) -> About:
        path = without_suffix(source.path) if source.form == "label image" else source.path.with_suffix("")
        return self._images.find(path.absolute().as_posix())

    def _kinds(self, about: About) -> tuple[Kind, ...]:
        """What is told of an image; of a new one, what is told of others."""
        if about.new is None:
            pages = self._images.pages(about)
            return kinds_of(self._editing.case(pages[0] if pages else about.name))
        dataset = self._editing.dataset
        return next((kinds_of(case) for case in dataset.split("train") or dataset.cases), ())

    def _header(self, about: About) -> ImageHeader:
        pages = self._images.pages(about)
        image = about.new or self._editing.case(pages[0] if pages else about.name).image
        return read_header(image)

    # -- Label images ----------------------------------------------------------------------------------

    def _label_image(self, source: Source) -> Iterator[Edit]:
        about = self._about(source)
        kind = self._kind_of(source, about)
        pages = self._images.pages(about)
        if pages is None:
            yield Edit(about, source, (kind,), partial(self._read_image, source.path, kind, about, None))
            return
        header, image = read_header(source.path), self._header(about)
        counted = {one.stack for one in (header, image) if dict(one.stack).keys() == {"T", "Z"}}
        if header.pages != len(pages) or len(counted) > 1:
            what = "the stack has another number of pages, or of times and depths"
            raise DataError(what, expected=image.counted, received=header.counted)
        for number, name in enumerate(pages):
            read = partial(self._read_image, source.path, kind, about, number)
            yield Edit(About(name), source, (kind,), read)

    def _kind_of(self, source: Source, about: About) -> Kind:
        """Whether a label image holds ids or classes. Raises UsageError where nothing says so."""
        told = [kind for kind in self._kinds(about) if kind in ("instances", "masks")]
        folders = [name for name in source.path.parts[:-1] if name in ("instances", "masks")]
        wanted = self._kind or (folders[-1] if folders else None)
        found = [kind for kind in told if wanted in (None, kind)]
        if len(found) != 1:
            what = (
                "a label image may hold ids of objects or classes" if told else "no label image is kept here"
            )
            raise UsageError(
                what,
                where=source.path,
                expected=" or ".join(told) or "boxes or classes of images, as this dataset has them",
                received=wanted,
                fix="say what it shows with --kind instances or --kind masks" if told else None,
            )
        return found[0]

    def _read_image(self, path: Path, kind: Kind, about: About, page: int | None) -> Edited:
        image = self._header(about)
        if kind == "instances":
            return Edited(objects=turned_like(read_instances(path, page), image))
        check_named(path, self._editing.labels, page)
        raw = turned_like(read_raw_mask(path, page), image)
        return Edited(labels=class_indices(raw, self._editing.labels, path))

    # -- Outlines --------------------------------------------------------------------------------------

    def _outlines(self, source: Source) -> Iterator[Edit]:
        about = self._about(source)
        pages, image, labels = self._images.pages(about), self._header(about), self._editing.labels
        if image.is_volume:
            raise DataError("outlines are of images, not of volumes", received=f"{len(image.size)} axes")
        classes = {labels.names[i]: i for i in labels.foreground}

        def read(sides: tuple[int, int], problems: Findings) -> list[ObjectMap]:
            if source.form == "rois":
                return read_rois(source.path, sides, problems, len(pages or (0,)))
            return [read_geojson(source.path, sides, classes, problems)]

        found = pages_of(read, image, self._problems)
        has_classes = source.form == "geojson"
        if source.form == "geojson" and pages is not None:
            raise DataError("GeoJSON tells one image, this is a stack", received=f"{len(pages)} pages")
        for name, drawn in zip(pages or [about.name], found, strict=True):
            edited = from_outlines(drawn, self._kinds(about), labels, has_classes=has_classes)
            yield self._made(About(name, about.new), source, edited)

    def _coco(self, source: Source) -> Iterator[Edit]:
        labels = self._editing.labels
        told = read_coco(source.path, (), self._problems, labels.names)
        for image in told.images:
            try:
                about = self._images.find(without_suffix(Path(image.file)).as_posix())
                yield self._made(about, source, self._annotated(image, about))
            except DataError as cause:
                self._problems.caught("edited", f"{self._problems.name(source.path)}, {image.file}", cause)

    def _annotated(self, image: AnnotatedImage, about: About) -> Edited:
        return from_annotations(image, self._header(about), self._kinds(about), self._editing.labels)

    def _classes(self, source: Source) -> Iterator[Edit]:
        categories = self._editing.categories
        if categories is None:
            raise DataError("the dataset has no classes of whole images")
        told = read_labels(source.path, (), self._problems, categories.names)
        for file, category in told.images.items():
            about = self._images.find(without_suffix(Path(file)).as_posix())
            yield self._made(about, source, Edited(category=category))

    def _made(self, about: About, source: Source, edited: Edited) -> Edit:
        told: Sequence[tuple[Kind, object]] = (
            ("instances", edited.objects),
            ("masks", edited.labels),
            ("boxes", edited.boxes),
            ("category", edited.category),
        )
        return Edit(about, source, tuple(kind for kind, part in told if part is not None), lambda: edited)
