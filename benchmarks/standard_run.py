"""A run folder with the network that all speed measurements use, with random weights: nothing is trained."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig, Normalisation
from reunet.contracts.plan import Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.run import RunFolder
from reunet.exporting.int8 import quantise
from reunet.exporting.openvino import export_engine
from reunet.networks.presets import configure

FILTERS = (16, 32, 64, 128, 256)
SIZE = 256
CLASSES = 2


def standard_plan(seed: int, normalisation: Normalisation, classes: int = CLASSES) -> Plan:
    """U-Net of 16 base filters and 4 poolings on 256 x 256 RGB tiles."""
    return Plan(
        dataset="none",
        labels=LabelMap(classes=default_classes(list(range(classes)))),
        input=InputSpec(channels=3, grey_to_rgb=True, intensity=Intensity(method="image_zscore")),
        network=NetworkConfig(
            in_channels=3,
            filters=FILTERS,
            strides=((2, 2),) * (len(FILTERS) - 1),
            heads=(HeadSpec(channels=classes),),
            normalisation=normalisation,
        ),
        patch=(SIZE, SIZE),
        batch=8,
        schedule=Schedule(steps=1),
        inference=Inference(tile=(SIZE, SIZE)),
        seed=seed,
    )


def volume_plan(classes: int = 26, tile: tuple[int, int, int] = (64, 128, 128)) -> Plan:
    """The preset for volumes with 16 base filters, one channel, intensities as fixed as those of CT."""
    return Plan(
        dataset="none",
        labels=LabelMap(classes=default_classes(list(range(classes)))),
        input=InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(110.0,), scale=(60.0,))),
        network=configure("unet3d", in_channels=1, filters=FILTERS, heads=(HeadSpec(channels=classes),)),
        patch=tile,
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=tile),
    )


def write_run(folder: Path, plan: Plan) -> RunFolder:
    """A run of any plan, with random weights, exported."""
    from reunet.networks import build_network
    from reunet.training.state import weights_content

    run = RunFolder(folder)
    plan.write(run.plan_file)
    network = build_network(plan.network, seed=plan.seed)
    run.publish_weights(plan, weights_content(network, plan))
    export_engine(run)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("normalisation", nargs="?", default="instance")
    parser.add_argument("classes", type=int, nargs="?", default=CLASSES)
    parser.add_argument("--volume", action="store_true", help="the network for volumes, 26 classes")
    parser.add_argument("--int8", action="store_true", help="that engine too, by ranges of noise")
    given = parser.parse_args()
    plan = volume_plan() if given.volume else standard_plan(given.seed, given.normalisation, given.classes)
    run = write_run(given.folder, plan)
    if given.int8:
        crops = np.random.default_rng(given.seed).standard_normal((8, SIZE, SIZE, 3), dtype=np.float32)
        quantise(run.engine_file, run.int8_file, crops)


if __name__ == "__main__":
    main()
