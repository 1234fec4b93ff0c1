"""Predict one image with an exported SavedModel. Needs: pip install tensorflow pillow numpy

python run_saved_model.py MODEL_FOLDER IMAGE MASK.png
"""

import sys

import numpy as np
import tensorflow as tf
from PIL import Image

model, image, mask = sys.argv[1:]
predict = tf.saved_model.load(model).signatures["serving_default"]
pixels = np.atleast_3d(np.array(Image.open(image)))[None].astype(np.float32)  # (1, height, width, channels)
labels = predict(image=tf.constant(pixels))["mask"].numpy()
Image.fromarray(labels[0]).save(mask)
