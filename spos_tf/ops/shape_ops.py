"""Reads a block as shapes, multiply-adds and weights; nothing runs."""

import dataclasses
import math
from collections.abc import Sequence

from spos_tf.errors import UserError
from spos_tf.ops.protocol import (
    Bits,
    Ops,
    Precision,
    Width,
    clip_levels,
    most_channels,
)

# Without the batch axis: (height, width, channels), or (channels,) after the
# global pool.
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Count:
    """What one operation costs.

    Attributes:
        name: The operation's name within its block.
        macs: Multiply-adds of its kernel for one image.
        weights: Kernel and bias values.
        batch_norm_channels: Channels it normalises; each has a gamma and a
            beta in a final network.
        bit_products: Multiply-adds times bits of weights times bits of
            features; None where it stays float.
        clip_levels: For a clipping the bits that each of its levels is for.
        bias_adds: Additions of a bias for one image.
    """

    name: str
    macs: int = 0
    weights: int = 0
    batch_norm_channels: int = 0
    bit_products: int | None = None
    clip_levels: tuple[int, ...] = ()
    bias_adds: int = 0


class ShapeOps(Ops[Shape]):
    """The `Ops` of shapes; `counts` lists what has been applied.

    Conventions: MACs are those of convolution and dense kernels only, one
    multiply-add once (the paper's "FLOPs").
    """

    def __init__(self) -> None:
        self.counts: list[Count] = []

    def channels(self, x: Shape) -> int:
        return x[-1]

    def conv(
        self,
        x: Shape,
        filters: Width,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        stddev: float | None = None,
        bits: Bits | None = None,
        name: str,
    ) -> Shape:
        height, width, channels = x
        filters = most_channels(filters)
        out = (*self._strided(height, width, strides), filters)
        weights = kernel_size**2 * channels * filters
        macs = out[0] * out[1] * weights
        bit_products = None
        # Bits that are not settled have no count.
        if isinstance(bits, Precision):
            bit_products = macs * bits.weights * bits.features
        self.counts.append(
            Count(name, macs, weights, bit_products=bit_products)
        )
        return out

    def depthwise(
        self, x: Shape, kernel_size: int, *, strides: int = 1, name: str
    ) -> Shape:
        height, width, channels = x
        out = (*self._strided(height, width, strides), channels)
        weights = kernel_size**2 * channels
        self.counts.append(Count(name, out[0] * out[1] * weights, weights))
        return out

    def batch_norm(
        self, x: Shape, *, epsilon: float = 1e-5, name: str
    ) -> Shape:
        self.counts.append(Count(name, batch_norm_channels=x[-1]))
        return x

    def relu(self, x: Shape, *, maximum: float | None = None) -> Shape:
        return x

    def clip(self, x: Shape, bits: Bits, *, name: str) -> Shape:
        self.counts.append(Count(name, clip_levels=clip_levels(bits)))
        return x

    def max_pool(self, x: Shape, size: int, *, strides: int) -> Shape:
        return (*self._strided(x[0], x[1], strides), x[2])

    def avg_pool(self, x: Shape, size: int, *, strides: int) -> Shape:
        return self.max_pool(x, size, strides=strides)

    def zeros(self, x: Shape) -> Shape:
        return x

    def add(self, x: Shape, y: Shape) -> Shape:
        if x != y:
            raise UserError(f"A sum has terms of one shape; got {x}, {y}.")
        return x

    def split_halves(self, x: Shape) -> tuple[Shape, Shape]:
        if x[-1] % 2:
            raise UserError(f"Halves need even channels; got {x[-1]}.")
        half = (*x[:-1], x[-1] // 2)
        return half, half

    def interleave(self, x: Shape, y: Shape) -> Shape:
        return self.concat([self.add(x, y), y])

    def split_even_odd(self, x: Shape) -> tuple[Shape, Shape]:
        # The official shuffle asserts this, for two groups of two.
        if x[-1] % 4:
            raise UserError(
                f"A channel shuffle needs channels divisible by 4; got {x[-1]}."
            )
        half = (*x[:-1], x[-1] // 2)
        return half, half

    def concat(self, xs: Sequence[Shape]) -> Shape:
        return (*xs[0][:-1], sum(x[-1] for x in xs))

    def normalize(self, x: Shape, kind: str, *, name: str) -> Shape:
        return x

    def global_average_pool(self, x: Shape) -> Shape:
        return x[-1:]

    def dropout(self, x: Shape, rate: float, *, name: str) -> Shape:
        return x

    def dense(
        self, x: Shape, units: int, *, use_bias: bool, stddev: float, name: str
    ) -> Shape:
        kernel = x[-1] * units
        bias = units if use_bias else 0
        self.counts.append(Count(name, kernel, kernel + bias, bias_adds=bias))
        return (units,)

    @staticmethod
    def _strided(height: int, width: int, strides: int) -> tuple[int, int]:
        return math.ceil(height / strides), math.ceil(width / strides)
