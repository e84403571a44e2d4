"""The gradients of a path, packed: what replicas have to tell each other.

Replicas draw the same path. Off it gradients are zeros on all of them and need
not travel: of every choice only the branch that was taken is summed, as one
vector as long as the choice's largest branch.
"""

import functools
import math
from collections.abc import Sequence

import tensorflow as tf

from spos_tf.ops.dispatch import case, on_host

# For a variable: (position of its choice, its option), or None for always.
Gate = tuple[int, int] | None


def grouped(gates: Sequence[Gate]) -> dict[Gate, list[int]]:
    """Indexes of the variables behind each gate, in their order."""
    groups: dict[Gate, list[int]] = {}
    for index, gate in enumerate(gates):
        groups.setdefault(gate, []).append(index)
    return groups


def pack(
    path: tf.Tensor, gates: Sequence[Gate], gradients: Sequence[tf.Tensor]
) -> dict[int, tf.Tensor]:
    """One vector a choice: the gradients of the branch taken, padded.

    Args:
        path: int32 `[num_choices]`.
        gates: One a variable.
        gradients: float32, one a variable; shapes are static.

    Returns:
        float32 `[length]` by the position of the choice; `unpack` reads it.
    """
    choices: dict[int, dict[int, list[int]]] = {}
    for gate, indexes in grouped(gates).items():
        if gate is not None:
            position, option = gate
            choices.setdefault(position, {})[option] = indexes
    with on_host():
        taken = {position: path[position] for position in choices}
    return {
        position: _taken(taken[position], options, gradients)
        for position, options in choices.items()
    }


def unpack(
    vector: tf.Tensor, variables: Sequence[tf.Variable]
) -> list[tf.Tensor]:
    """The gradients of the variables of the branch that was taken."""
    sizes = [math.prod(variable.shape) for variable in variables]
    parts = tf.split(vector[: sum(sizes)], sizes)
    return [
        tf.reshape(part, variable.shape)
        for part, variable in zip(parts, variables, strict=True)
    ]


def _taken(
    option: tf.Tensor,
    options: dict[int, list[int]],
    gradients: Sequence[tf.Tensor],
) -> tf.Tensor:
    lengths = {
        one: sum(math.prod(gradients[index].shape) for index in indexes)
        for one, indexes in options.items()
    }
    length = max(lengths.values())

    def flat(one: int) -> tf.Tensor:
        if one not in options:  # An option without weights, such as skip.
            return tf.zeros([length])
        parts = [tf.reshape(gradients[i], [-1]) for i in options[one]]
        joined = tf.concat(parts, axis=0)
        return tf.pad(joined, [[0, length - lengths[one]]])

    branches = [functools.partial(flat, one) for one in range(max(options) + 1)]
    # An option behind the last with weights has none: nobody unpacks it.
    with on_host():
        option = tf.minimum(option, len(branches) - 1)
    return case(option, branches)
