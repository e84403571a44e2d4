"""Read-outs of a supernet beside each other, on the same architectures.

A read-out is any number for each architecture by which it is ranked: scores
of the last weights or of averaged ones, what is made of scores afterwards, or
a count that needs no supernet. All here take values where more is better.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

from spos_tf.analysis.correlation import (
    CONFIDENCE,
    RankCorrelation,
    Values,
    kendall_interval,
    kendall_tau,
    top_recall,
)

# Levels of about equal cost, within which cost says nothing any more.
LEVELS = 20
BEST_SHARE = "10%"


@dataclasses.dataclass(frozen=True)
class ReadOut:
    """How well a read-out ranks architectures.

    Attributes:
        kendall: Tau with its interval over architectures.
        within_levels: Tau among architectures of about equal cost; None where
            it is not defined.
        better_half: Tau among the better half of the architectures, by truth.
        best_tenth: Share of the true best tenth that is in the read-out's.
        regret: What the architecture with the highest value lacks to the
            best, in the unit of the truth; the mean where several share it.
    """

    kendall: RankCorrelation
    within_levels: float | None
    better_half: float | None
    best_tenth: float
    regret: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A statistic of one read-out less that of another, paired.

    Attributes:
        value: The difference.
        low: Lower end of the bootstrap's 95 % interval; both are resampled
            together, so that what is common to them cancels.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def assess(
    values: npt.ArrayLike,
    truth: npt.ArrayLike,
    costs: npt.ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> ReadOut:
    """Compares a read-out with the truth.

    Args:
        values: `[architectures]`.
        truth: `[architectures]`, for example accuracies of a benchmark.
        costs: `[architectures]`, whose levels are looked into.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    >>> found = assess([1, 2, 4, 3], [10, 20, 30, 40], [5, 5, 6, 6])
    >>> found.within_levels, found.best_tenth, found.regret
    (0.0, 0.0, 10.0)
    """
    ours, theirs = _pair(values, truth)
    half = theirs >= np.median(theirs)
    return ReadOut(
        kendall_interval(ours, theirs, resamples=resamples, seed=seed),
        tau_within(ours, theirs, levels(costs)),
        kendall_tau(ours[half], theirs[half]),
        top_recall(ours, theirs, BEST_SHARE).recall,
        float(theirs.max() - theirs[ours == ours.max()].mean()),
    )


def levels(costs: npt.ArrayLike, count: int = LEVELS) -> npt.NDArray[np.int64]:
    """Sorts costs into levels of about equally many; equal ones stay together.

    Returns:
        int64 `[architectures]`, from 0.

    >>> levels([30, 10, 10, 20], count=2).tolist()
    [1, 0, 0, 1]
    """
    ranks = scipy.stats.rankdata(costs, method="min") - 1
    found: npt.NDArray[np.int64] = (ranks * count // len(ranks)).astype(
        np.int64
    )
    return found


def tau_within(
    values: Values, truth: Values, level: npt.NDArray[np.int64]
) -> float | None:
    """The mean of tau over levels, weighted by their pairs.

    Args:
        values: `[architectures]`.
        truth: `[architectures]`.
        level: `[architectures]`, as `levels` gives it.

    Returns:
        None where tau is defined in no level.
    """
    taus, pairs = [], []
    for one in np.unique(level):
        inside = level == one
        size = int(inside.sum())
        tau = kendall_tau(values[inside], truth[inside])
        if tau is not None:
            taus.append(tau)
            pairs.append(size * (size - 1) / 2)
    return float(np.average(taus, weights=pairs)) if taus else None


def tau_difference(
    values: npt.ArrayLike,
    others: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Difference | None:
    """Tau of one read-out less tau of another on the same architectures.

    Args:
        values: `[architectures]`.
        others: `[architectures]`.
        truth: `[architectures]`.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        None where one of the two is not defined.
    """
    ours, theirs = _pair(values, truth)
    beside, _ = _pair(others, truth)

    def difference(drawn: npt.NDArray[np.int64]) -> float | None:
        first = kendall_tau(ours[drawn], theirs[drawn])
        second = kendall_tau(beside[drawn], theirs[drawn])
        return None if first is None or second is None else first - second

    size = len(ours)
    value = difference(np.arange(size))
    if value is None:
        return None
    rng = np.random.default_rng(seed)
    found = [
        difference(rng.integers(size, size=size)) for _ in range(resamples)
    ]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(
        [one for one in found if one is not None] or [value],
        [tail, 100 - tail],
    )
    return Difference(value, float(low), float(high))


def own_fit(
    encodings: npt.ArrayLike, scores: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Additive smoothing: what a sum over slots says of the scores.

    One value for each option of each choice is fitted to the supernet's own
    scores by least squares. No truth is needed; what one option gives and
    what is noise in a score are told apart by all architectures together.

    Args:
        encodings: `[architectures, num_choices]`, option indices.
        scores: `[architectures]`.

    Returns:
        The fitted scores, `[architectures]`.

    >>> own_fit([[0, 0], [0, 1], [1, 0], [1, 1]], [1, 2, 3, 8]).tolist()
    [0.0, 3.0, 4.0, 7.0]
    """
    rows = np.asarray(encodings, np.int64)
    columns = [np.ones(len(rows))]
    for choice in rows.T:
        # The first option that occurs is what the others are compared with.
        columns += [choice == option for option in np.unique(choice)[1:]]
    design = np.stack(columns, axis=1).astype(np.float64)
    goal = np.asarray(scores, np.float64)
    solution = np.linalg.lstsq(design, goal, rcond=None)[0]
    # Equal sums give equal values: they are ties, not noise of the solver.
    fitted: npt.NDArray[np.float64] = np.round(design @ solution, 12)
    return fitted


def rank_sum(values: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
    """The mean rank of several read-outs, from 1 for the lowest.

    Args:
        values: `[architectures]` each: scores of several checkpoints, or
            scores and the logarithm of a cost.

    >>> rank_sum([[0.1, 0.3, 0.2], [10, 20, 30]]).tolist()
    [1.0, 2.5, 2.5]
    """
    ranks = [scipy.stats.rankdata(one) for one in values]
    mean: npt.NDArray[np.float64] = np.mean(ranks, axis=0)
    return mean


def _pair(values: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Values, Values]:
    ours = np.asarray(values, np.float64)
    theirs = np.asarray(truth, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1 or not len(ours):
        raise ValueError(f"Shapes {ours.shape} and {theirs.shape} differ.")
    return ours, theirs
