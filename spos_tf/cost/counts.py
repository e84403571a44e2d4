"""Multiply-adds and weights of one network, slot by slot."""

import dataclasses

import numpy.typing as npt

from spos_tf.networks.blueprint import Blueprint, check_blueprint
from spos_tf.ops.protocol import Block
from spos_tf.ops.shape_ops import Shape, ShapeOps


@dataclasses.dataclass(frozen=True)
class Cost:
    """Exact counts of a network or of a part of it.

    Attributes:
        macs: Multiply-adds of convolution and dense kernels for one image,
            one multiply-add once: the paper's "FLOPs". Batch norm, ReLU,
            pooling, bias and concatenation are not counted.
        params_without_bn: Kernels and dense bias.
        batch_norm_channels: Channels of all batch norms.
        bit_products: Multiply-adds times bits of weights times bits of
            features, of what is quantized; None where nothing is.
        bias_adds: Additions of a bias for one image, not among the `macs`.
    """

    macs: int = 0
    params_without_bn: int = 0
    batch_norm_channels: int = 0
    bit_products: int | None = None
    bias_adds: int = 0

    @property
    def flops_benchmark(self) -> int:
        """What NAS-Bench-201 calls FLOPs: the classifier's bias counts too."""
        return self.macs + self.bias_adds

    @property
    def bit_ops(self) -> float | None:
        """The paper's BitOps (Table 6), in units of 2^30, exact.

        Convolutions within residual blocks count, shortcuts included. The
        first convolution and the classifier are float and left out. None
        where nothing is quantized.
        """
        if self.bit_products is None:
            return None
        return self.bit_products / 2**30

    @property
    def params(self) -> int:
        """Trainable weights of the final network: with gamma and beta."""
        return self.params_without_bn + 2 * self.batch_norm_channels

    @property
    def keras_count_params(self) -> int:
        """What Keras's `count_params()` says: with the moving statistics."""
        return self.params_without_bn + 4 * self.batch_norm_channels

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.macs + other.macs,
            self.params_without_bn + other.params_without_bn,
            self.batch_norm_channels + other.batch_norm_channels,
            _sum(self.bit_products, other.bit_products),
            self.bias_adds + other.bias_adds,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return sum(known) if known else None


def block_cost(block: Block, input_shape: Shape) -> Cost:
    """Counts one block.

    Args:
        block: The description.
        input_shape: (height, width, channels).
    """
    ops = ShapeOps()
    block(ops, input_shape)
    return sum(
        (
            Cost(
                count.macs,
                count.weights,
                count.batch_norm_channels,
                count.bit_products,
                count.bias_adds,
            )
            for count in ops.counts
        ),
        Cost(),
    )


def segment_costs(
    blueprint: Blueprint, encoding: npt.ArrayLike
) -> tuple[Cost, ...]:
    """Counts every segment of one network, stem and head included.

    Raises:
        UserError: The encoding is not one of this space.
    """
    return tuple(
        block_cost(block, shape)
        for block, shape in zip(
            blueprint.blocks(encoding), blueprint.input_shapes, strict=True
        )
    )


def network_cost(blueprint: Blueprint, encoding: npt.ArrayLike) -> Cost:
    """Counts one whole network, without building it.

    Args:
        blueprint: The description.
        encoding: int32 `[num_choices]`.

    Returns:
        Exact counts for one image: `macs`, `params` and others.

    Raises:
        UserError: The encoding is not one of this space.

    Example:
        >>> import spos_tf
        >>> blueprint = spos_tf.build_blueprint("shufflenet_blocks")
        >>> cost = spos_tf.network_cost(blueprint, [0] * 20)
        >>> cost.macs, cost.params
        (295842496, 3154880)
    """
    check_blueprint(blueprint)
    return sum(segment_costs(blueprint, encoding), Cost())
