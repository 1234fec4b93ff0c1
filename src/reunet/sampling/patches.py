"""Which patch of which case, or window of frames, is shown when: batch k as a pure function of (seed, k)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from reunet.contracts.boxes import no_boxes
from reunet.contracts.labels import IGNORE
from reunet.contracts.plan import Plan
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.sampling.appearance import change_appearance
from reunet.sampling.bad_frames import Faults
from reunet.sampling.boxes import boxes_in_patch, shown
from reunet.sampling.intensity import affine, scaled
from reunet.sampling.prompt import Points, dots, draw
from reunet.sampling.warp import coordinate_map, resample
from reunet.sampling.windows import Window, all_windows, sequences

REMEMBERED = 500
"""Foreground positions remembered per case and class."""

Targets = Callable[[Truth], dict[str, np.ndarray]]
"""What each head of the network should say of a patch, from what is known about it."""

Batch = tuple[np.ndarray, dict[str, np.ndarray]]
"""Images (B, *space, C) float32 normalised, and by head its targets, such as labels (B, *space') int32 with
IGNORE; of sequences with an axis T after B."""


class PatchSampler:
    """Draws augmented training batches.

    Every case that is annotated is shown once per epoch, a corrected one `plan.corrected_sampling` times, in
    an order of its own; a share of the patches is centred on foreground, its class drawn among those the case
    has, by `plan.class_sampling` or evenly. With `plan.clip` a patch is a window of frames, see `windows.py`;
    all frames of it, and of the windows that carry on from it in the next batches, are read along the same
    coordinates and change their appearance in the same way. Some are then spoilt, see `bad_frames.py`.

    targets: of the run's tasks; the labels for a head `semantic` by default.
    margin: pixels per side that the network's output lacks, per axis; its targets lack them too.
    augment: False for plain crops, as used to re-estimate statistics.
    share: the places of a batch that are drawn; all by default. Together, shares are the whole batch.

    halved: from which batch on they hold how many patches, where that is not the plan's number.
    """

    def __init__(
        self,
        cases: Sequence[CaseArrays],
        plan: Plan,
        *,
        targets: Targets | None = None,
        margin: tuple[int, ...] | None = None,
        augment: bool = True,
        share: range | None = None,
    ) -> None:
        self.share, self.halved = range(plan.batch) if share is None else share, plan.schedule.halved
        self.cases, self.plan, self.targets = tuple(cases), plan, targets or _labels
        self.margin = margin or (0,) * len(plan.patch)
        self.augmentation = plan.augmentation if augment else None
        self._bad = self.augmentation.frames if self.augmentation is not None and plan.clip else None
        self._sequences = {frame: sequence for sequence in sequences(self.cases) for frame in sequence}
        windows = all_windows(self.cases, plan.clip)
        self._annotated = [_tells_something(case.truth) for case in self.cases]
        shown = [one for one in windows if self._is_annotated(one)]
        self.windows = tuple(one for one in shown for _ in range(self._times(one)))
        self.carry = plan.clip.carry if plan.clip else 1
        self._affine = cache(lambda number: affine(self.cases[number].image, plan.input.intensity))
        self._positions = cache(self._find_positions)

    @property
    def patches_per_epoch(self) -> float:
        """Patches, each a window of frames where there is time, after which every case was shown once."""
        return len(self.windows) / (self.plan.clip.frames if self.plan.clip else 1)

    def batch(self, k: int) -> Batch:
        """Batch number k. The same for the same plan, seed and cases, in any process."""
        chain, part = divmod(k, self.carry)
        size, shown = self.size(chain), self.shown(chain)
        slots = self.share if size == self.plan.batch else range(size)
        patches = [self._patch(shown + slot, part) for slot in slots]
        images, targets = zip(*patches, strict=True)
        return np.stack(images), _stacked(targets)

    def shown(self, k: int) -> int:
        """How many patches the batches before batch k hold; of windows that carry on, the chains before k."""
        total, since, size = 0, 0, self.plan.batch
        for first, smaller in self.halved:
            if first < k:
                total, since, size = total + (first - since) * size, first, smaller
        return total + (k - since) * size

    def size(self, k: int) -> int:
        """How many patches batch k holds."""
        return self.shown(k + 1) - self.shown(k)

    def _patch(self, index: int, part: int) -> Batch:
        epoch, position = divmod(index, len(self.windows))
        window = self.windows[int(self._order(epoch)[position])]
        rng = np.random.default_rng((self.plan.seed, 1, index))
        faults = self._faults(index, len(window.frames))
        if faults is not None:
            skipping = window.skipping(faults.skipped, self._sequences[window.frames[0]])
            window = skipping if self._is_annotated(skipping) else window
        anchors = window.anchors
        center = self._center(anchors[int(rng.integers(len(anchors))) if len(anchors) > 1 else 0], rng)
        coordinates = coordinate_map(self.plan.patch, center, self.augmentation, rng, self.plan.spacing)
        images, targets, points = self._frames(window.part(part, self.carry), coordinates, index)
        if self.augmentation is not None:
            # Frames as channels: a change is drawn once and is the same for all of them; only noise differs.
            noise = np.random.default_rng((self.plan.seed, 3, index, part)) if part else rng
            changed = change_appearance(np.concatenate(images, axis=-1), self.augmentation, rng, noise)
            images = np.split(changed, np.cumsum([image.shape[-1] for image in images])[:-1], axis=-1)
        if faults is not None:
            broken = np.random.default_rng((self.plan.seed, 5, index, part))
            images = faults.spoil(images, part * len(images), broken)
        channels = self.plan.input.channels  # more than the image's own where grey and RGB are mixed
        images = [np.broadcast_to(image, (*image.shape[:-1], channels)) for image in images]
        if self.plan.prompt is not None:
            images = [np.concatenate([images[0], dots(points, self.plan.patch)], axis=-1)]
        return (np.stack(images), _stacked(targets)) if self.plan.clip else (images[0], targets[0])

    def _frames(
        self, window: Window, coordinates: np.ndarray, index: int
    ) -> tuple[list[np.ndarray], list[dict[str, np.ndarray]], Points]:
        """Images (*space, C) and targets of the frames, read along the same coordinates; with a prompt the
        points that patch number `index` is asked by.
        """
        images, targets, intensity = [], [], self.plan.input.intensity
        points: Points = ()
        inside = tuple(slice(m, side - m) for m, side in zip(self.margin, self.plan.patch, strict=True))
        inner = coordinates[inside]
        for number, counts in zip(window.frames, window.counted, strict=True):
            case = self.cases[number]
            images.append(scaled(resample(case.image, coordinates), intensity, *self._affine(number)))
            truth = case.truth if counts else Truth()
            known = _in_patch(truth, inner, case.image.shape[:-1])
            if self.plan.prompt is not None:
                rng = np.random.default_rng((self.plan.seed, 7, index))
                known, found = draw(known, self.plan.labels, rng)
                points = [tuple(np.add(point, self.margin)) for point in found]
            told = self.targets(known)
            if len(told) < len(self.plan.network.heads):  # what is not told of this frame is not learned
                told = self.targets(_unknown(inner.shape[:-1])) | told
            targets.append(told)
        return images, targets, points

    def _faults(self, index: int, frames: int) -> Faults | None:
        """What befalls the frames of a chain of windows, drawn apart so that all else stays as it is."""
        if self._bad is None:
            return None
        rng = np.random.default_rng((self.plan.seed, 4, index))
        return Faults.draw(self._bad, frames, self.plan.patch, rng)

    def _is_annotated(self, window: Window) -> bool:
        return any(self._annotated[frame] for frame in window.anchors)

    def _times(self, window: Window) -> int:
        """How often a window is shown in an epoch."""
        is_corrected = any(self.cases[frame].corrected for frame in window.anchors)
        return self.plan.corrected_sampling if is_corrected else 1

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.plan.seed, 0, epoch)).permutation(len(self.windows))

    def _center(self, number: int, rng: np.random.Generator) -> tuple[float, ...]:
        case, (foreground, labelled) = self.cases[number], self._positions(number)
        wanted: np.ndarray
        if rng.random() < self.plan.foreground_sampling and foreground:
            positions = foreground[self._class(sorted(foreground), rng)]
            # The chosen pixel is anywhere in the middle half of the patch, not always at its centre.
            shift = rng.uniform(-0.25, 0.25, len(self.plan.patch)) * self.plan.patch
            wanted = positions[int(rng.integers(len(positions)))] + shift
        elif labelled is not None:
            wanted = labelled[int(rng.integers(len(labelled)))] + 0.5
        else:
            wanted = rng.uniform(0, case.image.shape[:-1])
        return self._inside(case, wanted)

    def _class(self, present: list[int], rng: np.random.Generator) -> int:
        """One of the classes that a case shows."""
        weights = np.array([self.plan.class_sampling[index] for index in present if self.plan.class_sampling])
        if not weights.size:
            return present[int(rng.integers(len(present)))]
        return present[int(rng.choice(len(present), p=weights / weights.sum()))]

    def _inside(self, case: CaseArrays, wanted: np.ndarray) -> tuple[float, ...]:
        """Move a centre so that the unrotated patch shows as much of the image as it can."""
        size = np.array(case.image.shape[:-1])
        half = np.minimum(self.plan.patch, size) / 2
        return tuple(map(float, np.clip(wanted, half, size - half)))

    def _find_positions(self, number: int) -> tuple[dict[int, np.ndarray], np.ndarray | None]:
        """Some pixels of each foreground class that the case has, by its index, and, where a part of it is
        unlabelled, some of the labelled ones; each (n, rank) int (z,) y, x.
        """
        case = self.cases[number]
        rng = np.random.default_rng((self.plan.seed, 2, number))

        def some(wanted: np.ndarray) -> np.ndarray:
            pixels = np.flatnonzero(wanted)
            chosen = rng.choice(pixels, min(len(pixels), REMEMBERED), replace=False)
            return np.stack(np.unravel_index(chosen, wanted.shape), axis=1)

        labels, boxes, known = case.labels, case.beside.boxes, case.truth.boxes_told
        found: dict[int, np.ndarray] = {}
        if labels is not None:
            masks = {index: labels == index for index in self.plan.labels.foreground}
            found = {index: some(mask) for index, mask in masks.items() if mask.any()}
            known = labels != IGNORE
        elif boxes is not None:
            centers = boxes.corners.reshape(-1, 2, 2).mean(axis=1)
            found = {int(index): centers[boxes.classes == index] for index in np.unique(boxes.classes)}
        if known is None or known.all() or not known.any():
            return found, None
        return found, some(known)


def _tells_something(truth: Truth) -> bool:
    """Whether anything can be learned of it: a mask may be unlabelled everywhere."""
    if truth.labels is None or truth.boxes is not None or truth.category is not None:
        return bool(truth)
    return bool((truth.labels != IGNORE).any())


def _labels(truth: Truth) -> dict[str, np.ndarray]:
    return {} if truth.labels is None else {"semantic": truth.labels}


def _in_patch(truth: Truth, coordinates: np.ndarray, size: tuple[int, ...]) -> Truth:
    """What is known of a patch; coordinates: (*patch, rank) as of `coordinate_map`. size: of the image."""

    def read(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else resample(array, coordinates, nearest=True)

    labels, boxes = read(truth.labels), None
    seen = None if truth.known is None else read(truth.known.view(np.uint8))
    known: np.ndarray | None = None if seen is None else seen != 0
    if truth.boxes is not None:
        told = replace(truth, labels=labels, known=known).boxes_told
        boxes, known = boxes_in_patch(truth.boxes, coordinates), shown(coordinates, (size[0], size[1]))
        known = known if told is None else known & told
    return Truth(labels, read(truth.objects), boxes, truth.category, known, classes=truth.classes)


def _unknown(shape: tuple[int, ...]) -> Truth:
    """Of a frame that does not count."""
    return Truth(np.full(shape, IGNORE, np.uint8), np.zeros(shape, np.int32), no_boxes(), IGNORE)


def _stacked(targets: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The targets of patches together; whole numbers as int32."""
    stacks = {name: np.stack([one[name] for one in targets]) for name in targets[0]}
    return {
        name: stack if stack.dtype.kind == "f" else stack.astype(np.int32) for name, stack in stacks.items()
    }


AHEAD = 4
"""Batches kept ready: enough to bridge a slow one, few enough that timing the first steps sees their cost."""


def batches(sampler: PatchSampler, start: int, stop: int, *, threads: int = 2) -> Iterator[Batch]:
    """Batches start .. stop-1 in order. threads: how many sample in the background; 0 for none.

    Resuming is starting elsewhere: batch k does not depend on what was read before. An exception in a
    thread is raised here, with its cause.
    """
    cv2.setNumThreads(1)  # the threads below are the parallelism; more would only compete
    if threads == 0:
        return map(sampler.batch, range(start, stop))
    import grain

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.range(start, stop).map(sampler.batch).to_iter_dataset(options))
