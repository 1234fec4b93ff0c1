"""The files that `predict` writes for one image or stack: which ones, where, and in which order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.flows.predict.inputs import Source
from reunet.flows.predict.result_tables import PARTS, described, has_part, write_part
from reunet.flows.predict.track_files import Moment, track_files
from reunet.io.formats.table import is_dicom
from reunet.io.header import ImageHeader
from reunet.io.pages import Spool
from reunet.io.planes import in_planes, voxels_across
from reunet.io.raster import QUICK, write_png
from reunet.io.scale_bar import with_scale_bar
from reunet.io.video import is_video, video_rate, write_video
from reunet.sampling.resize import at_scale
from reunet.storage import atomic_path, publish_folder, remove_old, scratch_folder
from reunet.tasks import every_task, task
from reunet.tasks.outputs import Destination, Output, Page
from reunet.tasks.work import draw_results

MOST_DRAWN = 2048**2
"""Pixels of an overlay; larger images are drawn smaller."""

SEGMENTATIONS = "segmentations"
"""Folder of masks as DICOM-SEG, which volumes in DICOM get beside the others."""


def result_folders() -> frozenset[str]:
    """The folders of an output in which results lie."""
    kinds = (output.kind for one in every_task() for output in one.outputs)
    return frozenset({*kinds, "overlays", SEGMENTATIONS, PARTS})


@dataclass(frozen=True)
class Kinds:
    """What is written. tasks: of the run. probabilities, geff, uncertainty: them, too."""

    tasks: tuple[str, ...] = ("semantic",)
    probabilities: bool = False
    geff: bool = False
    uncertainty: bool = False

    @property
    def proofs(self) -> tuple[Output, ...]:
        """What is there of every image that is done."""
        outputs = (output for name in self.tasks for output in task(name).outputs)
        return tuple(output for output in outputs if output.is_proof and self.wants(output))

    def tells(self, field: str) -> bool:
        """Whether this field of a prediction is written."""
        return any(output.of == field for output in self.proofs)

    def wants(self, output: Output) -> bool:
        """Whether such files are written at all."""
        return not output.asked or bool(getattr(self, output.of))

    @property
    def has_tables(self) -> bool:
        """Whether tables tell of the results."""
        return any(task(name).has_tables for name in self.tasks)


@dataclass(frozen=True)
class Job:
    """One image file and where its results go. moment: of a frame whose objects have identities, or of the
    first page of such a stack. channels: as of the plan's input. level: of a pyramid, where it is asked for.
    """

    source: Source
    output: Path
    fov: Path | None
    axes: str | None
    kinds: Kinds
    moment: Moment | None = None
    channels: tuple[str, ...] = ()
    level: int | None = None

    def absolute(self) -> Job:
        """The same for a process in another folder."""
        source = replace(
            self.source,
            path=self.source.path.absolute(),
            channels=tuple(path.absolute() for path in self.source.channels),
            tiles=tuple(path.absolute() for path in self.source.tiles),
        )
        fov = self.fov and self.fov.absolute()
        return replace(self, source=source, output=self.output.absolute(), fov=fov)

    @property
    def tracks(self) -> tuple[Path, ...]:
        """What may tell the tracks of its sequence, see `track_files`."""
        return () if self.moment is None else track_files(self.output, self.moment.sequence)

    def path(self, kind: str, suffix: str) -> Path:
        """Such as OUT/masks/<name>.png."""
        name = self.source.name
        return self.output / kind / name.with_name(name.name + suffix)

    @property
    def part(self) -> Path | None:
        """What the tables of the output folder need of this image, if there are tables."""
        return self.path(PARTS, ".json") if self.kinds.has_tables else None

    def results(self, *, own: bool = False) -> tuple[Path, ...]:
        """Every file or folder that a prediction of this image may leave; own: of this run, else of any.

        A name may be too long to exist, such as that of the pages of an image that has one: `os.path` says
        that it does not exist, where `Path` raises.
        """
        return (
            *(
                file
                for one in (map(task, self.kinds.tasks) if own else every_task())
                for output in one.outputs
                for file in self._files(output)
            ),
            self.path("overlays", ".png"),
            self.path("overlays", ".pages"),
            self.path("overlays", ".mp4"),
            self.path(SEGMENTATIONS, ".dcm"),
            self.path(PARTS, ".json"),
            *self.tracks,
        )

    def is_done(self) -> bool:
        """Whether all that the tasks tell is there; of each kind of file the last one that is written."""
        return (
            all(any(map(os.path.exists, self._files(output))) for output in self.kinds.proofs)
            and (self.part is None or has_part(self.part, self.kinds.tasks))
            and all(map(os.path.isdir, self.tracks[::2] if self.kinds.geff else self.tracks[:1]))
        )

    def _files(self, output: Output) -> list[Path]:
        return [self.path(output.kind, suffix) for suffix in output.suffixes]

    def remove_results(self, *, own: bool = False) -> None:
        """Remove what an earlier prediction of this image left; own: by this run."""
        remove_old(self.results(own=own))


def write_image(job: Job, plan: Plan, header: ImageHeader, image: np.ndarray, result: Prediction) -> None:
    """Write all results of one image (H, W, C), or of a volume (D, H, W, C)."""
    picture = _picture(image, result, plan, header)
    if picture is not None:
        _write_picture(job.path("overlays", ".png"), picture, header)
    to = _destination(job, plan, header)
    _write_files(job, result, to)
    if result.labels is not None and to.like is not None and is_dicom(to.like):
        from reunet.io.formats.dicom_write import write_segmentation

        write_segmentation(job.path(SEGMENTATIONS, ".dcm"), result.labels, plan.labels, to.like)
    if job.part is not None:
        name = job.source.name
        names = name.as_posix(), name.with_name(job.source.path.name).as_posix()
        page = _page(plan, image, job.moment, header.spacing)
        write_part(job.part, job.kinds.tasks, [described(names, result, page)])


def write_stack(
    job: Job, plan: Plan, header: ImageHeader, pages: Iterable[tuple[np.ndarray, Prediction]]
) -> None:
    """Write all results of a stack or video, page after page: masks and instances as stacks, a picture per
    page, of a video a video. What is found waits on disk, so memory does not grow with the number of pages.
    """
    described_pages: list[dict[str, Any]] = []
    with scratch_folder(job.output) as scratch:
        kept = {output.of for one in every_task() for output in one.outputs if job.kinds.wants(output)}
        spools = {field: Spool(scratch / field) for field in kept}

        def drawn() -> Iterator[np.ndarray]:
            for number, (image, result) in enumerate(pages, 1):
                for field, spool in spools.items():
                    if (found := getattr(result, field)) is not None:
                        spool.add(found)
                if job.part is not None:
                    name = f"{job.source.name.as_posix()}.pages/{number:04d}"
                    moment = job.moment and replace(job.moment, frame=number - 1)
                    page = _page(plan, image, moment, header.spacing)
                    described_pages.append(described((name, name), result, page))
                picture = _picture(image, result, plan, header)
                if picture is not None:
                    yield picture

        _write_pictures(job, drawn(), header)
        whole_pages: dict[str, Any] = {field: spool.pages() for field, spool in spools.items()}
        _write_files(job, Prediction(**whole_pages), _destination(job, plan, header))
    if job.part is not None:
        write_part(job.part, job.kinds.tasks, described_pages)


def _page(plan: Plan, image: np.ndarray, moment: Moment | None, spacing: tuple[float, ...] | None) -> Page:
    page = Page(image.shape[:-1], plan.labels, plan.categories, image, spacing=spacing)
    return page if moment is None else replace(page, sequence=moment.sequence, frame=moment.frame)


def _destination(job: Job, plan: Plan, header: ImageHeader) -> Destination:
    return Destination(
        job.path,
        plan.labels,
        like=job.source.path if header.is_volume else None,
        pages=header.pages > 1,
        spacing=header.micrometres,
        map=header.map,
        nodata=header.nodata,
        regions=header.map is not None,
    )


def _write_files(job: Job, result: Prediction, to: Destination) -> None:
    for output in dict.fromkeys(output for one in every_task() for output in one.outputs):
        values = getattr(result, output.of)
        if values is not None and job.kinds.wants(output):
            output.write(values, result, to)


def _picture(image: np.ndarray, result: Prediction, plan: Plan, header: ImageHeader) -> np.ndarray | None:
    """What was found, drawn over an image or slices of a volume, (h, w, 3) uint8; None for nothing."""
    if header.voxel is not None:
        image, result = in_planes(image, result, plan.labels, header.voxel)
        across = voxels_across(image, header.size, header.voxel)
    else:
        across = float(image.shape[1])
        image, result = at_scale(image, result, _shown_share(image.shape[:2]))
    picture = draw_results(image, result, plan.labels)
    return None if picture is None else with_scale_bar(picture, header.width(across))


def _shown_share(size: tuple[int, ...]) -> float:
    """How much smaller, per side, an image (H, W) is drawn than it is."""
    return min(1.0, sqrt(MOST_DRAWN / prod(size)))


def _write_picture(path: Path, picture: np.ndarray, header: ImageHeader) -> None:
    spacing = header.micrometres
    if spacing is not None:
        spacing = tuple(side / _shown_share(header.size) for side in spacing)
    write_png(path, picture, spacing=spacing, effort=QUICK)


def _write_pictures(job: Job, pictures: Iterator[np.ndarray], header: ImageHeader) -> None:
    first = next(pictures, None)
    if first is None:  # nothing to draw, and all pages are read
        return
    shown = chain([first], pictures)
    if is_video(job.source.path):
        with atomic_path(job.path("overlays", ".mp4")) as temporary:
            write_video(temporary, shown, video_rate(job.source.path))
        return

    def fill(folder: Path) -> None:
        for number, picture in enumerate(shown, 1):
            _write_picture(folder / f"{number:04d}.png", picture, header)

    publish_folder(job.path("overlays", ".pages"), fill)
