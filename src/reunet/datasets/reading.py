"""A case as its files store it, and what is wrong with them: the one way from files to arrays."""

import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reunet.contracts.findings import Findings, relative
from reunet.contracts.results import Problem
from reunet.datasets.cache import Array, Stored, find, key_of, publish
from reunet.datasets.cases import Case, raise_errors
from reunet.errors import DataError, ImageReadError, LabelError, SizeError, TooLargeError
from reunet.io.annotations.ctc import with_identities
from reunet.io.annotations.instances import check_instances, read_instances_file, read_object_masks
from reunet.io.formats.table import place_of, sha256_image, state_of
from reunet.io.header import ImageHeader, is_large
from reunet.io.images import read_channel_files, read_header, read_known, read_palette
from reunet.io.masks import (
    check_page,
    check_shape,
    read_fov,
    read_layer_files,
    read_mask_file,
    without_nodata,
)
from reunet.io.numbers import LARGEST, unusable
from reunet.io.placing import placed
from reunet.progress import NullProgress, Progress

T = TypeVar("T")


@dataclass
class Reading:
    """What reading a case gave.

    arrays: those of `image` (*space, C), `mask` as `read_raw_mask` gives it, its `palette` (n, 3) uint8,
    `ids` (*space) int32 of single objects and `fov` (*space) bool that it has and that can be read.
    hashes: SHA-256 of the content of its files. headers: of those files, by the same names.
    ids: those that are in the file of objects and, where tracks have one of their own, in that, without 0.
    pixels: hash of the decoded image; None when it is unreadable or constant. dtype: of its samples.
    problems: what is wrong with the files. cause: the first error, as it was raised.
    """

    problems: Findings
    arrays: Mapping[str, Array] = field(default_factory=dict)
    hashes: Mapping[Path, str] = field(default_factory=dict)
    headers: dict[str, ImageHeader] = field(default_factory=dict)
    ids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pixels: str | None = None
    dtype: str | None = None
    cause: DataError | None = None

    @property
    def header(self) -> ImageHeader | None:
        """That of the image; None when it is unreadable."""
        return self.headers.get("image")

    @property
    def is_sound(self) -> bool:
        """Whether no file has an error."""
        return all(problem.severity != "error" for problem in self.problems)

    def image(self, case: Case) -> Array:
        """The image. Raises ImageReadError, LabelError or DataError when something is wrong with a file."""
        if self.cause is not None:
            raise self.cause
        raise_errors(self.problems, case.image)
        return self.arrays["image"]


class CaseReader:
    """Reads the cases of the dataset in `root`, each once, and remembers what lies in the cache.

    axes: as for `read_header`. keep: put what is read into the cache, but for the test split, which is seldom
    read again.
    """

    def __init__(
        self, root: Path, axes: str | None = None, progress: Progress | None = None, *, keep: bool = True
    ) -> None:
        self.root, self.axes, self._keep = root, axes, keep
        self._progress = progress or NullProgress()
        self._known: dict[object, Reading] = {}

    def __call__(self, case: Case) -> Reading:
        """As `read_case` gives it."""
        place = case.files, case.page, case.channels
        found = self._known.get(place)
        if found is not None and all(name in found.arrays for name in found.headers):
            return found
        reading = read_case(case, self.root, self.axes, keep=self._keep and case.split != "test")
        stored = {name: array for name, array in reading.arrays.items() if isinstance(array, Stored)}
        self._known[place] = replace(reading, arrays=stored)
        return reading

    def each(
        self, cases: Sequence[Case], do: Callable[[Case, Reading], T], what: str = "reading images and masks"
    ) -> list[T]:
        """`do` with every case and what reading it gave, in parallel; in the order of the cases. The progress
        says `what` that is.
        """
        self._progress.start(what, len(cases))
        with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
            futures = [pool.submit(lambda case: do(case, self(case)), case) for case in cases]
            for _ in as_completed(futures):
                self._progress.advance()
        return [future.result() for future in futures]


