"""Every value that an additive cost can take, by meeting in the middle."""

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spos_tf.cost.table import CostTable

# Sums of one half, with all ways to the next choice, that still fit well in
# memory and in a second. The paper's block space has 40 thousand.
MAX_PARTIAL_SUMS = 2**21


@dataclasses.dataclass(frozen=True, eq=False)
class _Layer:
    """One more choice of a half: which older sum and option give which sum.

    Attributes:
        slot: Row of the cost's table.
        options: Number of its legal entries.
        ways: int64 `[edges]`, `older sum * options + option`, grouped by the
            sum that they give.
        ends: float64 `[edges]`, running number of architectures over `ways`.
        starts: int64 `[sums + 1]`, where the group of a sum starts.
    """

    slot: int
    options: int
    ways: npt.NDArray[np.int64]
    ends: npt.NDArray[np.float64]
    starts: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class _Half:
    """The distinct sums over some of the choices.

    Attributes:
        sums: Ascending, `[sums]`.
        counts: float64 `[sums]`, how many option combinations give each.
        layers: In the order in which the choices were added.
    """

    sums: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]
    layers: tuple[_Layer, ...] = ()

    def extended(self, slot: int, row: npt.NDArray[np.int64]) -> "_Half | None":
        if len(self.sums) * len(row) > MAX_PARTIAL_SUMS:
            return None
        sums, groups = np.unique(
            (self.sums[:, None] + row).ravel(), return_inverse=True
        )
        ways = np.argsort(groups, kind="stable")
        ends = np.cumsum(self.counts[ways // len(row)])
        starts = np.searchsorted(groups[ways], np.arange(len(sums) + 1))
        edges = np.concatenate([[0.0], ends])[starts]
        layer = _Layer(slot, len(row), ways, ends, starts)
        return _Half(sums, np.diff(edges), (*self.layers, layer))

    def draw_into(
        self,
        cost: CostTable,
        encodings: npt.NDArray[np.int32],
        which: npt.NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        """Fills in the choices of this half, uniform among those that fit."""
        for layer in reversed(self.layers):
            first, last = layer.starts[which], layer.starts[which + 1] - 1
            before = np.where(first > 0, layer.ends[first - 1], 0.0)
            aim = before + rng.random(len(which)) * (layer.ends[last] - before)
            edge = np.searchsorted(layer.ends, aim, side="right")
            way = layer.ways[np.clip(edge, first, last)]
            legal = cost.legal[layer.slot]
            cost.write(encodings, layer.slot, legal[way % layer.options])
            which = way // layer.options


@dataclasses.dataclass(frozen=True, eq=False)
class ReachableSums:
    """All values of a `CostTable` over a space, without listing the space.

    The choices are split into two halves with about equally many distinct
    sums; a value is reachable if it is a sum of one from each.
    """

    cost: CostTable
    halves: tuple[_Half, _Half]

    def lowest_from(self, limit: float) -> float:
        """Least reachable value that is at least `limit`, inf without one."""
        left, right = (half.sums for half in self.halves)
        # Whole, since a small fraction would be lost in the differences.
        rest = np.ceil(limit) - self.cost.constant - left
        place = np.searchsorted(right, rest)
        inside = place < len(right)
        if not inside.any():
            return math.inf
        total = left[inside] + right[place[inside]] + self.cost.constant
        return float(total.min())

    def highest_below(self, limit: float) -> float:
        """Largest reachable value below `limit`, -inf without one."""
        left, right = (half.sums for half in self.halves)
        rest = np.ceil(limit) - self.cost.constant - left
        place = np.searchsorted(right, rest) - 1
        inside = place >= 0
        if not inside.any():
            return -math.inf
        total = left[inside] + right[place[inside]] + self.cost.constant
        return float(total.max())

    def count(self, low: float, high: float) -> float:
        """How many architectures cost from `low` to `high`, both included.

        Exact up to 2^53, rounded beyond.
        """
        return float(self._pairs(low, high).weights.sum())

    def draw(
        self, low: float, high: float, rng: np.random.Generator, count: int
    ) -> npt.NDArray[np.int32]:
        """Draws architectures that cost from `low` to `high`, uniformly.

        Returns:
            int32 `[count, num_choices]`, repeats possible; `[0, ...]` if
            nothing is in the range.
        """
        left, right = self.halves
        pairs = self._pairs(low, high)
        total = pairs.weights.sum()
        encodings = np.zeros(
            (count if total else 0, sum(map(len, self.cost.reads))), np.int32
        )
        if not total:
            return encodings
        which = rng.choice(
            len(pairs.weights), size=count, p=pairs.weights / total
        )
        first, last = pairs.first[which], pairs.last[which]
        before, end = pairs.running[first], pairs.running[last]
        aim = before + rng.random(count) * (end - before)
        partner = np.searchsorted(pairs.running, aim, side="right") - 1
        left.draw_into(self.cost, encodings, which, rng)
        partner = np.clip(partner, first, last - 1)
        right.draw_into(self.cost, encodings, partner, rng)
        return encodings

    def _pairs(self, low: float, high: float) -> "_Pairs":
        left, right = self.halves
        rest = self.cost.constant + left.sums
        first = np.searchsorted(right.sums, np.ceil(low) - rest, side="left")
        last = np.searchsorted(right.sums, np.floor(high) - rest, side="right")
        running = np.concatenate([[0.0], np.cumsum(right.counts)])
        weights = left.counts * (running[last] - running[first])
        return _Pairs(weights, first, last, running)


class _Pairs(NamedTuple):
    """What in the right half completes each sum of the left to the range.

    Attributes:
        weights: float64 `[left sums]`, architectures in the range.
        first: int64 `[left sums]`, index of the first partner.
        last: int64 `[left sums]`, one past the last partner.
        running: float64 `[right sums + 1]`, combinations before each sum.
    """

    weights: npt.NDArray[np.float64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    running: npt.NDArray[np.float64]


@functools.lru_cache(maxsize=8)
def reachable_sums(cost: CostTable) -> ReachableSums | None:
    """Tabulates the values of a cost.

    Returns:
        None where this cannot be exact: a table of real numbers, whose sums
        depend on the order of adding, or more than `MAX_PARTIAL_SUMS` sums.
    """
    if cost.table.dtype.kind not in "iu" or float(cost.constant) % 1:
        return None
    halves = [_Half(np.zeros(1, cost.table.dtype), np.ones(1))] * 2
    rows = zip(cost.table, cost.legal, strict=True)
    for slot, (row, legal) in enumerate(rows):
        smaller = int(len(halves[1].sums) < len(halves[0].sums))
        grown = halves[smaller].extended(slot, row[legal])
        if grown is None:
            return None
        halves[smaller] = grown
    return ReachableSums(cost, (halves[0], halves[1]))
