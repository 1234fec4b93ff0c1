"""Whole slides and other pyramids: the level of them that a run predicts, and where tissue is."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from math import prod

import cv2
import numpy as np

from reunet.contracts.plan import Plan
from reunet.errors import ImageReadError, UsageError
from reunet.flows.predict.outputs import Job
from reunet.io.header import ImageHeader
from reunet.io.lazy import LazyImage, open_lazily
from reunet.io.scene import open_scene
from reunet.io.tissue import find_tissue
from reunet.slices import all_of, grid

ALIKE = 0.05
"""Share by which pixels may be larger or smaller than those of the training: scanners differ so."""

LARGER = 1.5
"""So many times smaller or larger than in training objects may look before it is said: augmentation shows a
network about as much.
"""

VIEWED = 2**20
"""Pixels that the level has in which tissue is looked for, or more."""

VIEW = 4096
"""Pixels per side of the view in which tissue is looked for."""

Sides = tuple[float, ...]


def is_pyramid(header: ImageHeader) -> bool:
    """Whether an image is predicted at a level of its own: a slide, or a pyramid in micrometres."""
    has_levels = len(header.levels) > 1 and header.pages == 1 and header.map is None
    return header.slide or (has_levels and header.spacing is not None)


def check_level(job: Job, header: ImageHeader) -> None:
    """Raise ImageReadError for a level that is not there, UsageError for a slide's field of view."""
    path, count = job.source.path, len(header.levels) if is_pyramid(header) else 0
    if job.fov is not None and count:
        raise UsageError("slides have no fields of view: their tissue is found", where="--fov", received=path)
    if job.level is not None and job.level >= count:
        raise ImageReadError(
            "the image has no such level",
            where=path,
            expected=f"level 0, the finest, to {count - 1}" if count else "a slide or pyramid in micrometres",
            received=f"--level {job.level}",
            fix=None if count else "leave --level out",
        )


def opened_source(job: Job, rank: int, level: int = 0) -> AbstractContextManager[LazyImage]:
    """The image of a job, to be read in parts: of a file, or of the tiles of a scene."""
    if job.source.tiles:
        return open_scene(job.source.tiles, job.channels)
    return open_lazily(job.source.path, rank=rank, axes=job.axes, channels=job.channels, level=level)


@contextmanager
def opened(job: Job, header: ImageHeader, plan: Plan) -> Iterator[LazyImage]:
    """An image to be predicted section by section.

    header: of its finest level. A slide is opened at the level for the micrometres per pixel of the plan, or
    at that of the job. Raises ImageReadError for a slide that does not tell how large its pixels are.
    """
    path, rank, axes = job.source.path, len(header.size), job.axes
    level, scale = level_of(job, header, plan)
    tissue = None
    if header.slide or (is_pyramid(header) and header.channels == 3):
        with open_lazily(path, rank=rank, axes=axes, level=_viewed(header)) as image:
            view, sides = _view_of(image), image.header.spacing
            pixel = None if sides is None else sides[0] * image.header.size[0] / len(view)
            found = find_tissue(view, pixel)
            tissue = None if found.share == 1 else found
    with opened_source(job, rank, level) as image:
        yield replace(image, scale=scale, tissue=tissue)


def level_of(job: Job, header: ImageHeader, plan: Plan) -> tuple[int, Sides | None]:
    """The level that a job is predicted at, and the size of its pixels in those of the training, None where
    they are taken for these.

    It is the coarsest one whose pixels are not larger than those that the network sees, or else the finest;
    pixels that are still smaller are put together.
    """
    levels = header.levels
    if job.level is not None:
        return job.level, None
    if not is_pyramid(header):
        return 0, None
    if header.spacing is None:
        raise ImageReadError(
            "the slide does not say how many micrometres its pixels have",
            where=job.source.path,
            expected="MPP in its description, or a resolution per centimetre",
            fix="say which of its levels looks like the training images, such as --level 0 for the finest",
        )
    if plan.micrometres is None:
        return 0, None
    wanted = plan.spacing or (1.0, 1.0)
    sides = [
        tuple(
            s * n / m / t
            for s, n, m, t in zip(header.spacing, header.size, size, plan.micrometres, strict=True)
        )
        for size in levels
    ]
    shares = [(prod(own) / prod(wanted)) ** 0.5 for own in sides]
    level = max((i for i, share in enumerate(shares) if share <= 1 + ALIKE), default=0)
    return level, wanted if abs(shares[level] - 1) <= ALIKE else sides[level]


def told_of(job: Job, header: ImageHeader, plan: Plan) -> list[str]:
    """What is to be said of the size of an image's pixels: of a slide, that the run does not know which level
    is meant; of others, that they differ much from those that it learned from.
    """
    name = job.source.path.name
    if is_pyramid(header) and job.level is None and plan.micrometres is None:
        return [
            f"{name}: the training images of this run state no micrometres, so the finest of its "
            f"{len(header.levels)} levels is predicted; --level N takes another"
        ]
    if is_pyramid(header) or plan.micrometres is None or header.micrometres is None:
        return []
    ours, theirs = (prod(sides) ** 0.5 for sides in (plan.micrometres, header.micrometres))
    if 1 / LARGER <= ours / theirs <= LARGER:
        return []
    return [
        f"{name}: a pixel is {theirs:.3g} micrometres wide, those that this run learned from {ours:.3g}: "
        f"it sees objects {ours / theirs:.2g} times as large as it knows them; resize the image by "
        f"{theirs / ours:.2g}, or train on such images"
    ]


def _view_of(image: LazyImage) -> np.ndarray:
    """The whole image at VIEW pixels or less per side, (h, w, C), the mean over what a pixel covers."""
    height, width = image.header.size
    factor = max(1, max(height, width) // VIEW)
    rows = max(1, image.chunk[0] // factor) * factor
    parts = []
    for part in grid(all_of(image.header.size), (rows, width)):
        pixels = image.read(part)
        to = max(1, width // factor), max(1, len(pixels) // factor)
        parts.append(cv2.resize(pixels, to, interpolation=cv2.INTER_AREA).reshape(*to[::-1], -1))
    return np.concatenate(parts)


def _viewed(header: ImageHeader) -> int:
    """The coarsest level that still shows enough to find tissue in."""
    enough = [number for number, size in enumerate(header.levels) if prod(size) >= VIEWED]
    return max(enough, default=0)
