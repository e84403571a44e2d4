"""Which path a training step takes: pure functions of seed and step.

Every sampler runs in the graph and is stateless, so that all replicas, a
resumed run and a re-run draw the same paths.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.feasible import sample_feasible
from spos_tf.cost.table import CostTable
from spos_tf.errors import UserError
from spos_tf.ops.selection import Path, Selection
from spos_tf.randomness import Purpose, derive_seed, generator
from spos_tf.space import SearchSpace


class Draw(NamedTuple):
    """What a step runs and how it came about.

    Attributes:
        path: A path, or weights of branches.
        fallback: bool scalar; True where the sampler gave up proposing.
    """

    path: Selection
    fallback: tf.Tensor


# The draw of int64 scalar `step`.
Sampler = Callable[[tf.Tensor], Draw]


def _uniform(
    space: SearchSpace, count: Sequence[int], seed: tf.Tensor
) -> tf.Tensor:
    # Floats, since integers take one bound for all. [0, 1) has 2^23 values:
    # options differ in probability by less than 1e-6.
    draws = tf.random.stateless_uniform([*count, space.num_choices], seed)
    return _legal(
        space, tf.cast(draws * space.num_legal.astype(np.float32), tf.int32)
    )


def _legal(space: SearchSpace, drawn: tf.Tensor) -> tf.Tensor:
    """The options at these places among the legal ones of each choice."""
    if space.legal is None:
        return drawn
    table = space.legal_table
    offsets = np.arange(space.num_choices, dtype=np.int32) * table.shape[1]
    return tf.gather(table.ravel(), drawn + offsets)


def step_seed(seed: int, step: tf.Tensor) -> tf.Tensor:
    """The seed of a step for TensorFlow's stateless ops, int64 `[2]`.

    Args:
        seed: From `derive_seed`.
        step: int64 scalar.
    """
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])


class UniformSampler:
    """Every option with equal probability (paper, section 3.2)."""

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        self._space = space
        self._seed = derive_seed(seed, Purpose.PATH)

    def __call__(self, step: tf.Tensor) -> Draw:
        path = _uniform(self._space, [], step_seed(self._seed, step))
        return Draw(Path(path), tf.constant(False))


class ConstraintSampler:
    """A cost range drawn uniformly, then a path inside it (section 4).

    The paper's default. It skews the marginals of the options: to be inside
    a rare range some options are drawn more often than others.

    Args:
        space: The choices.
        cost: A cost of the space.
        ranges: (minimum, maximum), both inclusive.
        constraints: What a path has to keep besides; costs are tables.
        seed: Seed.
        proposals: Uniform paths a step of which the first inside the range
            is taken. Where none is, a path of the range that was found at
            set-up serves.

    Raises:
        UserError: No network was found in one of the ranges, or a constraint's
            cost is no table.
    """

    def __init__(
        self,
        space: SearchSpace,
        cost: CostTable,
        ranges: Sequence[tuple[float, float]],
        *,
        constraints: Sequence[Constraint] = (),
        seed: int,
        proposals: int = 1024,
    ) -> None:
        self._space = space
        self._path_seed = derive_seed(seed, Purpose.PATH)
        self._range_seed = derive_seed(seed, Purpose.COST_RANGE)
        self._proposals = proposals
        self._cost = cost
        self._limits = [
            (one.cost, one.low, one.high)
            for one in constraints
            if isinstance(one.cost, CostTable)
        ]
        if len(self._limits) < len(constraints):
            raise UserError(
                "In training, limits are on costs that are sums over the "
                "slots; a cost of whole architectures can be limited in the "
                "search."
            )
        self._ranges = np.array(ranges, np.float64)
        rng = generator(seed, Purpose.RANGE_FALLBACKS)
        self._fallbacks = np.concatenate(
            [
                sample_feasible(
                    space,
                    [Constraint(cost, minimum=low, maximum=high), *constraints],
                    rng,
                    1,
                )
                for low, high in ranges
            ]
        )

    def __call__(self, step: tf.Tensor) -> Draw:
        proposals = _uniform(
            self._space, [self._proposals], step_seed(self._path_seed, step)
        )
        index = tf.random.stateless_uniform(
            [],
            step_seed(self._range_seed, step),
            maxval=len(self._ranges),
            dtype=tf.int32,
        )
        low, high = tf.unstack(tf.gather(self._ranges, index))
        inside = _within(self._cost, proposals, low, high)
        for limit in self._limits:
            inside &= _within(limit[0], proposals, *limit[1:])
        found = tf.reduce_any(inside)
        path = tf.where(
            found,
            tf.gather(proposals, tf.argmax(inside)),
            tf.gather(self._fallbacks, index),
        )
        return Draw(Path(path), tf.logical_not(found))


class StrictFairnessSampler:
    """Over every m steps each of a choice's m options is used once.

    This is the sampling of FairNAS (Chu et al., 2021) alone. FairNAS adds up
    the gradients of m such paths and updates all weights once; here every path
    has an update of its own, as everywhere in single-path training.

    Choices with other numbers of options have periods of their own.
    """

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        self._space = space
        self._seed = derive_seed(seed, Purpose.FAIR_PATH)

    def __call__(self, step: tf.Tensor) -> Draw:
        step = tf.cast(step, tf.int64)
        positions, drawn = [], []
        for count in np.unique(self._space.num_legal).tolist():
            group = np.flatnonzero(self._space.num_legal == count)
            # Distinct for every number of options and period of it.
            period = (step // count) * 2**20 + count
            # The order of uniform draws is a random order of the options.
            # (`index_shuffle` favours some orders of few things.)
            draws = tf.random.stateless_uniform(
                [len(group), count], step_seed(self._seed, period)
            )
            drawn.append(tf.argsort(draws)[:, step % count])
            positions.append(group)
        inverse = np.argsort(np.concatenate(positions))
        path = tf.gather(tf.concat(drawn, axis=0), inverse)
        return Draw(Path(_legal(self._space, path)), tf.constant(False))


def uneven_shares(space: SearchSpace, counts: np.ndarray) -> Iterator[str]:
    """Says of which choices an option was trained far from its equal share.

    That is in less than half as many steps, or more than twice as many.
    Limits on a cost do that, and so do few steps.

    Args:
        space: The space.
        counts: How many steps ran each option, int `[num_choices, most
            options]`.

    Yields:
        A line for each such choice.
    """
    for choice, legal, row in zip(
        space.choices, space.legal_options, counts, strict=True
    ):
        shares = row[list(legal)] / max(1, row.sum())
        equal = 1 / len(legal)
        if shares.min() < equal / 2 or shares.max() > 2 * equal:
            words = ", ".join(
                f"{choice.options[option]} {share:.1%}"
                for option, share in zip(legal, shares, strict=True)
            )
            yield f"Options of {choice.name} had unequal steps: {words}"


def _within(
    cost: CostTable,
    paths: tf.Tensor,
    low: tf.Tensor | float,
    high: tf.Tensor | float,
) -> tf.Tensor:
    """Which int32 `[n, num_choices]` cost from low to high, bool `[n]`."""
    parts = tf.gather(cost.table.ravel(), cost.entries(paths, tf.gather))
    costs = tf.cast(cost.constant + tf.reduce_sum(parts, axis=1), tf.float64)
    return tf.logical_and(costs >= low, costs <= high)


def default_ranges(
    space: SearchSpace, cost: CostTable, *, count: int = 7, seed: int = 0
) -> list[tuple[float, float]]:
    """Equal ranges between the 1st and 99th percentile of random paths.

    Seven, as the official code has from 290 M to 360 M.
    """
    rng = generator(seed, Purpose.RANGE_PERCENTILES)
    costs = cost(space.sample(rng, 20_000))
    low, high = np.percentile(costs, [1, 99])
    edges = np.linspace(low, high, count + 1)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def parse_ranges(text: str) -> list[tuple[float, float]]:
    """Reads `"290e6:360e6:10e6"`: from, to, step.

    Raises:
        UserError: Not three numbers, or they span no range.

    >>> parse_ranges("290e6:310e6:10e6")
    [(290000000.0, 300000000.0), (300000000.0, 310000000.0)]
    """
    try:
        low, high, step = (float(part) for part in text.split(":"))
        count = round((high - low) / step)
    except (ValueError, ZeroDivisionError, OverflowError):
        count = 0
    if not 1 <= count <= 10_000:
        raise UserError(
            "Constraint ranges are FROM:TO:STEP such as 290e6:360e6:10e6; "
            f"got {text!r}."
        )
    return [(low + i * step, low + (i + 1) * step) for i in range(count)]
