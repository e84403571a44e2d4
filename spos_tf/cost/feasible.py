"""Finds architectures that keep every limit, or says why there is none."""

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt

from spos_tf.cost.constraint import (
    Constraint,
    Encodings,
    all_allow,
    format_cost,
    merge_constraints,
)
from spos_tf.cost.nearest import find_nearest
from spos_tf.cost.sums import reachable_sums
from spos_tf.cost.table import CostTable
from spos_tf.errors import UserError
from spos_tf.space import SearchSpace

# From encodings to those that stand for the same networks; see
# `Blueprint.canonical`.
Canonical = Callable[[Encodings], Encodings]


def unchanged(encodings: Encodings) -> Encodings:
    """The canonical form where all encodings are different networks."""
    return encodings


# Uniform proposals a round, and rounds, before another way is taken.
ROUND = 4096
ROUNDS = 32
# Spaces up to this size are listed where proposals miss: exact for any cost.
MAX_LISTED = 2**16
# A walk: walkers, neighbours that each looks at in a step, and steps. It is
# repeated as long as it finds nothing.
WALKERS = 64
NEIGHBOURS = 32
STEPS = 128
WALKS = 4


def check_feasible(
    space: SearchSpace, constraints: Sequence[Constraint]
) -> None:
    """Finds an impossible set of limits before anything is evaluated.

    Costs that are a `CostTable` are decided exactly: one by the sums that it
    can have, several by integer programming. A cost that is no table, or
    limits so narrow that the solver does not come to an end, are searched for
    a legal architecture with a bounded number of tries; small spaces are
    listed whole.

    Args:
        space: What can be chosen.
        constraints: All hard.

    Raises:
        UserError: No architecture keeps them, or none was found; with the
            nearest reachable values.
    """
    merged = merge_constraints(constraints)
    for constraint in merged:
        _check_alone(constraint)
    # Raises where it finds none.
    sample_feasible(space, merged, np.random.default_rng(0), 1)


def sample_feasible(
    space: SearchSpace,
    constraints: Sequence[Constraint],
    rng: np.random.Generator,
    count: int,
    *,
    avoid: Collection[tuple[int, ...]] = frozenset(),
    canonical: Canonical = unchanged,
) -> Encodings:
    """Draws distinct legal architectures.

    Uniform over encodings wherever that can be had: by rejection of uniform
    proposals, and where these miss by listing a small space, or exactly
    through the sums of a single `CostTable`. With several limits that
    proposals miss, the solver's architecture and random ones walk by mutation
    to what is legal and on among that; these are not uniform. Every way is
    bounded.

    Args:
        space: What can be chosen.
        constraints: All hard.
        rng: Decides everything.
        count: How many are wanted.
        avoid: Encodings that are not to be drawn.
        canonical: Gives the encoding that stands for an encoding's network;
            of equal networks one is drawn, in that form.

    Returns:
        int32 `[n, num_choices]`, n at most `count`. Fewer where the space has
        (or the bounded search finds) no more that are legal and not in
        `avoid`; none only if `avoid` holds some.

    Raises:
        UserError: Nothing is in `avoid` and no legal architecture was found.
    """
    merged = merge_constraints(constraints)
    found = _Found(space, merged, count, avoid, canonical)
    tried = hits = 0
    for turn in range(ROUNDS):
        hits += found.add(space.sample(rng, ROUND))
        tried += ROUND
        if found.full:
            return found.encodings
        # Give up where the rest of the rounds will not yield enough.
        expected = hits / (turn + 1) * (ROUNDS - turn - 1)
        if turn >= 3 and expected < found.missing:
            break
    if space.size <= MAX_LISTED:
        listed = _all_encodings(space)
        found.add(rng.permutation(listed))
        if not found.any_legal and not avoid:
            effort = f"all {len(listed)} architectures of the space were tried"
            raise UserError(_impossible(merged, listed, effort))
        return found.encodings
    if _draw_by_sums(merged, rng, found):
        return found.encodings
    starts = found.encodings[:WALKERS]
    solved = None if len(starts) else find_nearest(space, merged)
    if solved is not None:
        found.add(solved.encodings)
        if found.full:
            return found.encodings
        if solved.exact and not found.any_legal:
            tables = [c for c in merged if isinstance(c.cost, CostTable)]
            raise UserError(_impossible(tables, solved.encodings))
        starts = solved.encodings
    for _ in range(WALKS):
        anywhere = space.sample(rng, WALKERS - len(starts))
        ends = _walk(
            space, merged, rng, np.concatenate([starts, anywhere]), found
        )
        tried += WALKERS * NEIGHBOURS * STEPS
        if found.any_legal:
            break
        # All may have ended in one hollow: again, from anywhere.
        starts = ends[:1]
    if not found.any_legal and not avoid:
        effort = f"a bounded search tried {tried} architectures"
        raise UserError(_impossible(merged, ends, effort))
    return found.encodings


