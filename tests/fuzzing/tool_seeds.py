"""Files of annotation programs, about a.png of 7 x 9 pixels."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np

RING = [[1, 1], [6, 1], [6, 5], [1, 5]]
SIDES = {"height": 7, "width": 9}


def yolo() -> Iterator[bytes]:
    yield b"0 .5 .5 .4 .4\n1 0.1 0.1 0.8 0.1 0.8 0.6\n"
    yield b"0 .5 .5 .4 .4 .9\r\n\n2 1e-1 .2 .3 .4\n"


def labelme() -> Iterator[bytes]:
    shapes = [
        {"label": "cell", "points": RING, "group_id": 1, "shape_type": "polygon"},
        {"label": "cell", "points": RING[::2], "group_id": 1, "shape_type": "circle"},
        {"label": "__ignore__", "points": RING[::2], "shape_type": "rectangle"},
        {"label": "dot", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": "iVBORw0KGgo="},
    ]
    yield json.dumps({"shapes": shapes, "imageHeight": 7, "imageWidth": 9}).encode()
    yield json.dumps({"shapes": shapes[:1], "imageHeight": None, "imageWidth": None}).encode()


def cvat() -> Iterator[bytes]:
    inside = (
        '<box label="cell" xtl="1" ytl="1" xbr="5" ybr="4" rotation="10"/>'
        '<polygon label="cell" points="1,1;6,1;6,5" group_id="2"/>'
        '<ellipse label="dot" cx="4" cy="3" rx="2" ry="1" group_id="2"/>'
        '<mask label="dot" rle="1, 2, 3" left="1" top="2" width="3" height="2"/><tag label="a"/>'
    )
    yield f'<annotations><image name="a.png" width="9" height="7">{inside}</image></annotations>'.encode()
    yield b'<annotations><meta><label><name>cell</name></label></meta><image name="a"/></annotations>'


def label_studio() -> Iterator[bytes]:
    values = {
        "rectanglelabels": {"x": 10, "y": 10, "width": 40, "height": 30, "rotation": 5},
        "polygonlabels": {"points": [[10, 10], [80, 10], [80, 90]]},
        "ellipselabels": {"x": 50, "y": 50, "radiusX": 20, "radiusY": 10},
        "brushlabels": {"format": "rle", "rle": [0, 0, 0, 252, 57, 43, 255, 224, 31, 71, 192, 0]},
    }
    results = [
        {"type": kind, "value": {kind: ["cell"], **value}, "original_height": 7, "original_width": 9}
        for kind, value in values.items()
    ]
    notes = [{"completed_by": who, "result": results} for who in (1, {"email": "a@b"})]
    yield json.dumps([{"data": {"image": "/data/upload/a.png"}, "annotations": notes}]).encode()


def via() -> Iterator[bytes]:
    x, y = map(list, zip(*RING, strict=True))
    shapes = (
        {"name": "polygon", "all_points_x": x, "all_points_y": y},
        {"name": "rect", "x": 1, "y": 1, "width": 3, "height": 2},
        {"name": "ellipse", "cx": 4, "cy": 3, "rx": 2, "ry": 1, "theta": 0.5},
        {"name": "circle", "cx": 4, "cy": 3, "r": 2},
    )
    regions = [{"shape_attributes": one, "region_attributes": {"kind": "cell"}} for one in shapes]
    images = {"a.png1": {"filename": "a.png", "regions": regions}}
    yield json.dumps({"_via_img_metadata": images}).encode()
    yield json.dumps({"a.png1": {"filename": "a.png", "regions": {"0": regions[0]}}}).encode()


def supervisely() -> Iterator[bytes]:
    figures = [
        {"classTitle": "cell", "geometryType": "polygon", "points": {"exterior": RING, "interior": [RING]}},
        {"classTitle": "cell", "geometryType": "rectangle", "points": {"exterior": RING[::2]}},
        {"classTitle": "dot", "geometryType": "bitmap", "bitmap": {"origin": [1, 2], "data": "eJw="}},
    ]
    yield json.dumps({"size": SIDES, "objects": figures}).encode()


def cellpose() -> Iterator[bytes]:
    for masks in (np.arange(63).reshape(7, 9).astype(np.uint16), np.zeros((7, 9), np.uint8)):
        file = io.BytesIO()
        np.save(file, {"masks": masks, "filename": "a.png", "flows": [masks, None]}, allow_pickle=True)
        yield file.getvalue()


def napari() -> Iterator[bytes]:
    rows = [f"{number},polygon,{i},{y},{x}" for number in (0, 1) for i, (x, y) in enumerate(RING)]
    yield "\n".join(["index,shape-type,vertex-index,axis-0,axis-1", *rows]).encode()
