"""Export to OpenVINO: one path for every backend, verified against the Keras network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import reunet
from reunet.backend import import_openvino
from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.run import RunFolder, read_facts
from reunet.errors import BackendError
from reunet.export.child import run_child
from reunet.inference.openvino_runtime import OpenVINORuntime, native_bf16
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import over_windows
from reunet.inference.tiling import Network
from reunet.sampling.resize import resize
from reunet.storage import publish_folder, sha256_file, write_json
from reunet.tasks import Maps, Work

TOLERANCE = 1e-4
"""Largest difference of a probability between the Keras network and its export in float32."""


def export_engine(
    run: RunFolder, samples: np.ndarray | None = None, reference: StepRuntime | None = None
) -> dict[str, Any]:
    """Export the weights of a run to `engine/`, and a self-test to `test/`.

    Parameters
    ----------
    run: with plan and finished weights.
    samples: (N, [T,] *tile, C) float32 normalised tiles on which bf16 is compared with f32, best from
        held-out images; a synthetic tile when None.
    reference: the Keras network in float32, such as a KerasRuntime; built from the run when None.

    Returns the content of engine.json. Raises BackendError when the export fails or its output differs
    from the reference by more than TOLERANCE; `engine/` is then as it was before.
    """
    plan = run.plan()
    weights = run.verified_weights(plan)
    if reference is None:
        from reunet.inference.keras_runtime import load_keras

        reference = load_keras(run, plan)
    image = synthetic_tile(plan)
    expected = over_windows(reference, plan)(image)
    facts: dict[str, Any] = {}

    def fill(folder: Path) -> None:
        model = folder / run.engine_file.name
        run_child(
            "openvino", "openvino_child", run.plan_file, weights, model,
            task="the export to OpenVINO",
            fix="predict with --engine keras, and report this with the output of `reunet doctor`",
        )  # fmt: skip
        facts.update(_facts(run, plan, model))
        tiles = image if samples is None else samples
        facts["precision"] = _measure(model, plan, run.calibration(), (image, expected), tiles)
        write_json(folder / run.engine_facts_file.name, facts)

    publish_folder(run.engine_file.parent, fill)
    publish_folder(run.self_test, lambda folder: _write_self_test(folder, image, expected))
    return facts


def synthetic_tile(plan: Plan) -> np.ndarray:
    """A fixed input with structure at every scale: (1, [T,] *tile, C) float32, mean 0, deviation 1."""
    image = synthetic_image(plan.inference.tile, plan.input.channels)
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


def _facts(run: RunFolder, plan: Plan, model: Path) -> dict[str, Any]:
    import keras

    return {
        "schema_version": 1,
        "weights_sha256": read_facts(run.weights_facts_file)["sha256"],
        "network": plan.network.model_dump(mode="json"),
        "tile": list(plan.inference.tile),
        "files": {name: sha256_file(model.with_name(name)) for name in ("model.xml", "model.bin")},
        "versions": {
            "reunet": reunet.__version__,
            "keras": keras.__version__,
            "openvino": import_openvino().__version__,
        },
    }


def _measure(
    model: Path,
    plan: Plan,
    calibration: Calibration,
    self_test: tuple[np.ndarray, dict[str, np.ndarray]],
    samples: np.ndarray,
) -> dict[str, Any]:
    """What each precision costs: f32 against Keras on the self-test, bf16 against f32 on `samples`.

    bf16 is None where this CPU does not compute it. Raises BackendError when f32 differs.
    """
    image, expected = self_test
    exact = over_windows(OpenVINORuntime(model, plan.engine_input, "f32"), plan)
    found = exact(image)
    difference = _largest_difference(found, expected)
    if not difference <= TOLERANCE:
        raise BackendError(
            "the exported engine does not compute what the network computes",
            where=model.name,
            expected=f"probabilities within {TOLERANCE}",
            received=f"a difference of {difference:.2g}",
            fix="predict with --engine keras, and report this with the output of `reunet doctor`",
        )
    facts: dict[str, Any] = {"f32": {"max_difference": difference}, "bf16": None}
    if native_bf16():
        fast = over_windows(OpenVINORuntime(model, plan.engine_input, "bf16"), plan)
        facts["bf16"] = _compare(fast, exact, samples, plan, calibration)
    return facts


def _compare(
    fast: Network, exact: Network, samples: np.ndarray, plan: Plan, calibration: Calibration
) -> dict[str, Any]:
    work = Work.of(plan)
    differ = pixels = 0
    largest = 0.0
    for sample in samples:
        one, other = fast(sample[None]), exact(sample[None])
        largest = max(largest, _largest_difference(one, other))
        first, second = (_decided(work, heads, calibration) for heads in (one, other))
        differ += int(np.count_nonzero(first != second))
        pixels += first.size
    return {
        "labels_differ_ppm": round(1e6 * differ / pixels, 1),
        "max_difference": largest,
        "pixels": pixels,
    }


def _decided(work: Work, heads: dict[str, np.ndarray], calibration: Calibration) -> np.ndarray:
    """What the main task makes of one tile (or window of them), as numbers that are equal or not."""
    tile = {head: values[0] for head, values in heads.items()}
    size = next((values.shape[:-1] for values in tile.values() if values.ndim > 1), ())
    return work.main.decided(Maps(tile, size), work.classes, calibration)


def _largest_difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(one[head] - other[head]).max()) for head in other)


def _write_self_test(folder: Path, image: np.ndarray, expected: dict[str, np.ndarray]) -> None:
    np.save(folder / "input.npy", image)
    for head, probabilities in expected.items():
        np.save(folder / f"expected_{head}.npy", probabilities)