def read_case(
    case: Case, root: Path | None = None, axes: str | None = None, *, keep: bool = True, check: bool = True
) -> Reading:
    """The arrays of a case as its files store them and what is wrong with them, from the cache or the files.

    root: problems tell files relative to it. keep: put what is read into the cache, where it is found by the
    content of the files, their roles, the page and the axes; a case with errors never is. check: False looks
    for what keeps the arrays from being used only, and keeps nothing.
    """
    root = root or case.image.parent
    try:
        hashes = file_hashes(case)
    except ImageReadError:  # what it is is said when the file is decoded
        return decode(case, root, axes, check=check)
    roles = [(one.name, getattr(case.files, one.name)) for one in fields(case.files)]
    told = [f"{name} {_told(value, hashes)}" for name, value in roles]
    told += [f"channel {name}" for name in case.channels]
    key = key_of(*(one.name for one in fields(ImageHeader)), case.page, axes, *told)
    places = [*case.files.all, *(path.parent for path in case.files.all)]
    names = [relative(path, root, case.page) for path in places]
    found = find(key)
    if found is None:
        reading = replace(decode(case, root, axes, check=check), hashes=hashes)
        if not (keep and check and reading.is_sound):
            return reading
        arrays = {name: array for name, array in reading.arrays.items() if isinstance(array, np.ndarray)}
        found = publish(key, arrays, _as_facts(reading, names))
    stored, facts = found
    problems = Findings(root, case.page)
    problems += [
        Problem(severity, code, names[place], *texts) for severity, code, place, *texts in facts["problems"]
    ]
    headers = {name: ImageHeader.from_json(told) for name, told in facts["headers"].items()}
    ids = {name: tuple(some) for name, some in facts["ids"].items()}
    return Reading(problems, stored, hashes, headers, ids, facts["pixels"], facts["dtype"])


def _as_facts(reading: Reading, names: Sequence[str]) -> dict[str, Any]:
    """All but the arrays, as JSON; files by their place in `names`, as other files may have this content."""
    told = [astuple(problem) for problem in reading.problems]
    return {
        "headers": {name: header.as_json() for name, header in reading.headers.items()},
        "ids": reading.ids,
        "pixels": reading.pixels,
        "dtype": reading.dtype,
        "problems": [(severity, code, names.index(file), *texts) for severity, code, file, *texts in told],
    }


def decode(case: Case, root: Path, axes: str | None, *, check: bool = True) -> Reading:
    """What the files of a case hold, read without the cache."""
    return _Decoder(case, root, axes, check=check).read()


