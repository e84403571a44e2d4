"""Dropout whose masks are an operation's own."""

import hashlib

import tensorflow as tf

# Odd, so that multiples of it are spread over 64 bits without repeating.
_STREAM_OF_BRANCH = 0x1E3779B97F4A7C15


def own_dropout(
    x: tf.Tensor,
    rate: float,
    seed: tf.Tensor,
    *,
    branch: tf.Tensor | int,
    name: str,
) -> tf.Tensor:
    """Drops values; no two operations of a network share a mask.

    Args:
        x: Any float tensor.
        rate: Share that is set to 0; the rest is scaled up.
        seed: Integers `[2]`, one for the network, the step and the replica.
        branch: int32 scalar, distinct in the network.
        name: Of the operation, distinct in its branch.
    """
    first, second = tf.unstack(tf.cast(seed, tf.int64))
    place = (tf.cast(branch, tf.int64) + 1) * _STREAM_OF_BRANCH
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    named = int.from_bytes(digest, "big") >> 1
    first = tf.bitwise.bitwise_xor(first, tf.bitwise.bitwise_xor(place, named))
    return tf.nn.experimental.stateless_dropout(
        x, rate, seed=tf.stack([first, second])
    )
