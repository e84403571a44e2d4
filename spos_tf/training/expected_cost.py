"""A cost as a factor of the loss that architecture parameters can lower."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from spos_tf.cost.table import CostTable
from spos_tf.errors import UserError

# From float32 [num_choices, max_options] probabilities to a float32 scalar.
LossFactor = Callable[[tf.Tensor], tf.Tensor]


def expected_cost(cost: CostTable, probabilities: tf.Tensor) -> tf.Tensor:
    """The mean cost of architectures whose options are drawn independently.

    Args:
        cost: A cost of the space.
        probabilities: float32 `[num_choices, max_options]`.

    Returns:
        float32 scalar.

    Raises:
        UserError: A slot reads several choices.
    """
    table = np.zeros(probabilities.shape, np.float32)
    for row, reads in zip(cost.table, cost.reads, strict=True):
        if len(reads) > 1:
            raise UserError(
                "The expected cost is a sum over choices; a slot of this "
                f"space reads {len(reads)} of them. Leave "
                "`architecture_cost_weight` out."
            )
        position, _ = reads[0]
        options = min(len(row), table.shape[1])
        table[position, :options] += row[:options].astype(np.float32)
    total = tf.reduce_sum(probabilities * table)
    return tf.cast(cost.constant, tf.float32) + total


def cost_factor(cost: CostTable, weight: float, exponent: float) -> LossFactor:
    """FBNet's factor of the loss: weight * log(expected cost)^exponent.

    Equation 2 there, with alpha and beta; 0.2 and 0.6 on latencies.

    Args:
        cost: A cost of the space.
        weight: Alpha.
        exponent: Beta.

    Raises:
        UserError: A network costs 1 or less: the logarithm is not above 0.
    """
    if cost.minimum <= 1:
        raise UserError(
            f"The logarithm of {cost.name!r} is taken, so every network costs "
            f"more than 1; the cheapest costs {cost.minimum}. Choose another "
            "`architecture_cost`."
        )
    if not (0 < weight < math.inf and 0 < exponent < math.inf):
        raise UserError(
            "Weight and exponent of the cost are above 0; got "
            f"`architecture_cost_weight={weight}` and "
            f"`architecture_cost_exponent={exponent}`."
        )

    def factor(probabilities: tf.Tensor) -> tf.Tensor:
        logarithm = tf.math.log(expected_cost(cost, probabilities))
        return weight * logarithm**exponent

    return factor
