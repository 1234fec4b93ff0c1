"""What a dataset was understood to be: classes with their shares, objects, sizes, samples, spacing."""

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import ClassFacts, DatasetFacts
from reunet.datasets.examine import Examined
from reunet.datasets.scan import Scan


def facts_of(scan: Scan, found: Sequence[Examined]) -> DatasetFacts:
    """The facts of the cases that could be read."""
    headers = [one.header for one in found if one.header is not None]
    sizes = sorted({header.size for header in headers}, key=lambda size: (prod(size), size))
    all_sizes = sorted((header.size for header in headers), key=lambda size: (prod(size), size))
    spacings = sorted((header.spacing for header in headers if header.spacing), key=prod)
    values = [one.values for one in found if one.values is not None]
    sequences = {(one.case.split, one.case.sequence) for one in found if one.case.sequence is not None}
    pixels = _sum([one.pixel_counts for one in found])
    unknown = int(pixels[IGNORE]) / pixels.sum() if pixels.any() else None
    labels = scan.labels if scan.labels is not scan.categories else None
    return DatasetFacts(
        classes=() if labels is None else _classes(labels, found, pixels),
        categories=() if scan.categories is None else _categories(scan.categories, found),
        unlabelled=unknown,
        sizes=_ends(all_sizes) if sizes else (),
        spacings=_ends(spacings),
        channels=dict(sorted(Counter(header.channels for header in headers).items())),
        dtypes=dict(Counter(header.dtype for header in headers).most_common()),
        values=(min(low for low, _ in values), max(high for _, high in values)) if values else None,
        sequences=len(sequences),
    )


def _ends(ordered: Sequence[Any]) -> tuple[Any, ...]:
    """The smallest, the median and the largest; one where all are equal."""
    if not ordered:
        return ()
    some = (ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1])
    return some[:1] if some[0] == some[2] else some


def _sum(counts: Sequence[np.ndarray | None]) -> np.ndarray:
    total = np.zeros(256, np.int64)
    for one in counts:
        total += 0 if one is None else one
    return total


def _classes(labels: LabelMap, found: Sequence[Examined], pixels: np.ndarray) -> tuple[ClassFacts, ...]:
    told = int(pixels[:IGNORE].sum())
    objects = _sum([one.object_counts for one in found])
    are_told = any(one.object_counts is not None for one in found)
    shows = _sum([(_sum([one.pixel_counts, one.object_counts]) > 0).astype(np.int64) for one in found])
    return tuple(
        ClassFacts(
            entry.name,
            images=int(shows[i]),
            pixels=int(pixels[i]) / told if told else None,
            objects=int(objects[i]) if are_told and entry.foreground else None,
        )
        for i, entry in enumerate(labels.classes)
    )


def _categories(categories: LabelMap, found: Sequence[Examined]) -> tuple[ClassFacts, ...]:
    counts = Counter(one.case.category for one in found)
    return tuple(ClassFacts(name, images=counts[i]) for i, name in enumerate(categories.names))
