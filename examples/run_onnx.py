"""Predict one image with an exported ONNX file. Needs: pip install onnxruntime pillow numpy

python run_onnx.py MODEL.onnx IMAGE MASK.png
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, image, mask = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
pixels = np.atleast_3d(np.array(Image.open(image)))[None].astype(np.float32)  # (1, height, width, channels)
(labels,) = session.run(["mask"], {"image": pixels})
Image.fromarray(labels[0]).save(mask)
