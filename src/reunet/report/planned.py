"""The page of a plan: the dataset as it was understood, what the network will be shown, each choice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import Plan
from reunet.contracts.results import CheckResult, Prediction
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.examine import Examined
from reunet.datasets.scan import Scan
from reunet.io.planes import in_planes
from reunet.planning.cost import training_bytes
from reunet.report import plots
from reunet.report.contact_sheet import contact_sheet
from reunet.report.examples import Picture, data_uri, display_factor, drawn_over
from reunet.report.page import choices_of, render
from reunet.report.understood import percent, understood
from reunet.sampling.patches import PatchSampler
from reunet.storage import write_text
from reunet.tasks import task

CROPS, SAMPLED, PIXELS = 10, 40, 20_000
"""Patches that are shown; images whose brightness is drawn, and pixels of each."""


@dataclass(frozen=True)
class Planned:
    """What a page of a plan tells.

    scan, examined, check: the dataset as it was read. train: the cases trained on, at the size the network
    sees them; stored: the same as they lie on the disk.
    """

    plan: Plan
    fingerprint: Fingerprint
    scan: Scan
    examined: Sequence[Examined]
    check: CheckResult
    train: Sequence[CaseArrays]
    stored: Sequence[CaseArrays]


def write_plan_page(path: Path, planned: Planned) -> None:
    """Write the page atomically as one HTML file, pictures and plots inside. Raises StorageError."""
    plan, check = planned.plan, planned.check
    shown = {one.case.split for one in planned.examined}
    check = replace(check, counts={split: n for split, n in check.counts.items() if split in shown})
    page = render(
        "planned.html",
        title=plan.dataset,
        tasks=", ".join(task(name).title for name in plan.tasks),
        facts=expected(planned) | {name.capitalize(): text for name, text in understood(check).items()},
        warnings=[f"{one.file}: {one.message}" for one in check.problems],
        sheet=data_uri(contact_sheet(planned.scan, planned.examined, check)),
        crops=[data_uri(one) for one in crops(planned.train, plan)],
        patch=" x ".join(map(str, plan.patch)),
        drawn=drawings(planned),
        choices=choices_of(plan),
    )
    write_text(path, page)


def expected(planned: Planned) -> dict[str, str]:
    """What the training will take, by name."""
    plan, schedule = planned.plan, planned.plan.schedule
    frames = (plan.clip.frames,) if plan.clip else ()
    memory = training_bytes(plan.network, (*frames, *plan.patch), plan.batch)
    time = f"{schedule.minutes:g} minutes" if schedule.minutes else f"{schedule.steps:,} steps"
    return {
        "Training": f"{time}, batches of {plan.batch}",
        "Memory": f"about {memory / 1e9:.1f} GB while it trains",
        "Images": f"{planned.fingerprint.n_train} to train on, {planned.fingerprint.n_val} held out",
    }


def crops(cases: Sequence[CaseArrays], plan: Plan, count: int = CROPS) -> list[Picture]:
    """The first patches that the network will be shown, with what it should answer drawn over them."""
    told: list[Truth] = []

    def remember(truth: Truth) -> dict[str, np.ndarray]:
        told.append(truth)
        return {}

    sampler = PatchSampler(cases, plan.model_copy(update={"batch": 1}), targets=remember)
    pictures = []
    for number in range(count):
        told.clear()
        images, _ = sampler.batch(number)
        image = images[0, 0] if plan.clip else images[0]
        pictures.append(_drawn(image, told[0], plan))
    return pictures


def _drawn(image: np.ndarray, truth: Truth, plan: Plan) -> Picture:
    """A patch (*space, C) with its truth."""
    known = Prediction(labels=truth.labels, instances=truth.objects, boxes=truth.boxes)
    if image.ndim == 4:
        image, known = in_planes(image, known, plan.labels, plan.spacing or (1.0, 1.0, 1.0))
    ground, over = drawn_over(image, known, plan.labels, max(1.0, display_factor(image.shape)))
    return ground if over is None else over


def drawings(planned: Planned) -> list[str]:
    """Plots of brightness, sizes and classes; only those that tell something."""
    fingerprint = planned.fingerprint
    drawn = [brightness(planned.stored, fingerprint.channel_names)]
    sizes = np.array([one.size for one in fingerprint.cases])
    if len({tuple(size) for size in sizes.tolist()}) > 1:
        drawn.append(extent(sizes, planned.plan.patch))
    names, shares = planned.plan.labels.names, fingerprint.class_fraction
    if len(shares) > 1:
        drawn.append(amounts("Share of the pixels", dict(zip(names, shares, strict=True)), percent))
    if fingerprint.categories is not None and fingerprint.category_counts:
        counts = dict(zip(fingerprint.categories.names, fingerprint.category_counts, strict=True))
        drawn.append(amounts("Images of each class", counts, lambda count: f"{count:,.0f}"))
    objects = {one.name: one.objects for one in planned.check.facts.classes if one.objects}
    if len(objects) > 1:
        drawn.append(amounts("Objects of each class", objects, lambda count: f"{count:,.0f}"))
    return drawn


def brightness(cases: Sequence[CaseArrays], names: Sequence[str]) -> str:
    """How often which value occurs in each channel of some of the images."""
    some = [cases[i] for i in np.unique(np.linspace(0, len(cases) - 1, SAMPLED).astype(int))]
    rng = np.random.default_rng(0)
    channels = min(case.image.shape[-1] for case in some)
    values = np.concatenate([_some_pixels(case.image, rng)[:, :channels] for case in some])
    low, high = np.percentile(values, [0.1, 99.9])
    bins = np.linspace(low, max(high, low + 1), 65)

    def paint(axes: Any) -> None:
        colors = ("#d2453c", "#2a9d4a", "#2b7bba") if channels == 3 else plots.SERIES
        for number, color in zip(range(channels), colors, strict=False):
            label = names[number] if len(names) == channels else f"channel {number + 1}"
            axes.hist(values[:, number], bins=bins, histtype="step", color=color, linewidth=1.4, label=label)
        axes.set(title="Values of the images", xlabel="value as stored", ylabel="pixels", yticks=[])
        if channels > 1:
            plots.legend(axes)

    return plots.draw(paint)


def _some_pixels(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, C) float32, drawn with replacement."""
    places = tuple(rng.integers(0, side, PIXELS) for side in image.shape[:-1])
    return np.asarray(image[places], np.float32)


