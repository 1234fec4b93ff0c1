"""`reunet demo`: the whole way on images whose truth is exact, in a few minutes."""

from __future__ import annotations

from pathlib import Path

from reunet.contracts.options.records import DemoOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import EvaluateResult
from reunet.errors import StorageError
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.predict.predict import predict
from reunet.flows.train.train import train
from reunet.progress import NullProgress
from reunet.storage import publish_folder, refuse_foreign, write_text

DEFAULT_OUTPUT = Path("reunet-demo")
TRAIN_IMAGES, TEST_IMAGES = 32, 8


@verb(DemoOptions)
def demo(options: DemoOptions) -> EvaluateResult:
    """Make a synthetic microscopy set, train on it, predict its test images and score them.

    `output` (default: `reunet-demo` in the working folder) receives `data/`, `run/` and `predictions/`.
    Raises StorageError when it exists and `overwrite` is not set, or when it is not a demo's folder.
    """
    from reunet.datasets.synthetic import make_microscopy

    told, overwrite = options.on_progress or NullProgress(), options.overwrite
    folder = options.output or DEFAULT_OUTPUT
    data, run, predictions = folder / "data", folder / "run", folder / "predictions"
    _claim(folder, overwrite=overwrite)

    told.message(f"making {TRAIN_IMAGES} + {TEST_IMAGES} synthetic microscopy images in {data}")
    publish_folder(
        data, lambda fresh: make_microscopy(fresh, train=TRAIN_IMAGES, test=TEST_IMAGES, seed=options.seed)
    )
    train(
        data, output=run, task=("semantic",), minutes=options.minutes, seed=options.seed,
        backend=options.backend, overwrite=overwrite, on_progress=told,
    )  # fmt: skip
    predict(run, [data / "test" / "images"], output=predictions, overwrite=overwrite, on_progress=told)
    return evaluate(run, data, split="test", overwrite=overwrite, on_progress=told)


def _claim(folder: Path, *, overwrite: bool) -> None:
    """Take a new, empty or earlier demo folder; the mark in it tells the latter from anybody's folder."""
    mark = folder / ".reunet-demo"
    refuse_foreign(folder, mark, "demo")
    if mark.is_file() and not overwrite:
        raise StorageError(
            "the results of a demo are here already", where=folder, fix="use --overwrite, or another -o"
        )
    write_text(mark, "")
