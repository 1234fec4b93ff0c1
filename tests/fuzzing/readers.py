"""Every reader of the house, as users reach it: what is fuzzed, with its seeds and whose branches count."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from reunet.contracts.facts import EngineFacts, EnvironmentFacts, Meaning, WeightsFacts
from reunet.contracts.findings import Findings
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Calibration, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.run import RunFolder
from reunet.datasets.annotated import with_partial
from reunet.datasets.cases import Case, CaseFiles
from reunet.datasets.classes import class_list, read_classes, read_colors
from reunet.datasets.folders import SplitFolders
from reunet.datasets.reading import CaseReader
from reunet.datasets.scan import scan_dataset
from reunet.datasets.sequences import with_sequences
from reunet.datasets.splits import Splits
from reunet.datasets.tables import class_names, compare_described, with_groups
from reunet.inference.openvino_runtime import OpenVINORuntime
from reunet.io.annotations.annotated_image import Annotations
from reunet.io.annotations.coco import read_coco
from reunet.io.annotations.ctc import check_tracks, find_sequences, read_tracks
from reunet.io.annotations.image_labels import class_folders, has_labels, read_labels
from reunet.io.annotations.instances import (
    check_instances,
    read_instances,
    read_instances_file,
    read_object_masks,
    write_instances,
)
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.sheet import together
from reunet.io.formats.table import images_in
from reunet.io.images import read_channel_files, read_header, read_image, read_pages
from reunet.io.lazy import open_lazily
from reunet.io.masks import read_fov, read_layer_files, read_mask, read_raw_mask, write_mask
from reunet.tasks.classification import given
from reunet.training.checkpoint import load_checkpoint

from ..inference.test_sequence import film
from ..inference.test_stream import stream_of
from . import format_seeds, seeds, tool_seeds
from .mutations import pack
from .trial import Reader, refused

LABELS = LabelMap(classes=default_classes([0, 1, 2, 3, 4], list("abcde")), ignore=255)
COLOURS = LABELS.model_copy(update={"encoding": "rgb", "ignore_color": (9, 9, 9)})
BINARY = LabelMap(classes=default_classes([0, 1]), encoding="binary_255")
LARGEST_PART = 64


def image(path: Path) -> None:
    """The header, the pixels, the same as a mask and in parts: what is told must agree."""
    header = refused(lambda: read_header(path))
    pixels = refused(lambda: read_image(path))
    if header is not None and pixels is not None:
        told = (*header.size, header.channels)
        assert pixels.shape == told, f"{pixels.shape} where the header says {told}"
    if header is not None and 1 < header.pages < 9:
        pages = refused(lambda: list(read_pages(path, header.pages)))
        assert pages is None or all(page.shape[:2] == header.size for page in pages)
    refused(lambda: read_channel_files([path, path]))
    refused(lambda: read_raw_mask(path))
    for rank, axes in ((2, None), (3, "ZYX")):
        part = refused(lambda rank=rank, axes=axes: _corner(path, rank, axes))
        if part is not None and pixels is not None and rank == pixels.ndim - 1 and header.pages == 1:
            corner = pixels[tuple(slice(n) for n in part.shape[:rank])]
            assert corner.shape == part.shape
            same = np.array_equal(corner, part.astype(corner.dtype), equal_nan=corner.dtype.kind == "f")
            assert same, "a part has other pixels than the whole"


def _corner(path: Path, rank: int, axes: str | None) -> np.ndarray:
    with open_lazily(path, rank=rank, axes=axes) as opened:
        return opened.read(tuple(slice(0, min(n, LARGEST_PART)) for n in opened.header.size))


def array(path: Path) -> None:
    """A file that is read in parts only."""
    for rank, axes in ((2, None), (3, None), (2, "CYX"), (3, "ZYX")):
        refused(lambda rank=rank, axes=axes: _corner(path, rank, axes))


def images_within(path: Path) -> None:
    """Each of the images that one file, or one folder, holds."""
    for one in images_in(path)[:9]:
        refused(lambda one=one: image(one))


def video(path: Path) -> None:
    """The header, the first frame and all of them."""
    header = refused(lambda: read_header(path))
    refused(lambda: read_image(path, page=0))
    if header is not None and header.pages < 99:
        refused(lambda: list(read_pages(path, header.pages)))


def mask(path: Path) -> None:
    """A mask as it is, as classes, as a field of view and as layers; what is written again reads the same."""
    raw = refused(lambda: read_raw_mask(path))
    indices = refused(lambda: read_mask(path, LABELS))
    for labels in (COLOURS, BINARY):
        refused(lambda labels=labels: read_mask(path, labels))
    if raw is not None:
        size = raw.shape[:2] if raw.ndim == 3 and raw.dtype.kind == "u" else raw.shape
        refused(lambda: read_fov(path, None, None, size))
        refused(lambda: read_layer_files([path, path]))
    if indices is not None and indices.ndim == 2:
        again = path.with_name("again.png")
        write_mask(again, indices, LABELS)
        assert np.array_equal(read_mask(again, LABELS), indices)


OTHER_MASK = next(seeds.label_images())
"""Of another size than what most files become."""


def instances(path: Path) -> None:
    """Numbers of objects; what is written again reads the same."""
    ids = refused(lambda: read_instances(path))
    refused(lambda: read_instances_file(path, None, None))
    other = path.with_name("other.png")
    other.write_bytes(OTHER_MASK)
    read_object_masks([path, path, other], Findings(path.parent))
    if ids is not None and ids.size < 10_000:
        check_instances(ids, path, Findings(path.parent))
        again = path.with_name("again.tif")
        if ids.ndim == 2:
            write_instances(again, ids)
            assert np.array_equal(read_instances(again), ids)


def _objects(told: Annotations) -> None:
    for one in told.images:
        if one.size[0] * one.size[1] <= 1_000_000:
            one.objects()
            one.known()
        one.content()


def coco(path: Path) -> None:
    """All objects, painted."""
    for folders, classes in (((), None), ((path.parent,), ("cell", "dot"))):
        _objects(read_coco(path, folders, Findings(path.parent), classes))


def told_by(room: str) -> Callable[[Path], None]:
    """All objects that a program's file tells, painted."""

    def read(path: Path) -> None:
        for classes in (None, ("cell",)):
            problems, pictures = Findings(path.parent), Pictures([("a", path.with_name("a.png"))])
            found = import_module(f"reunet.io.annotations.{room}").read([path], pictures, problems)
            names, images = together(found, problems, classes)
            _objects(Annotations(names, tuple(images.values())))

    return read