class _Decoder:
    """Reads the files of one case, each once, and collects what is wrong with them."""

    def __init__(self, case: Case, root: Path, axes: str | None, *, check: bool) -> None:
        self._channels = case.channels
        self._files, self._page, self._axes, self._check = case.files, case.page, axes, check
        self._arrays: dict[str, Array] = {}
        self._found = Reading(Findings(root, case.page), self._arrays)
        self._problems = self._found.problems

    def read(self) -> Reading:
        if not self._image():
            return self._found
        self._mask()
        if self._found.header is not None:
            self._fov(self._found.header)
            self._objects(self._found.header)
        return self._found

    @contextmanager
    def _noted(self, file: Path, otherwise: str, *codes: tuple[type[DataError], str]) -> Iterator[None]:
        """Note what reading a file raises, under the code of the first kind that it is of."""
        try:
            yield
        except DataError as cause:
            code = next((code for kind, code in codes if isinstance(cause, kind)), otherwise)
            self._problems.caught(code, file, cause)
            self._found.cause = self._found.cause or cause

    def _image(self) -> bool:
        """False where the image is left, as what annotates it is of another size."""
        path, files = self._files.image, (self._files.image, *self._files.channels)
        with self._noted(path, "image-unreadable", (TooLargeError, "image-too-large")):
            try:
                header, image = read_channel_files(
                    files, page=self._page, axes=self._axes, channels=self._channels, check=self._is_fitted
                )
            except SizeError as cause:
                self._problems.caught("shape-mismatch", Path(str(cause.where)), cause)
                self._found.cause = cause
                return False
            self._found.headers["image"], self._found.dtype = header, str(image.dtype)
            self._pixels(path, image)
            if header.nodata is not None:
                self._limit(read_known(path, self._page, self._axes))
        return True

    def _is_fitted(self, _path: Path, image: ImageHeader) -> None:
        """Compare a large image, which is not decoded yet, with the headers of what annotates it; of others
        all is read that can be, for what else is wrong. Raises SizeError.
        """
        if not is_large(image):
            return
        files, self._found.headers["image"] = self._files, image
        told = [("mask", path) for path in (files.mask, *files.layers)]
        told += [("field of view", files.fov), ("tracks", files.markers), ("instances", files.instances)]
        told += [("object mask", path) for path in (files.object_masks or ())[:1]]
        for what, path in told:
            with suppress(ImageReadError):  # what it is is said when the file is decoded
                if path is not None and not (header := read_header(path, self._axes)).fills:
                    check_page(path, header, image, what)

    def _fits(self, what: str, path: Path, header: ImageHeader) -> None:
        """Compare what annotates an image, and is large, with it before it is decoded. Raises SizeError."""
        image = self._found.header
        if image is not None and is_large(header) and not header.fills:
            check_page(path, header, image, what)

    def _pixels(self, path: Path, image: np.ndarray) -> None:
        if wrong := unusable(image):
            received = f"{wrong} values that are NaN or infinite, or beyond {LARGEST:g}"
            fix = "replace them, for example by the nearest valid pixel, or remove the image"
            message = "the image has values that are not finite, or too large"
            self._problems.error("not-finite", path, message, "finite numbers", received, fix)
            return
        self._arrays["image"] = image
        if bool((image == image[(slice(0, 1),) * (image.ndim - 1)]).all()):
            self._problems.warning("constant-image", path, "all pixels of the image are equal")
        else:
            digest = hashlib.sha256(f"{image.shape} {image.dtype}".encode())
            digest.update(np.ascontiguousarray(image).data)
            self._found.pixels = digest.hexdigest()

    def _mask(self) -> None:
        path, layers = self._files.mask, self._files.layers
        if path is None:
            return
        wrong = (SizeError, "shape-mismatch"), (LabelError, "mask-fractional")
        check = partial(self._fits, "mask")
        with self._noted(path, "mask-unreadable", *wrong, (TooLargeError, "mask-too-large")):
            if layers:
                header, raw = read_layer_files((path, *layers), self._page, self._axes, check)
            else:
                mask = read_mask_file(path, self._page, self._axes, check)
                header, raw = placed(*mask, self._found.header)
            raw, known = without_nodata(header, raw)
            self._found.headers["mask"], self._arrays["mask"] = header, raw
            self._limit(known)
            if header.palette and (table := read_palette(path, self._axes)) is not None:
                self._arrays["palette"] = table
            if self._found.header is not None:
                check_shape(path, header, self._found.header)

    def _fov(self, image: ImageHeader) -> None:
        if (fov := self._files.fov) is not None:
            with self._noted(fov, "fov-unreadable", (LabelError, "shape-mismatch")):
                self._limit(read_fov(fov, self._page, self._axes, image))
                self._found.headers["fov"] = read_header(fov, self._axes)

    def _limit(self, known: np.ndarray | None) -> None:
        """Nothing is known elsewhere, as files of their own say, or as what has no data."""
        before = self._arrays.get("fov")
        if known is not None:
            both = isinstance(before, np.ndarray) and before.shape == known.shape
            self._arrays["fov"] = known & before if both else known

    def _objects(self, image: ImageHeader) -> None:
        masks = self._files.object_masks
        where = self._files.instances or (masks[0].parent if masks else self._files.image)
        with self._noted(where, "instances-unreadable", (SizeError, "shape-mismatch")):
            ids = self._instances(image) if masks is None else self._object_masks(masks, image)
            if ids is not None:
                self._arrays["ids"] = ids
                if self._check:
                    check_instances(ids, where, self._problems)

    def _object_masks(self, masks: Sequence[Path], image: ImageHeader) -> np.ndarray:
        ids = read_object_masks(masks, self._problems, partial(self._fits, "object mask"))
        if ids is None:
            ids = np.zeros(image.size, np.int32)
        else:
            check_shape(masks[0].parent, ids.shape, image, "object mask")
        self._found.ids["objects"] = _present(ids)
        return ids

    def _instances(self, image: ImageHeader) -> np.ndarray | None:
        """Object ids (*space) int32, of tracked objects their tracks'; None without any."""
        path, tracks, markers = self._files.instances, self._files.markers, None
        if tracks is not None:
            check = partial(self._fits, "tracks")
            header, markers = read_instances_file(tracks, self._page, self._axes, check)
            check_shape(tracks, header, image, "tracks")
            self._found.ids["tracks"] = _present(markers)
        if path is None:
            return None
        found = read_instances_file(path, self._page, self._axes, partial(self._fits, "instances"))
        header, ids = placed(*found, image)
        check_shape(path, header, image, "instances")
        if markers is not None:
            ids, missing = with_identities(ids, markers)
            if missing:
                message = f"{missing} object(s) are marked by no track"
                self._problems.warning("object-untracked", path, message, "", "", "mark them in TRA/")
        self._found.headers["ids"] = header
        present = self._found.ids["objects"] = _present(ids)
        if header.dtype in ("uint8", "uint16") and len(present) == (limit := int(np.iinfo(header.dtype).max)):
            message = (
                f"all ids that {header.dtype} can hold are taken: further objects may have begun at 0 again"
            )
            expected, received = f"fewer than {limit} objects, or a larger type", f"{limit} ids"
            self._problems.warning("ids-full", path, message, expected, received)
        return ids


