"""`reunet.load`: a finished run as a model, in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reunet.contracts.options.records import PredictOptions
from reunet.contracts.options.verb import in_python
from reunet.contracts.pack import run_at
from reunet.errors import ReunetError, UsageError
from reunet.flows.load.model import Model
from reunet.inference.load import load as load_predictor

if TYPE_CHECKING:
    import keras


def load(
    run: str | Path,
    engine: str = "auto",
    precision: str = "auto",
    tta: bool = False,
    threads: int | None = None,
    network: Callable[..., keras.Model] | None = None,
    iterations: int | str | None = None,
    device: str = "auto",
    uncertainty: bool = False,
) -> Model:
    """A run as a model: `load(RUN)(image)` gives a Prediction.

    Parameters
    ----------
    run: a run folder, or a file that `reunet pack` wrote.
    engine: `openvino` (exported at the end of training), `onnx` for the same graph in ONNX Runtime,
        `keras`, or `auto`: the fastest of the first two where the run has an exported engine, otherwise
        keras if the training has finished.
    precision: `f32`, `bf16`, `int8` where the run has that, or `auto`: the fastest that can be used here and
        was found harmless at export.
    tta: average over the mirrorings of each image.
    threads: of the processor that openvino and onnx may use; None for all.
    network: the function that made the network, of a run that was trained with one of its own.
    iterations: of a network that thinks; `auto`, as when nothing is said: until the mask stands still.
    device: `gpu` for the network in Keras, or else OpenVINO, on a GPU; `cpu`; or `auto`: engines on the CPU,
        Keras where its framework computes.
    uncertainty: predictions tell it too, (*space, 2): predictive entropy and mutual information, 0..1.

    Raises UsageError for an unknown name, ModelFileError for an incomplete or damaged run, PlanError
    for an invalid plan, BackendError for a missing package or instruction set.
    """
    if not isinstance(run, str | Path):
        raise UsageError(
            "a run is named by its folder",
            where="load()",
            expected="the folder that `reunet train` wrote, or a file of `reunet pack`",
            received=_told(run),
            fix="reunet.load(RUN)(image) predicts an image",
        )
    try:
        folder = run_at(Path(run))
        how = (engine, precision, tta, threads, network, iterations)
        predictor = load_predictor(folder.path, *how, device=device, uncertainty=uncertainty)
    except ReunetError as error:
        in_python(error, PredictOptions.OPTIONS)
        raise
    return Model(folder, predictor, network)


def _told(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {tuple(shape)}" if shape is not None else f"a {type(value).__name__}"
