"""Batch normalisation of a path: statistics are values, never variables.

A supernet's batch norm has neither gamma and beta nor moving averages (the
official code's `affine=False`): it normalises with the batch, or with
statistics that it is given. The classes here normalise with the batch; what
is given is folded into kernels (`tensor_ops.FoldedOps`).
"""

from collections.abc import Callable

import tensorflow as tf

from spos_tf.ops.replica_sum import mean_over_replicas

# What pairs replicas: an int32 scalar, another one for each batch norm of the
# network, made where it is asked for.
Key = Callable[[], tf.Tensor]
# Normalises x, [batch, height, width, channels], over batch, height and width,
# with an epsilon; the last is how many channels there are with all of an
# elastic width.
PathNorm = Callable[[tf.Tensor, float, Key, int | None], tf.Tensor]


class BatchNorm:
    """Normalises with the replica's own batch."""

    def __call__(
        self, x: tf.Tensor, epsilon: float, key: Key, most: int | None = None
    ) -> tf.Tensor:
        return _fused(x, epsilon)[0]


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
        self, x: tf.Tensor, epsilon: float, key: Key, most: int | None = None
    ) -> tf.Tensor:
        local = tf.cast(x, tf.float32)
        number = 2 * key()
        mean = self._mean(local, number, most)
        # Not E[x^2] - E[x]^2, which cancels: where the mean is large, it
        # would be noise, below zero too.
        centred = local - mean
        variance = self._mean(tf.square(centred), number + 1, most)
        return tf.cast(centred * tf.math.rsqrt(variance + epsilon), x.dtype)

    def _mean(
        self, x: tf.Tensor, key: tf.Tensor, most: int | None
    ) -> tf.Tensor:
        # What replicas exchange has a static shape.
        mean = padded(tf.reduce_mean(x, (0, 1, 2)), most)
        mean = mean_over_replicas(mean, self._num_replicas, key, self._token)
        return mean if x.shape[-1] is not None else mean[: tf.shape(x)[-1]]


class CollectingBatchNorm:
    """Normalises with the batch and keeps its mean and variance."""

    def __init__(self) -> None:
        self._moments: list[tf.Tensor] = []

    def __call__(
        self, x: tf.Tensor, epsilon: float, key: Key, most: int | None = None
    ) -> tf.Tensor:
        y, mean, variance = fused_batch_norm(x, epsilon)
        self._moments.append(padded(tf.stack([mean, variance]), most))
        return y

    def moments(self) -> tf.Tensor:
        """Mean and variance of all channels so far, float32 `[2, channels]`.

        Channels that an elastic width leaves out have zeros.
        """
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
    y, mean, variance = _fused(x, epsilon)
    # The op returns Bessel's corrected variance (for moving averages).
    count = tf.cast(tf.size(x) // _channels(x), tf.float32)
    return y, mean, variance * (count - 1.0) / count


def _fused(
    x: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    channels = _channels(x)
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, tf.ones([channels]), tf.zeros([channels]), epsilon=epsilon
    )
    return y, mean, variance


def _channels(x: tf.Tensor) -> int | tf.Tensor:
    return tf.shape(x)[-1] if x.shape[-1] is None else x.shape[-1]


def padded(x: tf.Tensor, length: int | None) -> tf.Tensor:
    """Zeros added to the last axis up to a static length."""
    if length is None or x.shape[-1] is not None:
        return x
    before = [[0, 0]] * (x.shape.rank - 1)
    y = tf.pad(x, [*before, [0, length - tf.shape(x)[-1]]])
    return tf.ensure_shape(y, [*x.shape[:-1], length])
