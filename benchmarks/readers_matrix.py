"""Small files in all combinations that tifffile, Pillow, nibabel and zarr can write, one after the other."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

SIDES = 17, 23
PHOTOMETRIC = ("minisblack", "miniswhite", "rgb", "palette", "separated", "cielab", "ycbcr")
DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
PLANAR = ("contig", "separate")
PREDICTORS = (None, "horizontal", "floatingpoint")
ORDERS = ("<", ">")
ORIENTATIONS = range(1, 9)
COMPRESSIONS = (
    None,
    *("zlib", "lzw", "packbits", "lzma", "zstd", "jpeg", "webp", "jpeg2000", "jpegxl", "png", "lerc"),
)
LAYOUTS: tuple[dict[str, Any], ...] = ({}, {"tile": (16, 16)}, {"rowsperstrip": 5})
"""Of the pieces of a TIFF; layouts and orientations are taken in turn."""

NUMBERS = {"I;16": "uint16", "I": "int32", "F": "float32"}
"""Pillow's modes of more than 8 bits."""

Written = tuple[str, Path]
Writer = Callable[[Path], None]


def written(folder: Path, every: int) -> Iterator[Written]:
    """What was written, and the file, which is removed when the next one is asked for. Combinations that a
    program refuses are left out.
    """
    number = 0
    for what, name, write in (*_tifffile(), *_pillow(), *_nibabel(), *_zarr()):
        number += 1
        if number % every:
            continue
        path = folder / name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write(path)
        except Exception:  # whatever a writer says to a combination that it does not know
            path.unlink(missing_ok=True)
            continue
        yield what, path
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _values(dtype: str, channels: int) -> np.ndarray:
    """(*SIDES, channels) over the range of a type; smooth, so that lossy compressions keep most of it."""
    y, x = np.mgrid[: SIDES[0], : SIDES[1]]
    waves = np.stack([np.sin(y / 5 + c) * np.cos(x / 7 - c) for c in range(channels)], axis=-1) / 2 + 0.5
    if dtype == "bool":
        return np.asarray(waves > 0.5)
    if dtype.startswith("float"):
        return np.asarray(waves.astype(dtype) * 3 - 1)
    limits = np.iinfo(dtype)
    return np.asarray((limits.min + waves * (float(limits.max) - limits.min) * 0.999).astype(dtype))


def _tifffile() -> Iterator[tuple[str, str, Writer]]:
    import tifffile

    every = product(PHOTOMETRIC, DTYPES, PLANAR, PREDICTORS, ORDERS, COMPRESSIONS)
    for number, (photometric, dtype, planar, predictor, order, compression) in enumerate(every):
        orientation = ORIENTATIONS[number % 8]
        channels = {"rgb": 3, "cielab": 3, "ycbcr": 3, "separated": 4}.get(photometric, 1)
        if channels == 1 and planar == "separate":
            continue
        options: dict[str, Any] = {"photometric": photometric, **LAYOUTS[number % 3]}
        if photometric == "palette":
            options["colormap"] = np.random.default_rng(1).integers(0, 65536, (3, 256)).astype(np.uint16)
        if channels > 1:
            options["planarconfig"] = planar

        def write(
            path: Path,
            dtype: str = dtype,
            channels: int = channels,
            order: Any = order,
            options: dict[str, Any] = options,
            tag: Any = (274, "H", 1, orientation, True),
            packed: Any = (compression, predictor),
        ) -> None:
            pixels = _values(dtype, channels)
            if options.get("planarconfig") == "separate":
                pixels = pixels.transpose(2, 0, 1)
            stored = np.ascontiguousarray(pixels if channels > 1 else pixels[..., 0])
            tifffile.imwrite(
                path,
                stored,
                byteorder=order,
                extratags=[tag],
                metadata=None,
                compression=packed[0],
                predictor=packed[1],
                **options,
            )

        what = (photometric, dtype, planar, predictor, order, orientation, compression)
        yield f"tifffile {what}", "a.tif", write


