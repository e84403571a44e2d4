"""Blocks: frozen descriptions written in `Ops`, read by everyone.

The structure is that of the official code (megvii-model/SinglePathOneShot,
`blocks.py` and `network.py`), which is finer than the paper's Figure and
Table 2: uneven split at stride 2, shuffle at the input, no ReLU after a
depthwise convolution, no bias.
"""

import dataclasses

from spos_tf.ops.protocol import ElasticWidth, Ops, T, Width


def _conv_bn_relu(ops: Ops[T], x: T, filters: Width, name: str) -> T:
    x = ops.conv(x, filters, name=name)
    return ops.relu(ops.batch_norm(x, name=f"{name}_bn"))


def _depthwise_bn(
    ops: Ops[T], x: T, kernel_size: int, strides: int, name: str
) -> T:
    x = ops.depthwise(x, kernel_size, strides=strides, name=name)
    return ops.batch_norm(x, name=f"{name}_bn")


@dataclasses.dataclass(frozen=True)
class ShuffleBlock:
    """A ShuffleNetV2-like choice block of SPOS.

    Args:
        op: `"3x3"`, `"5x5"`, `"7x7"` (that depthwise kernel) or
            `"xception"` (three depthwise 3x3).
        out_channels: Channels after the block.
        mid_channels: Inner width of the main branch; where it is elastic, it
            is the same one in all three places of the xception block.
        strides: Of the first depthwise convolution.
        projects: False: the even half of the channels passes, the odd half
            goes through the main branch. True (the first block of a stage):
            both branches take all channels; the main branch yields
            `out_channels - in_channels`.
    """

    op: str
    out_channels: int
    mid_channels: Width
    strides: int = 1
    projects: bool = False

    def __call__(self, ops: Ops[T], x: T) -> T:
        if self.projects:
            passed = self._projection(ops, x)
        else:
            passed, x = ops.split_even_odd(x)
        return ops.concat(
            [
                passed,
                self._main(ops, x, self.out_channels - ops.channels(passed)),
            ]
        )

    def sized(self, *options: int) -> "ShuffleBlock":
        """The block with the inner width of an option index."""
        if not isinstance(self.mid_channels, ElasticWidth):
            raise TypeError(f"{self} has no elastic width.")
        (option,) = options
        return dataclasses.replace(
            self, mid_channels=self.mid_channels.options[option]
        )

    @property
    def _kernel_size(self) -> int:
        return 3 if self.op == "xception" else int(self.op[0])

    def _projection(self, ops: Ops[T], x: T) -> T:
        kept = ops.channels(x)
        x = _depthwise_bn(ops, x, self._kernel_size, self.strides, "proj_dw")
        return _conv_bn_relu(ops, x, kept, "proj_pw")

    def _main(self, ops: Ops[T], x: T, filters: int) -> T:
        if self.op != "xception":
            x = _conv_bn_relu(ops, x, self.mid_channels, "pw1")
            x = _depthwise_bn(ops, x, self._kernel_size, self.strides, "dw1")
            return _conv_bn_relu(ops, x, filters, "pw2")
        widths: tuple[Width, ...]
        widths = (self.mid_channels, self.mid_channels, filters)
        for number, width in enumerate(widths, 1):
            strides = self.strides if number == 1 else 1
            x = _depthwise_bn(ops, x, 3, strides, f"dw{number}")
            x = _conv_bn_relu(ops, x, width, f"pw{number}")
        return x


@dataclasses.dataclass(frozen=True)
class Stem:
    """Input normalisation, convolution, batch norm, ReLU; perhaps a 3x3 pool.

    Args:
        filters: Channels after the stem.
        strides: Of the convolution.
        input_kind: See `INPUT_KINDS`.
        kernel_size: Of the convolution.
        pools: Whether a pool of stride 2 follows.
    """

    filters: int
    strides: int
    input_kind: str
    kernel_size: int = 3
    pools: bool = False

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = ops.normalize(x, self.input_kind, name="input")
        x = ops.conv(
            x,
            self.filters,
            self.kernel_size,
            strides=self.strides,
            stddev=0.01,
            name="conv",
        )
        x = ops.relu(ops.batch_norm(x, name="bn"))
        return ops.max_pool(x, 3, strides=2) if self.pools else x


@dataclasses.dataclass(frozen=True)
class Head:
    """1x1 convolution, batch norm, ReLU, pool, dropout, classifier."""

    filters: int
    num_classes: int
    dropout: float = 0.1
    use_bias: bool = False

    def __call__(self, ops: Ops[T], x: T) -> T:
        x = _conv_bn_relu(ops, x, self.filters, "conv")
        x = ops.dropout(
            ops.global_average_pool(x), self.dropout, name="dropout"
        )
        return ops.dense(
            x,
            self.num_classes,
            use_bias=self.use_bias,
            stddev=0.01,
            name="classifier",
        )
