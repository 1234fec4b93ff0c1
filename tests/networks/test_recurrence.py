"""The recurrent layer against NumPy in float64: forward, and the gradients of backpropagation through time.

The gradients of the layer are read off one step of gradient descent with rate 1, so the same test runs
on every backend.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

pytestmark = pytest.mark.keras

B, C, UNITS = 2, 3, 4
LENGTHS = (5, 21)  # computed without a loop, and with one
CELL_NAMES = ("simple_rnn", "gru", "lstm", "min_gru", "leak")
GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4, "min_gru": 2, "leak": 1}


def channels(cell: str) -> int:
    """Of the input: a leak's state is made of them."""
    return UNITS if cell == "leak" else C


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def dense(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return x @ kernel


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The sum over shifted copies of x (B, h, w, C), zeros outside: a padded convolution by definition."""
    side = kernel.shape[0]
    padded = np.pad(x, [(0, 0), (side // 2, side // 2), (side // 2, side // 2), (0, 0)])
    h, w = x.shape[1:3]
    return sum(padded[:, i : i + h, j : j + w] @ kernel[i, j] for i, j in product(range(side), repeat=2))


def reference(
    cell: str, x: np.ndarray, weights: list[np.ndarray], over: Callable = dense, reverse: bool = False
) -> np.ndarray:
    """All outputs of a cell, one step after another, written from the papers' equations."""
    kernel, *rest = weights
    recurrent, bias = rest if len(rest) == 2 else (None, rest[0])
    space = x.shape[2:-1]
    h = c = np.zeros((len(x), *space, UNITS))
    outputs = np.zeros((*x.shape[:-1], UNITS))
    order = range(x.shape[1])
    for t in reversed(order) if reverse else order:
        p = np.split(over(x[:, t], kernel) + bias, GATES[cell], axis=-1)
        u = [] if recurrent is None else np.split(recurrent, GATES[cell], axis=-1)
        if cell == "simple_rnn":
            h = np.tanh(p[0] + over(h, u[0]))
        elif cell == "gru":
            r, z = sigmoid(p[0] + over(h, u[0])), sigmoid(p[1] + over(h, u[1]))
            h = (1 - z) * h + z * np.tanh(p[2] + over(r * h, u[2]))
        elif cell == "lstm":
            i, f, g, o = (a + over(h, b) for a, b in zip(p, u, strict=True))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif cell == "leak":
            z = sigmoid(p[0] + over(h, u[0]))
            h = (1 - z) * h + z * x[:, t]
        else:
            z = sigmoid(p[0])
            h = (1 - z) * h + z * p[1]
        outputs[:, t] = h
    return outputs


def layer_and_weights(cell: str, shape: tuple[int, ...], kernel: int = 1, reverse: bool = False) -> tuple:
    from reunet.networks.recurrence import Recurrence

    layer = Recurrence(cell, UNITS, kernel=kernel, reverse=reverse)
    layer.build(shape)
    rng = np.random.default_rng(1)
    weights = [rng.normal(0, 0.5, weight.shape).astype("float32") for weight in layer.weights]
    layer.set_weights(weights)
    return layer, [weight.astype("float64") for weight in weights]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_forward_is_the_definition(cell: str, length: int, reverse: bool) -> None:
    import keras

    layer, weights = layer_and_weights(cell, (B, length, channels(cell)), reverse=reverse)
    x = np.random.default_rng(0).normal(size=(B, length, channels(cell))).astype("float32")
    outputs, last, *_ = (keras.ops.convert_to_numpy(y) for y in layer(x))
    expected = reference(cell, x.astype("float64"), weights, reverse=reverse)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(last, expected[:, 0 if reverse else -1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_convolutional_cells_are_a_loop_over_convolutions(cell: str) -> None:
    import keras

    shape = (B, 4, 5, 6, channels(cell))
    layer, weights = layer_and_weights(cell, shape, kernel=3)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = reference(cell, x.astype("float64"), weights, convolve)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)[0]), expected, rtol=1e-4, atol=1e-5)


