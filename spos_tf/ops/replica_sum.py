"""A mean over replicas that works inside the branches of a Case op."""

import tensorflow as tf

# One group holds all replicas of the one strategy of a process.
_GROUP_KEY = 1_000_003


def mean_over_replicas(
    x: tf.Tensor, num_replicas: int, key: tf.Tensor, token: tf.Variable
) -> tf.Tensor:
    """Averages a tensor over replicas, with its gradient.

    `tf.distribute`'s own all-reduce meets in Python (`merge_call`) and
    therefore cannot stand in a branch; a collective op can. Every replica
    takes the same branch, so all of them arrive.

    Args:
        x: Any float tensor, one a replica.
        num_replicas: Replicas that take part.
        key: int32 scalar, distinct for every place in the network; it pairs
            the replicas.
        token: A variable of the replica's own. A function runs its stateful
            operations one after the other, so that one replica would wait
            for ever for another that is to run after it, unless what they
            touch is distinct.

    Returns:
        The mean, the same on every replica.
    """
    if num_replicas == 1:
        return x
    # The gradient of a branch may refer to what the branch has captured, not
    # to a variable anew.
    handle = tf.compat.v1.get_default_graph().capture(token.handle)

    @tf.custom_gradient
    def reduce(x: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _collective(upstream, num_replicas, 2 * key + 1, handle)

        return _collective(x, num_replicas, 2 * key, handle), gradient

    return reduce(x)


def _collective(
    x: tf.Tensor, num_replicas: int, key: tf.Tensor, token: tf.Tensor
) -> tf.Tensor:
    return tf.raw_ops.CollectiveReduceV2(
        input=x,
        group_size=num_replicas,
        group_key=_GROUP_KEY,
        instance_key=key,
        ordering_token=[token],
        merge_op="Add",
        final_op="Div",
    )
