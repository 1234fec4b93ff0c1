"""The normalisations a block can use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import layers, ops

from reunet.networks.scope import Scope

GROUPS = 8


@keras.saving.register_keras_serializable(package="reunet.networks")
class SampleNormalization(layers.Layer):
    """Normalise each image by its own statistics, over space and over `groups` groups of channels.

    With one group per channel (`groups=None`) it is Instance Normalisation (Ulyanov et al. 2016,
    arXiv 1607.08022), otherwise Group Normalisation (Wu and He 2018, arXiv 1803.08494). It does the
    same while training and afterwards: there are no running statistics that could be wrong.

    Statistics are taken per channel first and then pooled over the group, so the large map is read
    twice and scaled once, without the reshape to groups that makes the textbook form slow on a CPU.

    Input and output: (B, *space, C) floating point; statistics are float32, whatever other layers compute in.

    fused: does the same with one group per channel, from images, gamma, beta and epsilon, where a backend has
    an operation for it; gives None for shapes that it cannot.
    """

    fused: ClassVar[Callable[[Any, Any, Any, float], Any] | None] = None

    def __init__(self, groups: int | None = None, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        if channels is None or channels % (self.groups or channels):
            raise ValueError(f"{channels} channels cannot be split into {self.groups} groups")
        self.gamma = self.add_weight(shape=(channels,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(channels,), initializer="zeros", name="beta")

    def call(self, inputs: Any) -> Any:
        if self.compute_dtype == "float32":
            return self._normalised(inputs)
        return ops.cast(self._normalised(ops.cast(inputs, "float32")), self.compute_dtype)

    def _normalised(self, inputs: Any) -> Any:
        fused = type(self).fused
        if fused is not None and self.groups is None:
            normalised = fused(inputs, self.gamma, self.beta, self.epsilon)
            if normalised is not None:
                return normalised
        space = list(range(1, len(inputs.shape) - 1))
        mean = ops.mean(inputs, axis=space, keepdims=True)
        centred = inputs - mean
        variance = ops.mean(ops.square(centred), axis=space, keepdims=True)
        if self.groups is not None:
            mean, variance = self._pool(mean, variance)
            centred = inputs - mean
        elif keras.backend.backend() == "openvino":
            # In this form OpenVINO recognises one operation of its own; elsewhere it is a pass more.
            return centred / ops.sqrt(variance + self.epsilon) * self.gamma + self.beta
        return centred * (self.gamma * ops.rsqrt(variance + self.epsilon)) + self.beta

    def _pool(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """Channel moments to the moments of each channel's group, same shape."""
        channels = mean.shape[-1]
        shape = (-1, *mean.shape[1:-1], self.groups, channels // self.groups)

        def over_group(values: Any) -> Any:
            pooled = ops.mean(ops.reshape(values, shape), axis=-1, keepdims=True)
            return ops.reshape(ops.repeat(pooled, shape[-1], axis=-1), (-1, *mean.shape[1:]))

        group_mean = over_group(mean)
        return group_mean, over_group(variance + ops.square(mean - group_mean))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="reunet.networks")
class PositionNormalization(layers.LayerNormalization):
    """Normalise each position over its channels (Layer Normalisation, Ba et al. 2016, arXiv 1607.06450).

    The variance is the mean of squared differences: as a difference of squares, which Keras takes, rounding
    to bfloat16 makes it negative where all channels are nearly equal, and its root no number.

    Input and output: (B, *space, C) floating point.
    """

    def call(self, inputs: Any) -> Any:
        centred = inputs - ops.mean(inputs, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        return centred * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta


def normalisation_layer(channels: int, scope: Scope) -> keras.layers.Layer | None:
    """The configured normalisation of one place, for maps with that many channels; None for `none`."""
    kind, name = scope.config.normalisation, scope.name("norm")
    if kind == "batch":
        return layers.BatchNormalization(epsilon=1e-5, name=name)
    if kind == "instance":
        return SampleNormalization(name=name)
    if kind == "group":
        groups = next(g for g in range(min(GROUPS, channels), 0, -1) if channels % g == 0)
        return SampleNormalization(groups, name=name)
    return None


def normalise(x: Any, scope: Scope) -> Any:
    """Apply the configured normalisation to feature maps (B, *space, C)."""
    layer = normalisation_layer(x.shape[-1], scope)
    return x if layer is None else layer(x)
