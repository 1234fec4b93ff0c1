"""Layers that fold axes together and apart again, whatever sizes a run brings."""

from __future__ import annotations

from math import prod
from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


def sides(x: Any) -> list[Any]:
    """Length of every axis: a number where it is known when the graph is made, a tensor where it is not."""
    return [known if known is not None else found for known, found in zip(x.shape, ops.shape(x), strict=True)]


@keras.saving.register_keras_serializable(package="reunet.networks")
class FoldFrames(keras.layers.Layer):
    """(B, T, *space, C) -> (B * T, *space, C)."""

    def call(self, x: Any) -> Any:
        return ops.reshape(x, (-1, *sides(x)[2:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, frames, *rest = input_shape
        return (None if batch is None or frames is None else batch * frames, *rest)


@keras.saving.register_keras_serializable(package="reunet.networks")
class UnfoldFrames(keras.layers.Layer):
    """(B * T, *space, C) -> (B, T, *space, C), with the T of `clip` (B, T, ...)."""

    def call(self, x: Any, clip: Any) -> Any:
        return ops.reshape(x, (-1, sides(clip)[1], *sides(x)[1:]))

    def compute_output_shape(self, x_shape: Shape, clip_shape: Shape) -> Shape:
        return (*clip_shape[:2], *x_shape[1:])


@keras.saving.register_keras_serializable(package="reunet.networks")
class Ravel(keras.layers.Layer):
    """(B, *space, C) -> (B, positions, C), row after row."""

    def call(self, x: Any) -> Any:
        positions = self.compute_output_shape(x.shape)[1]
        return ops.reshape(x, (ops.shape(x)[0] if positions is None else -1, positions or -1, x.shape[-1]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        space = [side for side in input_shape[1:-1] if side is not None]
        known = len(space) == len(input_shape) - 2
        return (input_shape[0], prod(space) if known else None, input_shape[-1])


@keras.saving.register_keras_serializable(package="reunet.networks")
class Unravel(keras.layers.Layer):
    """(B, positions, K) -> (B, *space, K), with the space of `like` (B, *space, C)."""

    def call(self, x: Any, like: Any) -> Any:
        return ops.reshape(x, (-1, *sides(like)[1:-1], x.shape[-1]))

    def compute_output_shape(self, x_shape: Shape, like_shape: Shape) -> Shape:
        return (*like_shape[:-1], x_shape[-1])