def _images(folder: Path) -> None:
    (folder / "a.png").write_bytes(next(iter(seeds.rasters())))
    (folder / "b.nii").write_bytes(next(iter(seeds.niftis())))
    (folder / "extra.png").write_bytes(b"")


def label_table(path: Path) -> None:
    """The classes of images."""
    for folders, classes in (((), None), ((path.parent,), ("cell", "dot"))):
        read_labels(path, folders, Findings(path.parent), classes)
    has_labels(path)


def class_folder(path: Path) -> None:
    """A folder per class."""
    for classes in (None, ("cell", "dot")):
        class_folders(path, Findings(path.parent), classes)


def _class_folders() -> Iterator[bytes]:
    yield pack({"cell/a.png": b"", "dot/b.png": b"", "c.png": b""})
    yield pack({"cell/a.png": b"", "other/b.txt": b"", "dot/.a": b"", "a.txt": b""})


def _case(folder: Path, name: str) -> Case:
    return Case(name, "train", CaseFiles(folder / f"{name}.png"))


def item_table(path: Path) -> None:
    """The groups of images: by a column, by a table of its own, and by a pattern that it tells."""
    folder = path.parent
    cases = [_case(folder, name) for name in "ab"]
    (folder / "labels.csv").write_bytes(b"file,label\na.png,cell\n")
    pattern = path.read_text("utf-8", "replace").partition("\n")[0]
    for told in ("patient", "nothing", str(path), "{group}", pattern + "{group}"):
        groups = [SplitFolders("train", folder, folder)]
        refused(lambda told=told, groups=groups: with_groups(cases, told, groups, Findings(folder)))


