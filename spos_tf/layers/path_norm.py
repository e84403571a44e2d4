"""Batch normalisation of a path: statistics are values, never variables.

A supernet's batch norm has neither gamma and beta nor moving averages (the
official code's `affine=False`): it normalises with the batch, or with
statistics that it is given. The classes here are the ways to normalise; a
branch calls one of them for each of its batch norms, in order.
"""

from typing import Protocol

import tensorflow as tf

from spos_tf.layers.replica_sum import mean_over_replicas


class PathNorm(Protocol):
    """Normalises feature maps over batch, height and width."""

    def __call__(self, x: tf.Tensor, epsilon: float, name: str) -> tf.Tensor:
        """Normalises `x`, `[batch, height, width, channels]`."""


class BatchNorm:
    """Normalises with the replica's own batch."""

    def __call__(self, x: tf.Tensor, epsilon: float, name: str) -> tf.Tensor:
        return fused_batch_norm(x, epsilon)[0]


class SynchronizedBatchNorm:
    """Normalises with the batch of all replicas together.

    Made in the strategy's scope.

    Args:
        num_replicas: Replicas of the strategy.
    """

    def __init__(self, num_replicas: int) -> None:
        self._num_replicas = num_replicas
        self._token = tf.Variable(0.0, trainable=False)

    def __call__(self, x: tf.Tensor, epsilon: float, name: str) -> tf.Tensor:
        local = tf.cast(x, tf.float32)
        mean = self._mean(local, f"{name}/mean")
        # Not E[x^2] - E[x]^2, which cancels: where the mean is large, it
        # would be noise, below zero too.
        centred = local - mean
        variance = self._mean(tf.square(centred), f"{name}/variance")
        return tf.cast(centred * tf.math.rsqrt(variance + epsilon), x.dtype)

    def _mean(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return mean_over_replicas(
            tf.reduce_mean(x, (0, 1, 2)), self._num_replicas, name, self._token
        )


class CollectingBatchNorm:
    """Normalises with the batch and keeps its mean and variance."""

    def __init__(self) -> None:
        self._moments: list[tf.Tensor] = []

    def __call__(self, x: tf.Tensor, epsilon: float, name: str) -> tf.Tensor:
        y, mean, variance = fused_batch_norm(x, epsilon)
        self._moments.append(tf.stack([mean, variance]))
        return y

    def moments(self, length: int) -> tf.Tensor:
        """Mean and variance of all channels so far.

        Args:
            length: Channels to pad to, so that branches agree on the shape.

        Returns:
            float32 `[2, length]`.
        """
        if not self._moments:
            return tf.zeros([2, length])
        joined = tf.concat(self._moments, axis=1)
        return tf.pad(joined, [[0, 0], [0, length - joined.shape[1]]])


class GivenBatchNorm:
    """Normalises with given population statistics.

    Args:
        statistics: float32 `[2, length]`: mean and variance of every channel
            in the order of the branch's batch norms.
    """

    def __init__(self, statistics: tf.Tensor) -> None:
        self._statistics = statistics
        self._used = 0

    def __call__(self, x: tf.Tensor, epsilon: float, name: str) -> tf.Tensor:
        channels = x.shape[-1]
        mean, variance = tf.unstack(
            self._statistics[:, self._used : self._used + channels]
        )
        self._used += channels
        return tf.compat.v1.nn.fused_batch_norm(
            x,
            tf.ones_like(mean),
            tf.zeros_like(mean),
            mean,
            variance,
            epsilon=epsilon,
            is_training=False,
        )[0]


def fused_batch_norm(
    x: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises with the batch's own moments.

    Args:
        x: `[batch, height, width, channels]`.
        epsilon: Added to the variance.

    Returns:
        y like `x`; mean and population variance, float32 `[channels]`.
    """
    channels = x.shape[-1]
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, tf.ones([channels]), tf.zeros([channels]), epsilon=epsilon
    )
    # The op returns Bessel's corrected variance (for moving averages).
    count = tf.cast(tf.size(x) // channels, tf.float32)
    return y, mean, variance * (count - 1.0) / count
