"""Runs by name: checkpoints that this project trained itself on data that is free, in the package reunet-zoo.

Where a run is named, such a name may stand: `reunet predict nuclei IMAGES`. A file or folder of that name
wins.
"""

import importlib.util
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from reunet.errors import ModelFileError

PACKAGE = "reunet_zoo"


@dataclass(frozen=True)
class Checkpoint:
    """What one is for, and how it is trained: data is the folder of a public set, source says of which, and
    licence under which terms it is given away.
    """

    title: str
    data: str
    task: str
    minutes: float
    source: str
    licence: str
    filters: tuple[int, ...] = ()

    def command(self, name: str) -> str:
        """That trains the like of it."""
        return f"reunet train {self.data} -o {name} --task {self.task} --minutes {self.minutes:g}"


CHECKPOINTS = {
    "nuclei": Checkpoint(
        title="nuclei of cells, in fluorescence and in stained tissue",
        data="dsb2018_nuclei",
        task="instances",
        minutes=30,
        source="2018 Data Science Bowl, image set BBBC038v1 of the Broad Bioimage Benchmark Collection "
        "(Caicedo et al., Nature Methods 16:1247, 2019)",
        licence="CC0",
        filters=(32, 64, 96, 96),
    )
}


def from_zoo(path: Path) -> Path:
    """The packed run that a name of the zoo stands for; any other path as it is.

    Raises ModelFileError where the package is not installed, or does not have it.
    """
    name = str(path)
    if name not in CHECKPOINTS or path.exists():
        return path
    found = importlib.util.find_spec(PACKAGE)
    places = found.submodule_search_locations if found else None
    files = [Path(place) / f"{name}.reunet" for place in places or ()]
    for file in files:
        if file.is_file():
            return file
    raise ModelFileError(
        f"there is no run of this name here, and the checkpoint {name} is not installed",
        where=name,
        expected=CHECKPOINTS[name].title,
        fix="in the source tree: make zoo DATA=FOLDER, then pip install ./zoo; or train it: "
        + CHECKPOINTS[name].command(name),
    )


def told_from_zoo(path: Path) -> str | None:
    """A line for the user where a name stands for a checkpoint."""
    name = str(path)
    if name not in CHECKPOINTS or path.exists():
        return None
    return f"{name}: {CHECKPOINTS[name].title}, from reunet-zoo {metadata.version('reunet-zoo')}"
