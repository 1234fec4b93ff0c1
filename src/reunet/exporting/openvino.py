"""Export to OpenVINO: one path for every backend, verified against the Keras network."""

from pathlib import Path
from typing import Any

import numpy as np

import reunet
from reunet.backend import import_openvino
from reunet.contracts.facts import Meaning, WeightsFacts
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.exporting import int8
from reunet.exporting.child import run_child
from reunet.exporting.measure import SelfTest, Trial, measure
from reunet.inference.openvino_runtime import OpenVINORuntime
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import over_windows
from reunet.sampling.resize import resize
from reunet.storage import publish_folder, sha256_file, write_json


def export_engine(
    run: RunFolder, trial: Trial | None = None, reference: StepRuntime | None = None
) -> dict[str, Any]:
    """Export the weights of a run to `engine/`, and a self-test to `test/`.

    Parameters
    ----------
    run: with plan and finished weights.
    trial: what precisions and engines are compared on; a synthetic tile when None.
    reference: the Keras network in float32, such as a KerasRuntime; built from the run when None.

    Returns the content of engine.json. Raises BackendError when the export fails or its output differs
    from the reference by more than `measure.TOLERANCE`; `engine/` is then as it was before.
    """
    plan = run.plan()
    weights = run.verified_weights(plan)
    if reference is None:
        from reunet.inference.keras_runtime import load_keras

        reference = load_keras(run, plan)
    image = synthetic_tile(plan)
    test = SelfTest(image, over_windows(reference, plan)(image))
    tried = trial or Trial(image)
    facts: dict[str, Any] = {}

    def fill(folder: Path) -> None:
        model = folder / run.engine_file.name
        run_child(
            "openvino", run.plan_file, weights, model,
            task="the export to OpenVINO",
            fix="predict with --engine keras, and report this with the output of `reunet doctor`",
        )  # fmt: skip
        if tried.calibrate is not None:
            run.write_calibration(tried.calibrate(OpenVINORuntime(model, plan.engine_input, "f32")))
        quantised = None
        if tried.crops is not None and int8.is_installed() and not plan.network.has_states:
            quantised = folder / run.int8_file.name
            int8.quantise(model, quantised, tried.crops)
        facts.update(_facts(run, plan, folder))
        facts.update(measure(model, quantised, plan, run.calibration(plan), test, tried))
        write_json(folder / run.engine_facts_file.name, facts)

    publish_folder(run.engine_file.parent, fill)
    publish_folder(run.self_test, lambda folder: _write_self_test(folder, image, test.expected))
    return facts


def synthetic_tile(plan: Plan) -> np.ndarray:
    """A fixed input with structure at every scale: (1, [T,] *tile, C) float32, mean 0, deviation 1."""
    image = synthetic_image(plan.inference.tile, plan.network.in_channels)
    if plan.clip is None:
        return image[None]
    moved = [np.roll(image, 3 * t, axis=(0, 1)) for t in range(plan.clip.frames)]  # the same scene, in motion
    return np.stack(moved)[None]


def synthetic_image(size: tuple[int, ...], channels: int) -> np.ndarray:
    """(*size, channels) float32 with structure at every scale, mean 0, deviation 1; always the same."""
    random = np.random.default_rng(0)
    image = np.zeros((*size, channels), np.float32)
    for scale in (1, 4, 16, 64):
        small = random.standard_normal((*(side // scale + 1 for side in size), channels))
        image += resize(small.astype(np.float32), size)
    normalised: np.ndarray = (image - image.mean()) / image.std()
    return normalised


def _facts(run: RunFolder, plan: Plan, folder: Path) -> dict[str, Any]:
    import keras

    return {
        "schema_version": 1,
        "weights_sha256": WeightsFacts.read(run.weights_facts_file).weights,
        "plan": Meaning.of(plan).model_dump(mode="json"),
        "tile": list(plan.inference.tile),
        "files": {file.name: sha256_file(file) for file in sorted(folder.iterdir())},
        "versions": {
            "reunet": reunet.__version__,
            "keras": keras.__version__,
            "openvino": import_openvino().__version__,
        },
    }


def _write_self_test(folder: Path, image: np.ndarray, expected: dict[str, np.ndarray]) -> None:
    np.save(folder / "input.npy", image)
    for head, probabilities in expected.items():
        np.save(folder / f"expected_{head}.npy", probabilities)
