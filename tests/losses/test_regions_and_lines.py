"""Regions, partial annotations, centre lines and coarse levels against NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.contracts.plan import LossSpec

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
INSIDE = np.array([[0, 0], [1, 0], [1, 1]], np.float32)
"""Three labels, of which the second lies in one region and the third in both."""


def softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits)
    return p / p.sum(-1, keepdims=True)


def dice(truth: np.ndarray, p: np.ndarray) -> float:
    return float((2 * (truth * p).sum() + 1) / (truth.sum() + p.sum() + 1))


@pytest.mark.parametrize("space", [(5, 7), (3, 4, 5)])
def test_regions_are_binary_cross_entropy_and_dice_of_each(space: tuple[int, ...]) -> None:
    from reunet.losses import RegionLoss

    labels = RNG.integers(0, 3, (2, *space))
    labels[RNG.random(labels.shape) < 0.3] = IGNORE
    logits = RNG.normal(size=(2, *space, 2), scale=3).astype("float32")
    known = labels != IGNORE
    truth, p = INSIDE[labels[known]], 1 / (1 + np.exp(-logits[known]))
    entropy = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()
    overlap = np.mean([dice(truth[:, k], p[:, k]) for k in (0, 1)])
    loss = RegionLoss(LossSpec(dice=2.0), (0, 1), (1,) * len(space), table=INSIDE)
    assert float(loss(labels, logits)) == pytest.approx(entropy + 2 * (1 - overlap), rel=1e-5)
    assert np.isfinite(float(loss(labels, 1e4 * logits)))


def test_a_background_that_may_be_another_class_has_the_sum_of_both() -> None:
    """Merging the two probabilities by hand and using the plain loss gives the same cross-entropy."""
    from reunet.losses import SegmentationLoss
    from reunet.losses.named import partial_table

    classes = default_classes([0, 1, 2], ["background", "liver", "spleen"])
    table = partial_table(LabelMap(classes=classes, partial=((0, 1),)))
    assert table.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]]
    labels = np.where(RNG.random((2, 6, 7)) < 0.4, 1, 3)  # liver, or nobody knows whether spleen
    labels[0, 0] = IGNORE
    logits = RNG.normal(size=(2, 6, 7, 3)).astype("float32")
    p, known = softmax(logits), labels != IGNORE
    merged = np.stack([p[..., 0] + p[..., 2], p[..., 1]], -1)[known]
    liver = (labels[known] == 1).astype(int)
    entropy = -np.log(merged[np.arange(len(liver)), liver]).mean()
    only = SegmentationLoss(LossSpec(dice=0), (1, 2), table=table)
    assert float(only(labels, logits)) == pytest.approx(entropy, rel=1e-5)
    # Spleen is known to be absent where liver is, and unknown elsewhere.
    spleen = p[known][:, 2] * liver
    overlap = (dice(liver, merged[:, 1]) + dice(np.zeros_like(spleen), spleen)) / 2
    both = SegmentationLoss(LossSpec(), (1, 2), table=table)
    assert float(both(labels, logits)) == pytest.approx(entropy + 1 - overlap, rel=1e-5)


def skeleton_reference(mask: np.ndarray, steps: int) -> np.ndarray:
    """The algorithm of the paper with SciPy's filters."""
    cross = ndimage.generate_binary_structure(mask.ndim, 1)

    def erode(x: np.ndarray) -> np.ndarray:
        return np.asarray(ndimage.minimum_filter(x, footprint=cross, mode="nearest"))

    def rest(x: np.ndarray) -> np.ndarray:
        return np.maximum(x - ndimage.maximum_filter(erode(x), 3, mode="nearest"), 0)

    skeleton = rest(mask)
    for _ in range(steps):
        mask = erode(mask)
        skeleton = skeleton + np.maximum(rest(mask) - skeleton * rest(mask), 0)
    return skeleton


