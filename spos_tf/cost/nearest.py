"""The architecture nearest to several limits, by integer programming."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from spos_tf.cost.constraint import Constraint, Encodings
from spos_tf.cost.table import CostTable
from spos_tf.silence import held_back
from spos_tf.space import SearchSpace

# Branches that the solver looks at. Not seconds: the same limits have the same
# answer on every machine.
MAX_NODES = 1000
# The solver keeps every row to 1e-6; a cost's coefficients are at most this.
_MOST = 1e6
_FAR = 1e9
# A violation below this may be the solver's rounding.
_ROUNDING = 1e-4


class Nearest(NamedTuple):
    """What the solver found.

    Attributes:
        encodings: The architecture, int32 `[1, num_choices]`.
        exact: Whether it breaks a limit and none is nearer, by the sum of
            `Constraint.violation`.
    """

    encodings: Encodings
    exact: bool


def find_nearest(
    space: SearchSpace, constraints: Sequence[Constraint]
) -> Nearest | None:
    """Finds the architecture that breaks limits on tables the least.

    A binary variable says of each entry of a slot whether it is taken, and
    another how far each limit is broken. The solver calculates with rounded
    numbers, so its word counts only where a recount agrees.

    Args:
        space: What can be chosen.
        constraints: All hard, with tables of one blueprint; those on costs
            that are no `CostTable` are left out.

    Returns:
        None without a limit on a table, and where the solver found nothing
        within `MAX_NODES`.
    """
    limits = [
        (constraint.cost, sign, limit)
        for constraint in constraints
        for sign, limit in ((1, constraint.high), (-1, constraint.low))
        if isinstance(constraint.cost, CostTable) and math.isfinite(limit)
    ]
    # Tables of one blueprint have the same slots, and no choice is in two.
    if len({(cost.reads, *map(bytes, cost.legal)) for cost, *_ in limits}) != 1:
        return None
    table = limits[0][0]
    slots = np.repeat(np.arange(len(table.legal)), [*map(len, table.legal)])
    rows, most, weights = [], [], []
    for cost, sign, limit in limits:
        added = np.concatenate(
            [
                row[legal] - row[legal].min()
                for row, legal in zip(cost.table, cost.legal, strict=True)
            ]
        )
        step, below = float(added.max()) / _MOST or 1.0, 1.0
        whole = added.dtype.kind in "iu"
        divisor = float(np.gcd.reduce(added)) or 1.0 if whole else 0.0
        if divisor >= step:
            # What is just below a value of the cost is put clearly below it.
            step, below = divisor, 0.999
        index = sign * (float(limit) - float(cost.minimum)) / step
        # Farther is as good as infinite, and the recount knows.
        index = min(max(index, -_FAR), _FAR)
        rows.append(sign * added / step)
        most.append(min(index, math.floor(index) + below))
        weights.append(step / (abs(limit) or 1.0))
    # In units in which no limit is broken by less than one step.
    unit = min(weights)
    variables = [len(slots), len(limits)]
    once = (slots == np.arange(len(table.legal))[:, None]).astype(float)
    ones, zeros = np.ones(len(once)), np.zeros((len(once), len(limits)))
    # HiGHS writes a line of its own now and then, whatever it is told to
    # display.
    with held_back(1):
        result = milp(
            np.concatenate([np.zeros(len(slots)), np.array(weights) / unit]),
            integrality=np.repeat([1, 0], variables),
            bounds=Bounds(0, np.repeat([1, np.inf], variables)),
            constraints=LinearConstraint(
                np.block(
                    [[once, zeros], [np.array(rows), -np.eye(len(limits))]]
                ),
                np.append(ones, np.full(len(limits), -np.inf)),
                np.append(ones, most),
            ),
            options={"node_limit": MAX_NODES, "mip_rel_gap": 0},
        )
    if result.x is None:
        return None
    # A choice that no slot reads is free.
    encodings = space.legal_table[None, :, 0].copy()
    for slot, legal in enumerate(table.legal):
        taken = np.argmax(result.x[: len(slots)][slots == slot])
        table.write(encodings, slot, legal[[taken]])
    counted = sum(
        constraint.violation(encodings)[0]
        for constraint in constraints
        if isinstance(constraint.cost, CostTable)
    )
    agrees = math.isclose(
        result.fun * unit, counted, rel_tol=0.01, abs_tol=0.002 * sum(weights)
    )
    sure = result.status == 0 and result.fun > _ROUNDING
    return Nearest(encodings, sure and agrees)
