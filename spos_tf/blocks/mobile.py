"""Inverted residual blocks (MobileNetV2, ProxylessNAS, FBNet) and their ends.

ProxylessNAS and FBNet differ in activation, epsilon and details of the
block; what a released network does is said by the space that names it.
"""

import dataclasses

from spos_tf.ops.protocol import ElasticWidth, Ops, T, Width


@dataclasses.dataclass(frozen=True)
class Style:
    """What follows the convolutions of a family.

    Args:
        relu_maximum: 6 for ReLU6, None for ReLU.
        epsilon: Of batch norm.
    """

    relu_maximum: float | None = None
    epsilon: float = 1e-5

    def batch_norm(self, ops: Ops[T], x: T, name: str) -> T:
        """Batch norm of the convolution `name`."""
        return ops.batch_norm(x, epsilon=self.epsilon, name=f"{name}_bn")

    def relu(self, ops: Ops[T], x: T) -> T:
        """ReLU, or ReLU6."""
        return ops.relu(x, maximum=self.relu_maximum)


@dataclasses.dataclass(frozen=True)
class InvertedResidual:
    """1x1 convolution, depthwise convolution, 1x1 convolution without ReLU.

    The input is added where it has the output's shape.

    Args:
        kernel_size: Of the depthwise convolution.
        expansion: Inner channels as a multiple of the input's.
        out_channels: Channels after the block.
        style: Activation and epsilon.
        strides: Of the (first) depthwise convolution.
        groups: 1, or 2: both 1x1 convolutions then work on halves of the
            channels, which are shuffled after the first. Written as two
            convolutions, since a grouped one is slow on CPU and unknown to
            some runtimes; a batch norm of each half is one of the whole.
        num_depthwise: Depthwise convolutions in a row, each followed by batch
            norm and ReLU.
        expands: False: there is no first 1x1 convolution (expansion 1 only).

    Raises:
        ValueError: Another number of groups, or an expansion without its
            convolution.
    """

    kernel_size: int
    expansion: int
    out_channels: int
    style: Style
    strides: int = 1
    groups: int = 1
    num_depthwise: int = 1
    expands: bool = True

    def __post_init__(self) -> None:
        if self.groups not in (1, 2):
            raise ValueError(f"There are 1 or 2 groups; got {self.groups}.")
        if not self.expands and self.expansion != 1:
            raise ValueError(
                "Without the first convolution the expansion is 1; got "
                f"{self.expansion}."
            )

    def __call__(self, ops: Ops[T], x: T) -> T:
        passed, channels = x, ops.channels(x)
        if self.expands:
            x = self._expanded(ops, x, channels * self.expansion)
        for number in range(1, self.num_depthwise + 1):
            name = f"dw{number}"
            strides = self.strides if number == 1 else 1
            x = ops.depthwise(x, self.kernel_size, strides=strides, name=name)
            x = self.style.relu(ops, self.style.batch_norm(ops, x, name))
        x = self._projected(ops, x)
        if self.strides == 1 and channels == self.out_channels:
            x = ops.add(x, passed)
        return x

    def _expanded(self, ops: Ops[T], x: T, filters: int) -> T:
        if self.groups == 1:
            return self.style.relu(ops, self._conv(ops, x, filters, "pw1"))
        first, second = (
            self.style.relu(ops, half)
            for half in self._halves(ops, x, filters, "pw1")
        )
        return ops.interleave(first, second)

    def _projected(self, ops: Ops[T], x: T) -> T:
        if self.groups == 1:
            return self._conv(ops, x, self.out_channels, "pw2")
        return ops.concat(self._halves(ops, x, self.out_channels, "pw2"))

    def _halves(self, ops: Ops[T], x: T, filters: int, name: str) -> list[T]:
        return [
            self._conv(ops, half, filters // 2, f"{name}_g{group}")
            for group, half in enumerate(ops.split_halves(x), 1)
        ]

    def _conv(self, ops: Ops[T], x: T, filters: int, name: str) -> T:
        x = ops.conv(x, filters, name=name)
        return self.style.batch_norm(ops, x, name)


@dataclasses.dataclass(frozen=True)
class WideResidual:
    """An inverted residual whose inner width is no multiple of the input's.

    The input is added where it has the output's shape.

    Args:
        kernel_size: Of the depthwise convolution.
        mid_channels: Inner width, which may be chosen.
        out_channels: Channels after the block.
        style: Activation and epsilon.
        strides: Of the depthwise convolution.
    """

    kernel_size: int
    mid_channels: Width
    out_channels: int
    style: Style
    strides: int = 1

    def __call__(self, ops: Ops[T], x: T) -> T:
        passed, channels = x, ops.channels(x)
        x = ops.conv(x, self.mid_channels, name="pw1")
        x = self.style.relu(ops, self.style.batch_norm(ops, x, "pw1"))
        x = ops.depthwise(x, self.kernel_size, strides=self.strides, name="dw1")
        x = self.style.relu(ops, self.style.batch_norm(ops, x, "dw1"))
        x = ops.conv(x, self.out_channels, name="pw2")
        x = self.style.batch_norm(ops, x, "pw2")
        if self.strides == 1 and channels == self.out_channels:
            x = ops.add(x, passed)
        return x

    def sized(self, *options: int) -> "WideResidual":
        """The block with the inner width of an option index."""
        return dataclasses.replace(
            self, mid_channels=_sized(self.mid_channels, *options)
        )


def _sized(width: Width, *options: int) -> int:
    """Channels of an elastic width with an option index."""
    if not isinstance(width, ElasticWidth):
        raise TypeError(f"Width {width} is no choice.")
    (option,) = options
    return width.options[option]


@dataclasses.dataclass(frozen=True)
class Identity:
    """A skipped block: the input, at no cost."""

    def __call__(self, ops: Ops[T], x: T) -> T:
        return x


@dataclasses.dataclass(frozen=True)
class Projection:
    """What stands for a skipped block where the shape changes.

    A 1x1 convolution and batch norm, without an activation.

    Args:
        out_channels: Channels after the block.
        style: Epsilon of batch norm.
        strides: Of the convolution.
    """

    out_channels: int
    style: Style
    strides: int = 1

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = ops.conv(x, self.out_channels, strides=self.strides, name="pw")
        return self.style.batch_norm(ops, x, "pw")


@dataclasses.dataclass(frozen=True)
class MobileStem:
    """Input normalisation, then a 3x3 convolution, batch norm, activation."""

    filters: int
    strides: int
    input_kind: str
    style: Style

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = ops.normalize(x, self.input_kind, name="input")
        x = ops.conv(
            x, self.filters, 3, strides=self.strides, stddev=0.01, name="conv"
        )
        return self.style.relu(ops, self.style.batch_norm(ops, x, "conv"))


@dataclasses.dataclass(frozen=True)
class MobileHead:
    """1x1 convolution, batch norm, activation, pool, classifier with bias."""

    filters: Width
    num_classes: int
    dropout: float
    style: Style

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = ops.conv(x, self.filters, name="conv")
        x = self.style.relu(ops, self.style.batch_norm(ops, x, "conv"))
        x = ops.dropout(
            ops.global_average_pool(x), self.dropout, name="dropout"
        )
        return ops.dense(
            x, self.num_classes, use_bias=True, stddev=0.01, name="classifier"
        )

    def sized(self, *options: int) -> "MobileHead":
        """The head with the width of an option index."""
        return dataclasses.replace(self, filters=_sized(self.filters, *options))