def classes(path: Path) -> None:
    """The classes, as --classes and as --colors."""
    refused(lambda: read_classes(path))
    refused(lambda: read_colors(path))
    reader = CaseReader(path.parent, keep=False)
    for options in (DataOptions(classes=path), DataOptions(colors=path)):
        refused(lambda options=options: class_list(path.parent, options, [], reader))


def description(path: Path) -> None:
    """Classes, regions and what is annotated, as dataset.json tells them."""
    root = path.parent
    refused(lambda: class_names(root))
    refused(lambda: compare_described(root, [_case(root, "liver_1")], Findings(root)))
    labels = refused(lambda: class_list(root, DataOptions(), [], CaseReader(root, keep=False)))
    if labels is not None:
        refused(
            lambda: with_partial([_case(root, "liver_1"), _case(root, "b")], labels, root, Findings(root))
        )


def dataset(path: Path) -> None:
    """A folder, as `check` looks at it."""
    scan = refused(lambda: scan_dataset(path, DataOptions()))
    if scan is not None:
        refused(scan.dataset)


def sequences(path: Path) -> None:
    """Which images are frames of one sequence."""
    root = path.parent
    cases = [_case(root, name) for name in "ab"]
    with_sequences(cases, [SplitFolders("train", root, root)], None, Findings(root))


def pattern(path: Path) -> None:
    """What --sequence may be."""
    text, root = path.read_text("utf-8", "replace"), path.parent
    cases = [_case(root, name) for name in ("walk_1", "walk_02", "walk/3", "x")]
    cases.append(replace(cases[0], page=1))
    with_sequences(cases, [SplitFolders("train", root, root)], text, Findings(root))


def tracks(path: Path) -> None:
    """The lineage, and what is said where the frames do not show it, or not all of them."""
    problems = Findings(path.parent)
    found = read_tracks(path, problems)
    for present in ({0: [0, 1], 1: [1, 3]}, {0: [1], 2: [1], 3: [1]}):
        check_tracks(found, present, path, problems)


def challenge(path: Path) -> None:
    """A folder of the Cell Tracking Challenge."""
    find_sequences(path, Findings(path))


def _challenge_seeds() -> Iterator[bytes]:
    frames = {f"01/t{i:03d}.tif": b"" for i in range(3)} | {"01_GT/TRA/man_track.txt": b"1 0 2 0\n"}
    yield pack(frames | {"01_GT/SEG/man_seg000.tif": b"", "01_GT/SEG/man_seg_001_002.tif": b""})
    yield pack({"01/t000.tif": b"", "01/t200000000.tif": b"", "01_ST/SEG/man_seg000.tif": b"",
                "01_GT/TRA/man_track001.tif": b""})  # fmt: skip


def found_classes(path: Path) -> None:
    """Classes of images that a program found, and those that are true."""
    given.read(path, path.with_name("labels.csv"), DataOptions())


def _true_classes(folder: Path) -> None:
    (folder / "labels.csv").write_bytes(b"file,label\na.png,cell\nb.png,dot\n")


def run(path: Path) -> None:
    """What a run folder says of itself, and whether it belongs together."""
    folder = RunFolder(path)
    refused(lambda: Fingerprint.read(folder.fingerprint_file))
    refused(lambda: Splits.read(folder.splits_file))
    refused(lambda: EnvironmentFacts.read(folder.environment_file))
    refused(folder.history)
    refused(lambda: folder.verified_data(folder.splits_file))
    refused(folder.require_finished)
    plan = refused(folder.plan)
    for look in (folder.calibration, folder.verified_weights, folder.verified_engine):
        refused(lambda look=look: look(plan or PLAN))


def _plan() -> Plan:
    """Of the smallest network."""
    return Plan(
        dataset="cells",
        labels=LABELS,
        input=InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(1.0,), scale=(2.0,))),
        network=NetworkConfig(
            in_channels=1, filters=(4, 8), strides=((2, 2),), heads=(HeadSpec(channels=5),)
        ),
        patch=(32, 32),
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=(32, 32)),
    )


