"""Programs that tell the objects of images in files of their own: one entry each, and what a folder holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from reunet.contracts.findings import Findings
from reunet.datasets.coco_files import coco_file
from reunet.datasets.foreign import Format, start_of
from reunet.datasets.vocabulary import SPLIT_NAMES, role_of
from reunet.errors import DataError
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.sheet import Sheets
from reunet.io.listing import folders_in, list_files, visible

_MOST_OPENED = 5
"""Files of one suffix in a folder that are looked into, to see which program wrote them."""


@dataclass(frozen=True, kw_only=True)
class Tool(Format):
    """How a program tells objects. room: of `io/annotations/`, whose function `read` reads them.

    each: there is a file for each image, named like it, else one file tells many. aside: names of files that
    lie beside them and tell no objects. tree: what a folder looks like, for people.
    """

    room: str
    tree: str
    way: str = ""
    labels: bool = True
    each: bool = False
    aside: frozenset[str] = frozenset()

    def may_have_written(self, path: Path) -> bool:
        """Whether a file that lies among others of the program is called as its files are."""
        name = path.name.lower()
        return name.endswith(tuple(self.suffixes.split())) and name not in self.aside

    def read(self, files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
        """What the files tell; adds whatever is wrong with them to `problems`."""
        room = import_module(f"reunet.io.annotations.{self.room}")
        return cast(Sheets, room.read(files, pictures, problems))


COCO = Tool(name="COCO", suffixes=".json", room="coco", tree="boxes.json")
VOC = Tool(name="Pascal VOC", suffixes=".xml", room="voc", tree="annotations/*.xml", each=True)
TOOLS = (
    Tool(
        name="YOLO", suffixes=".txt", room="tools.yolo", tree="labels/*.txt with data.yaml", each=True,
        sign=r"\A\s*[0-9]+([ \t]+-?[0-9.]+(e-?[0-9]+)?){4,}[ \t]*(\r?\n|\Z)",
        aside=frozenset({"classes.txt", "labels.txt", "obj.names", "train.txt", "val.txt", "test.txt",
                         "data.yaml", "dataset.yaml", "notes.json", "obj.data"}),
    ),
    Tool(
        name="LabelMe", suffixes=".json", room="tools.labelme", tree="a.json beside a.png", each=True,
        sign=r'"shapes"\s*:\s*\[',
    ),
    Tool(
        name="CVAT", suffixes=".xml", room="tools.cvat", tree="annotations.xml with images/",
        sign="<annotations>",
    ),
    Tool(
        name="Label Studio", suffixes=".json", room="tools.label_studio", tree="project.json with images/",
        sign=r'"(from_name|completed_by|lead_time|(rectangle|polygon|brush|keypoint|ellipse)labels)"',
    ),
    Tool(
        name="VIA", suffixes=".json", room="tools.via", tree="via_project.json with images/",
        sign="_via_|region_attributes|region_shape_attributes",
    ),
    Tool(
        name="Supervisely", suffixes=".json", room="tools.supervisely", tree="ann/a.png.json with img/a.png",
        each=True, sign='"(classTitle|labelerLogin)"', aside=frozenset({"meta.json"}),
    ),
    Tool(
        name="QuPath", suffixes=".geojson .json", room="geojson", tree="a.geojson beside a.png", each=True,
        sign=r'"(FeatureCollection|Feature)"',
    ),
    Tool(
        name="ImageJ", suffixes=".zip .roi", room="imagej", tree="a.zip of ROIs beside a.png", each=True,
        sign=r"\A(PK\x03\x04(?s:.{0,300})\.roi|Iout)",
    ),
    Tool(
        name="Cellpose", suffixes="_seg.npy", room="tools.cellpose", tree="a_seg.npy beside a.png", each=True
    ),
    Tool(
        name="napari", suffixes=".csv", room="tools.napari", tree="a.csv beside a.png", each=True,
        sign=r"\Aindex,shape-type,vertex-index,axis-0,axis-1\b", aside=frozenset({"labels.csv", "items.csv"}),
    ),
    VOC,
)  # fmt: skip
"""The first that fits a file has written it; files of COCO are looked for before."""


@dataclass(frozen=True)
class Listing:
    """What tells the objects of the images of a split, as `tool` writes it: `place`, which is its file or the
    folder of its `files`.
    """

    tool: Tool
    place: Path
    files: tuple[Path, ...]

    def below(self, name: str) -> Listing | None:
        """What of it lies in a folder of that name, None without any; a file is about all images."""
        folder = self.place / name
        if not self.tool.each:
            return self
        own = tuple(path for path in self.files if path.is_relative_to(folder))
        return Listing(self.tool, folder, own) if own else None

    def file_of(self, name: str) -> Path:
        """The file that tells the image of that name."""
        return self.place / f"{name}{self.tool.suffixes.split()[0]}" if self.tool.each else self.place

    def describe(self) -> str:
        """For people."""
        if self.tool in (COCO, VOC):
            return self.place.name + "/*.xml" * self.tool.each
        suffix = self.files[0].suffix
        return f"{self.place.name}{f'/*{suffix}' * self.tool.each} ({self.tool.name})"


def find_listing(beside: Path, images: Path) -> Listing | None:
    """What tells the objects of the images in a folder: files there, `beside` it, or in a folder beside it.

    A COCO file goes before all others. Raises DataError where several programs tell them.
    """
    if (file := coco_file(beside) or coco_file(images)) is not None:
        return Listing(COCO, file, (file,))
    inside = [one for one in folders_in(beside) if one != images and _may_tell(one)]
    found = [one for folder in inside for one in listings(folder, list_files(folder)[1])]
    found += listings(beside, [path for path in visible(beside) if path.is_file()])
    found += listings(images, list_files(images)[1]) if images != beside else []
    if len(found) > 1:
        raise DataError(
            "several files tell the objects of the images, and it is not clear which ones are meant",
            where=beside,
            expected="those of one program",
            received=" and ".join(one.describe() for one in found[:5]),
            fix="keep the others in another folder",
        )
    return found[0] if found else None


def _may_tell(folder: Path) -> bool:
    return folder.name.lower() not in SPLIT_NAMES and role_of(folder.name) != "images"


def listings(folder: Path, files: Iterable[Path]) -> list[Listing]:
    """What the programs of `TOOLS` have written among the `files` of a folder."""
    by_suffix: dict[str, list[Path]] = {}
    for path in files:
        if any(path.name.lower().endswith(tuple(tool.suffixes.split())) for tool in TOOLS):
            by_suffix.setdefault(path.suffix.lower(), []).append(path)
    own: dict[Tool, list[Path]] = {}
    for some in by_suffix.values():
        told = [(path, tool_of(path)) for path in sorted(some, key=_emptiness)[:_MOST_OPENED]]
        for tool in dict.fromkeys(tool for _, tool in told if tool is not None):
            written = some if tool.each else [path for path, its in told if its is tool]
            own.setdefault(tool, []).extend(filter(tool.may_have_written, written))
    found = [Listing(tool, folder, tuple(sorted(some))) for tool, some in own.items() if tool.each]
    return found + [
        Listing(tool, path, (path,)) for tool, some in own.items() if not tool.each for path in some
    ]


def _emptiness(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def tool_of(path: Path) -> Tool | None:
    """The program that wrote a file; None of one that is not read as annotations."""
    head = start_of(path)[1]
    return next((tool for tool in TOOLS if tool.fits(path, head)), None)
