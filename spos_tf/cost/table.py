"""A cost as a constant plus one table look-up a choice: vectorised, exact."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from spos_tf.cost.counts import Cost, block_cost
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint

# What can be limited, and how it reads off a count.
COSTS: dict[str, Callable[[Cost], int]] = {
    "macs": lambda cost: cost.macs,
    "params": lambda cost: cost.params,
}


@dataclasses.dataclass(frozen=True, eq=False)
class CostTable:
    """`cost(encoding) = constant + sum of table[i, encoding[i]]`.

    Exact, since in these spaces a slot's cost depends on its own options
    alone.

    Attributes:
        name: Name of the cost, as in flags and records.
        constant: What every network of the space pays.
        table: int64 `[num_choices, max_options]`; entries of options that a
            choice does not have are 0.
        num_options: int32 `[num_choices]`.
    """

    name: str
    constant: int
    table: npt.NDArray[np.int64]
    num_options: npt.NDArray[np.int32]

    def __call__(self, encodings: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Costs of int32 `[n, num_choices]` encodings, int64 `[n]`."""
        encodings = np.asarray(encodings)
        # take() on the flat table is several times faster than 2-d indexing.
        offsets = np.arange(self.table.shape[0]) * self.table.shape[1]
        parts = self.table.ravel().take(encodings + offsets)
        total: npt.NDArray[np.int64] = self.constant + parts.sum(axis=-1)
        return total

    @functools.cached_property
    def minimum(self) -> int:
        """Cost of the cheapest network, exact."""
        return self.constant + sum(
            int(row[:count].min())
            for row, count in zip(self.table, self.num_options, strict=True)
        )

    @functools.cached_property
    def maximum(self) -> int:
        """Cost of the dearest network, exact."""
        return self.constant + sum(
            int(row[:count].max())
            for row, count in zip(self.table, self.num_options, strict=True)
        )


def cost_table(blueprint: Blueprint, name: str) -> CostTable:
    """Tabulates a cost over a space.

    Args:
        blueprint: The description.
        name: A key of `COSTS`.

    Raises:
        UserError: No such cost.
    """
    if name not in COSTS:
        raise UserError(
            f"Unknown cost {name!r}. The costs are: {', '.join(COSTS)}."
        )
    space = blueprint.search_space
    table = np.zeros((space.num_choices, space.num_options.max()), np.int64)
    constant = 0
    for segment, shape in zip(
        blueprint.segments, blueprint.input_shapes, strict=True
    ):
        costs = [COSTS[name](block_cost(b, shape)) for b in segment.branches]
        if segment.choice is None:
            constant += costs[0]
        else:
            table[space.position(segment.choice), : len(costs)] += costs
    return CostTable(name, constant, table, space.num_options)
