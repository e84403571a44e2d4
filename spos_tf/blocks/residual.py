"""Residual blocks with few bits (paper, "Mixed-Precision Quantization Search").

The block's input is quantized once, for the first convolution and for the
shortcut, whether that is a convolution or not: nothing but the sums at the
end of a block is then in more than a few bits.
"""

import dataclasses

from spos_tf.ops.protocol import (
    Bits,
    ElasticPrecision,
    ElasticWidth,
    Ops,
    T,
    Width,
)


@dataclasses.dataclass(frozen=True)
class ResidualBlock:
    """A basic block of ResNet (He et al., 2016): two 3x3 convolutions.

    Both, and the shortcut's convolution, have the same bits. The activation
    of a block is the quantization at the start of the next.

    Args:
        out_channels: Channels after the block.
        mid_channels: Of the first convolution.
        bits: Of weights and features; None for a network in float.
        strides: Of the first convolution and the shortcut.
        projects: Whether the shortcut is a 1x1 convolution.
    """

    out_channels: int
    mid_channels: Width
    bits: Bits | None
    strides: int = 1
    projects: bool = False

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = self._activation(ops, x, "clip1")
        y = ops.conv(
            x,
            self.mid_channels,
            3,
            strides=self.strides,
            bits=self.bits,
            name="conv1",
        )
        y = self._activation(ops, ops.batch_norm(y, name="bn1"), "clip2")
        y = ops.conv(y, self.out_channels, 3, bits=self.bits, name="conv2")
        y = ops.batch_norm(y, name="bn2")
        if self.projects:
            x = ops.conv(
                x,
                self.out_channels,
                strides=self.strides,
                bits=self.bits,
                name="shortcut",
            )
            x = ops.batch_norm(x, name="shortcut_bn")
        return ops.add(y, x)

    def _activation(self, ops: Ops[T], x: T, name: str) -> T:
        if self.bits is None:
            return ops.relu(x)
        return ops.clip(x, self.bits, name=name)

    def sized(self, *options: int) -> "ResidualBlock":
        """The block with width and bits of the choices' option indexes."""
        width, bits = self.mid_channels, self.bits
        if isinstance(width, ElasticWidth):
            width = width.options[options[width.choice]]
        if isinstance(bits, ElasticPrecision):
            bits = bits.options[options[bits.choice]]
        return dataclasses.replace(self, mid_channels=width, bits=bits)


@dataclasses.dataclass(frozen=True)
class ResidualHead:
    """The float end: ReLU, pool, dropout, classifier with bias."""

    num_classes: int
    dropout: float

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = ops.global_average_pool(ops.relu(x))
        x = ops.dropout(x, self.dropout, name="dropout")
        return ops.dense(
            x, self.num_classes, use_bias=True, stddev=0.01, name="classifier"
        )
