"""On which 8-bit integers the values between two operations lie.

No images are needed to know. Features lie where their clip level says; the
two sides of a residual sum are as wide as batch norm made them, and no wider
than what the clipping after the sum can tell apart. Ends and grids are
tensors: those of the variables of now.
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from spos_tf.quantization import Pact, QuantizedFeatures
from spos_tf.quantization.integers import int8_grid
from spos_tf.quantization.quantizers import check_clip_level

# Of a normal distribution, as batch norm leaves it, 1 in 16,000 is further out.
_DEVIATIONS = 4.0
# Of a range, where batch norm leaves nothing.
_LEAST_END = 1e-4


class Levels:
    """The grid of clipped features: 0 to alpha in 2^bits levels.

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

    def ends(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        return 0.0, tf.convert_to_tensor(self.pact.alpha)

    def grid(self) -> tuple[tf.Tensor, Any]:
        """Step and zero point."""
        return self.ends()[1] / self.top, 127.0 - self.top


class Normalised:
    """Where batch norm leaves nearly all values: a range without a grid.

    Args:
        norm: The layer.
    """

    def __init__(self, norm: keras.layers.BatchNormalization) -> None:
        self.norm = norm

    def ends(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        gamma = _DEVIATIONS * tf.abs(self.norm.gamma)
        beta = tf.convert_to_tensor(self.norm.beta)
        return tf.reduce_min(beta - gamma), tf.reduce_max(beta + gamma)


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """The grid of a convolution that goes into a sum.

    Attributes:
        conv: What the convolution's batch norm leaves.
        other: The sum's other operand.
        total: What the sum is clipped to.
    """

    conv: "Normalised | Levels"
    other: "Normalised | Levels"
    total: "Levels | Total | Placed"

    def ends(self) -> tuple[Any, Any]:
        """Beyond these the sum is clipped, wherever the other operand is."""
        low, high = self.conv.ends()
        other_low, other_high = self.other.ends()
        most = self.total.ends()[1]
        return (
            tf.minimum(tf.maximum(low, -other_high), -_LEAST_END),
            tf.maximum(tf.minimum(high, most - other_low), _LEAST_END),
        )

    def grid(self) -> tuple[tf.Tensor, Any]:
        """Step and zero point."""
        return int8_grid(*self.ends())


@dataclasses.dataclass(frozen=True, eq=False)
class Total:
    """The grid of a sum that only a ReLU follows.

    Attributes:
        left: An operand.
        right: The other.
    """

    left: "Normalised | Levels"
    right: "Normalised | Levels"

    def ends(self) -> tuple[Any, Any]:
        """Zero, and as much as the operands can make."""
        most = self.left.ends()[1] + self.right.ends()[1]
        return 0.0, tf.maximum(most, _LEAST_END)

    def grid(self) -> tuple[tf.Tensor, Any]:
        """Step and zero point."""
        return int8_grid(*self.ends())


@dataclasses.dataclass(frozen=True, eq=False)
class Pooled:
    """The grid of a mean: that of what it is the mean of, a shade finer.

    On the very same grid a quarter of all means of four pixels would lie
    half-way between two levels, which runtimes round in different ways.

    Attributes:
        source: The grid before.
    """

    source: Total

    def ends(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        low, high = self.source.ends()
        return low, high * 0.9993

    def grid(self) -> tuple[tf.Tensor, Any]:
        """Step and zero point."""
        return int8_grid(*self.ends())


class Placed:
    """The grid of a layer of the network that rounds to it.

    Args:
        layer: With a `GridQuantizer`.
    """

    def __init__(self, layer: QuantizedFeatures) -> None:
        self.layer = layer

    def ends(self) -> tuple[Any, Any]:
        """Least and greatest value."""
        step, zero_point = self.grid()
        return (-128.0 - zero_point) * step, (127.0 - zero_point) * step

    def grid(self) -> tuple[tf.Tensor, Any]:
        """Step and zero point."""
        weights = self.layer.quantizer_weights
        return tuple(
            tf.convert_to_tensor(weights[name])
            for name in ("step", "zero_point")
        )


Grid = Levels | Side | Total | Pooled | Placed
