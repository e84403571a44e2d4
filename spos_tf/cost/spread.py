"""Architectures spread evenly over a cost, from the cheapest to the dearest."""

import numpy as np
import numpy.typing as npt

from spos_tf.cost.table import CostTable
from spos_tf.space.search_space import SearchSpace

# Random networks from which those nearest to the aims are taken.
_LEVELS = 41
_PER_LEVEL = 100


def spread_encodings(
    table: CostTable, space: SearchSpace, count: int
) -> npt.NDArray[np.int32]:
    """Picks architectures whose costs lie evenly over the whole range.

    Uniform ones crowd in the middle: the sum of 20 slots is nearly normal.
    Here slots draw their options with probabilities that lean to cheap ones
    at first and to dear ones at last.

    Args:
        table: The cost.
        space: Its architectures.
        count: How many, at least 2.

    Returns:
        int32 `[count, num_choices]`, ascending by cost; the first is the
        cheapest architecture, the last the dearest. Where the space has
        fewer, some come more than once.
    """
    rng = np.random.default_rng(0)
    ends = [space.sample(rng, 1), space.sample(rng, 1)]
    # In units of a slot's range, so that every level bends all slots alike.
    pools = []
    for lean in np.linspace(-8, 8, _LEVELS):
        pool = space.sample(rng, _PER_LEVEL)
        for slot, legal in enumerate(table.legal):
            costs = table.table[slot, legal].astype(np.float64)
            unit = np.ptp(costs) or 1.0
            weights = np.exp(lean * (costs - costs.mean()) / unit)
            drawn = rng.choice(
                legal, size=_PER_LEVEL, p=weights / weights.sum()
            )
            table.write(pool, slot, drawn)
            for end, pick in zip(ends, (np.argmin, np.argmax), strict=True):
                table.write(end, slot, legal[[pick(costs)]])
        pools.append(pool)
    candidates = np.concatenate([*ends, *pools])
    costs = table(candidates)
    chosen = []
    for aim in np.linspace(table.minimum, table.maximum, count):
        distance = np.abs(costs - aim)
        # The ends come first, so that a tie goes to them.
        chosen.append(int(np.argmin(distance)))
    order = np.argsort(costs[chosen], kind="stable")
    picked: npt.NDArray[np.int32] = candidates[np.array(chosen)[order]]
    return picked