PLAN = _plan()


def _run_seeds() -> Iterator[bytes]:
    splits = Splits(train=("a",), val=("b",), test=(), source="held out")
    digest = hashlib.sha256(b"numbers").hexdigest()
    made = Meaning.of(PLAN)
    weights = WeightsFacts(sha256=digest, plan=made, data={"splits.json": None})
    files = {"model.xml": digest, "model.bin": digest}
    precision = {"f32": {"score": 0.5, "tiles_per_second": 3.0}, "bf16": None}
    engine = EngineFacts(files=files, weights_sha256=digest, plan=made, precision=precision)
    told = {
        "plan.json": PLAN,
        "splits.json": splits,
        "calibration.json": Calibration(threshold=0.4, weights=digest),
        "weights/weights.json": weights,
        "engine/engine.json": engine,
    }
    packed = {name: one.model_dump_json().encode() for name, one in told.items()}
    packed["fingerprint.json"] = seeds.told(_fingerprint())
    packed["environment.json"] = seeds.told({"machine": {}, "versions": {"numpy": "2"}, "threads": 2})
    packed["history.csv"] = next(iter(seeds.tables_of_history()))
    numbers = ("weights/best.weights.h5", "engine/model.xml", "engine/model.bin")
    whole = packed | dict.fromkeys(numbers, b"numbers")
    for name, content in packed.items():
        yield pack({name: content})
        yield pack(whole | {name: content[:-9]})
    yield pack(whole)
    yield pack({name: content for name, content in whole.items() if "weights" not in name})


def _fingerprint() -> dict[str, object]:
    return {
        "schema_version": 1, "dataset": "cells", "channels": 1, "labels": LABELS.model_dump(mode="json"),
        "dtype": "uint8", "n_train": 1, "n_val": 1,
        "cases": [{"id": "a", "split": "train", "size": [7, 9], "kind": 1, "content": "x"}],
    }  # fmt: skip


def engine(path: Path) -> None:
    """A graph for OpenVINO, compiled and asked about three tiles; its hash is another matter."""
    runtime = OpenVINORuntime(path / "model.xml", (8, 8), threads=1)
    if all(side > 0 for shape in runtime.states.values() for side in shape):
        states = {name: np.zeros((3, *shape), np.float32) for name, shape in runtime.states.items()}
        runtime.step(np.zeros((3, 8, 8, 1), np.float32), states)


def checkpoint(path: Path) -> None:
    """The latest checkpoint. Hashes are made right first: what they cover is to be reached."""
    for folder in path.glob("*"):
        facts, arrays = folder / "state.json", folder / "arrays.npz"
        try:
            content = json.loads(facts.read_bytes())
            text = json.dumps(
                [hashlib.sha256(arrays.read_bytes()).hexdigest(), content["step"], content["state"]],
                sort_keys=True,
            )
            content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
            facts.write_text(json.dumps(content), encoding="utf-8")
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    load_checkpoint(path)


def stream_state(path: Path) -> None:
    """What is taken up tells of the frame after it."""
    stream = stream_of()
    stream.load_state(path)
    refused(lambda: stream(film(1)[0]))


def stream_states() -> Iterator[bytes]:
    """What streams have seen of films of two sizes."""
    for size in ((9, 10), (40, 21)):
        stream = stream_of()
        stream(film(1, size)[0])
        yield seeds.on_disk("a.npz", stream.save_state)


IMAGES = ("io.images", "io.header")

