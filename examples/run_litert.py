"""Predict one image with an exported LiteRT file. Needs: pip install ai-edge-litert pillow numpy

python run_litert.py MODEL.tflite IMAGE MASK.png
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

model, image, mask = sys.argv[1:]
pixels = np.atleast_3d(np.array(Image.open(image)))[None].astype(np.float32)  # (1, height, width, channels)
interpreter = Interpreter(model)
interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], pixels.shape)
labels = interpreter.get_signature_runner()(image=pixels)["mask"]
Image.fromarray(labels[0]).save(mask)
