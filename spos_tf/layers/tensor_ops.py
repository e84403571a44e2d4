"""Runs a block on tensors, with weights that it is given."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from spos_tf.layers.depthwise import depthwise_conv2d
from spos_tf.layers.ops import RGB_MEAN, RGB_STD
from spos_tf.layers.path_norm import BatchNorm, PathNorm

# In a block; so that places of different branches differ.
_MOST_NORMS = 256


class TensorOps:
    """The `Ops` of tensors.

    Args:
        weights: By `"operation.weight"`, for example `"pw1.kernel"`; cast to
            the dtype of the features where they are used.
        dtype: Of the features.
        norm: How batch norm normalises.
        branch: int32 scalar, distinct in the supernet; the places of batch
            norms are numbered from it.
        dropout_seed: int32 `[2]`; None means no dropout.
    """

    def __init__(
        self,
        weights: Mapping[str, tf.Tensor],
        dtype: str,
        *,
        norm: PathNorm,
        branch: tf.Tensor | int = 0,
        dropout_seed: tf.Tensor | None = None,
    ) -> None:
        self._weights = weights
        self._norm = norm
        self._dtype = dtype
        self._branch = branch
        self._dropout_seed = dropout_seed
        self._norms = 0
        self._unreversed: dict[object, tf.Tensor] = {}

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
        del kernel_size, stddev
        kernel = self._weights[f"{name}.kernel"]
        if x.ref() in self._unreversed:
            x = self._unreversed[x.ref()]
            kernel = tf.reverse(kernel, axis=[2])
        if kernel.shape[0] != 1 or strides != 1:
            return self._convolved(
                _Convolution(
                    kernel,
                    [-1],
                    lambda k: tf.nn.conv2d(x, k, strides, "SAME"),
                )
            )
        # A 1x1 convolution as one product of matrices: the same sums, and
        # its gradient is up to 3.5 times faster on small feature maps (CPU).
        pixels = tf.reshape(x, [-1, x.shape[-1]])
        shape = [-1, *x.shape[1:-1], filters]
        return self._convolved(
            _Convolution(
                kernel,
                [-1],
                lambda k: tf.matmul(pixels, k[0, 0]),
                lambda y: tf.reshape(y, shape),
            )
        )

    def depthwise(
        self, x: tf.Tensor, kernel_size: int, *, strides: int = 1, name: str
    ) -> tf.Tensor:
        del kernel_size
        zero = tf.minimum(self._branch, 0)
        return self._convolved(
            _Convolution(
                self._weights[f"{name}.kernel"],
                [-1, 1],
                lambda k: depthwise_conv2d(x, k, strides, zero),
            )
        )

    def _convolved(self, convolution: "_Convolution") -> tf.Tensor:
        kernel = tf.cast(convolution.kernel, self._dtype)
        return convolution.finish(convolution.run(kernel))

    def batch_norm(
        self, x: tf.Tensor, *, epsilon: float = 1e-5, name: str
    ) -> tf.Tensor:
        del name
        place = self._branch * _MOST_NORMS + self._norms
        self._norms += 1
        if self._norms > _MOST_NORMS:
            raise ValueError(f"A block has at most {_MOST_NORMS} batch norms.")
        return self._norm(x, epsilon, tf.convert_to_tensor(place))

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
        del name
        if kind != "bgr":
            x = (x - tf.constant(RGB_MEAN)) / tf.constant(RGB_STD)
            return tf.cast(x, self._dtype)
        x = tf.cast(x, self._dtype)
        y = tf.reverse(x, axis=[-1])
        # A convolution that follows reverses its kernel instead, which is
        # smaller than the images (2 % of scoring); the graph drops this.
        self._unreversed[y.ref()] = x
        return y

    def global_average_pool(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(x, axis=(1, 2))

    def dropout(self, x: tf.Tensor, rate: float, *, name: str) -> tf.Tensor:
        del name
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
        del units, stddev
        # The logits of a half-precision network are float32 too.
        y = tf.matmul(tf.cast(x, tf.float32), self._weights[f"{name}.kernel"])
        return y + self._weights[f"{name}.bias"] if use_bias else y


class FoldedOps(TensorOps):
    """Inference: batch norm is folded into the kernel of its convolution.

    A product with the kernel instead of one with every image, and convolution,
    bias and ReLU become one fused operation on CPU. A batch norm that follows
    something else is a product and a sum.

    Args:
        weights: As in `TensorOps`.
        dtype: Of the features.
        statistics: float32 `[2, length]`: mean and variance of every channel
            in the order of the block's batch norms.
    """

    def __init__(
        self,
        weights: Mapping[str, tf.Tensor],
        dtype: str,
        *,
        statistics: tf.Tensor,
    ) -> None:
        super().__init__(weights, dtype, norm=BatchNorm())
        self._statistics = statistics
        self._used = 0
        # By what came out of them: what follows runs the convolution anew,
        # with another kernel, or joins it before its reshape. The graph then
        # drops what nobody needs.
        self._convolutions: dict[object, _Convolution] = {}
        self._unfinished: dict[object, tuple[tf.Tensor, _Convolution]] = {}

    def _convolved(self, convolution: "_Convolution") -> tf.Tensor:
        y = super()._convolved(convolution)
        self._convolutions[y.ref()] = convolution
        return y

    def batch_norm(
        self, x: tf.Tensor, *, epsilon: float = 1e-5, name: str
    ) -> tf.Tensor:
        del name
        channels = x.shape[-1]
        mean, variance = tf.unstack(
            self._statistics[:, self._used : self._used + channels]
        )
        self._used += channels
        scale = tf.math.rsqrt(variance + epsilon)
        shift = tf.cast(-mean * scale, x.dtype)
        convolution = self._convolutions.get(x.ref())
        if convolution is None:
            return tf.cast(scale, x.dtype) * x + shift
        kernel = convolution.kernel * tf.reshape(scale, convolution.output_axes)
        unfinished = tf.nn.bias_add(
            convolution.run(tf.cast(kernel, x.dtype)), shift
        )
        y = convolution.finish(unfinished)
        self._unfinished[y.ref()] = unfinished, convolution
        return y

    def relu(self, x: tf.Tensor) -> tf.Tensor:
        if x.ref() not in self._unfinished:
            return super().relu(x)
        unfinished, convolution = self._unfinished[x.ref()]
        return convolution.finish(super().relu(unfinished))


class _Convolution(NamedTuple):
    """A convolution that can be run with another kernel.

    Attributes:
        kernel: float32.
        output_axes: Shape of a value for each output channel that multiplies
            the kernel.
        run: Kernel to result.
        finish: Result to `[batch, height, width, channels]`.
    """

    kernel: tf.Tensor
    output_axes: list[int]
    run: Callable[[tf.Tensor], tf.Tensor]
    finish: Callable[[tf.Tensor], tf.Tensor] = lambda y: y