def gradients_of_the_layer(
    cell: str, x: np.ndarray, target: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights before, and dC/dweights of the cost C = sum(outputs * target) by the backend."""
    import keras

    layer, weights = layer_and_weights(cell, x.shape)
    image = keras.Input(x.shape[1:])
    model = keras.Model(image, layer(image)[0])
    model.compile(
        keras.optimizers.SGD(1.0),
        lambda y_true, y_pred: keras.ops.sum(y_true * y_pred, axis=(1, 2)) * len(x),  # Keras takes the mean
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.train_on_batch(x, target)
    after = [np.asarray(w, "float64") for w in layer.get_weights()]
    return weights, [before - now for before, now in zip(weights, after, strict=True)]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_gradients_are_the_finite_differences(cell: str, length: int) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(B, length, channels(cell))).astype("float32")
    target = rng.normal(size=(B, length, UNITS)).astype("float32")
    weights, found = gradients_of_the_layer(cell, x, target)

    def cost(changed: list[np.ndarray]) -> float:
        return float((reference(cell, x.astype("float64"), changed) * target).sum())

    for number, weight in enumerate(weights):
        expected, step = np.zeros_like(weight), 1e-6
        for place in np.ndindex(weight.shape):
            costs = []
            for sign in (1, -1):
                changed = [w.copy() for w in weights]
                changed[number][place] += sign * step
                costs.append(cost(changed))
            expected[place] = (costs[0] - costs[1]) / (2 * step)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[number], expected, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("length", LENGTHS)
def test_gradients_of_the_tanh_rnn_are_backpropagation_through_time(length: int) -> None:
    """dC/dW = sum_t delta_t x_t, dC/dU = sum_t delta_t h_(t-1), dC/db = sum_t delta_t, with
    delta_t = (1 - h_t^2) (dC/dh_t + U delta_(t+1)), written out.
    """
    rng = np.random.default_rng(3)
    x = rng.normal(size=(B, length, C)).astype("float32")
    target = rng.normal(size=(B, length, UNITS)).astype("float32")
    weights, found = gradients_of_the_layer("simple_rnn", x, target)

    h, delta = reference("simple_rnn", x.astype("float64"), weights), np.zeros((B, UNITS))
    before = np.concatenate([np.zeros((B, 1, UNITS)), h[:, :-1]], axis=1)
    expected = [np.zeros_like(weight) for weight in weights]
    for t in reversed(range(length)):
        delta = (1 - h[:, t] ** 2) * (target[:, t] + delta @ weights[1].T)
        expected[0] += x[:, t].T @ delta
        expected[1] += before[:, t].T @ delta
        expected[2] += delta.sum(0)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_two_halves_with_the_state_between_them_are_the_whole(cell: str) -> None:
    import keras

    layer, _ = layer_and_weights(cell, (B, 6, channels(cell)))
    x = np.random.default_rng(0).normal(size=(B, 6, channels(cell))).astype("float32")
    whole = layer(x)[0]
    first, *state = layer(x[:, :2])
    second = layer(x[:, 2:], *state)[0]
    joined = keras.ops.concatenate([first, second], axis=1)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(joined), keras.ops.convert_to_numpy(whole), atol=1e-6
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 8, 9, 64, 100, 513])
def test_parallel_scan_is_the_sequential_loop(length: int, reverse: bool) -> None:
    import keras

    from reunet.networks.cells import linear_scan

    rng = np.random.default_rng(0)
    decay = rng.uniform(0, 1, (B, length, C)).astype("float32")
    update = rng.normal(size=(B, length, C)).astype("float32")
    h, expected = np.zeros((B, C)), np.zeros_like(update)
    for t in reversed(range(length)) if reverse else range(length):
        h = decay[:, t] * h + update[:, t]
        expected[:, t] = h
    found = linear_scan(*map(keras.ops.convert_to_tensor, (decay, update)), reverse=reverse)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, atol=1e-5)
