"""How far predictions change with the size of the tiles, for networks whose outputs depend on it."""

import numpy as np

from reunet.contracts.facts import EngineFacts, differing
from reunet.contracts.run import RunFolder, floats_in
from reunet.inference.predictor import Predictor, tiling_of
from reunet.inference.runtime import StepRuntime
from reunet.inference.tiling import predict_tiled
from reunet.tasks.base import Maps


def changed_tile(run: RunFolder, predictor: Predictor) -> str | None:
    """A warning when the plan's tile is not the one that the engine was exported and measured at, and the
    outputs of the network depend on it: how many labels differ on the run's own test image. None otherwise.
    """
    plan, test = predictor.plan, run.self_test / "input.npy"
    if not plan.network.depends_on_tile or not run.engine_facts_file.is_file() or not test.is_file():
        return None
    exported = EngineFacts.read(run.engine_facts_file).tile or plan.inference.tile
    if exported == plan.inference.tile:
        return None
    inference = plan.inference.model_copy(update={"tile": exported})
    before = Predictor(plan.model_copy(update={"inference": inference}), _at(run, predictor, exported))
    image = floats_in(test)[0]
    found = []
    for one in (before, predictor):
        heads = predict_tiled(one.runtime, image, tiling_of(one.plan))
        found.append(one.work.main.decided(Maps(heads, image.shape[:-1]), one.work.classes, one.calibration))
    differ = np.count_nonzero(found[0] != found[1]) / found[0].size
    shown = [" x ".join(map(str, tile)) for tile in (exported, plan.inference.tile)]
    return (
        f"outputs of this network depend on the tile, which was changed from {shown[0]} to {shown[1]}: "
        f"on the run's test image {differing(1e6 * float(differ))}"
    )


def _at(run: RunFolder, predictor: Predictor, tile: tuple[int, ...]) -> StepRuntime:
    if predictor.runtime.name != "openvino":
        return predictor.runtime
    from reunet.inference.openvino_runtime import OpenVINORuntime

    return OpenVINORuntime(run.engine_file, tile, predictor.runtime.precision)
