"""The parts of a cell-based network (NAS-Bench-201)."""

import dataclasses
import math

from spos_tf.ops.protocol import Ops, T


@dataclasses.dataclass(frozen=True)
class Zero:
    """Nothing passes: zeros in the shape of what comes in."""

    def __call__(self, ops: Ops[T], x: T) -> T:
        return ops.zeros(x)


@dataclasses.dataclass(frozen=True)
class AveragePool:
    """A mean of 3x3, stride 1; padding is not counted."""

    def __call__(self, ops: Ops[T], x: T) -> T:
        return ops.avg_pool(x, 3, strides=1)


@dataclasses.dataclass(frozen=True)
class ConvEdge:
    """ReLU, convolution, batch norm; the number of channels stays.

    The benchmark's own supernet gives these convolutions a bias. The mean
    that batch norm takes off removes it again, so there is none here.
    """

    kernel_size: int

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = _he_conv(ops, ops.relu(x), ops.channels(x), self.kernel_size)
        return ops.batch_norm(x, name="bn")


@dataclasses.dataclass(frozen=True)
class CellStem:
    """A 3x3 convolution and batch norm, no ReLU."""

    filters: int
    strides: int
    input_kind: str

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = ops.normalize(x, self.input_kind, name="input")
        x = _he_conv(ops, x, self.filters, 3, self.strides)
        return ops.batch_norm(x, name="bn")


@dataclasses.dataclass(frozen=True)
class ReductionBlock:
    """The residual block between stages; its shortcut has no batch norm."""

    out_channels: int
    strides: int

    def __call__(self, ops: Ops[T], x: T) -> T:
        y = ops.relu(x)
        y = _he_conv(ops, y, self.out_channels, 3, self.strides, name="conv1")
        y = ops.relu(ops.batch_norm(y, name="bn1"))
        y = _he_conv(ops, y, self.out_channels, 3, name="conv2")
        y = ops.batch_norm(y, name="bn2")
        if self.strides > 1:
            x = ops.avg_pool(x, 2, strides=self.strides)
        # Nothing normalises it: as much comes out as goes in.
        stddev = 1 / math.sqrt(ops.channels(x))
        shortcut = ops.conv(
            x, self.out_channels, stddev=stddev, name="shortcut"
        )
        return ops.add(y, shortcut)


@dataclasses.dataclass(frozen=True)
class CellHead:
    """Batch norm, ReLU, pool, dropout, classifier with bias."""

    num_classes: int
    dropout: float

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = ops.relu(ops.batch_norm(x, name="bn"))
        x = ops.dropout(
            ops.global_average_pool(x), self.dropout, name="dropout"
        )
        return ops.dense(
            x,
            self.num_classes,
            use_bias=True,
            stddev=1 / math.sqrt(ops.channels(x)),
            name="classifier",
        )


def _he_conv(
    ops: Ops[T],
    x: T,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    name: str = "conv",
) -> T:
    """Kernels of He et al.: behind batch norm their size is a step size."""
    stddev = math.sqrt(2 / (kernel_size**2 * ops.channels(x)))
    return ops.conv(
        x, filters, kernel_size, strides=strides, stddev=stddev, name=name
    )
