"""Read-outs of a supernet beside each other, on the same architectures.

A read-out is any number for each architecture by which it is ranked: scores
of the last weights or of averaged ones, what is made of scores afterwards, or
a count that needs no supernet. All here take values where more is better.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

from spos_tf.analysis.correlation import (
    RankCorrelation,
    Values,
    interval,
    kendall_tau,
    resampled_taus,
    top_recall,
)

# Levels of about equal cost, within which cost says nothing any more.
LEVELS = 20
BEST_SHARE = "10%"


@dataclasses.dataclass(frozen=True)
class Difference:
    """Tau of one read-out less tau of another, paired.

    Attributes:
        value: The difference.
        low: Lower end of the bootstrap's 95 % interval; both are resampled
            together, so that what is common to them cancels.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class ReadOut:
    """How well a read-out ranks architectures.

    Attributes:
        kendall: Tau with its interval over architectures.
        difference: To the read-out that all are compared with; None where one
            of the two is not defined.
        within_levels: Tau among architectures of about equal cost; None where
            it is not defined.
        better_half: Tau among the better half of the architectures, by truth.
        best_tenth: Share of the true best tenth that is in the read-out's.
        regret: What the architecture with the highest value lacks to the
            best, in the unit of the truth; the mean where several share it.
    """

    kendall: RankCorrelation
    difference: Difference | None
    within_levels: float | None
    better_half: float | None
    best_tenth: float
    regret: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def compare_read_outs(
    read_outs: Mapping[str, npt.ArrayLike],
    truth: npt.ArrayLike,
    costs: npt.ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, ReadOut]:
    """Compares read-outs with the truth and with the first of them.

    Args:
        read_outs: `[architectures]` each, by name.
        truth: `[architectures]`, for example accuracies of a benchmark.
        costs: `[architectures]`, whose levels are looked into.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ValueError: Their lengths differ.

    >>> found = compare_read_outs(
    ...     {"scores": [1, 2, 4, 3], "macs": [5, 5, 6, 6]},
    ...     [10, 20, 30, 40], [5, 5, 6, 6])
    >>> found["scores"].within_levels, found["scores"].regret
    (0.0, 10.0)
    """
    theirs = np.asarray(truth, np.float64)
    level = levels(costs)
    half = theirs >= np.median(theirs)
    found: dict[str, ReadOut] = {}
    reference: tuple[float | None, Values] | None = None
    for name, values in read_outs.items():
        ours = np.asarray(values, np.float64)
        if ours.shape != theirs.shape or ours.ndim != 1:
            raise ValueError(f"Shapes {ours.shape} and {theirs.shape} differ.")
        # The same resamples for all of them.
        taus = resampled_taus(ours, theirs, resamples=resamples, seed=seed)
        tau = kendall_tau(ours, theirs)
        reference = reference or (tau, taus)
        found[name] = ReadOut(
            RankCorrelation(tau, *interval(taus), resamples),
            _difference((tau, taus), reference),
            tau_within(ours, theirs, level),
            kendall_tau(ours[half], theirs[half]),
            top_recall(ours, theirs, BEST_SHARE).recall,
            float(theirs.max() - theirs[ours == ours.max()].mean()),
        )
    return found


def _difference(
    one: tuple[float | None, Values], other: tuple[float | None, Values]
) -> Difference | None:
    low, high = interval(one[1] - other[1])
    if one[0] is None or other[0] is None or low is None or high is None:
        return None
    return Difference(one[0] - other[0], low, high)


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


def own_fit(
    encodings: npt.ArrayLike, scores: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Additive smoothing: what a sum over choices says of the scores.

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
    return additive_fit(encodings, scores, encodings)


def additive_winner(encodings: npt.ArrayLike, scores: npt.ArrayLike) -> int:
    """The architecture that `own_fit` puts first.

    Args:
        encodings: `[architectures, num_choices]`, option indices.
        scores: `[architectures]`; more is better.

    Returns:
        Its position; of those with an equal fit the one with the best score,
        and of these the first.

    >>> additive_winner([[0, 0], [0, 1], [1, 0], [1, 1]], [1, 9, 3, 8])
    3
    """
    fitted = own_fit(encodings, scores)
    best = np.flatnonzero(fitted == fitted.max())
    return int(best[np.asarray(scores)[best].argmax()])


def additive_fit(
    encodings: npt.ArrayLike, values: npt.ArrayLike, others: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Fits a value to each option of each choice, and adds them up elsewhere.

    Args:
        encodings: `[architectures, num_choices]`, option indices.
        values: `[architectures]`, what is fitted by least squares.
        others: `[n, num_choices]`. An option that no architecture of the fit
            has counts nothing.

    Returns:
        `[n]`.
    """
    rows, wanted = (np.asarray(one, np.int64) for one in (encodings, others))

    def design(chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        columns = [np.ones(len(chosen))]
        for known, choice in zip(rows.T, chosen.T, strict=True):
            # The others are compared with the first option that occurs.
            columns += [choice == option for option in np.unique(known)[1:]]
        return np.stack(columns, axis=1).astype(np.float64)

    goal = np.asarray(values, np.float64)
    solution = np.linalg.lstsq(design(rows), goal, rcond=None)[0]
    found: npt.NDArray[np.float64] = (design(wanted) @ solution).astype(
        np.float64
    )
    # Equal sums give equal values: they are ties, not noise of the solver.
    # Without the sign of zero.
    return np.round(found, 9) + 0.0


def rank_sum(values: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
    """The mean rank of several read-outs, from 1 for the lowest.

    Args:
        values: `[architectures]` each: scores of several checkpoints, or
            scores and a cost.

    >>> rank_sum([[0.1, 0.3, 0.2], [10, 20, 30]]).tolist()
    [1.0, 2.5, 2.5]
    """
    ranks = [scipy.stats.rankdata(one) for one in values]
    mean: npt.NDArray[np.float64] = np.mean(ranks, axis=0)
    return mean
