"""Random changes of brightness, contrast, gamma, sharpness and noise on a normalised patch."""

import cv2
import numpy as np

from reunet.contracts.augmentation import Augmentation


def change_appearance(
    patch: np.ndarray,
    augmentation: Augmentation,
    rng: np.random.Generator,
    noise: np.random.Generator | None = None,
) -> np.ndarray:
    """A changed copy of `patch` (*space, C) float32, normalised intensity; each change with its chance.

    noise: draws the noise itself, where only that shall differ from another patch changed by `rng`.
    """

    def chance() -> bool:
        return bool(rng.random() < augmentation.intensity_probability)

    if augmentation.invert and rng.random() < augmentation.invert:
        patch = patch.mean() * 2 - patch
    if chance():
        patch = patch * np.float32(rng.uniform(*augmentation.contrast))
    if augmentation.brightness and chance():
        patch = patch + np.float32(rng.normal(0, augmentation.brightness))
    if chance():
        patch = change_gamma(patch, float(rng.uniform(*augmentation.gamma)))
    if augmentation.blur[1] and chance():
        patch = blur(patch, float(rng.uniform(*augmentation.blur)))
    if augmentation.noise and chance():
        amplitude = np.float32(rng.uniform(0, augmentation.noise))
        patch = patch + amplitude * (noise or rng).standard_normal(patch.shape, dtype=np.float32)
    return np.ascontiguousarray(patch, dtype=np.float32)


def blur(patch: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur along every axis of space, sigma in pixels; same shape."""
    if patch.ndim == 3:
        return cv2.GaussianBlur(patch, (0, 0), sigma).reshape(patch.shape)
    slices = np.stack([blur(one, sigma) for one in patch])
    kernel = cv2.getGaussianKernel(2 * int(np.ceil(3 * sigma)) + 1, sigma, cv2.CV_32F)
    across = cv2.sepFilter2D(slices.reshape(len(slices), -1), -1, np.ones(1, np.float32), kernel)
    return across.reshape(patch.shape)


def change_gamma(patch: np.ndarray, gamma: float) -> np.ndarray:
    """Bend the intensities between the patch's own extremes: 0..1 -> (0..1)^gamma, same shape."""
    low, high = patch.min(), patch.max()
    if high <= low:
        return patch
    bent: np.ndarray = ((patch - low) / (high - low)) ** np.float32(gamma) * (high - low) + low
    return bent
