"""`reunet demo`: the whole way on images whose truth is exact, in a few minutes."""

from __future__ import annotations

from pathlib import Path

from reunet.contracts.results import EvaluateResult
from reunet.errors import StorageError
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.predict.predict import predict
from reunet.flows.train.train import train
from reunet.progress import NullProgress, Progress
from reunet.storage import publish_folder, refuse_foreign, write_text

DEFAULT_OUTPUT = Path("reunet-demo")
TRAIN_IMAGES, TEST_IMAGES = 32, 8


def demo(
    output: Path | None = None,
    *,
    minutes: float = 2.0,
    seed: int = 0,
    backend: str | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> EvaluateResult:
    """Make a synthetic microscopy set, train on it, predict its test images and score them.

    `output` (default: `reunet-demo` in the working folder) receives `data/`, `run/` and `predictions/`.
    Raises StorageError when it exists and `overwrite` is not set, or when it is not a demo's folder.
    """
    from reunet.datasets.synthetic import make_microscopy

    progress = on_progress or NullProgress()
    folder = DEFAULT_OUTPUT if output is None else Path(output)
    data, run, predictions = folder / "data", folder / "run", folder / "predictions"
    _claim(folder, overwrite=overwrite)

    progress.message(f"making {TRAIN_IMAGES} + {TEST_IMAGES} synthetic microscopy images in {data}")
    publish_folder(
        data, lambda fresh: make_microscopy(fresh, train=TRAIN_IMAGES, test=TEST_IMAGES, seed=seed)
    )
    train(
        data, output=run, task=("semantic",), minutes=minutes, seed=seed, backend=backend,
        overwrite=overwrite, on_progress=on_progress,
    )  # fmt: skip
    predict(run, [data / "test" / "images"], output=predictions, overwrite=overwrite, on_progress=on_progress)
    return evaluate(run, data, split="test", overwrite=overwrite, on_progress=on_progress)


def _claim(folder: Path, *, overwrite: bool) -> None:
    """Take a new, empty or earlier demo folder; the mark in it tells the latter from anybody's folder."""
    mark = folder / ".reunet-demo"
    refuse_foreign(folder, mark, "demo")
    if mark.is_file() and not overwrite:
        raise StorageError(
            "the results of a demo are here already", where=folder, fix="use --overwrite, or another -o"
        )
    write_text(mark, "")
