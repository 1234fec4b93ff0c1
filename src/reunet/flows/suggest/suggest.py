"""`reunet suggest`: which images to label next."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from reunet.contracts.options.records import SuggestOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import Suggestion, SuggestResult
from reunet.datasets.scan import open_dataset
from reunet.errors import DataError, ReunetError, UsageError, beside
from reunet.flows.suggest.diversity import described, greedy
from reunet.flows.suggest.opinions import Opinions, opinions
from reunet.inference.load import load
from reunet.inference.predictor import Predictor
from reunet.io.images import image_suffix, read_channel_files, read_image, volume_spacing
from reunet.io.listing import image_files
from reunet.progress import NullProgress
from reunet.storage import csv_text, refuse_other, sha256_file, write_text
from reunet.texts import Language, translator

COLUMNS = ("rank", "image", "score", "distance", "reason", "objects", "changed_objects", "unsure_pixels")


@verb(SuggestOptions)
def suggest(options: SuggestOptions) -> SuggestResult:
    """Order unlabelled images by how much their labels would teach the run.

    First come images of which the run is least sure and that look unlike each other, and unlike those that
    `data` has labelled already, which are left out. How sure it is: confidence of objects and pixels, and
    whether the mirrored image is told the same. The CSV file `output` has a row per suggestion. Raises
    ModelFileError, DataError where there is no image, UsageError for a run for sequences.
    """
    refuse_other(options.output, ",".join(COLUMNS), "-o")
    predictor = load(options.run)
    if not isinstance(predictor, Predictor):
        fix = "label whole sequences, or train a run for single images"
        raise UsageError("this run is for sequences, images are suggested", where=options.run, fix=fix)
    progress = options.on_progress or NullProgress()
    files, failures = _files(options.images), {}
    labelled, looks_labelled = _labelled(options.data)
    found: list[tuple[Path, Opinions]] = []
    looks: list[np.ndarray] = []
    progress.start("looking at images", len(files))
    for path in files:
        try:
            if sha256_file(path) not in labelled:
                names = predictor.plan.input.channel_names
                _, image = read_channel_files((path,), axes=options.axes, channels=names)
                found.append((path, opinions(predictor, image, where=path, spacing=volume_spacing(path))))
                looks.append(described(image))
        except ReunetError as cause:
            failures[str(path)] = str(cause)
        progress.advance()
    order = greedy([one.score for _, one in found], np.array(looks), looks_labelled, options.number)
    suggestions = []
    for rank, (number, distance) in enumerate(order, 1):
        path, one = found[number]
        facts = {**one.facts, "distance": distance}
        suggestions.append(Suggestion(path, rank, one.score, reason(facts), facts, one.doubts))
    if options.output is not None:
        rows = ([getattr(one, c, one.facts.get(c)) for c in COLUMNS] for one in suggestions)
        write_text(options.output, csv_text(COLUMNS, rows))
    fitted = predictor.calibration
    temperatures = {"semantic": fitted.pixel_temperature, "classification": fitted.temperature}
    is_raw = any(temperatures.get(task) is None for task in predictor.plan.tasks)
    return SuggestResult(tuple(suggestions), "raw" if is_raw else "calibrated", len(files), failures)


def _files(given: Sequence[Path]) -> list[Path]:
    """The image files among what is given, and below folders. Raises DataError."""

    def all_files() -> Iterator[Path]:
        for path in given:
            if not path.exists():
                raise DataError("these images do not exist", where=path, fix=beside(path))
            yield from image_files(path) if path.is_dir() else [path] * bool(image_suffix(path))

    found = list(dict.fromkeys(all_files()))
    if not found:
        raise DataError("there are no images here", where=", ".join(map(str, given)))
    return found


def _labelled(data: Path | None) -> tuple[frozenset[str], np.ndarray]:
    """Hashes of the images that a dataset has labelled, and what those for training look like."""
    if data is None:
        return frozenset(), np.zeros((0, 0))
    cases = [case for case in open_dataset(data).cases if case.kinds and case.page is None]
    shown = [described(read_image(case.image)) for case in cases if case.split != "test"]
    return frozenset(sha256_file(case.image) for case in cases), np.array(shown)


FAR = 0.3
"""Share of the largest distance from which an image is unlike those before."""


def reason(facts: Mapping[str, float], language: Language = "en") -> str:
    """A sentence of the facts that count most."""
    say, parts = translator(language), []
    count, changed = int(facts.get("objects", 0)), int(facts.get("changed_objects", 0))
    if changed:
        parts.append(say("{changed} of {count} objects change when the image is mirrored", changed=changed,
                         count=count))  # fmt: skip
    if only := int(facts.get("only_mirrored", 0)):
        parts.append(say("{only} more are seen in the mirror image only", only=only))
    if "class_probability" in facts:
        share = f"{facts['class_probability']:.0%}"
        parts.append(say("the class is told with a probability of {share}", share=share))
    if (unsure := facts.get("unsure_pixels", 0.0)) >= 0.001 and len(parts) < 2:
        parts.append(say("{share} of the pixels are unsure", share=f"{unsure:.1%}"))
    if facts.get("distance", 0.0) >= FAR:
        parts.append(say("it looks unlike the images before it and those that are labelled"))
    return say("; ").join(parts) or say("nothing is in doubt here")