def _pillow() -> Iterator[tuple[str, str, Writer]]:
    formats: dict[str, list[dict[str, Any]]] = {
        ".tif": [
            {"compression": name}
            for name in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4", "jpeg")
        ],
        ".png": [{"bits": bits} for bits in (1, 2, 4, 8)] + [{"optimize": True}],
        ".jpg": [{"quality": 95}, {"quality": 95, "subsampling": 0}, {"quality": 95, "progressive": True}],
        ".webp": [{"lossless": True}, {"quality": 95}],
        ".jp2": [{"irreversible": False}, {"irreversible": True}],
        ".avif": [{"quality": 95}],
        ".bmp": [{}],
        ".gif": [{}],
    }
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", *NUMBERS)
    for suffix, mode in product(formats, modes):
        for options, orientation in product(formats[suffix], ORIENTATIONS):

            def write(
                path: Path, mode: str = mode, options: dict[str, Any] = options, turn: int = orientation
            ) -> None:
                rgb = Image.fromarray(_values("uint8", 3))
                if mode in NUMBERS:
                    image = Image.fromarray(_values(NUMBERS[mode], 1)[..., 0])
                elif mode == "P":
                    image = rgb.quantize(2 ** options.get("bits", 8))
                else:
                    image = rgb.convert(mode)
                if path.suffix == ".tif":
                    tags = TiffImagePlugin.ImageFileDirectory_v2()
                    tags[274] = turn
                    image.save(path, tiffinfo=tags, **options)
                else:
                    exif = Image.Exif()
                    exif[0x0112] = turn
                    image.save(path, exif=exif, **options)

            yield f"Pillow {(suffix, mode, options, orientation)}", f"a{suffix}", write


def _nibabel() -> Iterator[tuple[str, str, Writer]]:
    import nibabel
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff

    kinds = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64")
    turns = ["".join(axes) for axes in product("RL", "AP", "SI")] + ["PIL", "SAR", "IRP", "ASL"]
    every = product(kinds, ORDERS, turns, (None, (0.5, -3.0)), (1, 2), (".nii", ".nii.gz"), (1, 2))
    for dtype, order, axes, scale, version, suffix, channels in every:

        def write(
            path: Path,
            dtype: str = dtype,
            order: str = order,
            axes: str = axes,
            scale: tuple[float, float] | None = scale,
            version: int = version,
            channels: int = channels,
        ) -> None:
            voxels = np.random.default_rng(0).integers(0, 100, (5, 6, 7, channels)).astype(dtype)
            voxels = voxels if channels > 1 else voxels[..., 0]
            kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
            header = (nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header)(endianness=order)
            affine = inv_ornt_aff(axcodes2ornt(axes), (5, 6, 7)) @ np.diag([1, 2, 3, 1])
            header.set_data_dtype(dtype)
            image = kind(voxels, affine, header)
            if scale is not None:
                image.header.set_slope_inter(*scale)
            nibabel.save(image, path)

        what = (dtype, order, axes, scale, version, suffix, channels)
        yield f"nibabel {what}", f"a{suffix}", write


def _zarr() -> Iterator[tuple[str, str, Writer]]:
    import zarr
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    kinds = ("bool", "uint8", "int16", "uint16", "int32", "float16", "float32", "float64")
    codecs = {"none": None, "gzip": GzipCodec(), "zstd": ZstdCodec(), "blosc": BloscCodec()}
    shapes: tuple[tuple[int, ...], ...] = ((17, 23), (17, 23, 3), (9, 17, 23))
    for dtype, name, order, shape, chunk in product(kinds, codecs, "CF", shapes, (5, 64)):

        def write(
            path: Path,
            dtype: str = dtype,
            codec: Any = codecs[name],
            order: Any = order,
            shape: tuple[int, ...] = shape,
            chunk: int = chunk,
        ) -> None:
            values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
            chunks = tuple(min(chunk, side) for side in shape)
            array = zarr.create_array(
                str(path), shape=shape, chunks=chunks, dtype=dtype, compressors=codec, order=order
            )
            array[:] = values

        yield f"zarr {(dtype, name, order, shape, chunk)}", "a.zarr", write
