"""The files that `predict` writes for one image or stack: which ones, where, and in which order."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.errors import StorageError
from reunet.flows.predict.inputs import Source
from reunet.flows.predict.result_tables import PARTS, described, has_part, write_part
from reunet.flows.predict.track_files import Place, track_files
from reunet.io.annotations.geojson import write_geojson
from reunet.io.annotations.imagej import write_rois
from reunet.io.annotations.instances import write_instances
from reunet.io.header import ImageHeader
from reunet.io.masks import write_mask
from reunet.io.pages import Spool
from reunet.io.planes import sheet, telling_planes
from reunet.io.render import overlay, write_picture
from reunet.io.render_objects import draw_boxes, outlines
from reunet.io.video import is_video, video_rate, write_video
from reunet.storage import atomic_path, publish_folder, scratch_folder
from reunet.tasks.instances.properties import majority_class

MOST_PNG_IDS = np.iinfo(np.uint16).max
SUFFIXES = (".png", ".tif", ".nii.gz", ".ome.zarr")
"""Of masks and instances; an image leaves one of them."""


@dataclass(frozen=True)
class Kinds:
    """What is written. tasks: of the run."""

    tasks: tuple[str, ...] = ("semantic",)
    probabilities: bool = False


@dataclass(frozen=True)
class Job:
    """One image file and where its results go. place: of a frame whose objects have identities, or of the
    first page of such a stack.
    """

    source: Source
    output: Path
    fov: Path | None
    axes: str | None
    kinds: Kinds
    place: Place | None = None

    def absolute(self) -> Job:
        """The same for a process in another folder."""
        source = replace(
            self.source,
            path=self.source.path.absolute(),
            channels=tuple(path.absolute() for path in self.source.channels),
        )
        fov = self.fov and self.fov.absolute()
        return replace(self, source=source, output=self.output.absolute(), fov=fov)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Of the run."""
        return self.kinds.tasks

    @property
    def tracks(self) -> tuple[Path, ...]:
        """What tells the tracks of its sequence: the folder of results, and their animation."""
        return () if self.place is None else track_files(self.output, self.place.sequence)

    def path(self, kind: str, suffix: str) -> Path:
        """Such as OUT/masks/<name>.png."""
        name = self.source.name
        return self.output / kind / name.with_name(name.name + suffix)

    @property
    def part(self) -> Path | None:
        """What the tables of the output folder need of this image; a run on masks alone has no tables."""
        return None if set(self.tasks) == {"semantic"} else self.path(PARTS, ".json")

    def results(self) -> tuple[Path, ...]:
        """Every file or folder that a prediction of this image may leave.

        A name may be too long to exist, such as that of the pages of an image that has one: `os.path` says
        that it does not exist, where `Path` raises.
        """
        return (
            *(self.path(kind, suffix) for kind in ("masks", "instances") for suffix in SUFFIXES),
            self.path("overlays", ".png"),
            self.path("overlays", ".pages"),
            self.path("overlays", ".mp4"),
            self.path("geojson", ".geojson"),
            self.path("rois", ".zip"),
            self.path("probabilities", ".npy"),
            self.path(PARTS, ".json"),
            *self.tracks,
        )

    def is_done(self) -> bool:
        """Whether all that the tasks tell is there; of each kind of file the last one that is written."""

        def is_there(kind: str, *suffixes: str) -> bool:
            return any(os.path.exists(self.path(kind, suffix)) for suffix in suffixes)

        wanted = self.kinds.probabilities and "semantic" in self.tasks
        return (
            (is_there("probabilities", ".npy") or not wanted)
            and (is_there("masks", *SUFFIXES) or "semantic" not in self.tasks)
            and (is_there("instances", *SUFFIXES) or "instances" not in self.tasks)
            and (self.part is None or has_part(self.part, self.tasks))
            and (not self.tracks or os.path.isdir(self.tracks[0]))
        )

    def remove_results(self) -> None:
        """Remove what an earlier prediction of this image left."""
        try:
            for path in self.results():
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif os.path.lexists(path):
                    path.unlink()
        except OSError as cause:
            raise StorageError(
                "could not remove an old result", where=path, received=cause.strerror
            ) from cause


