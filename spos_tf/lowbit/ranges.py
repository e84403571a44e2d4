"""Quantization ranges of the values between two operations.

A range says the least and the greatest value; a scale and a zero point put it
on a grid of 8-bit integers q from -128 to 127: value = (q - zero_point) *
scale. No images are needed. The range of features is what their clip level
says; the two operands of a residual sum are as wide as batch norm made them,
and no wider than what the clipping after the sum can tell apart. All numbers
are tensors, computed from the variables as they are now.
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from spos_tf.quantization import Pact, QuantizedFeatures
from spos_tf.quantization.integers import int8_grid
from spos_tf.quantization.quantizers import check_clip_level

# Batch norm leaves a normal distribution: 1 value in 16,000 is further out.
_DEVIATIONS = 4.0
# The end of a range where batch norm leaves nothing.
_LEAST_END = 1e-4


class ClipRange:
    """Range of clipped features: 0 to alpha in 2^bits levels.

    The zero point puts alpha at the last integer: saturation clips.

    Args:
        pact: The layer.
    """

    def __init__(self, pact: Pact) -> None:
        check_clip_level(pact.alpha, repr(pact.name))
        self.pact = pact
        self.bits: int = pact.quantizer.bits

    @property
    def top(self) -> int:
        """Integer of alpha, counted from zero."""
        return 2**self.bits - 1

    def value_range(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        return 0.0, tf.convert_to_tensor(self.pact.alpha)

    def scale_and_zero_point(self) -> tuple[tf.Tensor, Any]:
        """Scale and zero point."""
        return self.value_range()[1] / self.top, 127.0 - self.top


class BatchNormRange:
    """Where batch norm leaves nearly all values; it has no scale.

    Args:
        norm: The layer.
    """

    def __init__(self, norm: keras.layers.BatchNormalization) -> None:
        self.norm = norm

    def value_range(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        gamma = _DEVIATIONS * tf.abs(self.norm.gamma)
        beta = tf.convert_to_tensor(self.norm.beta)
        return tf.reduce_min(beta - gamma), tf.reduce_max(beta + gamma)


class _Int8Range:
    """A range that all 256 integers are spread over."""

    def value_range(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        raise NotImplementedError

    def scale_and_zero_point(self) -> tuple[tf.Tensor, Any]:
        """Scale and zero point."""
        return int8_grid(*self.value_range())


@dataclasses.dataclass(frozen=True, eq=False)
class OperandRange(_Int8Range):
    """Range of a convolution that goes into a sum.

    Attributes:
        conv: What the convolution's batch norm leaves.
        other: The sum's other operand.
        total: What the sum is clipped to.
    """

    conv: "BatchNormRange | ClipRange"
    other: "BatchNormRange | ClipRange"
    total: "ClipRange | SumRange | StoredRange"

    def value_range(self) -> tuple[Any, Any]:
        """Beyond these the sum is clipped, wherever the other operand is."""
        low, high = self.conv.value_range()
        other_low, other_high = self.other.value_range()
        most = self.total.value_range()[1]
        return (
            tf.minimum(tf.maximum(low, -other_high), -_LEAST_END),
            tf.maximum(tf.minimum(high, most - other_low), _LEAST_END),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class SumRange(_Int8Range):
    """Range of a sum that only a ReLU follows.

    Attributes:
        left: An operand.
        right: The other.
    """

    left: "BatchNormRange | ClipRange"
    right: "BatchNormRange | ClipRange"

    def value_range(self) -> tuple[Any, Any]:
        """Zero, and as much as the operands can make."""
        most = self.left.value_range()[1] + self.right.value_range()[1]
        return 0.0, tf.maximum(most, _LEAST_END)


@dataclasses.dataclass(frozen=True, eq=False)
class MeanRange(_Int8Range):
    """Range of a mean: that of what it is the mean of, a shade narrower.

    With the very same scale a quarter of all means of four pixels would lie
    half-way between two levels, which runtimes round in different ways.

    Attributes:
        source: Range of what it is the mean of.
    """

    source: SumRange

    def value_range(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        low, high = self.source.value_range()
        return low, high * 0.9993


class StoredRange:
    """Scale and zero point that a layer of the network stores and rounds to.

    Args:
        layer: With a `GridQuantizer`.
    """

    def __init__(self, layer: QuantizedFeatures) -> None:
        self.layer = layer

    def value_range(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        step, zero_point = self.scale_and_zero_point()
        return (-128.0 - zero_point) * step, (127.0 - zero_point) * step

    def scale_and_zero_point(self) -> tuple[tf.Tensor, Any]:
        """Scale and zero point."""
        weights = self.layer.quantizer_weights
        return tuple(
            tf.convert_to_tensor(weights[name])
            for name in ("step", "zero_point")
        )


# Ranges that say a scale and a zero point.
Grid = ClipRange | OperandRange | SumRange | MeanRange | StoredRange
