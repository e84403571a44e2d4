"""Batch normalisation of a path: statistics are values, never variables.

A supernet's batch norm has neither gamma and beta nor moving averages (the
official code's `affine=False`): it normalises with the batch, or with
statistics that it is given. The classes here normalise with the batch; what
is given is folded into kernels (`tensor_ops.FoldedOps`).
"""

from typing import Protocol

import tensorflow as tf

from spos_tf.layers.replica_sum import mean_over_replicas


class PathNorm(Protocol):
    """Normalises feature maps over batch, height and width."""

    def __call__(
        self, x: tf.Tensor, epsilon: float, place: tf.Tensor
    ) -> tf.Tensor:
        """Normalises `x`, `[batch, height, width, channels]`.

        `place` is an int32 scalar, another one for each batch norm of the
        network.
        """


class BatchNorm:
    """Normalises with the replica's own batch."""

    def __call__(
        self, x: tf.Tensor, epsilon: float, place: tf.Tensor
    ) -> tf.Tensor:
        del place
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

    def __call__(
        self, x: tf.Tensor, epsilon: float, place: tf.Tensor
    ) -> tf.Tensor:
        local = tf.cast(x, tf.float32)
        mean = self._mean(local, 2 * place)
        # Not E[x^2] - E[x]^2, which cancels: where the mean is large, it
        # would be noise, below zero too.
        centred = local - mean
        variance = self._mean(tf.square(centred), 2 * place + 1)
        return tf.cast(centred * tf.math.rsqrt(variance + epsilon), x.dtype)

    def _mean(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        return mean_over_replicas(
            tf.reduce_mean(x, (0, 1, 2)), self._num_replicas, key, self._token
        )


class CollectingBatchNorm:
    """Normalises with the batch and keeps its mean and variance."""

    def __init__(self) -> None:
        self._moments: list[tf.Tensor] = []

    def __call__(
        self, x: tf.Tensor, epsilon: float, place: tf.Tensor
    ) -> tf.Tensor:
        del place
        y, mean, variance = fused_batch_norm(x, epsilon)
        self._moments.append(tf.stack([mean, variance]))
        return y

    def moments(self) -> tf.Tensor:
        """Mean and variance of all channels so far, float32 `[2, channels]`."""
        if not self._moments:
            return tf.zeros([2, 0])
        return tf.concat(self._moments, axis=1)


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
