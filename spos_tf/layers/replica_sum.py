"""A mean over replicas that works inside the branches of a Case op."""

import zlib

import tensorflow as tf

# One group holds all replicas of the one strategy of a process.
_GROUP_KEY = 1_000_003


def mean_over_replicas(x: tf.Tensor, num_replicas: int, name: str) -> tf.Tensor:
    """Averages a tensor over replicas, with its gradient.

    `tf.distribute`'s own all-reduce meets in Python (`merge_call`) and
    therefore cannot stand in a branch; a collective op can. Every replica
    takes the same branch, so all of them arrive.

    Args:
        x: Any float tensor, one a replica.
        num_replicas: Replicas that take part.
        name: Distinct for every place in the network; it pairs the replicas.

    Returns:
        The mean, the same on every replica.
    """
    if num_replicas == 1:
        return x

    @tf.custom_gradient
    def reduce(x: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _collective(upstream, num_replicas, f"{name}/gradient")

        return _collective(x, num_replicas, name), gradient

    return reduce(x)


def _collective(x: tf.Tensor, num_replicas: int, name: str) -> tf.Tensor:
    return tf.raw_ops.CollectiveReduceV2(
        input=x,
        group_size=num_replicas,
        group_key=_GROUP_KEY,
        instance_key=zlib.crc32(name.encode()) & 0x3FFFFFFF,
        ordering_token=[],
        merge_op="Add",
        final_op="Div",
    )
