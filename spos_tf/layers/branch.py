"""One option of a choice inside a supernet."""

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from spos_tf.layers.ops import RGB_MEAN, RGB_STD, Block
from spos_tf.layers.path_norm import PathNorm
from spos_tf.layers.shape_ops import Shape, ShapeOps


class Branch(keras.layers.Layer):
    """The weights of a block and its forward pass.

    Args:
        block: The description.
        seed: Seed of the initial weights; the weights depend on it and on
            `initial_name` alone, not on the order of building.
        name: Distinct in the supernet.
        initial_name: Branches with the same one start with equal weights
            where their operations agree in name and shape, and a larger
            depthwise kernel starts as the 3x3 one with zeros around it;
            `name` and plain kernels if None.
    """

    def __init__(
        self,
        block: Block,
        *,
        seed: int,
        name: str,
        initial_name: str | None = None,
    ) -> None:
        # autocast would cast statistics to half precision as well.
        super().__init__(name=name, autocast=False)
        self._block = block
        self._seed = seed
        self._initial_name = initial_name
        self.batch_norm_channels = 0
        self.operations: dict[str, keras.layers.Layer] = {}

    def build(self, input_shape: Sequence[int | None]) -> None:
        ops = _Builder(
            self._initial_name or self.name,
            self._seed,
            aligned=self._initial_name is not None,
        )
        self._block(ops, tuple(input_shape[1:]))
        self.operations = ops.operations
        self.batch_norm_channels = sum(
            count.batch_norm_channels for count in ops.counts
        )
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        norm: PathNorm,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Applies the block.

        Args:
            x: `[batch, height, width, channels]`.
            norm: How its batch norms normalise.
            dropout_seed: int32 `[2]`; None means no dropout.
        """
        return self._block(
            _Runner(
                self.name,
                self.operations,
                norm,
                dropout_seed,
                self.compute_dtype,
            ),
            x,
        )


class _Builder(ShapeOps):
    """Makes a Keras layer for every weighted operation."""

    def __init__(self, path: str, seed: int, *, aligned: bool) -> None:
        super().__init__()
        self._path = path
        self._seed = seed
        self._aligned = aligned
        self.operations: dict[str, keras.layers.Layer] = {}

    def _initializer(self, name: str, stddev: float) -> Any:
        seed = zlib.crc32(f"{self._seed}/{self._path}/{name}".encode())
        return keras.initializers.RandomNormal(stddev=stddev, seed=seed)

    def _depthwise_initializer(self, name: str) -> Any:
        normal = self._initializer(name, 1.0)

        def centred(shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
            margin = (shape[0] - 3) // 2
            return tf.pad(
                normal((3, 3, *shape[2:]), dtype),
                [[margin, margin], [margin, margin], [0, 0], [0, 0]],
            )

        return centred if self._aligned else normal

    def _add(self, layer: keras.layers.Layer, name: str, x: Shape) -> None:
        layer.build((None, *x))
        self.operations[name] = layer

    def conv(
        self,
        x: Shape,
        filters: int,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        stddev: float | None = None,
        name: str,
    ) -> Shape:
        layer = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer=self._initializer(name, stddev or 1 / x[-1]),
            name=name,
        )
        self._add(layer, name, x)
        return super().conv(x, filters, kernel_size, strides=strides, name=name)

    def depthwise(
        self, x: Shape, kernel_size: int, *, strides: int = 1, name: str
    ) -> Shape:
        layer = keras.layers.DepthwiseConv2D(
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._depthwise_initializer(name),
            name=name,
        )
        self._add(layer, name, x)
        return super().depthwise(x, kernel_size, strides=strides, name=name)

    def dense(
        self, x: Shape, units: int, *, use_bias: bool, stddev: float, name: str
    ) -> Shape:
        layer = keras.layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=self._initializer(name, stddev),
            dtype="float32",
            name=name,
        )
        self._add(layer, name, x)
        return super().dense(
            x, units, use_bias=use_bias, stddev=stddev, name=name
        )


class _Runner:
    """The `Ops` of tensors; weights come from the builder's layers."""

    def __init__(
        self,
        path: str,
        operations: Mapping[str, keras.layers.Layer],
        norm: PathNorm,
        dropout_seed: tf.Tensor | None,
        dtype: str,
    ) -> None:
        self._path = path
        self._operations = operations
        self._norm = norm
        self._dtype = dtype
        self._dropout_seed = dropout_seed

    def channels(self, x: tf.Tensor) -> int:
        return int(x.shape[-1])

    def conv(
        self,
        x: tf.Tensor,
        filters: int,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        stddev: float | None = None,
        name: str,
    ) -> tf.Tensor:
        layer = self._operations[name]
        if kernel_size != 1 or strides != 1:
            return layer(x)
        # A 1x1 convolution as one product of matrices: the same sums, and
        # its gradient is up to 3.5 times faster on small feature maps (CPU).
        kernel = tf.cast(tf.squeeze(layer.kernel.value, (0, 1)), x.dtype)
        return tf.reshape(
            tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel),
            [-1, *x.shape[1:-1], filters],
        )

    def depthwise(
        self, x: tf.Tensor, kernel_size: int, *, strides: int = 1, name: str
    ) -> tf.Tensor:
        return self._operations[name](x)

    def batch_norm(
        self, x: tf.Tensor, *, epsilon: float = 1e-5, name: str
    ) -> tf.Tensor:
        return self._norm(x, epsilon, f"{self._path}/{name}")

    def relu(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(x)

    def split_even_odd(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # A transpose and contiguous slices; x[..., ::2] and its gradient cost
        # 1.4 times as much a step.
        half = x.shape[-1] // 2
        pairs = tf.transpose(tf.reshape(x, [-1, half, 2]), [2, 0, 1])
        even, odd = tf.unstack(pairs)
        shape = [-1, *x.shape[1:-1], half]
        return tf.reshape(even, shape), tf.reshape(odd, shape)

    def concat(self, xs: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.concat(xs, axis=-1)

    def normalize(self, x: tf.Tensor, kind: str, *, name: str) -> tf.Tensor:
        if kind == "bgr":
            x = tf.reverse(x, axis=[-1])
        else:
            x = (x - tf.constant(RGB_MEAN)) / tf.constant(RGB_STD)
        return tf.cast(x, self._dtype)

    def global_average_pool(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(x, axis=(1, 2))

    def dropout(self, x: tf.Tensor, rate: float, *, name: str) -> tf.Tensor:
        if self._dropout_seed is None or math.isclose(rate, 0.0):
            return x
        return tf.nn.experimental.stateless_dropout(
            x, rate, seed=self._dropout_seed
        )

    def dense(
        self,
        x: tf.Tensor,
        units: int,
        *,
        use_bias: bool,
        stddev: float,
        name: str,
    ) -> tf.Tensor:
        return self._operations[name](x)