def write_image(job: Job, plan: Plan, header: ImageHeader, image: np.ndarray, result: Prediction) -> None:
    """Write all results of one image (H, W, C), or of a volume (D, H, W, C)."""
    ids, like = result.instances, job.source.path if header.is_volume else None
    if job.kinds.probabilities and result.probabilities is not None:
        _write_array(job.path("probabilities", ".npy"), result.probabilities)
    shown, drawn = image, result
    if header.voxel is not None:
        shown, drawn = _in_planes(image, result, plan.labels, header.voxel)
    picture = _drawn(shown, drawn, plan.labels)
    if picture is not None:
        write_picture(job.path("overlays", ".png"), picture)
    if result.labels is not None:
        wide = plan.labels.to_ids(np.zeros(1, np.uint8)).dtype != np.uint8
        suffix = ".nii.gz" if header.is_volume else ".tif" if wide else ".png"
        write_mask(job.path("masks", suffix), result.labels, plan.labels, like)
    if ids is not None:
        if not header.is_volume:
            classes = majority_class(ids, result.labels, plan.labels)
            write_geojson(job.path("geojson", ".geojson"), ids, plan.labels, classes)
            write_rois(job.path("rois", ".zip"), ids)
        suffix = ".nii.gz" if header.is_volume else ".png" if ids.max(initial=0) <= MOST_PNG_IDS else ".tif"
        write_instances(job.path("instances", suffix), ids, like)
    if job.part is not None:
        name = job.source.name
        names = name.as_posix(), name.with_name(job.source.path.name).as_posix()
        spacing = header.spacing if header.is_volume else None
        write_part(job.part, job.tasks, [described(names, image, result, plan, spacing, job.place)])


def write_stack(job: Job, plan: Plan, pages: Iterable[tuple[np.ndarray, Prediction]]) -> None:
    """Write all results of a stack or video, page after page: masks and instances as stacks, a picture per
    page, of a video a video. What is found waits on disk, so memory does not grow with the number of pages.
    """
    described_pages: list[dict[str, Any]] = []
    with scratch_folder(job.output) as scratch:
        spools = {kind: Spool(scratch / kind) for kind in ("labels", "instances", "probabilities")}

        def drawn() -> Iterator[np.ndarray]:
            for number, (image, result) in enumerate(pages, 1):
                for kind, spool in spools.items():
                    found = getattr(result, kind)
                    if found is not None and (kind != "probabilities" or job.kinds.probabilities):
                        spool.add(found)
                if job.part is not None:
                    name = f"{job.source.name.as_posix()}.pages/{number:04d}"
                    place = None if job.place is None else Place(job.place.sequence, number - 1)
                    described_pages.append(described((name, name), image, result, plan, place=place))
                picture = _drawn(image, result, plan.labels)
                if picture is not None:
                    yield picture

        _write_pictures(job, drawn())
        labels, ids, probabilities = (spool.pages() for spool in spools.values())
        if probabilities is not None:
            _write_array(job.path("probabilities", ".npy"), probabilities)
        if labels is not None:
            write_mask(job.path("masks", ".tif"), labels, plan.labels)
        if ids is not None:
            write_rois(job.path("rois", ".zip"), ids)
            write_instances(job.path("instances", ".tif"), ids)
    if job.part is not None:
        write_part(job.part, job.tasks, described_pages)


def _write_pictures(job: Job, pictures: Iterator[np.ndarray]) -> None:
    if is_video(job.source.path):
        first = next(pictures, None)
        if first is not None:
            with atomic_path(job.path("overlays", ".mp4")) as temporary:
                write_video(temporary, chain([first], pictures), video_rate(job.source.path))
    elif set(job.tasks) == {"classification"}:  # nothing to draw
        deque(pictures, 0)
    else:

        def fill(folder: Path) -> None:
            for number, picture in enumerate(pictures, 1):
                write_picture(folder / f"{number:04d}.png", picture)

        publish_folder(job.path("overlays", ".pages"), fill)


def _drawn(image: np.ndarray, result: Prediction, labels: LabelMap) -> np.ndarray | None:
    """(H, W, 3) uint8: classes, outlines and boxes over the image; None where there is nothing to draw."""
    picture = None
    if result.labels is not None:
        picture = overlay(image, result.labels, labels)
    if result.instances is not None:
        picture = outlines(image if picture is None else picture, result.instances)
    if result.boxes is not None:
        picture = draw_boxes(image if picture is None else picture, result.boxes, labels)
    return picture


def _in_planes(
    image: np.ndarray, result: Prediction, labels: LabelMap, spacing: tuple[float, ...]
) -> tuple[np.ndarray, Prediction]:
    """A volume and what is known of its voxels as pictures of the slices that show most objects."""
    if result.labels is not None:
        planes = telling_planes(np.isin(result.labels, labels.foreground), spacing)
    elif result.instances is not None:
        planes = telling_planes(result.instances > 0, spacing)
    else:
        return image, Prediction()
    classes = None if result.labels is None else sheet(result.labels, planes, IGNORE)
    ids = None if result.instances is None else sheet(result.instances, planes, 0)
    return sheet(image[..., :1], planes), Prediction(labels=classes, instances=ids)


def _write_array(path: Path, values: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        np.save(temporary, values)