def extent(sizes: np.ndarray, patch: Sequence[int]) -> str:
    """Height and width of each image, and of the patch."""

    def paint(axes: Any) -> None:
        axes.scatter(sizes[:, -1], sizes[:, -2], s=22, alpha=0.5, color=plots.SERIES[0], label="an image")
        axes.scatter(patch[-1], patch[-2], marker="s", s=50, color=plots.SERIES[1], label="the patch")
        axes.set(title="Sizes", xlabel="width, pixels", ylabel="height, pixels")
        axes.set(xlim=(0, None), ylim=(0, None))
        plots.legend(axes)

    return plots.draw(paint)


def amounts(title: str, values: Mapping[str, float], text: Callable[[float], str]) -> str:
    """A bar per class, the most frequent on top, with its number."""
    ranked = sorted(values.items(), key=lambda one: one[1])[-16:]

    def paint(axes: Any) -> None:
        names, heights = zip(*ranked, strict=True)
        bars = axes.barh(range(len(names)), heights, color=plots.SERIES[0])
        axes.bar_label(bars, [text(height) for height in heights], padding=3)
        axes.set(title=title, xticks=[], xlim=(0, 1.2 * max(heights)))
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False)

    return plots.draw(paint, height=max(2.2, 0.9 + 0.26 * len(ranked)))
