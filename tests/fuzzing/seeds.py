"""Small files of every format that is read, made by code: the corpus that fuzzing begins with."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import roifile
import tifffile
from PIL import Image

from reunet.contracts.labels import LabelMap, default_classes
from reunet.io.annotations.geojson import object_features, write_features
from reunet.io.annotations.imagej import write_rois

from .mutations import pack

GREY = (np.arange(63).reshape(7, 9) * 4).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T.reshape(7, 9)], axis=-1)
VOLUME = (np.arange(60).reshape(3, 4, 5) % 7).astype(np.int16)
IDS = np.kron(np.array([[0, 1, 2], [3, 0, 4]]), np.ones((3, 4), int)).astype(np.uint16)


def made(write: Callable[[Any], object]) -> bytes:
    """The file that `write` writes into memory."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def on_disk(name: str, write: Callable[[Path], object]) -> bytes:
    """The file, or the folder as one, that `write` writes under a path that ends like `name`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        if path.is_file():
            return path.read_bytes()
        files = sorted(one for one in path.rglob("*") if one.is_file())
        return pack({one.relative_to(path).as_posix(): one.read_bytes() for one in files})


def told(value: Any) -> bytes:
    """A value as JSON."""
    return json.dumps(value).encode()


def tiffs() -> Iterator[bytes]:
    """Every kind of TIFF: samples, colours, storage, stacks and what OME and ImageJ write about them."""

    def tiff(pixels: np.ndarray, **options: Any) -> bytes:
        return made(lambda file: tifffile.imwrite(file, pixels, **options))

    for dtype in ["u1", "u2", "i2", "u4", "f4", "f8", "f2", "c8", "i8"]:
        yield tiff(GREY.astype(dtype))
    yield tiff(GREY > 99)
    for photometric, compression in product(("minisblack", "miniswhite"), (None, "zlib", "lzw", "packbits")):
        yield tiff(GREY, photometric=photometric, compression=compression, rowsperstrip=2)
    yield tiff(COLOUR, photometric="rgb", compression="jpeg")
    for planar, tile, order in product(("contig", "separate"), (None, (16, 16)), "<>"):
        pixels = COLOUR if planar == "contig" else np.moveaxis(COLOUR, -1, 0)
        yield tiff(
            pixels,
            photometric="rgb",
            planarconfig=planar,
            tile=tile,
            byteorder=order,
            predictor=tile is None,
            compression="zlib",
        )
    map_of_colours = np.stack([np.arange(256) * 256] * 3).astype(np.uint16)
    yield tiff(GREY, photometric="palette", colormap=map_of_colours)
    yield tiff(GREY, photometric="palette", colormap=map_of_colours * [[1], [0], [1]])
    yield tiff(np.dstack([COLOUR, np.full_like(GREY, 255)]), photometric="rgb", extrasamples=["unassalpha"])
    yield tiff(np.dstack([COLOUR, GREY]), photometric="rgb", extrasamples=["assocalpha"])
    yield tiff(
        np.dstack([GREY, GREY]), photometric="minisblack", extrasamples=["unspecified"], planarconfig="contig"
    )
    for orientation in (3, 6):
        yield tiff(GREY, extratags=[(274, 3, 1, orientation, True)])
    yield tiff(GREY, resolution=(100, 200), resolutionunit="centimeter")
    yield tiff(np.stack([GREY] * 3), photometric="minisblack")
    yield tiff(np.stack([GREY] * 3), photometric="minisblack", compression="zlib", metadata={"axes": "ZYX"})
    yield tiff(np.stack([COLOUR] * 2), photometric="rgb", bigtiff=True)
    yield tiff(np.stack([GREY] * 3), imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "TYX"})
    yield tiff(
        np.stack([GREY] * 2),
        ome=True,
        photometric="minisblack",
        metadata={"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5},
    )
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1026, 34737, 5, 0, 3072, 0, 1, 32633)
    places = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 5.0, 9.0, 0.0), True)]
    turned = [(34264, 12, 16, (8.0, 6.0, 0.0, 5.0, 6.0, -8.0, 0.0, 9.0, *(0.0,) * 7, 1.0), True)]
    for tags, nodata in ((places, "0"), (turned, "nan")):
        told = (34735, 3, len(keys), keys, True), (34737, 2, 6, "name|", True), (42113, 2, 4, nodata, True)
        yield tiff(GREY.astype(np.float32), photometric="minisblack", extratags=[*tags, *told])
    yield b"II*\0\x08\0\0\0\0\0\0\0\0\0"

    def two_sizes(file: Any) -> None:
        with tifffile.TiffWriter(file) as writer:
            writer.write(GREY)
            writer.write(GREY[:3])

    def pyramid(file: Any) -> None:
        with tifffile.TiffWriter(file, ome=True) as writer:
            writer.write(np.tile(GREY, (6, 6)), subifds=1, tile=(16, 16), metadata={"axes": "YX"})
            writer.write(np.tile(GREY, (3, 3)), subfiletype=1, tile=(16, 16))

    yield from map(made, (two_sizes, pyramid))


def rasters() -> Iterator[bytes]:
    """PNG of every mode and depth, JPEG with and without orientation, and the other formats of photos."""
    grey, colour = Image.fromarray(GREY), Image.fromarray(COLOUR)

    def saved(image: Image.Image, form: str, **options: Any) -> bytes:
        return made(lambda file: image.save(file, form, **options))

    turned = Image.Exif()
    turned[0x0112] = 6
    for image in (
        grey,
        colour,
        grey.convert("1"),
        grey.convert("LA"),
        colour.convert("RGBA"),
        colour.quantize(5),
    ):
        yield saved(image, "PNG")
    yield saved(colour.quantize(5), "PNG", transparency=1)
    yield saved(grey, "PNG", transparency=1)
    yield saved(grey, "PNG", exif=turned)
    yield saved(Image.fromarray(GREY.astype(np.uint16) * 200), "PNG")
    yield saved(Image.fromarray((GREY > 99).astype(np.uint8)).quantize(2), "PNG", bits=1)
    yield _deep_png()
    for image in (grey, colour, colour.convert("CMYK")):
        yield saved(image, "JPEG")
        yield saved(image, "JPEG", exif=turned, progressive=True)
    for form in ("BMP", "GIF", "WEBP", "JPEG2000"):
        yield saved(colour, form)
        yield saved(grey, form)
    yield _jxl(COLOUR)
    yield _jxl(GREY.astype(np.uint16))
    yield saved(grey, "GIF", save_all=True, append_images=[grey.rotate(90)])


def _jxl(pixels: np.ndarray) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(pixels))


def _deep_png() -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", COLOUR.astype(np.uint16) * 200)[1])


def niftis() -> Iterator[bytes]:
    """Volumes of both versions and byte orders, turned, scaled, with channels, without sizes, packed."""
    import nibabel

    affines = (np.diag([-2.0, 2, 3, 1]), np.eye(4)[[2, 0, 1, 3]], np.diag([1e-20, 1, 1, 1]))
    for dtype, affine in (
        ("i2", affines[0]),
        ("f4", affines[1]),
        ("u1", affines[0]),
        ("f8", affines[2]),
        ("c8", affines[0]),
    ):
        image = nibabel.Nifti1Image(VOLUME.astype(dtype), affine, dtype=dtype)
        yield image.to_bytes()
        yield gzip.compress(image.to_bytes(), 1)
    scaled = nibabel.Nifti1Image(VOLUME, affines[0])
    scaled.header.set_slope_inter(0.5, 3)
    scaled.header.set_xyzt_units("micron")
    yield scaled.to_bytes()
    for shape in ((5, 4, 3, 2), (5, 4, 3, 1, 2), (5, 4), (5, 4, 3, 2, 2)):
        yield nibabel.Nifti2Image(np.zeros(shape, np.uint8), affines[0]).to_bytes()
    yield scaled.as_reoriented(np.array([[1, -1], [2, 1], [0, 1]])).to_bytes()
    big = nibabel.Nifti1Image(VOLUME.astype(">i2"), affines[0], scaled.header.as_byteswapped(">"))
    yield big.to_bytes()


def arrays() -> Iterator[bytes]:
    """NumPy files."""
    for array in (
        GREY,
        COLOUR,
        VOLUME,
        GREY.astype(">f4"),
        GREY > 9,
        np.asfortranarray(COLOUR),
        np.array(["a"]),
    ):
        yield made(lambda file, array=array: np.save(file, array))


def hdf5s() -> Iterator[bytes]:
    """HDF5 files with one image, several, none, links to others."""
    import h5py

    def file_of(path: Path, **told: np.ndarray) -> None:
        with h5py.File(path, "w") as file:
            for name, values in told.items():
                file.create_dataset(name, data=values, chunks=True, compression="gzip")

    yield on_disk("a.h5", lambda path: file_of(path, image=GREY))
    yield on_disk("a.h5", lambda path: file_of(path, image=COLOUR))
    yield on_disk("a.h5", lambda path: file_of(path, image=VOLUME.astype("f4")))
    yield on_disk("a.h5", lambda path: file_of(path, a=GREY, b=GREY))

    def linked(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["image"] = h5py.ExternalLink("/etc/passwd", "/a")
            file.create_dataset("far", (4, 5), "u1", external=[("/etc/passwd", 0, 20)])

    yield on_disk("a.h5", linked)

    def nested(path: Path) -> None:
        with h5py.File(path, "w") as file:
            inner = file.create_group("a/b")
            inner.create_dataset("image", data=GREY)
            inner["again"] = inner["image"]
            file["scale"] = np.ones(2)
            file["name"] = "cells"
            file.create_group("empty")

    yield on_disk("a.h5", nested)


def zarrs() -> Iterator[bytes]:
    """Zarr arrays of both versions and OME-Zarr groups, as folders."""
    import zarr

    def array(path: Path, version: int, values: np.ndarray, **options: Any) -> None:
        made = zarr.create_array(
            str(path),
            shape=values.shape,
            chunks=(4,) * values.ndim,
            dtype=values.dtype,
            zarr_format=version,
            **options,
        )
        made[...] = values

    def group(path: Path, version: int) -> None:
        root = zarr.open_group(str(path), mode="w", zarr_format=version)
        made = root.create_array("0", shape=GREY.shape, chunks=(4, 4), dtype="u1")
        made[...] = GREY
        axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
        scale = [{"type": "scale", "scale": [0.5, 0.5]}]
        scales = [
            {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        ]
        root.attrs.update(
            {"multiscales": scales} if version == 2 else {"ome": {"version": "0.5", "multiscales": scales}}
        )

    for version in (2, 3):
        yield on_disk("a.zarr", lambda path, version=version: array(path, version, GREY))
        yield on_disk(
            "a.zarr", lambda path, version=version: array(path, version, VOLUME.astype("f4"), fill_value=1)
        )
        yield on_disk("a.zarr", lambda path, version=version: group(path, version))
    blosc = zarr.codecs.BloscCodec()
    yield on_disk("a.zarr", lambda path: array(path, 3, GREY, compressors=[blosc]))


def videos() -> Iterator[bytes]:
    """Films of a few frames."""
    import av

    def sound(path: Path) -> None:
        with av.open(str(path), "w") as file:
            stream = file.add_stream("aac", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 8000
            file.mux([*stream.encode(frame), *stream.encode()])

    def film(path: Path, codec: str, pixels: str, shades: tuple[int, ...] = (0, 90, 200)) -> None:
        with av.open(str(path), "w") as file:
            stream = file.add_stream(codec, rate=5)
            stream.width, stream.height, stream.pix_fmt = 32, 16, pixels
            for shade in shades:
                frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), shade, np.uint8), format="rgb24")
                file.mux(stream.encode(frame))
            file.mux(stream.encode())

    yield on_disk("a.mp4", lambda path: film(path, "mpeg4", "yuv420p"))
    yield on_disk("a.avi", lambda path: film(path, "mjpeg", "yuvj420p"))
    yield on_disk("a.mp4", sound)
    yield on_disk("a.mkv", lambda path: film(path, "ffv1", "gray"))


def label_images() -> Iterator[bytes]:
    """Masks and numbers of objects, in the formats that they come in."""
    for dtype in (np.uint8, np.uint16):
        yield made(lambda file, dtype=dtype: Image.fromarray(IDS.astype(dtype)).save(file, "PNG"))
    for dtype in ["u1", "u4", "i4", "f4", "f8", "i8"]:
        yield made(lambda file, dtype=dtype: tifffile.imwrite(file, IDS.astype(dtype)))
    yield made(lambda file: tifffile.imwrite(file, np.stack([IDS] * 2), metadata={"axes": "ZYX"}))
    yield made(lambda file: tifffile.imwrite(file, IDS - 0.5))
    yield made(lambda file: Image.fromarray((IDS > 0).astype(np.uint8) * 255).save(file, "PNG"))
    yield made(lambda file: Image.fromarray((IDS > 0).astype(np.uint8) * 255).convert("1").save(file, "PNG"))
    numbered = np.stack([IDS.astype(np.uint8) << shift for shift in (4, 5, 6)], -1)
    yield made(lambda file: Image.fromarray(numbered & 240).save(file, "PNG"))
    palette = Image.fromarray(IDS.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    yield made(lambda file: palette.save(file, "PNG"))
    yield made(lambda file: palette.convert("RGB").save(file, "PNG"))
    yield made(lambda file: palette.convert("RGB").save(file, "JPEG"))
    yield from list(niftis())[:3]


def cocos() -> Iterator[bytes]:
    """COCO files: boxes, polygons, run lengths of both kinds, crowds, scores."""
    from faster_coco_eval.core.mask import frPyObjects

    images = [
        {"id": 1, "file_name": "a.png", "height": 7, "width": 9},
        {"id": 2, "file_name": "b.png", "height": 7, "width": 9},
    ]
    kinds = [{"id": 1, "name": "cell"}, {"id": 3, "name": "dot"}]
    runs = {"size": [7, 9], "counts": [10, 3, 50]}
    packed = frPyObjects(runs, 7, 9)["counts"].decode()
    shapes: list[dict[str, Any]] = [
        {"bbox": [1, 1, 3, 3]},
        {"bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]},
        {"segmentation": runs, "iscrowd": 1},
        {"segmentation": {"size": [7, 9], "counts": packed}},
        {"bbox": [-2, 1, 30, 3], "score": 0.5},
        {"bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1], [1, 1, 4, 4, 1, 4]]},
    ]
    notes = [
        {"id": i, "image_id": 1 + i % 2, "category_id": 1 + i % 3, "area": 9, "iscrowd": 0, **shape}
        for i, shape in enumerate(shapes)
    ]
    for some in (
        notes,
        [note for note in notes if note["category_id"] != 2],
        [],
        notes[:1],
        notes[1:2],
        notes[3:4],
    ):
        yield told({"images": images, "annotations": some, "categories": kinds})
    yield told(
        {
            "images": images,
            "categories": kinds,
            "annotations": [notes[0] | {"category_id": 1, "bbox": [1, 1, 0, 3]}],
        }
    )
    yield b"[]"


def vocs() -> Iterator[bytes]:
    """Pascal VOC files."""
    sides = "<xmin>{}</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax>"
    box = f"<object><name>cell</name><difficult>{{}}</difficult><bndbox>{sides}</bndbox></object>"
    for size in ("<size><width>9</width><height>7</height><depth>1</depth></size>", ""):
        for inside in (box.format(0, 1), box.format(1, 2) + box.format(0, 9), "", box.format(0, "x")):
            yield f"<annotation><filename>a.png</filename>{size}{inside}</annotation>".encode()
    yield b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    yield b"<html/>"


def label_tables() -> Iterator[bytes]:
    """labels.csv and its like."""
    yield b"file,label\na.png,cell\nb.png,dot\n"
    yield b"file,label,label_id\r\na.png,cell,0\r\nb.png,dot,1\r\n"
    yield b"image_id;label_id;label\na.png;0;cell\na.png;1;dot\n"
    yield b'image\tclass\n"a.png"\tcell\nimages\\b.png\tcell, large\n'
    yield "\ufefffilename,label\na.png,zell\u00e9\n../x.png,cell\n,\n".encode()
    yield "file,label\na.png,zell\u00e9\n".encode("latin-1")
    yield b"file,label\n"
    yield b"a,b\n1,2\n"
    yield b"file,label,label_id\na.png,cell,0\nb.png,cell,1\na.png,cell,0\na.png,dot,x\n"
    yield b"file,class,species\na.png,cell,b\n"


def item_tables() -> Iterator[bytes]:
    """items.csv with a group."""
    yield b"stem,patient\na,1\nb,2\n"
    yield b"file;patient;age\na.png;p1;30\nb.png;p1;\n"
    yield b"name,patient\n"
    yield b"patient\n1\n"
    yield b"name,group\na,1\nb,1\na,2\n"
    yield b"*_\n"


def class_files() -> Iterator[bytes]:
    """--classes and --colors, as lines and as JSON."""
    yield b"id,name\n0,background\n1,cell\n255,ignore\n"
    yield b"0,background\n# cells\n1,cell\n"
    yield b"background,0,0,0\ncell,255,0,0\nignore,255,255,255\n"
    yield told(
        [{"id": 0, "name": "background"}, {"id": 1, "name": "cell", "color": [1, 2, 3], "foreground": True}]
    )
    yield told({"background": [0, 0, 0], "cell": [255, 0, 0]})
    yield told({"classes": [{"id": 0, "name": "bg"}, {"id": 7, "name": "cell"}], "ignore_index": 255})


def descriptions() -> Iterator[bytes]:
    """dataset.json in all its forms."""
    classes = [
        {"id": i, "name": name, "color": [i, 0, 0]} for i, name in enumerate(("background", "edema", "core"))
    ]
    yield told({"name": "cells", "task": ["semantic"], "classes": classes, "ignore_index": 255})
    yield told(
        {
            "classes": classes,
            "regions": [
                {"name": "whole", "classes": ["edema", 2], "paints": 1, "color": [1, 2, 3]},
                {"name": "core", "classes": ["core"]},
            ],
        }
    )
    yield told({"regions": ["whole", "core"]})
    yield told(
        {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, "regions_class_order": [1, 2]}
    )
    yield told(
        {"labels": {"0": "background", "1": "tumour"}, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    )
    yield told({"classes": classes, "annotated": {"liver_*": ["edema"], "*": ["edema", "core"]}})
    yield told(
        {
            "classes": classes,
            "ignore_color": [255, 255, 255],
            "channel_names": ["CT"],
            "modality": {"0": "CT"},
        }
    )


def sequence_files() -> Iterator[bytes]:
    """sequences.json."""
    yield told([{"split": "train", "sequence": "film", "axis": "T", "frames": ["a", "b"]}])
    yield told([{"sequence": "stack", "axis": "Z", "frames": ["a"]}, {"sequence": "s", "frames": ["a", "z"]}])


def patterns() -> Iterator[bytes]:
    """--sequence."""
    yield from (
        b"{sequence}_{frame}",
        b"{sequence}/{frame}",
        b"*{slice}",
        b"{frame}{frame}",
        b"{sequence}_{number}",
    )


def track_files() -> Iterator[bytes]:
    """man_track.txt."""
    yield b"1 0 3 0\n2 4 5 1\n3 4 5 1\n"
    yield b"1 0 3 0\r\n\r\n7 1 1 9\n"
    yield b"1 3 0 0\n1 0 2 1\nx\n"
    yield b"1 0 3 0\n"


def split_lists() -> Iterator[bytes]:
    """ImageSets/Main/train.txt."""
    yield b"a\nb  1\n\nc -1\n"


def engines() -> Iterator[bytes]:
    """A graph of OpenVINO: model.xml and model.bin."""
    import openvino
    from openvino import opset16

    def save(path: Path, states: bool) -> None:
        image = opset16.parameter([-1, -1, -1, 1], openvino.Type.f32, name="image")
        before = opset16.parameter([-1, 8, 8, 1], openvino.Type.f32, name="state")
        z = opset16.multiply(image, np.float32(0.5))
        kernel = np.ones((2, 1, 3, 3), np.float32)
        maps = opset16.convolution(opset16.transpose(z, [0, 3, 1, 2]), kernel, [1, 1], [1, 1], [1, 1], [1, 1])
        after = opset16.add(before, z)
        after.output(0).tensor.set_names({"state_after"})
        softmax = opset16.softmax(opset16.transpose(maps, [0, 2, 3, 1]), 3)
        softmax.output(0).tensor.set_names({"semantic"})
        given = [image, before] if states else [image]
        model = openvino.Model([softmax, after] if states else [softmax], given, "small")
        openvino.save_model(model, path / "model.xml", compress_to_fp16=False)

    yield on_disk("engine", lambda path: save(path, False))
    yield on_disk("engine", lambda path: save(path, True))


def checkpoints() -> Iterator[bytes]:
    """A folder of checkpoints."""
    from reunet.training.checkpoint import save_checkpoint

    def save(path: Path) -> None:
        for step in (3, 5):
            values = {"model:0000:kernel": np.arange(4, dtype=np.float32), "seed": np.array(7)}
            save_checkpoint(path, step, values, {"best": 0.5, "history": [1, 2], "losses": {"a": None}})

    yield on_disk("checkpoints", save)
    yield pack({"LATEST": b"00000003\n"})


def tables_of_history() -> Iterator[bytes]:
    """history.csv."""
    yield b"step,epoch,time_s,loss,learning_rate,val_score\n4,0.5,1.0,0.7,0.002,\n8,1,2.0,0.5,0.001,0.9\n"


def found_tables() -> Iterator[bytes]:
    """Classes of images that a program has found, as table and JSON."""
    yield b"image,class,probability_cell,probability_dot\na.png,cell,0.9,0.1\nb.png,dot,0.2,0.8\n"
    yield b"file,label\na.png,cell\nb.png,dot\n"
    yield told(
        {
            "images": [
                {"file_name": "a.png", "class": "cell", "probabilities": {"cell": 0.9, "dot": 0.1}},
                {"file_name": "images/b.png", "class": "dot"},
            ]
        }
    )


def parts_of_predictions() -> Iterator[bytes]:
    """objects/a.json of an earlier prediction."""
    one = {
        "image": "a",
        "file": "a.png",
        "size": [7, 9],
        "class": "cell",
        "probabilities": {"cell": 1.0},
        "tables": [{"id": [1, 2], "class": ["cell", "dot"], "area": [3, 4]}],
        "numbers": {"area": 3},
        "categories": [[1, "cell"]],
        "annotations": [{"category": 0, "bbox": [1, 1, 2, 2], "area": 4}],
    }
    yield told({"tasks": ["instances", "classification"], "images": [one]})


def datasets() -> Iterator[bytes]:
    """Small datasets in several layouts, as folders."""
    images, labels, colours = list(rasters())[:2], list(label_images()), list(label_images())[-5]
    grey = images[0]
    pairs = {f"{kind}/{name}.png": content for name in "ab"
             for kind, content in (("images", grey), ("masks", labels[0]))}  # fmt: skip
    split = {f"{part}/{file}": content for part in ("train", "test") for file, content in pairs.items()}
    for facts in (None, *list(descriptions())[:3]):
        yield pack(pairs | ({"dataset.json": facts} if facts else {}))
    yield pack(
        split | {"items.csv": next(iter(item_tables())), "sequences.json": next(iter(sequence_files()))}
    )
    for mask in (labels[11], labels[13], colours, labels[1], labels[17], b""):
        yield pack(pairs | {"masks/a.png": mask})
    values = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)
    many = made(lambda file: Image.fromarray(values).save(file, "PNG"))
    photo = next(one for one in labels if one.startswith(b"\xff\xd8"))
    for mask in (many, photo, colours):
        yield pack({name: mask if "masks" in name else content for name, content in pairs.items()})
    yield pack({"masks/a.png": labels[0]})
    yield pack(pairs | {"fov/a_mask.png": labels[11], "fov/b.png": labels[11], "masks/c.png": labels[0]})
    yield pack(
        {
            "images/a.png": grey,
            "instances/a.png": labels[1],
            "images/b.png": grey,
            "instances/b.png": labels[1],
        }
    )
    yield pack({"images/a.png": grey, "images/b.png": grey, "boxes.json": next(iter(cocos()))})
    yield pack({"images/a.png": grey, "images/b.png": grey, "labels.csv": next(iter(label_tables()))})
    yield pack({"cell/a.png": grey, "dot/b.png": images[1]})
    yield pack(
        {
            "JPEGImages/a.png": grey,
            "Annotations/a.xml": next(iter(vocs())),
            "ImageSets/Main/train.txt": b"a\n",
        }
    )
    yield pack({"a/images/a.png": grey, "a/masks/1.png": labels[11], "a/masks/2.png": labels[11]})
    volume = list(niftis())[1]
    yield pack(
        {
            "imagesTr/a_0000.nii.gz": volume,
            "labelsTr/a.nii.gz": volume,
            "dataset.json": list(descriptions())[4],
        }
    )
    film = {f"01/t{i:03d}.tif": next(iter(tiffs())) for i in range(2)}
    yield pack(film | {"01_GT/TRA/man_track.txt": b"1 0 1 0\n", "01_GT/SEG/man_seg000.tif": labels[2],
                       "01_GT/TRA/man_track000.tif": labels[2]})  # fmt: skip


def outlines() -> Iterator[bytes]:
    """GeoJSON as `reunet predict` writes it, and what QuPath has beside it."""
    labels = LabelMap(classes=default_classes([0, 1]))
    yield on_disk("a.geojson", lambda path: write_features(path, object_features(IDS, labels)))
    scores = np.linspace(0, 1, 5)
    whole = json.loads(
        on_disk("a.geojson", lambda path: write_features(path, object_features(IDS, labels, None, scores)))
    )
    features = whole["features"]
    yield told(features)
    yield told(features[0])
    holed = [[[0, 0], [5, 0], [5, 5], [0, 5], [0, 0]], [[1, 1], [3, 1], [3, 3], [1, 1]]]
    geometries = [
        {"type": "Polygon", "coordinates": holed},
        {"type": "MultiPolygon", "coordinates": [holed, holed[:1]]},
        {"type": "Point", "coordinates": [2, 3]},
        {"type": "LineString", "coordinates": holed[0]},
        {"type": "GeometryCollection", "geometries": []},
    ]
    for kind, geometry in product(("annotation", "cell", "root", None), geometries):
        properties = {"objectType": kind, "classification": {"name": "b", "color": [1, 2, 3]}, "name": "7"}
        feature = {"type": "Feature", "id": "x", "geometry": geometry, "properties": properties}
        yield told({"type": "FeatureCollection", "features": [feature]})
    for classification in ({"names": ["b", "c"]}, "b", {}):
        away = {"type": "Polygon", "coordinates": holed, "plane": {"c": -1, "z": 2, "t": 0}}
        both = [
            {"type": "Feature", "geometry": one, "properties": {"classification": classification}}
            for one in (geometries[0], away)
        ]
        yield told(both)
    yield told({"type": "Topology"})


def rois() -> Iterator[bytes]:
    """Zips of ROIs as `reunet predict` writes them, of an image and of a stack, and single kinds of ROI."""
    yield on_disk("a.zip", lambda path: write_rois(path, IDS))
    yield on_disk("a.zip", lambda path: write_rois(path, np.stack([IDS, IDS[::-1]])))
    holed = IDS.copy()
    holed[1, 5:7] = 0
    yield on_disk("a.zip", lambda path: write_rois(path, holed))
    square = np.array([[1, 1], [6, 1], [6, 5], [1, 5]], np.float32)
    for kind in (one for one in roifile.ROI_TYPE if one.value >= 0):
        roi = roifile.ImagejRoi.frompoints(square)
        roi.roitype = kind
        with io.BytesIO() as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("1.roi", roi.tobytes())
            yield file.getvalue()
