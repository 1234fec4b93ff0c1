"""What a network costs and how far it sees, read off the built Keras model, layer by layer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from math import inf, prod
from typing import Any

import keras
from keras import layers, tree

from reunet.contracts.network import NetworkConfig
from reunet.networks.recurrence import Recurrence
from reunet.networks.unet import build_network

Span = tuple[float, float]
"""First and last position that something depends on, along one axis; infinite for the whole axis."""

WHOLE: Span = (-inf, inf)


@dataclass(frozen=True)
class Facts:
    """Numbers of one network for one input.

    parameters: what training changes. multiplications: multiply-adds of the linear maps in one forward pass.
    features: elements of all feature maps that linear maps give, the ones kept for the backward pass.
    receptive_field: the largest extent, per axis of space, of the input pixels of its own frame that one
    output pixel depends on; None for the whole image. Statistics of a normalisation do not count.
    """

    parameters: int
    multiplications: int
    features: int
    receptive_field: tuple[int | None, ...]


@lru_cache(maxsize=256)
def measure(config: NetworkConfig, size: tuple[int, ...]) -> Facts:
    """Facts of the network of `config` for one input. Nothing is computed and no weight is made.

    size: pixels per axis of space; in front the number of frames where there is time, else of one.
    """
    # In a thread of its own, since Keras keeps a list per thread of the variables still to be initialised.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_measure, config, size).result()


def _measure(config: NetworkConfig, size: tuple[int, ...]) -> Facts:
    clip, size = size[: -config.spatial_dims], size[-config.spatial_dims :]
    if config.time != "none":
        clip = clip or (1,)
    with keras.StatelessScope(initialize_variables=False):
        model = build_network(config, size=size, frames=clip[0] if clip else None)
        calls, outputs = trace(model, (1, *clip, *size, config.in_channels))
    return Facts(
        parameters=sum(prod(weight.shape) for weight in model.trainable_weights),
        multiplications=sum(map(multiplications, calls)),
        features=sum(prod(out.shape) for call in calls if multiplications(call) for out in call.outputs),
        receptive_field=receptive_field(calls, outputs[config.heads[0].name], config),
    )


@dataclass(frozen=True)
class Call:
    """One call of a layer or operation; every shape is known."""

    layer: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


def trace(model: keras.Model, shape: tuple[int, ...]) -> tuple[list[Call], Any]:
    """All calls of layers for an input of `shape` in the order of the graph, and the outputs of the model.

    Models within the model are opened. The first input of the first call is that of the model.
    """
    calls: list[Call] = []

    def visit(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Model):
            return layer._run_through_graph(args[0], operation_fn=lambda inner: partial(visit, inner))
        outputs = layer.compute_output_spec(*args, **kwargs)
        given = (x for x in tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor))
        calls.append(Call(layer, tuple(given), tuple(tree.flatten(outputs))))
        return outputs

    outputs = visit(model, keras.KerasTensor(shape))
    return calls, outputs


def multiplications(call: Call) -> int:
    """Multiply-adds of the linear maps in one call; 0 for all others."""
    layer, before, after = call.layer, call.inputs[0].shape, call.outputs[0].shape
    if hasattr(layer, "multiplications"):
        return int(layer.multiplications(before))
    if isinstance(layer, layers.Dense):
        return prod(before) * layer.units
    if not hasattr(layer, "kernel_size"):
        return 0
    taps, positions = prod(layer.kernel_size), prod(after[:-1])
    if _is(layer, "Depthwise"):
        return positions * taps * after[-1]
    if _is(layer, "Transpose"):  # every input pixel is spread by the whole kernel
        return prod(before) * taps * layer.filters
    return positions * taps * before[-1] // layer.groups * layer.filters


def receptive_field(calls: list[Call], output: Any, config: NetworkConfig) -> tuple[int | None, ...]:
    """Per axis of space; see `Facts`.

    Where a feature map is finer than what it was made from, its pixels see spans of different extent: the
    spans of all pixels of one period are followed back to the input, and the largest one counts.
    """
    widest: list[int | None] = []
    for axis in range(-config.spatial_dims, 0):
        period = range(config.total_stride[axis])
        spans = (_span(calls, (output, position), axis - 1, config) for position in period)
        extent = max(last - first + 1 for first, last in spans)
        widest.append(None if extent == inf else int(extent))
    return tuple(widest)


def _span(calls: list[Call], start: tuple[Any, int], axis: int, config: NetworkConfig) -> Span:
    """The input pixels along an axis of the feature maps that a position of an output depends on."""
    output, position = start
    seen: dict[int, Span] = {id(output): (position, position)}
    for call in reversed(calls):
        spans = [seen[id(out)] for out in call.outputs if id(out) in seen]
        if not spans:
            continue
        span = _back(call, axis, _union(spans), config)
        for given in call.inputs:
            seen[id(given)] = _union([span, seen.get(id(given), span)])
    return seen[id(calls[0].inputs[0])]


def _union(spans: list[Span]) -> Span:
    return min(first for first, _ in spans), max(last for _, last in spans)


def _back(call: Call, axis: int, span: Span, config: NetworkConfig) -> Span:
    """From positions of a layer's output to those of its input that they depend on."""
    layer, (first, last), at = call.layer, span, axis + 1  # sizes of layers have no axis of channels
    if span == WHOLE:
        return span
    if isinstance(layer, Recurrence):
        return _recurrent(call, span, config)
    if _is(layer, "UpSampling"):
        step = layer.size[at]
        if getattr(layer, "interpolation", "nearest") == "nearest":
            return first // step, last // step
        return _linear(first, step), _linear(last, step) + 1
    if _is(layer, "Global"):
        return WHOLE
    if _is(layer, "ZeroPadding"):
        added = layer.padding[at][0]
        return first - added, last - added
    if _is(layer, "Cropping"):
        cut = layer.cropping[at][0]
        return first + cut, last + cut
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if kernel is None:
        return span
    size, step = kernel[at], layer.strides[at]
    if _is(layer, "Transpose"):
        lost = (max(size - step, 0) // 2) if layer.padding == "same" else 0
        return -((size - 1 - first - lost) // step), (last + lost) // step
    reach = (size - 1) * getattr(layer, "dilation_rate", (1,) * len(kernel))[at]
    before = max(reach + 1 - step, 0) // 2 if layer.padding == "same" else 0
    return first * step - before, last * step - before + reach


def _linear(position: float, step: int) -> float:
    """The finer pixel j lies at (j + 1/2) / step - 1/2, between two coarser ones: the first of them."""
    return (2 * position + 1 - step) // (2 * step)


def _recurrent(call: Call, span: Span, config: NetworkConfig) -> Span:
    """A sequence of maps widens the span by its convolutions; one of pixels sees the whole image.

    Once there is a state, a GRU sees its input through two convolutions in a row, W and then U, and every
    earlier step through as many more. Frames count by themselves, as if nothing came before but a state.
    """
    shape, layer = call.inputs[0].shape, call.layer
    if len(shape) != config.rank + 3:
        return WHOLE
    half, in_a_row = (layer.kernel - 1) // 2, {"gru": 2, "min_gru": 0}.get(layer.cell, 1)
    deep = max(1, in_a_row) if config.time == "frames" else 1 + in_a_row * (shape[1] - 1)
    return span[0] - half * deep, span[1] + half * deep


def _is(layer: Any, kind: str) -> bool:
    return kind in type(layer).__name__
