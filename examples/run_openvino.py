"""Predict one image with an exported OpenVINO folder. Needs: pip install openvino pillow numpy

python run_openvino.py MODEL_FOLDER IMAGE MASK.png
"""

import sys

import numpy as np
import openvino
from PIL import Image

model, image, mask = sys.argv[1:]
# In float32: OpenVINO's own choice on some processors is bfloat16, which rounds the pixels too.
compiled = openvino.compile_model(f"{model}/model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
pixels = np.atleast_3d(np.array(Image.open(image)))[None].astype(np.float32)  # (1, height, width, channels)
labels = compiled({"image": pixels})["mask"]
Image.fromarray(labels[0]).save(mask)
