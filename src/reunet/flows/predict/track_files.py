"""What `predict` leaves of a sequence whose objects have identities: tracks, and an animation of them."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.names import file_name
from reunet.contracts.results import Prediction
from reunet.io.annotations.ctc import Track, write_result
from reunet.io.render_tracks import Trails, animation
from reunet.storage import write_bytes
from reunet.tasks.instances.tracks import Lineage

FOLDER = "tracks"
MOST_FRAMES = 150
"""Of an animation; of longer sequences every second frame is shown, every third, and so on."""


@dataclass(frozen=True)
class Moment:
    """Frame number `frame`, from 0, of a sequence."""

    sequence: str
    frame: int


def track_files(output: Path, sequence: str) -> tuple[Path, Path, Path]:
    """The folder of results, named as the Cell Tracking Challenge does, the animation, and the graph."""
    name = file_name(sequence)
    return output / FOLDER / f"{name}_RES", output / FOLDER / f"{name}.webp", output / FOLDER / f"{name}.geff"


class TrackWriter:
    """Gathers the frames of a sequence; ids are kept compressed, pictures as small as they will be."""

    def __init__(self) -> None:
        self._lineage, self._trails = Lineage(), Trails()
        self._maps: list[tuple[bytes, tuple[int, ...]]] = []
        self._pictures: list[np.ndarray] = []
        self._every = 1

    def add(self, image: np.ndarray, result: Prediction) -> None:
        """The next frame: image (*space, C), and what was found in it. Raises nothing."""
        ids, parents = result.instances, result.parents
        if ids is None or parents is None:
            return
        frame = len(self._maps)
        self._lineage.add(frame, np.setdiff1d(np.unique(ids), 0), parents)
        self._maps.append((zlib.compress(ids.tobytes(), 1), ids.shape))
        if ids.ndim == 2:
            picture = self._trails.paint(image, ids, parents)
            if frame % self._every == 0:
                self._pictures.append(picture)
            if len(self._pictures) > MOST_FRAMES:
                self._pictures, self._every = self._pictures[::2], 2 * self._every

    def write(self, files: tuple[Path, ...], *, geff: bool, spacing: tuple[float, ...] | None) -> None:
        """Write the files of `track_files`, the graph too if `geff`. Raises StorageError.

        spacing: size of a pixel per axis, in micrometres, of a voxel in millimetres.
        """
        folder, shown, graph = files
        tracks = [Track(*row) for row in self._lineage.table().tolist()]
        if self._pictures:
            write_bytes(shown, animation(self._pictures))
        if geff:
            from reunet.io.annotations.geff import write_geff  # most calls do not need it

            write_geff(graph, self._frames(), tracks, spacing)
        write_result(folder, self._frames(), tracks, digits=max(3, len(str(len(self._maps) - 1))))

    def _frames(self) -> Iterator[np.ndarray]:
        return (np.frombuffer(zlib.decompress(data), np.int32).reshape(shape) for data, shape in self._maps)
