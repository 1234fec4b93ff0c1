"""Quantise an engine to 8-bit whole numbers after training, with the ranges seen on training crops."""

import importlib.util
import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from reunet.backend import import_openvino

CROPS = 64
"""So many training crops give the ranges of all values."""


def is_installed() -> bool:
    """Whether NNCF is there; nothing is imported."""
    return importlib.util.find_spec("nncf") is not None


def quantise(model: Path, output: Path, crops: np.ndarray) -> None:
    """Write the engine `model` (.xml) in int8 as `output`, for one crop at a time.

    crops: (N, *tile, C) float32, normalised. Biases are corrected for what rounding shifts (NNCF's
    post-training quantisation). Raises what NNCF raises.
    """
    ov = import_openvino()
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # it draws a bar of its own
        warnings.simplefilter("ignore")  # its own, about packages that are not used here
        import nncf
        from openvino.passes import ConstantFolding, Manager

        nncf.set_log_level(40)
        graph = ov.Core().read_model(model)
        graph.reshape([1, *crops.shape[1:]])  # else transposed convolutions stay as they are
        folding = Manager()  # only convolutions whose kernels are constants become int8
        folding.register_pass(ConstantFolding())
        folding.run_passes(graph)
        samples = nncf.Dataset([crop[None] for crop in crops])
        quantised = nncf.quantize(graph, samples, subset_size=len(crops))
    ov.save_model(quantised, output, compress_to_fp16=False)
