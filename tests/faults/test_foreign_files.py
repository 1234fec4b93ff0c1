"""Files from somebody else: none of them runs anything, and none leads to another file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.findings import Findings
from reunet.errors import CheckpointError, ImageReadError, LabelError, ModelFileError, PlanError
from reunet.inference.load import load
from reunet.io.annotations.coco import read_coco
from reunet.io.annotations.voc import parse_voc
from reunet.io.images import read_header, read_image
from reunet.io.lazy import lazy_header, open_lazily
from reunet.training.checkpoint import load_checkpoint, save_checkpoint


class Trap:
    """What leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._mark,)


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path / "sprung")


def sprung(trap: Trap) -> bool:
    return trap._mark.exists()


def test_the_trap_works(trap: Trap) -> None:
    pickle.loads(pickle.dumps(trap))
    assert sprung(trap)


@pytest.mark.fault("a checkpoint with pickled objects", "nothing is unpickled; it counts as damaged")
def test_a_checkpoint_runs_nothing(trap: Trap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "checkpoints"
    save = np.savez
    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", lambda file, **arrays: save(file, **(arrays | {"allow_pickle": True})))
        save_checkpoint(folder, 1, {"a": np.array([trap], object)}, {})
    with pytest.raises(CheckpointError, match="intact"):
        load_checkpoint(folder)
    assert not sprung(trap)


@pytest.mark.fault("a Zarr array that is pickled", "nothing is unpickled; refused")
@pytest.mark.parametrize("codec", ["compressor", "filters", "object", "codecs"])
def test_an_array_runs_nothing(codec: str, trap: Trap, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    folder, packed = tmp_path / "a.zarr", {"id": "pickle", "protocol": 5}
    facts = {"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": "|u1", "order": "C",
             "fill_value": 0, "compressor": None, "filters": None}  # fmt: skip
    newer = {"zarr_format": 3, "node_type": "array", "shape": [4, 4], "data_type": "uint8", "fill_value": 0,
             "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4]}}, "attributes": {},
             "chunk_key_encoding": {"name": "default"},
             "codecs": [{"name": "bytes"},
                        {"name": "numcodecs.pickle", "configuration": {"protocol": 5}}]}  # fmt: skip
    told = {
        "compressor": facts | {"compressor": packed},
        "filters": facts | {"filters": [packed]},
        "object": facts | {"dtype": "|O", "filters": [packed]},
        "codecs": newer,
    }[codec]
    (folder / "c" / "0").mkdir(parents=True)
    (folder / ("zarr.json" if told is newer else ".zarray")).write_text(json.dumps(told))
    for chunk in ("0.0", "c/0/0"):
        (folder / chunk).write_bytes(pickle.dumps(trap))
    with pytest.raises(ImageReadError), open_lazily(folder, rank=2) as image:
        image.read((slice(0, 4), slice(0, 4)))
    assert not sprung(trap)


@pytest.mark.fault("a NumPy file with pickled objects", "nothing is unpickled; refused")
def test_a_numpy_file_runs_nothing(trap: Trap, tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.array([[trap]], object), allow_pickle=True)
    with pytest.raises(ImageReadError):
        lazy_header(file, rank=2)
    assert not sprung(trap)


@pytest.mark.fault("a plan that names code", "refused: names are looked up in lists of ours, never imported")
@pytest.mark.parametrize(
    ("field", "value"),
    [("block", "os.system"), ("encoder", "keras.layers:Lambda"), ("bottleneck", {"class_name": "Lambda"}),
     ("normalisation", "__import__('os')"), ("module", "builtins")],
)  # fmt: skip
def test_a_plan_runs_nothing(
    field: str, value: object, make_bright_run: Callable[[Path], Path], tmp_path: Path
) -> None:
    run = make_bright_run(tmp_path / "run")
    file = run / "plan.json"
    told = json.loads(file.read_text())
    told["network"][field] = value
    file.write_text(json.dumps(told))
    with pytest.raises((PlanError, ModelFileError)):
        load(run)


@pytest.mark.fault("a video that is a list of other files", "refused: FFmpeg opens only the file it is given")
@pytest.mark.parametrize(
    "text",
    ["ffconcat version 1.0\nfile film.avi\n",
     "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfilm.avi\n#EXT-X-ENDLIST\n",
     "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"],
    ids=["ffconcat", "m3u8", "sdp"],
)  # fmt: skip
def test_a_video_leads_to_no_other_file(text: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from ..fuzzing.seeds import videos

    (tmp_path / "film.avi").write_bytes(list(videos())[1])
    assert read_header(tmp_path / "film.avi").pages == 3
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(ImageReadError):
        read_image(tmp_path / "list.mp4", page=0)


@pytest.mark.fault(
    "an HDF5 file that links to others", "links are not followed, data in other files are refused"
)
@pytest.mark.parametrize("kind", ["link", "external", "virtual"])
def test_an_hdf5_file_leads_to_no_other_file(kind: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["image"] = np.ones((4, 5), np.uint8)
    (tmp_path / "secret").write_bytes(bytes(range(20)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if kind == "link":
            file["image"] = h5py.ExternalLink("other.h5", "/image")
        elif kind == "external":
            file.create_dataset("image", (4, 5), "u1", external=[(str(tmp_path / "secret"), 0, 20)])
        else:
            layout = h5py.VirtualLayout((4, 5), "u1")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "image", (4, 5))
            file.create_virtual_dataset("image", layout)
    with pytest.raises(ImageReadError), open_lazily(tmp_path / "a.h5", rank=2) as image:
        image.read((slice(0, 4), slice(0, 5)))


@pytest.mark.fault("annotations that name files outside", "an error; nothing outside of the folder is opened")
@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "C:/secret.png", "a/../../secret.png", "a\0.png"]
)
def test_annotations_lead_to_no_other_file(name: str, tmp_path: Path) -> None:
    image = {"id": 1, "file_name": name, "height": 4, "width": 5}
    file = tmp_path / "data" / "boxes.json"
    file.parent.mkdir()
    file.write_text(
        json.dumps({"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]})
    )
    problems = Findings(tmp_path)
    told = read_coco(file, file.parent, problems)
    assert not told.images
    assert [problem.code for problem in problems] == ["file-name"]


@pytest.mark.fault("XML with entities", "refused before they grow, or read a file")
@pytest.mark.parametrize("entity", ['"a"', 'SYSTEM "file:///etc/passwd"'])
def test_xml_defines_no_entities(entity: str, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text(f"<!DOCTYPE a [<!ENTITY b {entity}>]><annotation><folder>&b;</folder></annotation>")
    with pytest.raises(LabelError, match="entities"):
        parse_voc(file)