class _Found:
    """Collects distinct legal encodings that are not to be avoided."""

    def __init__(
        self,
        space: SearchSpace,
        constraints: Sequence[Constraint],
        count: int,
        avoid: Collection[tuple[int, ...]],
        canonical: Canonical,
    ) -> None:
        self._constraints = constraints
        self._canonical = canonical
        self._count = count
        self._seen = set(avoid)
        self._kept: list[tuple[int, ...]] = []
        self._num_choices = space.num_choices
        self.any_legal = False

    def add(self, proposals: Encodings) -> int:
        """Takes what is legal and new, in order; returns how many it took."""
        before = len(self._kept)
        proposals = self._canonical(proposals)
        legal = proposals[all_allow(self._constraints, proposals)]
        self.any_legal |= len(legal) > 0
        for row in legal.tolist():
            if self.full:
                break
            key = tuple(row)
            if key not in self._seen:
                self._seen.add(key)
                self._kept.append(key)
        return len(self._kept) - before

    @property
    def missing(self) -> int:
        return self._count - len(self._kept)

    @property
    def full(self) -> bool:
        return self.missing <= 0

    @property
    def encodings(self) -> Encodings:
        return np.array(self._kept, np.int32).reshape(-1, self._num_choices)


def _draw_by_sums(
    constraints: Sequence[Constraint], rng: np.random.Generator, found: _Found
) -> bool:
    # Exact and uniform, however narrow the range; False where it cannot be.
    if len(constraints) != 1 or not isinstance(constraints[0].cost, CostTable):
        return False
    sums = reachable_sums(constraints[0].cost)
    if sums is None:
        return False
    low, high = constraints[0].low, constraints[0].high
    if not sums.count(low, high):
        _check_alone(constraints[0])
    for _ in range(ROUNDS):
        found.add(sums.draw(low, high, rng, ROUND))
        if found.full:
            break
    return found.any_legal


def _violation(
    constraints: Sequence[Constraint], encodings: Encodings
) -> npt.NDArray[np.float64]:
    total = np.zeros(len(encodings))
    for constraint in constraints:
        total += constraint.violation(encodings)
    return total


def _mutate(
    space: SearchSpace, rng: np.random.Generator, encodings: Encodings
) -> Encodings:
    # One to four choices on average: a narrow range needs changes that
    # balance each other.
    rate = rng.integers(1, 5, size=(len(encodings), 1)) / space.num_choices
    redrawn = rng.random(encodings.shape) < rate
    return np.where(redrawn, space.sample(rng, len(encodings)), encodings)


def _walk(
    space: SearchSpace,
    constraints: Sequence[Constraint],
    rng: np.random.Generator,
    starts: Encodings,
    found: _Found,
) -> Encodings:
    """Lets every start walk to neighbours at least as near to legal.

    What is legal on the way is found, and walked on from.

    Returns:
        Where the walkers ended, nearest first.
    """
    walkers = starts
    score = _violation(constraints, walkers)
    rows = np.arange(len(walkers))
    for _ in range(STEPS):
        near = _mutate(space, rng, np.repeat(walkers, NEIGHBOURS, axis=0))
        scores = _violation(constraints, near).reshape(-1, NEIGHBOURS)
        found.add(near[scores.ravel() == 0])
        if found.full:
            break
        first = scores.argmin(axis=1)
        chosen = near.reshape(len(walkers), NEIGHBOURS, -1)[rows, first]
        # Ties move too, along a plateau.
        moves = scores[rows, first] <= score
        walkers = np.where(moves[:, None], chosen, walkers)
        score = np.where(moves, scores[rows, first], score)
    return walkers[np.argsort(score, kind="stable")]


def _all_encodings(space: SearchSpace) -> Encodings:
    grids = np.indices(tuple(space.num_legal), np.int32)
    listed = grids.reshape(space.num_choices, -1).T
    return space.legal_table[np.arange(space.num_choices), listed]


def _check_alone(constraint: Constraint) -> None:
    # Exact for a table, silent for other costs.
    cost = constraint.cost
    if not isinstance(cost, CostTable):
        return
    sums = reachable_sums(cost)
    low, high = constraint.low, constraint.high
    if sums is None:
        below, above = -math.inf, math.inf
        if cost.minimum > high:
            above = cost.minimum
        elif cost.maximum < low:
            below = cost.maximum
        else:
            return
    else:
        above = sums.lowest_from(low)
        if above <= high and above < math.inf:
            return
        below = sums.highest_below(low)
    raise UserError(
        f"No architecture has {constraint.describe()}: the nearest reachable "
        f"{cost.name} {_neighbours(below, above)}. Give another limit, or "
        "take a space of networks of other sizes."
    )


def _neighbours(below: float, above: float) -> str:
    if below == -math.inf:
        return f"is {format_cost(above)}, the least of the space"
    if above == math.inf:
        return f"is {format_cost(below)}, the largest of the space"
    return f"are {format_cost(below)} below and {format_cost(above)} above"


def _impossible(
    constraints: Sequence[Constraint], tried: Encodings, effort: str = ""
) -> str:
    nearest = tried[[np.argmin(_violation(constraints, tried))]]
    costs = ", ".join(
        f"{constraint.cost.name} {format_cost(constraint.values(nearest)[0])}"
        for constraint in constraints
    )
    rules = " and ".join(constraint.describe() for constraint in constraints)
    name = ",".join(map(str, nearest[0].tolist()))
    start = (
        f"Found no architecture with {rules}: {effort}"
        if effort
        else f"No architecture has {rules}"
    )
    return (
        f"{start}. The nearest has {costs} (encoding {name}); loosen a limit."
    )