@pytest.mark.parametrize("space", [(14, 17), (8, 9, 10)])
def test_soft_skeleton_is_that_of_the_paper_class_by_class(space: tuple[int, ...]) -> None:
    from keras import ops

    from reunet.losses.overlap import soft_skeleton

    masks = RNG.random((2, *space, 2)).astype("float32")
    masks = ndimage.gaussian_filter(masks, (0, *(1.5,) * len(space), 0)) * 1.5
    found = ops.convert_to_numpy(soft_skeleton(ops.convert_to_tensor(masks), 3, len(space)))
    for b, k in product((0, 1), (0, 1)):
        np.testing.assert_allclose(found[b, ..., k], skeleton_reference(masks[b, ..., k], 3), atol=1e-5)
    frames = masks[None]  # frames of a film are images of their own
    again = ops.convert_to_numpy(soft_skeleton(ops.convert_to_tensor(frames), 3, len(space)))
    np.testing.assert_array_equal(again[0], found)


@pytest.mark.parametrize("space", [(24, 24), (12, 24, 24)])
def test_centre_lines_punish_a_gap_more_than_a_thin_line(space: tuple[int, ...]) -> None:
    """Two predictions with the same Dice: one line is thinner everywhere, the other one is cut."""
    from keras import ops

    from reunet.losses.overlap import cl_dice

    truth = np.zeros((1, *space, 1), "float32")
    line = truth[(0, slice(5, 8)) if len(space) == 3 else 0]
    line[..., 9:14, 2:22, 0] = 1
    thin, cut = truth.copy(), truth.copy()
    thin[..., 13, :, 0] = 0
    cut[..., 9:14, 10:14, 0] = 0
    assert thin.sum() == cut.sum()

    def score(p: np.ndarray) -> float:
        values = cl_dice(ops.convert_to_tensor(truth), ops.convert_to_tensor(p), 5, len(space))
        return float(ops.convert_to_numpy(values)[0])

    assert score(truth) == pytest.approx(1)
    assert score(thin) > score(cut) + 0.05


def test_centre_lines_enter_the_loss_with_their_weight_and_have_a_gradient() -> None:
    import keras

    from reunet.losses import SegmentationLoss

    labels = np.zeros((1, 16, 16), "int32")
    labels[0, 7:10] = 1
    start = RNG.normal(size=(1, 16, 16, 2)).astype("float32")
    values = [float(SegmentationLoss(LossSpec(cl_dice=w), (1,))(labels, start)) for w in (0.0, 1.0, 2.0)]
    assert values[2] - values[1] == pytest.approx(values[1] - values[0], rel=1e-4)

    layer = keras.layers.EinsumDense("bhwc,hwc->bhwc", (16, 16, 2), kernel_initializer="ones")
    model = keras.Sequential([keras.Input((16, 16, 2)), layer])
    spec = LossSpec(cross_entropy=0.0, dice=0.0, cl_dice=1.0, thinning=4)
    model.compile(keras.optimizers.Adam(0.1), SegmentationLoss(spec, (1,)))
    losses = [float(model.train_on_batch(start, labels)) for _ in range(40)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.6 * losses[0]


def test_coarse_levels_of_numbers_and_centres() -> None:
    """Every second number is read; of centres the highest around, so that none is lost."""
    from reunet.losses import CentreLoss, SmoothL1Loss

    numbers = RNG.normal(size=(1, 8, 8, 3)).astype("float32")
    predicted = RNG.normal(size=(1, 4, 4, 2)).astype("float32")
    fine = float(SmoothL1Loss(weighted=True)(np.abs(numbers)[:, ::2, ::2], predicted))
    assert float(SmoothL1Loss(weighted=True, stride=(2, 2))(np.abs(numbers), predicted)) == fine

    centres = (0.9 * RNG.random((1, 8, 8, 1))).astype("float32")
    centres[0, 3, 5] = 1.0  # not on the coarse grid
    centres[0, :2, :2] = np.nan
    centres[0, 4, 4] = np.nan  # one of four: the others tell
    logits = RNG.normal(size=(1, 4, 4, 1)).astype("float32")
    blocks = centres[0, ..., 0].reshape(4, 2, 4, 2).transpose(0, 2, 1, 3).reshape(4, 4, 4)
    highest = np.fmax.reduce(blocks, axis=-1)[None, ..., None]
    assert float(CentreLoss((2, 2))(centres, logits)) == pytest.approx(float(CentreLoss()(highest, logits)))
