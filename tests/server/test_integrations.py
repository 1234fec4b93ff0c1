"""The scripts for QuPath and Fiji ask what the service answers, and understand its answer: what they send and
read is taken from the scripts and tried on a running server. Neither program runs here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
import tifffile

from reunet.contracts.labels import LabelMap, default_classes
from reunet.io.annotations.geojson import collection, object_features
from reunet.server.security import Rules

from .asking import Asked

SCRIPTS = Path(__file__).parents[2] / "integrations"
LABELS = LabelMap(classes=default_classes([0, 1], ["background", "cell"]))


@pytest.fixture(scope="module")
def fiji() -> Any:
    """The functions of the script that need no Fiji."""
    tree = ast.parse((SCRIPTS / "reunet_fiji.py").read_text(encoding="utf-8"))
    kept = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name != "main"]
    names: dict[str, Any] = {"json": json}
    exec(compile(ast.Module(kept, []), "reunet_fiji.py", "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture
def sent(bright: np.ndarray, tmp_path: Path) -> bytes:
    """A region as both programs write it."""
    tifffile.imwrite(tmp_path / "region.tif", bright, imagej=True)
    return (tmp_path / "region.tif").read_bytes()


def qupath(model: str, token: str) -> tuple[str, dict[str, str]]:
    """The path and the headers of the request that the QuPath script makes."""
    script = (SCRIPTS / "reunet_qupath.groovy").read_text(encoding="utf-8")
    (path,) = re.findall(r'address \+ "(/[^"]+)"', script)
    (name,) = re.findall(r'\? "" : "(&\w+=)" \+ URLEncoder\.encode\(model', script)
    headers = dict(re.findall(r'\.header\("([^"]+)", "([^"]+)"\)', script))
    ((header, scheme),) = re.findall(r'\.header\("([^"]+)", "([^"]+ )" \+ token\)', script)
    assert ".POST(HttpRequest.BodyPublishers.ofFile(file))" in script
    return path + (name + quote(model) if model else ""), headers | (
        {header: scheme + token} if token else {}
    )


def asked_by(program: str, script: Any, model: str, token: str) -> tuple[str, dict[str, str]]:
    if program == "qupath":
        return qupath(model, token)
    address, headers = script.request_of("http://127.0.0.1:1/", model, token)
    return address.removeprefix("http://127.0.0.1:1"), headers


@pytest.mark.parametrize("program", ["qupath", "fiji"])
@pytest.mark.parametrize(("model", "token"), [("", ""), ("bright", "secret")])
def test_the_service_answers_what_the_scripts_ask(
    start: Callable[..., Asked], fiji: Any, sent: bytes, program: str, model: str, token: str
) -> None:
    ask = start(Rules(token=token or None))
    answer = ask(
        "POST", *asked_by(program, fiji, model, token)[:1], sent, asked_by(program, fiji, model, token)[1]
    )
    assert answer.status == 200
    ((name, kind, colour, score, ((ring,),)),) = fiji.outlines_of(answer.body)
    assert (name, kind, score) == ("1", "bright", None)
    assert all(0 <= one <= 255 for one in colour)
    assert sorted(map(tuple, ring[:-1])) == [(20, 5), (20, 15), (40, 5), (40, 15)]
    told = answer.json
    assert told["type"] == "FeatureCollection"
    for feature in told["features"]:  # what QuPath's reader asks of an object
        assert feature["type"] == "Feature"
        assert feature["properties"]["objectType"] == "detection"
        assert {"name", "color"} <= set(feature["properties"]["classification"])
        assert feature["geometry"]["coordinates"][0][0] == feature["geometry"]["coordinates"][0][-1]


@pytest.mark.parametrize("program", ["qupath", "fiji"])
def test_the_scripts_tell_what_the_service_refuses(ask: Asked, fiji: Any, program: str) -> None:
    path, headers = asked_by(program, fiji, "no such run", "")
    answer = ask("POST", path, b"no image", headers)
    assert answer.status >= 400
    script = (SCRIPTS / "reunet_qupath.groovy").read_text(encoding="utf-8")
    (read,) = re.findall(r"RuntimeException\(\[([^\]]+)\]", script)
    assert "title" in re.findall(r'"(\w+)"', read)
    assert {*re.findall(r'"(\w+)"', read)} <= {"title", "where", "expected", "received", "fix"}
    assert answer.json["title"] in fiji.problem_of(answer.body)


def test_holes_and_parts_of_objects_come_to_fiji(fiji: Any) -> None:
    ids = np.zeros((30, 40), np.int32)
    ids[2:20, 3:22], ids[6:10, 8:14], ids[22:28, 30:38] = 1, 0, 1
    ids[2:8, 25:35] = 2
    answer = json.dumps(collection(object_features(ids, LABELS, scores=np.array([0, 0.5, 0.75]))))
    painted = np.zeros_like(ids)
    for name, kind, _, score, parts in fiji.outlines_of(answer):
        assert (kind, score) == ("cell", 0.25 + int(name) / 4)
        for outer, *holes in parts:
            for ring, value in ((outer, int(name)), *((hole, 0) for hole in holes)):
                points = np.array(ring) * 2 - 1  # corners of pixels, on a grid of halves of pixels
                grid = np.zeros((60, 80), np.uint8)
                cv2.fillPoly(grid, [points.astype(np.int32)], 1)
                painted[grid[::2, ::2] > 0] = value
    np.testing.assert_array_equal(painted, ids)
