"""How many architectures have each value of an additive cost, exactly."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from spos_tf.cost.table import CostTable

# Counts that are kept, for all slots together: 256 MB, and about a second.
# The paper's block space has 0.2 million, its joint space 2 million.
MAX_COUNTS = 2**25
# A real table is exact here if it is whole in units of one over this: BitOps.
_FRACTION = 2**30


@dataclasses.dataclass(frozen=True, eq=False)
class ReachableSums:
    """All values of a `CostTable` over a space, without listing the space.

    Every value is `(base + step * index) / scale` for one index.

    Attributes:
        cost: The table.
        scale: By which costs are multiplied to be whole.
        base: Least value times `scale`.
        step: Divides all differences of values times `scale`.
        rows: For every slot the index that each legal entry adds, int64.
        counts: `counts[n][index]`: how many settings of the first n slots add
            up to this index, float64.
    """

    cost: CostTable
    scale: int
    base: int
    step: int
    rows: tuple[npt.NDArray[np.int64], ...]
    counts: tuple[npt.NDArray[np.float64], ...]

    def lowest_from(self, limit: float) -> float:
        """Least reachable value that is at least `limit`, inf without one."""
        inside = self._between(limit, math.inf)
        found = np.flatnonzero(self.counts[-1][inside])
        return self._value(inside.start + found[0]) if len(found) else math.inf

    def highest_below(self, limit: float) -> float:
        """Largest reachable value below `limit`, -inf without one."""
        below = self.counts[-1][: self._between(limit, math.inf).start]
        found = np.flatnonzero(below)
        return self._value(found[-1]) if len(found) else -math.inf

    def count(self, low: float, high: float) -> float:
        """How many architectures cost from `low` to `high`, both included.

        Exact up to 2^53, rounded beyond.
        """
        return float(self.counts[-1][self._between(low, high)].sum())

    def draw(
        self, low: float, high: float, rng: np.random.Generator, count: int
    ) -> npt.NDArray[np.int32]:
        """Draws architectures that cost from `low` to `high`, uniformly.

        Returns:
            int32 `[count, num_choices]`, repeats possible; `[0, ...]` if
            nothing is in the range.
        """
        inside = self._between(low, high)
        weights = self.counts[-1][inside]
        if not weights.any():
            count = 0
        encodings = np.zeros((count, sum(map(len, self.cost.reads))), np.int32)
        if not count:
            return encodings
        index = inside.start + rng.choice(
            len(weights), size=count, p=weights / weights.sum()
        )
        # An entry is as likely as there are settings of the slots before it
        # that add up to the rest.
        for slot in reversed(range(len(self.rows))):
            before, row = self.counts[slot], self.rows[slot]
            rest = index[:, None] - row
            fits = (rest >= 0) & (rest < len(before))
            ways = np.where(fits, before.take(rest, mode="clip"), 0.0)
            ends = ways.cumsum(axis=1)
            aim = rng.random(count) * ends[:, -1]
            entry = (ends <= aim[:, None]).sum(axis=1)
            self.cost.write(encodings, slot, self.cost.legal[slot][entry])
            index = index - row[entry]
        return encodings

    def _between(self, low: float, high: float) -> slice:
        return slice(
            self._clip(low, math.ceil), self._clip(high, math.floor, 1)
        )

    def _clip(
        self, limit: float, whole: Callable[[Fraction], int], more: int = 0
    ) -> int:
        size = len(self.counts[-1])
        if math.isinf(limit):
            return size if limit > 0 else 0
        # In fractions, since a small one would be lost in a difference.
        index = (Fraction(limit) * self.scale - self.base) / self.step
        return min(max(whole(index) + more, 0), size)

    def _value(self, index: np.int64) -> float:
        return (self.base + self.step * int(index)) / self.scale


@functools.lru_cache(maxsize=4)
def reachable_sums(cost: CostTable) -> ReachableSums | None:
    """Tabulates the values of a cost.

    Returns:
        None where this cannot be exact: a table of real numbers, whose sums
        depend on the order of adding, or more than `MAX_COUNTS` counts.
    """
    real = cost.table.dtype.kind == "f"
    scale = _FRACTION if real else 1
    values = [
        [Fraction(value) * scale for value in row[legal].tolist()]
        for row, legal in zip(cost.table, cost.legal, strict=True)
    ]
    values.append([Fraction(cost.constant) * scale])
    # Beyond, sums of floats are rounded.
    most = sum(max(map(abs, row)) for row in values)
    fractions = any(value.denominator > 1 for row in values for value in row)
    if fractions or (real and most >= 2**53):
        return None
    least = [int(min(row)) for row in values]
    added = [
        [int(v) - low for v in row]
        for row, low in zip(values, least, strict=True)
    ]
    step = math.gcd(*itertools.chain(*added)) or 1
    rows = [[index // step for index in row] for row in added[:-1]]
    sizes = itertools.accumulate(map(max, rows), initial=1)
    if sum(sizes) > MAX_COUNTS:
        return None
    counts = [np.ones(1)]
    for row in rows:
        size = len(counts[-1])
        total = np.zeros(size + max(row))
        for index in row:
            total[index : index + size] += counts[-1]
        counts.append(total)
    return ReachableSums(
        cost,
        scale,
        sum(least),
        step,
        tuple(np.array(row, np.int64) for row in rows),
        tuple(counts),
    )
