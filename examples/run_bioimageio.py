"""Predict one image with an exported bioimage.io package. Needs: pip install bioimageio.core onnxruntime

python run_bioimageio.py PACKAGE.zip IMAGE MASK.png
"""

import sys

import numpy as np
from bioimageio.core import Sample, Tensor, create_prediction_pipeline, load_model_description
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
package, image, mask = sys.argv[1:]
pixels = read(image)[None].astype(np.float32)  # (1, height, width, channels)
model = load_model_description(package)
sample = Sample(
    members={"image": Tensor.from_numpy(pixels, dims=("batch", "y", "x", "channel"))}, stat={}, id="image"
)
with create_prediction_pipeline(model) as pipeline:
    labels = pipeline.predict_sample_without_blocking(sample).members["mask"].data.values
Image.fromarray(labels[0]).save(mask)
