"""Predict one image with an exported ONNX file. Needs: pip install onnxruntime pillow numpy

python run_onnx.py MODEL.onnx IMAGE MASK.png
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


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


if len(sys.argv) != 4:
    sys.exit(__doc__)
model, image, mask = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
pixels = read(image)[None].astype(np.float32)  # (1, height, width, channels)
(labels,) = session.run(["mask"], {"image": pixels})
Image.fromarray(labels[0]).save(mask)
