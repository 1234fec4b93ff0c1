"""Predict one image with an exported bioimage.io package. Needs: pip install bioimageio.core onnxruntime

python run_bioimageio.py PACKAGE.zip IMAGE MASK.png
"""

import sys

import numpy as np
from bioimageio.core import Sample, Tensor, create_prediction_pipeline, load_model_description
from PIL import Image

package, image, mask = sys.argv[1:]
pixels = np.atleast_3d(np.array(Image.open(image)))[None].astype(np.float32)  # (1, height, width, channels)
model = load_model_description(package)
sample = Sample(
    members={"image": Tensor.from_numpy(pixels, dims=("batch", "y", "x", "channel"))}, stat={}, id="image"
)
with create_prediction_pipeline(model) as pipeline:
    labels = pipeline.predict_sample_without_blocking(sample).members["mask"].data.values
Image.fromarray(labels[0]).save(mask)
