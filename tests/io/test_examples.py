"""The programs in examples/ give exported files the pixels that `reunet predict` reads."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from reunet.io.images import read_image

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("run_*.py"))


def reader(example: Path) -> Any:
    """Its function `read`, without the rest, which needs an exported file."""
    program = ast.parse(example.read_text("utf-8"))
    functions: list[ast.stmt] = [node for node in program.body if isinstance(node, ast.FunctionDef)]
    names = {"np": np, "Image": Image, "ImageOps": ImageOps}
    exec(compile(ast.Module(functions, []), str(example), "exec"), names)
    return names["read"]


def test_examples_read_as_predict_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey, turn = rng.integers(0, 256, (24, 36), dtype=np.uint8), Image.Exif()
    rgb = Image.fromarray(np.stack([grey, grey.T.reshape(24, 36), 255 - grey], axis=-1))
    turn[0x0112] = 6
    pictures = {
        "grey.png": Image.fromarray(grey),
        "deep.png": Image.fromarray(grey.astype(np.uint16) * 200),
        "bilevel.png": Image.fromarray(grey > 99),
        "white.tif": Image.fromarray(grey > 99),
        "colours.png": rgb.quantize(20),
        "photo.jpg": rgb,
        "print.jpg": rgb.convert("CMYK"),
        "print.tif": rgb.convert("CMYK"),
        "opaque.png": rgb.convert("RGBA"),
        "opaque.webp": rgb.convert("RGBA"),
    }
    shades = Image.fromarray(grey)
    shades.putpalette(np.repeat(rng.permutation(256), 3).astype(np.uint8).tobytes())
    for name, picture in {**pictures, "shades.png": shades}.items():
        turned = {} if name.endswith(".tif") else {"exif": turn}
        picture.save(tmp_path / name, **turned)
        expected = read_image(tmp_path / name)
        for example in EXAMPLES:
            found = reader(example)(tmp_path / name)
            np.testing.assert_array_equal(found, expected, f"{name} {example.name}")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_stay_small_and_free_of_reunet(example: Path) -> None:
    text = example.read_text("utf-8")
    assert len(text.splitlines()) < (60 if "instances" in example.stem else 40), "objects are decoded, too"
    assert "import reunet" not in text
    assert "from reunet" not in text
