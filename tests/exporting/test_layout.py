"""Sinking transpositions: the graph computes the same with fewer of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset16

from reunet.exporting.transpositions import sink_transpositions

FIRST, LAST, SWAP = [0, 3, 1, 2], [0, 2, 3, 1], [0, 3, 2, 1]
KERNEL = np.random.default_rng(0).normal(size=(4, 4, 3, 3)).astype(np.float32)
VECTOR = np.linspace(0.5, 2, 4).astype(np.float32)


def t(x: Any, order: list[int]) -> Any:
    return opset16.transpose(x, np.array(order, np.int32))


def conv(x: Any) -> Any:
    """A convolution as Keras builds it: channels last outside, channels first inside."""
    ones = [1, 1]
    return t(opset16.convolution(t(x, FIRST), KERNEL, ones, ones, ones, ones), LAST)


def batch_norm(x: Any) -> Any:
    """Keras exchanges axis 1 with the channels, which leaves height and width exchanged inside."""
    inside = opset16.batch_norm_inference(t(x, SWAP), VECTOR, VECTOR, VECTOR, VECTOR, 1e-5)
    return t(inside, SWAP)


def instance_norm(x: Any) -> Any:
    mean = opset16.reduce_mean(x, [1, 2], keep_dims=True)
    variance = opset16.reduce_mean(opset16.power(opset16.subtract(x, mean), np.float32(2)), [1, 2], True)
    scale = opset16.divide(VECTOR.reshape(1, 1, 1, 4), opset16.sqrt(opset16.add(variance, np.float32(1e-5))))
    shift = opset16.subtract(VECTOR, opset16.multiply(mean, scale))
    return opset16.add(opset16.multiply(x, scale), shift)


def head(x: Any) -> Any:
    return opset16.softmax(x, 3)


def leaky(x: Any) -> Any:
    return opset16.prelu(x, np.float32(0.1))


def crop(x: Any) -> Any:
    return opset16.slice(x, np.array([1, 2]), np.array([-1, -2]), np.array([1, 1]), np.array([1, 2]))


def softmax_negative(x: Any) -> Any:
    return opset16.softmax(x, -1)


def branches(x: Any) -> Any:
    """A skip connection whose parts are used twice."""
    one, other = opset16.relu(conv(x)), opset16.sigmoid(conv(x))
    both = opset16.concat([one, other], 3)
    half = opset16.reduce_max(both, np.array([3]), keep_dims=True)
    return opset16.multiply(opset16.add(one, other), half)


def mixed(x: Any) -> Any:
    """Not every part can be sunk: a reduction without kept axes, a concatenation of both orders."""
    pooled = opset16.reduce_mean(conv(x), [1, 2], keep_dims=False)
    y = opset16.concat([conv(x), x], 3)
    y = opset16.reduce_sum(y, np.array([3]), True)
    return opset16.add(opset16.add(conv(x), y), opset16.unsqueeze(pooled, [1, 2]))


def converted(x: Any) -> Any:
    return conv(opset16.convert(opset16.relu(opset16.convert(conv(x), "f32")), "f32"))


GRAPHS: dict[str, tuple[list[Callable[[Any], Any]], int]] = {
    "conv relu conv": ([conv, opset16.relu, conv], 2),
    "batch norm": ([conv, batch_norm, opset16.relu, conv, batch_norm], 2),
    "instance norm": ([conv, instance_norm, opset16.relu, conv, instance_norm, head], 2),
    "branches": ([branches, conv], 3),
    "leaky": ([conv, leaky, conv], 2),
    "crop": ([conv, crop, conv], 2),
    "softmax": ([conv, softmax_negative], 2),
    "converted": ([converted], 2),
    "mixed": ([mixed, conv], 99),
    "no transposition": ([opset16.relu, head], 0),
    "swaps only": ([batch_norm, batch_norm], 2),
}


def count(model: ov.Model) -> int:
    """Transpositions of feature maps (those of constants are folded)."""
    return sum(
        op.get_type_name() == "Transpose" and op.input_value(0).get_node().get_type_name() != "Constant"
        for op in model.get_ops()
        if not _small(op)
    )


def _small(op: Any) -> bool:
    """Of a vector or a scalar per channel."""
    shape = op.output(0).partial_shape
    return shape.rank.is_static and shape.is_static and np.prod(list(shape.to_shape())) <= 4


def run(model: ov.Model, x: np.ndarray) -> np.ndarray:
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([x])[0])


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("dynamic", [True, False])
def test_the_same_with_fewer_transpositions(name: str, dynamic: bool) -> None:
    steps, most = GRAPHS[name]
    image = opset16.parameter([-1, -1, -1, 4] if dynamic else [2, 9, 14, 4], ov.Type.f32)
    value: Any = image
    for step in steps:
        value = step(value)
    model = ov.Model([value], [image], "graph")
    x = np.random.default_rng(1).normal(size=(2, 9, 14, 4)).astype(np.float32)
    before, transpositions = run(model, x), count(model)
    sink_transpositions(model)
    np.testing.assert_allclose(run(model, x), before, atol=1e-5, rtol=1e-4)
    assert count(model) <= min(most, transpositions)
