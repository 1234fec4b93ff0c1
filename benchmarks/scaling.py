"""Prediction of images of growing size: peak memory above the engine's own, and time per pixel.

The images are made here, part by part: compressed OME-Zarr (needs the extra `zarr`), and a volume with 26
classes. Each prediction is a process of its own, whose peak of resident memory the system tells. A line per
case goes to results/scaling.jsonl; cases that have one are left out, so it may be interrupted.

    python benchmarks/scaling.py                     # 10,000 and 40,000 pixels a side, 512 x 512 x 800 voxels
    python benchmarks/scaling.py --sides 2000 4000 --volume 0
    python benchmarks/scaling.py --sides 4000 --classes 2 8 26 --volume 0
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from records import RUNS, append, is_done
from records import measured as process

NAME = "scaling"
BLOCK = 1024
VOLUME_CLASSES = 26
SMALL = {"image": (300, 300), "volume": (64, 128, 128)}
"""What the engine is measured on: a tile or a few, so that all is loaded and nothing is large."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", type=int, nargs="*", default=[10_000, 40_000], help="of square RGB images")
    parser.add_argument("--classes", type=int, nargs="*", default=[2], help="of the images")
    parser.add_argument("--volume", type=int, nargs="*", default=[800, 512, 512], help="depth height width")
    parser.add_argument("--precision", default="auto", help="of the engine; auto: what is measured harmless")
    parser.add_argument("--max-memory", type=float, help="GB, of the process")
    options = parser.parse_args()
    allowed = None if options.max_memory is None else int(options.max_memory * 1e9)
    cases = [("image", (side, side), count) for side in options.sides for count in options.classes]
    cases += [("volume", tuple(options.volume), VOLUME_CLASSES)] if len(options.volume) == 3 else []
    for kind, size, classes in cases:
        key = {
            "kind": kind,
            "size": list(size),
            "classes": classes,
            "max_memory": allowed,
            "precision": options.precision,
        }
        if is_done(NAME, key):
            continue
        run = make_run(kind, classes)
        with tempfile.TemporaryDirectory(dir=RUNS) as folder:
            limit = [] if allowed is None else ["--max-memory", str(allowed)]
            given = ["--precision", options.precision]
            base = measured(run, kind, SMALL[kind], given, Path(folder) / "small")
            full = measured(run, kind, size, [*given, *limit], Path(folder) / "full")
        above = full["peak_bytes"] - base["peak_bytes"]
        pixels = float(np.prod(size))
        result = {
            **full,
            "engine_peak_bytes": base["peak_bytes"],
            "above_engine_bytes": above,
            "megapixels_per_second": pixels / 1e6 / full["seconds"],
        }
        append(NAME, key, result)
        what = f"{kind} {size}, {classes} classes"
        print(f"{what}: {above / 1e6:.0f} MB above the engine, {full['seconds']:.0f} s", flush=True)


def measured(run: Path, kind: str, size: tuple[int, ...], given: list[str], folder: Path) -> dict[str, float]:
    """Peak memory and time of predicting one image of that size; image and results are removed afterwards."""
    image = folder / "image.ome.zarr"
    write_image(image, size, 3 if kind == "image" else 1)
    command = [sys.executable, "-m", "reunet", "predict", run, image, "-o", folder / "out"]
    took = process([*command, *given])
    shutil.rmtree(folder)
    return {"seconds": took.seconds, "peak_bytes": took.peak}


def write_image(path: Path, size: tuple[int, ...], channels: int) -> None:
    """Soft blobs with noise, part by part; (*space, C) uint8, chunks of 1024 x 1024 or 64 x 128 x 128."""
    import zarr

    rank = len(size)
    chunk = (BLOCK, BLOCK) if rank == 2 else (64, 128, 128)
    group = zarr.create_group(str(path), zarr_format=3)
    array = group.create_array("0", shape=(*size, channels), chunks=(*chunk, channels), dtype="u1")
    rng = np.random.default_rng(0)
    for start in np.ndindex(*(-(-side // step) for side, step in zip(size, chunk, strict=True))):
        box = tuple(
            slice(i * step, min((i + 1) * step, side))
            for i, step, side in zip(start, chunk, size, strict=True)
        )
        waves = sum(np.sin(axis / 17.0) for axis in np.ogrid[box])
        noise = rng.integers(0, 16, (*waves.shape, channels), np.uint8)
        array[box] = (noise + (waves[..., None] / rank * 100 + 110)).astype(np.uint8)
    axes = [{"name": name, "type": "space"} for name in "zyx"[-rank:]] + [{"name": "c", "type": "channel"}]
    scale = [{"type": "scale", "scale": [1.0] * (rank + 1)}]
    facts = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": facts}


def make_run(kind: str, classes: int) -> Path:
    """A run with random weights: what it finds does not matter here. Normalisation is fixed once trained."""
    folder = RUNS / (f"scaling_{kind}" if kind == "volume" or classes == 2 else f"scaling_{kind}_{classes}")
    if not (folder / "engine" / "engine.json").is_file():
        arguments = ["--volume"] if kind == "volume" else ["0", "batch", str(classes)]
        script = Path(__file__).with_name("standard_run.py")
        subprocess.run([sys.executable, str(script), str(folder), *arguments], check=True)
    return folder


if __name__ == "__main__":
    RUNS.mkdir(exist_ok=True)
    main()
