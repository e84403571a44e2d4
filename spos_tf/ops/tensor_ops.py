"""Runs a block on tensors, with weights that it is given."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import tensorflow as tf

from spos_tf.ops.channel_ops import concat_channels, split_even_odd
from spos_tf.ops.depthwise import depthwise_conv2d
from spos_tf.ops.dispatch import on_host
from spos_tf.ops.path_norm import BatchNorm, PathNorm
from spos_tf.ops.protocol import (
    RGB_MEAN,
    RGB_STD,
    Bits,
    ElasticPrecision,
    ElasticWidth,
    Ops,
    Precision,
    Width,
)
from spos_tf.quantization.rounding import dorefa, pact

# In a block; so that places of different branches differ.
_MOST_NORMS = 256

# Odd, so that multiples of it are spread over 64 bits without repeating.
_STREAM_OF_BRANCH = 0x1E3779B97F4A7C15

WidthMode = Literal["slice", "mask"]


class ChosenWidths(NamedTuple):
    """Which elastic widths and bits a segment takes, and how.

    Attributes:
        options: int32 `[elastic choices]`, option indexes.
        mode: `"slice"` computes the first channels only; shapes are then
            known when it runs. `"mask"` computes all and sets the others to
            zero: twice the work and more, with static shapes (XLA, TPU).
    """

    options: tf.Tensor
    mode: WidthMode = "slice"


class TensorOps(Ops[tf.Tensor]):
    """The `Ops` of tensors.

    Args:
        weights: By `"operation.weight"`, for example `"pw1.kernel"`; cast to
            the dtype of the features where they are used.
        dtype: Of the features.
        norm: How batch norm normalises.
        branch: int32 scalar, distinct in the supernet; the places of batch
            norms are numbered from it.
        dropout_seed: Integers `[2]`, one for the network; None means no
            dropout.
        widths: Which elastic widths and bits are taken; not needed where
            there are none.
    """

    def __init__(
        self,
        weights: Mapping[str, tf.Tensor],
        dtype: str,
        *,
        norm: PathNorm,
        branch: tf.Tensor | int = 0,
        dropout_seed: tf.Tensor | None = None,
        widths: "ChosenWidths | None" = None,
    ) -> None:
        self._weights = weights
        self._widths = widths
        self._norm = norm
        self._dtype = dtype
        self._branch = branch
        self._dropout_seed = dropout_seed
        self._norms = 0
        self._unreversed: dict[object, tf.Tensor] = {}
        # Channels of the whole kernel, by what came out of a convolution.
        self._most: dict[object, int | None] = {}
        # float32 [channels], 1 for those that are taken, where others are 0.
        self._masks: dict[object, tf.Tensor] = {}

    def channels(self, x: tf.Tensor) -> int:
        return int(x.shape[-1])

    def conv(
        self,
        x: tf.Tensor,
        filters: Width,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        stddev: float | None = None,
        bits: Bits | None = None,
        name: str,
    ) -> tf.Tensor:
        kernel = self._weights[f"{name}.kernel"]
        most = kernel.shape[-1]
        if x.shape[-1] is None:
            kernel = kernel[:, :, : tf.shape(x)[-1]]
        mask = None
        if isinstance(filters, ElasticWidth):
            kernel, mask = self._first(kernel, filters)
        if bits is not None:
            kernel = self._rounded(kernel, bits, x, mask)
        y = self._run(kernel, x, strides, most)
        if mask is not None:
            self._masks[y.ref()] = mask
        return y

    def _run(
        self, kernel: tf.Tensor, x: tf.Tensor, strides: int, most: int | None
    ) -> tf.Tensor:
        """The convolution, in the fastest form."""
        if x.ref() in self._unreversed:
            x = self._unreversed[x.ref()]
            kernel = tf.reverse(kernel, axis=[2])
        if kernel.shape[0] != 1 or strides != 1:
            return self._convolved(
                _Convolution(
                    kernel, [-1], lambda k: tf.nn.conv2d(x, k, strides, "SAME")
                ),
                most,
            )
        # A 1x1 convolution as one product of matrices: the same sums, and
        # its gradient is up to 3.5 times faster on small feature maps (CPU).
        pixels = tf.reshape(x, [-1, _size(x, -1)])
        shape = [-1, *x.shape[1:-1], _size(kernel, -1)]
        return self._convolved(
            _Convolution(
                kernel,
                [-1],
                lambda k: tf.matmul(pixels, k[0, 0]),
                lambda y: tf.reshape(y, shape),
            ),
            most,
        )

    def depthwise(
        self, x: tf.Tensor, kernel_size: int, *, strides: int = 1, name: str
    ) -> tf.Tensor:
        with on_host():
            zero = tf.minimum(self._branch, 0)
        kernel = self._weights[f"{name}.kernel"]
        most = kernel.shape[2]
        if x.shape[-1] is None:
            kernel = kernel[:, :, : tf.shape(x)[-1]]
        return self._convolved(
            _Convolution(
                kernel, [-1, 1], lambda k: depthwise_conv2d(x, k, strides, zero)
            ),
            most,
        )

    def _chosen(self, elastic: ElasticWidth | ElasticPrecision) -> tf.Tensor:
        """int32 scalar: index of the option that is taken."""
        if self._widths is None:
            raise ValueError("Elastic widths and bits need to be chosen.")
        return self._widths.options[elastic.choice]

    def _first(
        self, kernel: tf.Tensor, filters: ElasticWidth
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The kernel's first filters; or zeros for the others, and the mask."""
        option = self._chosen(filters)
        count = tf.gather(tf.constant(filters.options), option)
        if self._widths is not None and self._widths.mode == "slice":
            return kernel[..., :count], None
        mask = tf.sequence_mask(count, kernel.shape[-1], kernel.dtype)
        return kernel * mask, mask

    def _rounded(
        self,
        kernel: tf.Tensor,
        bits: Bits,
        x: tf.Tensor,
        mask: tf.Tensor | None,
    ) -> tf.Tensor:
        """The kernel on its levels, as if masked channels were not there."""
        taken = self._masks.get(x.ref())
        if taken is not None:
            taken = taken[:, tf.newaxis]
            mask = taken if mask is None else taken * mask
        if isinstance(bits, Precision):
            return dorefa(kernel, bits.weights, mask)
        weights = tf.constant([option.weights for option in bits.options])
        return dorefa(kernel, tf.gather(weights, self._chosen(bits)), mask)

    def clip(self, x: tf.Tensor, bits: Bits, *, name: str) -> tf.Tensor:
        alphas = self._weights[f"{name}.alpha"]
        if isinstance(bits, Precision):
            y = pact(x, alphas[0], bits.features)
        else:
            option = self._chosen(bits)
            level = tf.gather(tf.constant(bits.clip_of_option), option)
            features = tf.constant([one.features for one in bits.options])
            y = pact(x, alphas[level], tf.gather(features, option))
        return self._carry_mask(x, y)

    def _carry_mask(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Notes that `y` has the zero channels of `x`."""
        if x.ref() in self._masks:
            self._masks[y.ref()] = self._masks[x.ref()]
        return y

    def max_pool(self, x: tf.Tensor, size: int, *, strides: int) -> tf.Tensor:
        return tf.nn.max_pool2d(x, size, strides, "SAME")

    def avg_pool(self, x: tf.Tensor, size: int, *, strides: int) -> tf.Tensor:
        return tf.nn.avg_pool2d(x, size, strides, "SAME")

    def zeros(self, x: tf.Tensor) -> tf.Tensor:
        return tf.zeros_like(x)

    def _convolved(
        self, convolution: "_Convolution", most: int | None
    ) -> tf.Tensor:
        """Runs it; `most` is the number of channels of its whole kernel."""
        kernel = tf.cast(convolution.kernel, self._dtype)
        y = convolution.finish(convolution.run(kernel))
        self._most[y.ref()] = most
        return y

    def _most_channels(self, x: tf.Tensor) -> int:
        if x.shape[-1] is not None:
            return int(x.shape[-1])
        most = self._most.get(x.ref())
        if most is None:
            raise ValueError("A batch norm of sliced channels follows a conv.")
        return most

    def batch_norm(
        self, x: tf.Tensor, *, epsilon: float = 1e-5, name: str
    ) -> tf.Tensor:
        number = self._norms
        self._norms += 1
        if self._norms > _MOST_NORMS:
            raise ValueError(f"A block has at most {_MOST_NORMS} batch norms.")
        y = self._norm(
            x,
            epsilon,
            # Few ask for it, and there are hundreds in a network to trace.
            lambda: tf.convert_to_tensor(self._branch * _MOST_NORMS + number),
            self._most_channels(x),
        )
        return self._carry_mask(x, y)

    def relu(self, x: tf.Tensor, *, maximum: float | None = None) -> tf.Tensor:
        if maximum is None:
            return tf.nn.relu(x)
        if maximum == 6:
            return tf.nn.relu6(x)
        return tf.clip_by_value(x, 0, maximum)

    def add(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return x + y

    def split_halves(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first, second = tf.split(x, 2, axis=-1)
        return first, second

    def interleave(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        pairs = tf.stack([x, y], axis=-1)
        return tf.reshape(pairs, [-1, *x.shape[1:-1], 2 * x.shape[-1]])

    def split_even_odd(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return split_even_odd(x)

    def concat(self, xs: Sequence[tf.Tensor]) -> tf.Tensor:
        return concat_channels(xs)

    def normalize(self, x: tf.Tensor, kind: str, *, name: str) -> tf.Tensor:
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
        if self._dropout_seed is None or math.isclose(rate, 0.0):
            return x
        # A seed of its own: no two operations of a network share a mask.
        first, second = tf.unstack(tf.cast(self._dropout_seed, tf.int64))
        place = (tf.cast(self._branch, tf.int64) + 1) * _STREAM_OF_BRANCH
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        named = int.from_bytes(digest, "big") >> 1
        place = tf.bitwise.bitwise_xor(place, named)
        seed = tf.stack([tf.bitwise.bitwise_xor(first, place), second])
        return tf.nn.experimental.stateless_dropout(x, rate, seed=seed)

    def dense(
        self,
        x: tf.Tensor,
        units: int,
        *,
        use_bias: bool,
        stddev: float,
        name: str,
    ) -> tf.Tensor:
        kernel = self._weights[f"{name}.kernel"]
        if x.shape[-1] is None:
            kernel = kernel[: tf.shape(x)[-1]]
        # The logits of a half-precision network are float32 too.
        y = tf.matmul(tf.cast(x, tf.float32), kernel)
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
        widths: "ChosenWidths | None" = None,
    ) -> None:
        super().__init__(weights, dtype, norm=BatchNorm(), widths=widths)
        self._statistics = statistics
        self._used = 0
        # By what came out of them: what follows runs the convolution anew,
        # with another kernel, or joins it before its reshape. The graph then
        # drops what nobody needs.
        self._convolutions: dict[object, _Convolution] = {}
        self._unfinished: dict[object, tuple[tf.Tensor, _Convolution]] = {}

    def _convolved(
        self, convolution: "_Convolution", most: int | None
    ) -> tf.Tensor:
        y = super()._convolved(convolution, most)
        self._convolutions[y.ref()] = convolution
        return y

    def batch_norm(
        self, x: tf.Tensor, *, epsilon: float = 1e-5, name: str
    ) -> tf.Tensor:
        channels = _size(x, -1)
        mean, variance = tf.unstack(
            self._statistics[:, self._used : self._used + channels]
        )
        self._used += self._most_channels(x)
        scale = tf.math.rsqrt(variance + epsilon)
        shift = tf.cast(-mean * scale, x.dtype)
        convolution = self._convolutions.get(x.ref())
        if convolution is None:
            return self._carry_mask(x, tf.cast(scale, x.dtype) * x + shift)
        kernel = convolution.kernel * tf.reshape(scale, convolution.output_axes)
        unfinished = tf.nn.bias_add(
            convolution.run(tf.cast(kernel, x.dtype)), shift
        )
        y = convolution.finish(unfinished)
        self._unfinished[y.ref()] = unfinished, convolution
        return self._carry_mask(x, y)

    def relu(self, x: tf.Tensor, *, maximum: float | None = None) -> tf.Tensor:
        if x.ref() not in self._unfinished:
            return super().relu(x, maximum=maximum)
        unfinished, convolution = self._unfinished[x.ref()]
        return convolution.finish(super().relu(unfinished, maximum=maximum))


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


def _size(x: tf.Tensor, axis: int) -> int | tf.Tensor:
    """The axis's size; a tensor where it is known only as it runs."""
    return tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