READERS = {
    reader.name: reader
    for reader in (
        Reader("tiff", "a.tif", image, seeds.tiffs,
               ("io.tiff", "io.tiff_tags", "io.samples", "io.lazy", *IMAGES)),
        Reader("raster", "a.png", image, seeds.rasters, ("io.raster", *IMAGES)),
        Reader("nifti", "a.nii.gz", image, seeds.niftis,
               ("io.nifti", "io.nifti_volume", "io.lazy", *IMAGES)),
        Reader("npy", "a.npy", array, seeds.arrays, ("io.lazy",)),
        Reader("hdf5", "a.h5", array, seeds.hdf5s, ("io.lazy",)),
        Reader("zarr", "a.zarr", array, seeds.zarrs, ("io.lazy",)),
        *(
            Reader(room, name, images_within, seed, tuple(f"io.formats.{one}" for one in rooms))
            for room, name, seed, rooms in (
                ("czi", "a.czi", format_seeds.czis, ("czi", "czi_blocks")),
                ("lif", "a.lif", format_seeds.lifs, ("lif",)),
                ("nd2", "a.nd2", format_seeds.nd2s, ("nd2",)),
                ("oib", "a.oib", format_seeds.oibs, ("oib",)),
                ("dicom", "series", format_seeds.dicoms, ("dicom", "dicom_files", "dicom_folder",
                                                          "dicom_geometry")),
            )
        ),
        Reader("stream_state", "a.npz", stream_state, stream_states, ("inference.saved_state",)),
        Reader("video", "a.mp4", video, seeds.videos, ("io.video", *IMAGES)),
        Reader("mask", "a.png", mask, seeds.label_images, ("io.masks",)),
        Reader("instances", "a.png", instances, seeds.label_images, ("io.annotations.instances",)),
        Reader("coco", "boxes.json", coco, seeds.cocos, ("io.annotations.coco", "io.annotations.rle",
               "io.annotations.polygons", "io.annotations.annotated_image", "io.annotations.files"),
               _images),
        Reader("voc", "a.xml", told_by("voc"), seeds.vocs, ("io.annotations.voc",), _images),
        Reader("geojson", "a.geojson", told_by("geojson"), seeds.outlines, ("io.annotations.geojson",),
               _images),
        Reader("rois", "a.zip", told_by("imagej"), seeds.rois, ("io.annotations.imagej",), _images),
        *(
            Reader(room, file, told_by(f"tools.{room}"), seed, (f"io.annotations.tools.{room}",), _images)
            for room, file, seed in (
                ("yolo", "a.txt", tool_seeds.yolo),
                ("labelme", "a.json", tool_seeds.labelme),
                ("cvat", "all.xml", tool_seeds.cvat),
                ("label_studio", "all.json", tool_seeds.label_studio),
                ("via", "all.json", tool_seeds.via),
                ("supervisely", "a.json", tool_seeds.supervisely),
                ("cellpose", "a_seg.npy", tool_seeds.cellpose),
                ("napari", "a.csv", tool_seeds.napari),
            )
        ),
        Reader("labels", "labels.csv", label_table, seeds.label_tables, ("io.annotations.image_labels",)),
        Reader("class_folders", "classes", class_folder, _class_folders, ("io.annotations.image_labels",)),
        Reader("items", "items.csv", item_table, seeds.item_tables, ("datasets.tables",)),
        Reader("classes", "classes.csv", classes, seeds.class_files, ("datasets.classes",)),
        Reader("description", "dataset.json", description, seeds.descriptions,
               ("datasets.regions", "datasets.tables")),
        Reader("dataset", "data", dataset, seeds.datasets, ("datasets.classes",)),
        Reader("sequences", "sequences.json", sequences, seeds.sequence_files, ("datasets.sequences",)),
        Reader("pattern", "pattern.txt", pattern, seeds.patterns, ("datasets.sequences",)),
        Reader("tracks", "man_track.txt", tracks, seeds.track_files, ("io.annotations.ctc",)),
        Reader("challenge", "films", challenge, _challenge_seeds, ("io.annotations.ctc",)),
        Reader("found", "found.csv", found_classes, seeds.found_tables, ("tasks.classification.given",),
               _true_classes),
        Reader("run", "run", run, _run_seeds, ("contracts.run", "contracts.base", "contracts.history")),
        Reader("engine", "engine", engine, seeds.engines, ("inference.openvino_runtime",)),
        Reader("checkpoint", "checkpoints", checkpoint, seeds.checkpoints, ("training.checkpoint",)),
    )
}  # fmt: skip
