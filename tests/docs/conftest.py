"""The folder in which the blocks of the docs run."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

from ..datasets.synthetic_cells import Culture, make_movie, write_movies

ROOT = Path(__file__).resolve().parents[2]
SCENES = {
    "dsb2018_nuclei": "cells",
    "isbi2012_em": "cells",
    "bccd": "blood",
    "glas": "tissue",
    "drive": "vessels",
    "camvid": "roads",
    "traffic_light_state": "traffic_lights",
    "davis_vehicles": "film",
    "hippocampus": "volumes",
}
"""What scripts/scenes.py draws in place of the public sets, in the same layout."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    """`cells`, `more_cells`, `new_images`, and a tiny scene under the name of each public set."""
    make_scene = runpy.run_path(str(ROOT / "scripts" / "scenes.py"))["make_scene"]
    folder = tmp_path_factory.mktemp("library")
    for name in ("cells", "more_cells"):
        shutil.copytree(tiny_dataset, folder / name)
    shutil.copytree(tiny_dataset / "test" / "images", folder / "new_images")
    for name, scene in SCENES.items():
        make_scene(scene, folder / name, train=6, test=4, size=(64, 64))
    culture = Culture(size=(64, 64), frames=4, cells=6, radius=6.0)
    films = [make_movie(culture, seed) for seed in (0, 1)]
    write_movies(folder / "dish", {"train": films, "test": films[:1]})
    return folder
