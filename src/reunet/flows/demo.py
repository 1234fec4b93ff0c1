"""`reunet demo`: the whole way on images whose truth is exact, in a few minutes."""

from pathlib import Path

from reunet.contracts.options.records import DemoOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import EvaluateResult
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.predict.predict import predict
from reunet.flows.train.train import train
from reunet.progress import NullProgress
from reunet.storage import publish_folder, refuse_existing, refuse_foreign, write_text

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
    mark = folder / ".reunet-demo"  # tells the folder of an earlier demo from anybody's
    refuse_foreign(folder, mark, "demo")
    refuse_existing(folder, [mark], overwrite=overwrite)
    write_text(mark, "")

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