def _present(ids: np.ndarray) -> tuple[int, ...]:
    return tuple(np.unique(ids[ids > 0]).tolist())


def content_hash(case: Case, hashes: Mapping[Path, str] | None = None) -> str:
    """SHA-256 over the content of the case's files (and its page) and of what else annotates it.

    hashes: of the files where they are known. Raises ImageReadError.
    """
    known, files = file_hashes(case) if hashes is None else hashes, case.files
    parts = [str(case.page)]
    parts += ["" if path is None else known[path] for path in (files.image, files.mask, files.fov)]
    parts += [known[path] for path in (files.instances, files.markers) if path is not None]
    if files.object_masks is not None:
        parts += [f"{len(files.object_masks)} objects", *(known[path] for path in files.object_masks)]
    if case.objects is not None:
        parts.append(case.objects.content())
    if case.category is not None:
        parts.append(f"category {case.category}")
    parts += [known[path] for path in (*files.channels, *files.layers)]
    parts += [f"channel {name}" for name in case.channels]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def file_hashes(case: Case) -> dict[Path, str]:
    """SHA-256 of each file of a case. Raises ImageReadError."""
    return {path: _file_hash(path, many=case.page is not None) for path in case.files.all}


def _told(value: Path | tuple[Path, ...] | None, hashes: Mapping[Path, str]) -> str:
    return str(value and [hashes[path] for path in ((value,) if isinstance(value, Path) else value)])


def _file_hash(path: Path, *, many: bool) -> str:
    try:
        if many:  # the pages of one stack share one file: read it once
            return _remembered_hash(path, state_of(place_of(path)[0]))
        return sha256_image(path)
    except OSError as cause:
        raise ImageReadError("the file cannot be read", where=path, received=cause.strerror) from cause


@functools.lru_cache(maxsize=256)
def _remembered_hash(path: Path, _state: object) -> str:
    return sha256_image(path)
