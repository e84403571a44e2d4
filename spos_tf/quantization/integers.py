"""Weights and features as the integers that an 8-bit runtime computes with.

A number is `(q - zero_point) * step` with q in -128..127. A low-bit kernel's
levels are scaled up to fill that range: the levels stay as few, while the
int32 grid of the bias, of one step of features times one step of weights,
becomes up to 127 times finer. Everything is float32 that holds whole numbers.
"""

from typing import Any

import tensorflow as tf

from spos_tf.quantization.rounding import dorefa, straight_through

MOST_INTEGER = 127
# Bits of weights: 8 would take odd integers up to 255.
MOST_BITS = 7
# Whole numbers up to here and their sums are exact in float32.
_MOST_BIAS = 2.0**23
# TFLite's converter widens ranges of less than a millionth.
_LEAST_STEP = 1e-8


def embedded_kernel(
    kernel: tf.Tensor, bits: int, gain: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """DoReFa's levels as integers, times a gain for each output channel.

    Args:
        kernel: float32 `[height, width, in, out]`, not quantized yet.
        bits: From 1 to `MOST_BITS`.
        gain: float32 `[out]`, of the batch norm that is folded in; its sign
            goes into the integers.

    Returns:
        Integers of the kernel's shape, at most 2^bits different ones; and
        their step, `[out]`, at least 0.
    """
    levels = dorefa(kernel, bits)
    if bits == 1:
        integers = tf.where(kernel >= 0, 1.0, -1.0)
        unit = tf.reduce_max(tf.abs(levels))
        most = 1
    else:
        most = 2**bits - 1
        integers = tf.round(levels * most)
        unit = 1.0 / most
    scale = MOST_INTEGER // most
    signs = tf.where(gain < 0, -1.0, 1.0)
    return integers * (signs * scale), tf.abs(gain) * (unit / scale)


def int8_kernel(kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Any kernel on 255 levels.

    Args:
        kernel: float32 `[height, width, in, out]` or `[in, out]`.

    Returns:
        Integers from -127 to 127 of the kernel's shape; and their step: of a
        convolution `[out]`, of a matrix one for all, which is what TFLite's
        fully connected layers have.
    """
    axes = [0, 1, 2] if len(kernel.shape) == 4 else None
    largest = tf.reduce_max(tf.abs(kernel), axis=axes)
    step = tf.maximum(largest / MOST_INTEGER, _LEAST_STEP)
    return tf.round(kernel / step), step


def integer_bias(
    bias: tf.Tensor, kernel_step: tf.Tensor, feature_step: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A bias on the grid of the sums it is added to.

    Args:
        bias: float32 `[out]`.
        kernel_step: float32 `[out]`.
        feature_step: float32, a scalar.

    Returns:
        Integers `[out]`; and the kernel's steps, which are larger where a
        gain of almost nothing would push the bias out of what is exact. Such
        a channel is its bias and little else.
    """
    least = tf.abs(bias) / (feature_step * _MOST_BIAS)
    step = tf.maximum(tf.maximum(kernel_step, least), _LEAST_STEP)
    return tf.round(bias / (feature_step * step)), step


def int8_grid(low: Any, high: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Step and zero point of the 256 levels of a range.

    Args:
        low: Not above 0.
        high: Not below 0, and above `low`.
    """
    step = tf.maximum((high - low) / 255.0, _LEAST_STEP)
    return step, tf.round(-128.0 - low / step)


def on_int8_grid(
    x: tf.Tensor, step: tf.Tensor, zero_point: tf.Tensor
) -> tf.Tensor:
    """The nearest value of a grid; gradients pass where it does not clip."""
    q = x / step
    clipped = tf.clip_by_value(q, -128.0 - zero_point, 127.0 - zero_point)
    return straight_through(clipped, tf.round(clipped)) * step
