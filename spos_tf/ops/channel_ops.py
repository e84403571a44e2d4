"""Channels taken apart and put together, with gradients that XLA can compile.

TensorFlow's own gradients read an axis or a permutation of the forward pass.
Out of a Case that is the result of a branch: XLA, which needs it while it
compiles, would compile anew for every path, or not at all where the path is
drawn in the same graph. Here the gradients know their numbers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def concat_channels(xs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Concatenation of the last axis.

    Args:
        xs: `[batch, height, width, channels]` each; channels are static.
    """
    sizes = [x.shape[-1] for x in xs]

    @tf.custom_gradient
    def run(*xs: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            starts = [sum(sizes[:i]) for i in range(len(sizes))]
            return [
                tf.slice(upstream, [0, 0, 0, start], [-1, -1, -1, size])
                for start, size in zip(starts, sizes, strict=True)
            ]

        return tf.concat(xs, axis=-1), gradient

    return run(*xs)


def split_even_odd(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Channels 0, 2, ... and channels 1, 3, ...

    A transpose and contiguous slices; `x[..., ::2]` and its gradient cost 1.4
    times as much a step.

    Args:
        x: `[batch, height, width, channels]`; all but the batch are static.
    """
    half = x.shape[-1] // 2
    shape = [-1, *x.shape[1:-1], half]

    @tf.custom_gradient
    def run(
        x: tf.Tensor,
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., Any]]:
        def gradient(even: tf.Tensor, odd: tf.Tensor) -> tf.Tensor:
            pairs = tf.stack(
                [tf.reshape(even, [-1, half]), tf.reshape(odd, [-1, half])]
            )
            return tf.reshape(
                tf.transpose(pairs, [1, 2, 0]), [-1, *shape[1:3], 2 * half]
            )

        pairs = tf.transpose(tf.reshape(x, [-1, half, 2]), [2, 0, 1])
        even, odd = tf.unstack(pairs)
        return (tf.reshape(even, shape), tf.reshape(odd, shape)), gradient

    even, odd = run(x)
    return even, odd
