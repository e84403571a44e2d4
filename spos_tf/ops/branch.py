"""One option of a choice inside a supernet: the weights of a block."""

import zlib
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from spos_tf.ops.protocol import Bits, Block, Width, clip_levels, most_channels
from spos_tf.ops.shape_ops import Shape, ShapeOps
from spos_tf.quantization.quantizers import LEAST_CLIP_LEVEL, AtLeast
from spos_tf.quantization.rounding import NORMAL_CLIP_LEVELS


class Branch(keras.layers.Layer):
    """Holds the weights of a block; `BlockFunctions` runs it with them.

    Args:
        block: The description.
        seed: Seed of the initial weights; the weights depend on it and on
            `initial_name` alone, not on the order of building.
        name: Distinct in the supernet.
        initial_name: Branches with the same one start with equal weights
            where their operations agree in name and shape, and a larger
            depthwise kernel starts as the 3x3 one with zeros around it;
            `name` and plain kernels if None.

    Attributes:
        named_weights: By `"operation.weight"`, in the block's order.
        batch_norm_channels: Channels of all its batch norms.
    """

    def __init__(
        self,
        block: Block,
        *,
        seed: int,
        name: str,
        initial_name: str | None = None,
    ) -> None:
        super().__init__(name=name, autocast=False)
        self.block = block
        self._seed = seed
        self._initial_name = initial_name
        self.batch_norm_channels = 0
        self.named_weights: dict[str, keras.Variable] = {}

    def build(self, input_shape: Sequence[int | None]) -> None:
        ops = _Builder(
            self,
            self._initial_name or self.name,
            self._seed,
            aligned=self._initial_name is not None,
        )
        self.block(ops, tuple(input_shape[1:]))
        self.named_weights = ops.named_weights
        self.batch_norm_channels = sum(
            count.batch_norm_channels for count in ops.counts
        )
        self.built = True


class _Builder(ShapeOps):
    """Adds the weights of every operation to a layer."""

    def __init__(
        self, layer: keras.layers.Layer, path: str, seed: int, *, aligned: bool
    ) -> None:
        super().__init__()
        self._layer = layer
        self._path = path
        self._seed = seed
        self._aligned = aligned
        self.named_weights: dict[str, keras.Variable] = {}

    def _normal(self, name: str, stddev: float) -> Any:
        seed = zlib.crc32(f"{self._seed}/{self._path}/{name}".encode())
        return keras.initializers.RandomNormal(stddev=stddev, seed=seed)

    def _depthwise_initializer(self, name: str) -> Any:
        normal = self._normal(name, 1.0)

        def centred(shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
            margin = (shape[0] - 3) // 2
            return tf.pad(
                normal((3, 3, *shape[2:]), dtype),
                [[margin, margin], [margin, margin], [0, 0], [0, 0]],
            )

        return centred if self._aligned else normal

    def _add(
        self,
        name: str,
        weight: str,
        shape: Sequence[int],
        initializer: Any,
        constraint: Any = None,
    ) -> None:
        self.named_weights[f"{name}.{weight}"] = self._layer.add_weight(
            # They are cast where they are used: not all in half precision.
            shape=shape,
            initializer=initializer,
            constraint=constraint,
            name=weight,
            autocast=False,
        )

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
        shape = (kernel_size, kernel_size, x[-1], most_channels(filters))
        initializer = self._normal(name, stddev or 1 / x[-1])
        self._add(name, "kernel", shape, initializer)
        return super().conv(
            x, filters, kernel_size, strides=strides, bits=bits, name=name
        )

    def clip(self, x: Shape, bits: Bits, *, name: str) -> Shape:
        levels = [NORMAL_CLIP_LEVELS[one - 1] for one in clip_levels(bits)]
        self._add(
            name,
            "alpha",
            (len(levels),),
            keras.initializers.Constant(levels),
            AtLeast(LEAST_CLIP_LEVEL),
        )
        return super().clip(x, bits, name=name)

    def depthwise(
        self, x: Shape, kernel_size: int, *, strides: int = 1, name: str
    ) -> Shape:
        shape = (kernel_size, kernel_size, x[-1], 1)
        self._add(name, "kernel", shape, self._depthwise_initializer(name))
        return super().depthwise(x, kernel_size, strides=strides, name=name)

    def dense(
        self, x: Shape, units: int, *, use_bias: bool, stddev: float, name: str
    ) -> Shape:
        shape = (x[-1], units)
        self._add(name, "kernel", shape, self._normal(name, stddev))
        if use_bias:
            self._add(name, "bias", (units,), "zeros")
        return super().dense(
            x, units, use_bias=use_bias, stddev=stddev, name=name
        )
