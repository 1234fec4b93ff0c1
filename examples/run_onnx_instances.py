"""Number the objects of one image with an exported ONNX file of a run for instances.
Needs: pip install onnxruntime pillow numpy scipy

python run_onnx_instances.py MODEL.onnx IMAGE IDS.png
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from scipy import ndimage


def read(path):
    """As reunet does: upright, bilevel as 0 and 255, palettes as their colours, without an opaque alpha."""
    picture = ImageOps.exif_transpose(Image.open(path))
    mode = picture.mode
    if mode == "P":
        palette = np.reshape(picture.getpalette(), (-1, 3))
        mode = "L" if (palette == palette[:, :1]).all() else "RGB"
    elif mode in ("LA", "RGBA") and picture.getextrema()[-1] == (255, 255):
        mode = mode[:-1]
    picture = picture.convert({"1": "L", "CMYK": "RGB", "YCbCr": "RGB"}.get(mode, mode))
    return np.atleast_3d(np.array(picture))


def objects(foreground, flows, steps=200):
    """Every pixel walks along the arrows; pixels that end in one place are one object, 1, 2, ..."""
    inside = foreground >= 0.5
    start = np.argwhere(inside)
    place = start.astype(np.float32)
    for _ in range(steps):
        y, x = np.rint(place).astype(int).T
        arrow = flows[y, x] * inside[y, x, None]
        place += arrow / np.maximum(np.linalg.norm(arrow, axis=-1, keepdims=True), 1)
        place = np.clip(place, 0, np.array(inside.shape) - 1)
    y, x = np.rint(place).astype(int).T
    arrived = np.zeros(inside.shape, bool)
    arrived[y, x] = True
    centres, _ = ndimage.label(ndimage.binary_dilation(arrived, iterations=2))
    ids = np.zeros(inside.shape, np.uint16)
    ids[tuple(start.T)] = centres[y, x]
    return ids


if len(sys.argv) != 4:
    sys.exit(__doc__)
model, image, file = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
pixels = read(image)[None].astype(np.float32)  # (1, height, width, channels)
foreground, flows = session.run(["instances", "flows"], {"image": pixels})
ids = objects(foreground[0, ..., 1], flows[0])
Image.fromarray(ids).save(file)
print(f"{ids.max()} objects")
