"""What a dataset was understood to be, in words: on the terminal and on the contact sheet."""

from collections.abc import Mapping, Sequence

from reunet.contracts.results import CheckResult, ClassFacts

MOST_CLASSES = 24
"""Classes that are listed; of more the others are counted."""


def understood(result: CheckResult) -> dict[str, str]:
    """Short texts by what they are about; only what there is."""
    facts, first, others = result.facts, result.tasks[:1], result.tasks[1:]
    is_volume = bool(facts.sizes) and len(facts.sizes[0]) == 3
    known = [one for one in facts.classes if one.pixels is not None]
    unknown = f", {percent(facts.unlabelled)} of all unlabelled" if facts.unlabelled else ""
    of_pixels = f" of the labelled pixels{unknown}" if known else ""
    objects = [f"{one.objects:,} {one.name}" for one in facts.classes if one.objects is not None]
    told = {
        "tasks": "".join(first) + (f" (with --task also {', '.join(others)})" if others else ""),
        "classes": _listed([f"{one.name} {percent(one.pixels)}" for one in known]) + of_pixels,
        "objects": _listed(objects),
        "images of": _listed([f"{one.name} {one.images}" for one in facts.categories]),
        "sizes": _ends(facts.sizes, "voxels" if is_volume else "pixels"),
        "channels": _counts(facts.channels),
        "samples": _counts(facts.dtypes) + _values(facts.values),
        "spacing": _ends(facts.spacings, "mm" if is_volume else "micrometres"),
        "sequences": str(facts.sequences or ""),
    }
    return {name: text for name, text in told.items() if text}


def percent(share: float | None) -> str:
    """A share of pixels; small ones with as many digits as tell them from none."""
    if share is None:
        return ""
    return f"{100 * share:.1f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.2g} %"


def amount(one: ClassFacts) -> str:
    """What there is of a class: its share of pixels, else objects, else images."""
    if one.pixels is not None:
        return percent(one.pixels)
    return f"{one.images:,} images" if one.objects is None else f"{one.objects:,} objects"


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_CLASSES} more" if len(texts) > MOST_CLASSES else ""
    return ", ".join(texts[:MOST_CLASSES]) + more


def _ends(values: Sequence[Sequence[float]], unit: str) -> str:
    sides = [
        " x ".join(f"{side:.4g}" if isinstance(side, float) else str(side) for side in one) for one in values
    ]
    if len(sides) < 2:
        return "".join(f"{side} {unit}" for side in sides)
    return f"{sides[0]} to {sides[2]} {unit}, median {sides[1]}"


def _counts(counts: Mapping[int, int] | Mapping[str, int]) -> str:
    """What all images have, or how many have what."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{value} ({count} images)" for value, count in counts.items())


def _values(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f", values {ends[0]:.6g} to {ends[1]:.6g}"
