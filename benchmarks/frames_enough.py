"""What the planner measures of films: noise between frames, labels that change unseen, frames that were lost.

Films of the simulated camera with fewer and fewer photons, with lost frames, and recorded videos. The limits
of `reunet.planning.memory` lie between those on which memory pays and those on which it does not.

    python benchmarks/frames_enough.py [--data DIR]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import records
from simulated_camera import SOURCES, Condition, film, read_image

from reunet.contracts.fingerprint import FrameFacts
from reunet.contracts.options.records import DataOptions
from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.cases import FrameSequence
from reunet.flows.prepare import prepare
from reunet.planning.frames import measure_frames
from reunet.progress import NullProgress

PHOTONS = (1000.0, 30.0, 8.0, 4.0, 2.0, 0.7)
LOST = 0.35
FILMS, SIDE = 12, 64
VIDEOS = ("davis_vehicles", "camvid")


def cases(name: str, frames: np.ndarray, masks: np.ndarray) -> Iterator[CaseArrays]:
    """The frames (T, H, W[, C]) of a film and their masks (T, H, W), as planning sees them."""
    for t, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        pixels = frame.reshape(*mask.shape, -1)
        yield CaseArrays(f"{name}_{t}", pixels, mask, "", sequence=FrameSequence(name, "T"))


def filmed(data: Path, source: str, condition: Condition) -> list[CaseArrays]:
    """Films of the simulated camera over the training images of a source."""
    files = sorted((data / SOURCES[source].name / "train" / "images").iterdir())
    found: list[CaseArrays] = []
    for number, file in enumerate(files[:: max(1, len(files) // FILMS)][:FILMS]):
        rng = np.random.default_rng(number)
        made = film(*read_image(file), SIDE, SOURCES[source].step, condition, rng)
        found += cases(str(number), made.frames, made.masks)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=records.DATA)
    data = parser.parse_args().data
    told = [(source, Condition(photons)) for source in SOURCES for photons in PHOTONS]
    told += [(source, Condition(2.0, lost=LOST)) for source in SOURCES]
    for source, condition in told:
        key = {"film": source, "photons": condition.photons, "lost": condition.lost}
        tell(key, partial(of_films, data, source, condition))
    for video in VIDEOS:
        tell({"film": video}, partial(of_dataset, data / video))


def of_films(data: Path, source: str, condition: Condition) -> FrameFacts | None:
    return measure_frames(filmed(data, source, condition), (1,))


def of_dataset(folder: Path) -> FrameFacts | None:
    return prepare(folder, DataOptions(), NullProgress()).fingerprint.frames


def tell(key: dict[str, object], measure: Callable[[], FrameFacts | None]) -> None:
    """A line, unless there is one."""
    if not records.is_done("frames_enough", key) and (facts := measure()) is not None:
        records.append("frames_enough", key, facts.model_dump())
        print(json.dumps([key, facts.model_dump()]), flush=True)


if __name__ == "__main__":
    main()
