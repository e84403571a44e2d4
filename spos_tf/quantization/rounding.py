"""Fake quantization: few levels forward, straight-through gradients back.

Bits may be Python integers or tensors; with a tensor one graph serves all
widths. Everything is computed in float32, whatever dtype comes in, and given
back in that dtype: scales and rounding do not survive half precision.
"""

from typing import Any

import tensorflow as tf

from spos_tf.errors import UserError

MOST_BITS = 8
# By bits, from 1: the clip level with the least mean squared error for the
# positive half of a standard normal, which is what batch norm gives.
NORMAL_CLIP_LEVELS = (1.225, 1.95, 2.475, 2.9, 3.27, 3.605, 3.92, 4.215)

# A Python integer, or an int32 scalar.
Bits = Any


def check_bits(bits: Any, what: str) -> None:
    """Refuses what is no number of bits that can be had here.

    Raises:
        UserError: It is not a whole number from 1 to `MOST_BITS`.
    """
    whole = isinstance(bits, int) and not isinstance(bits, bool)
    if not whole or not 1 <= bits <= MOST_BITS:
        raise UserError(
            f"The bits of {what} are a whole number from 1 to {MOST_BITS}; "
            f"got {bits!r}."
        )


def num_steps(bits: Bits) -> tf.Tensor:
    """2^bits - 1: steps between the lowest and the highest level, float32."""
    return tf.cast(tf.bitwise.left_shift(1, bits), tf.float32) - 1.0


def pact(x: tf.Tensor, alpha: tf.Tensor, bits: Bits) -> tf.Tensor:
    """Clips to [0, alpha] and rounds to 2^bits levels (Choi et al., 2018).

    PACT, arXiv:1805.06085, equations 1 to 3: `y = clip(x, 0, alpha)`, then
    `round(y n / alpha) alpha / n` with n = 2^bits - 1. The gradient of x is
    that of the clipping, 1 for 0 < x < alpha; that of alpha is 1 where
    x >= alpha. It stands for a ReLU.

    Args:
        x: Any shape and float dtype.
        alpha: Clip level, above 0, a scalar.
        bits: From 1, a Python integer or int32 scalar.

    Returns:
        Shape and dtype of `x`.
    """

    @tf.custom_gradient
    def quantized(x: tf.Tensor, alpha: tf.Tensor) -> tuple[tf.Tensor, Any]:
        level = tf.cast(alpha, tf.float32)
        step = level / num_steps(bits)
        clipped = tf.clip_by_value(tf.cast(x, tf.float32), 0.0, level)
        y = tf.cast(tf.round(clipped / step) * step, x.dtype)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            above = x >= tf.cast(alpha, x.dtype)
            passes = tf.logical_and(x > 0, tf.logical_not(above))
            zeros = tf.zeros_like(upstream)
            return (
                tf.where(passes, upstream, zeros),
                tf.cast(
                    tf.reduce_sum(
                        tf.cast(tf.where(above, upstream, zeros), tf.float32)
                    ),
                    alpha.dtype,
                ),
            )

        return y, gradient

    y: tf.Tensor = quantized(x, alpha)
    return y


def dorefa(
    kernel: tf.Tensor, bits: Bits, mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Rounds weights to 2^bits levels (Zhou et al., 2016).

    DoReFa-Net, arXiv:1606.06160, section 2.3: with k > 1 bits the odd
    multiples of 1 / n from -1 to 1, n = 2^k - 1, nearest to tanh(w) over its
    largest magnitude; with one bit the sign times the mean magnitude (sign(0)
    is +1). Rounding and sign pass gradients as if they were not there.

    Args:
        kernel: Any shape and float dtype.
        bits: From 1, a Python integer or int32 scalar.
        mask: 1 where weights count and 0 where they are left out, of a shape
            that broadcasts to the kernel's; all count if None.

    Returns:
        Shape and dtype of `kernel`, 0 where it is left out.
    """
    w = tf.cast(kernel, tf.float32)
    if mask is not None:
        mask = tf.cast(mask, tf.float32)
        w *= mask
    if isinstance(bits, int):
        quantized = _signs(w, mask) if bits == 1 else _levels(w, bits)
    else:
        quantized = tf.where(
            tf.equal(bits, 1), _signs(w, mask), _levels(w, bits)
        )
    if mask is not None:
        quantized *= mask
    return tf.cast(quantized, kernel.dtype)


def _signs(w: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    magnitude = tf.abs(w)
    if mask is None:
        mean = tf.reduce_mean(magnitude)
    else:
        count = tf.reduce_sum(tf.broadcast_to(mask, tf.shape(w)))
        mean = tf.reduce_sum(magnitude) / count
    signs = tf.where(w >= 0, 1.0, -1.0)
    # The mean is a scale, no function of the weights, to the gradient.
    return straight_through(w, signs * mean)


def _levels(w: tf.Tensor, bits: Bits) -> tf.Tensor:
    steps = num_steps(bits)
    squashed = tf.tanh(w)
    largest = tf.reduce_max(tf.abs(squashed))
    unit = tf.math.divide_no_nan(squashed, 2.0 * largest) + 0.5
    rounded = tf.round(unit * steps) / steps
    return 2.0 * straight_through(unit, rounded) - 1.0


@tf.custom_gradient
def straight_through(
    exact: tf.Tensor, rounded: tf.Tensor
) -> tuple[tf.Tensor, Any]:
    """`rounded`, to the bit; its gradient is passed to `exact`."""
    return tf.identity(rounded), lambda upstream: (upstream, None)
