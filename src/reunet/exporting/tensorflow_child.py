"""The part of the export that needs TensorFlow: `python -m reunet.exporting.tensorflow_child`, in its own
process since the backend of a process is fixed once.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from reunet.contracts.plan import Calibration, Plan

SIGNATURE = "serving_default"


def save_model(
    plan: Plan, weights: Path, calibration: Calibration, folder: Path, lite: Path | None = None
) -> None:
    """Write the whole prediction as a SavedModel, and as a LiteRT file. Needs KERAS_BACKEND=tensorflow."""
    from reunet.exporting.pipeline import whole_prediction

    whole = whole_prediction(plan, weights, calibration)
    module = tf.Module()
    module.network = whole.model
    specs = {name: tf.TensorSpec(shape, tf.float32, name) for name, shape in whole.shapes.items()}
    module.predict = tf.function(lambda **inputs: whole.function(inputs), autograph=False)
    tf.saved_model.save(module, folder, signatures={SIGNATURE: module.predict.get_concrete_function(**specs)})
    if lite is not None:
        loaded = tf.saved_model.load(folder)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([loaded.signatures[SIGNATURE]], loaded)
        lite.write_bytes(converter.convert())


def run(saved: Path, inputs: Path, outputs: Path) -> None:
    """What a SavedModel makes of the arrays in one .npz file, into another, for each line of the input."""
    signature = tf.saved_model.load(saved).signatures[SIGNATURE]
    for line in sys.stdin:
        with np.load(inputs) as arrays:
            found = signature(**{name: tf.constant(array) for name, array in arrays.items()})
        np.savez(outputs, **{name: values.numpy() for name, values in found.items()})
        sys.stdout.write(line)
        sys.stdout.flush()


def main(verb: str, *paths: str) -> None:
    """`save PLAN WEIGHTS CALIBRATION FOLDER [LITERT]` or `run FOLDER INPUTS OUTPUTS`."""
    if verb == "save":
        plan, weights, calibration, *places = map(Path, paths)
        save_model(Plan.read(plan), weights, Calibration.read(calibration), *places)
    else:
        run(*map(Path, paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
