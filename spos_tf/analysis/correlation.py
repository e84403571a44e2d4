"""How well scores rank architectures as a benchmark does."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

from spos_tf.errors import UserError

Values = npt.NDArray[np.float64]
CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class RankCorrelation:
    """Kendall's tau-b of two rankings.

    Attributes:
        tau: -1 to 1; None where one ranking says nothing, all its values
            being equal.
        low: Lower end of the bootstrap's 95 % interval.
        high: Upper end.
        resamples: Of the bootstrap.
    """

    tau: float | None
    low: float | None
    high: float | None
    resamples: int

    def __str__(self) -> str:
        if self.tau is None:
            return "not defined (all values are equal)"
        if self.low is None or self.high is None:
            return f"{self.tau:.3f}"
        return f"{self.tau:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclasses.dataclass(frozen=True)
class TopRecall:
    """How many of the best are found among those with the best scores.

    Attributes:
        asked: As it was given: `"10"` or `"5%"`.
        k: Architectures that this is.
        recall: Share of the table's top k that are in the scores' top k.
        by_chance: The share that random scores find, k / n.
    """

    asked: str
    k: int
    recall: float
    by_chance: float


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Scores of architectures compared with a benchmark's accuracies.

    Attributes:
        num_architectures: Compared.
        kendall: Tau-b with its interval over architectures.
        spearman: Rank correlation; None as in `RankCorrelation`.
        top: Recall at several k.
        best_accuracy: Highest of the table among those compared.
        chosen_accuracy: The table's, of the architecture with the highest
            score; the mean where several share it.
        regret: How much the chosen one lacks, in the table's unit.
    """

    num_architectures: int
    kendall: RankCorrelation
    spearman: float | None
    top: tuple[TopRecall, ...]
    best_accuracy: float
    chosen_accuracy: float
    regret: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**dataclasses.asdict(self), "top": [*map(vars, self.top)]}

    def __str__(self) -> str:
        spearman = "-" if self.spearman is None else f"{self.spearman:.3f}"
        recalls = ", ".join(
            f"{one.recall:.0%} of the top {one.asked}" for one in self.top
        )
        return (
            f"Kendall tau {self.kendall}, Spearman {spearman}, finds "
            f"{recalls}, regret {self.regret:.3g}"
        )


def correlate(
    scores: npt.ArrayLike,
    accuracies: npt.ArrayLike,
    *,
    top: Sequence[str] = ("5%",),
    resamples: int = 1000,
    seed: int = 0,
) -> Correlation:
    """Compares a supernet's scores with a benchmark's accuracies.

    Args:
        scores: Floating `[architectures]`.
        accuracies: Floating `[architectures]`, in the same order.
        top: See `top_count`.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        UserError: There are fewer than two architectures, or a k is wrong.
        ValueError: The lengths differ or a value is not finite.

    >>> found = correlate([0.1, 0.2, 0.4, 0.3], [10, 20, 30, 40], top=("2",))
    >>> round(found.kendall.tau, 3), found.top[0].recall, found.regret
    (0.667, 1.0, 10.0)
    """
    ours = np.asarray(scores, np.float64)
    theirs = np.asarray(accuracies, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1:
        raise ValueError(f"Shapes {ours.shape} and {theirs.shape} differ.")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("All scores and accuracies are finite.")
    if len(ours) < 2:
        raise UserError(
            f"A comparison needs at least 2 architectures; got {len(ours)}."
        )
    best = float(theirs.max())
    chosen = float(theirs[ours == ours.max()].mean())
    return Correlation(
        len(ours),
        kendall_interval(ours, theirs, resamples=resamples, seed=seed),
        _defined(scipy.stats.spearmanr(ours, theirs).statistic)
        if not _is_constant(ours) and not _is_constant(theirs)
        else None,
        tuple(top_recall(ours, theirs, asked) for asked in top),
        best,
        chosen,
        best - chosen,
    )


def kendall_interval(
    scores: Values, accuracies: Values, *, resamples: int, seed: int
) -> RankCorrelation:
    """Tau-b and its bootstrap percentile interval over architectures.

    An architecture that was drawn twice ties with itself in both rankings,
    which tau-b leaves out of numerator and denominator alike: the interval is
    not drawn to zero, as that of tau-a would be.

    Args:
        scores: `[architectures]`.
        accuracies: `[architectures]`.
        resamples: As many as architectures each, with replacement.
        seed: Of the resamples.
    """
    taus = resampled_taus(scores, accuracies, resamples=resamples, seed=seed)
    low, high = interval(taus)
    return RankCorrelation(
        kendall_tau(scores, accuracies), low, high, resamples
    )


def resampled_taus(
    scores: Values, accuracies: Values, *, resamples: int, seed: int
) -> Values:
    """Tau-b of bootstrap resamples of the architectures.

    With one seed the resamples are the same, so differences of two rankings
    are paired.

    Args:
        scores: `[architectures]`.
        accuracies: `[architectures]`.
        resamples: As many as architectures each, with replacement.
        seed: Of the resamples.

    Returns:
        `[resamples]`; NaN where tau is not defined.
    """
    rng = np.random.default_rng(seed)
    size = len(scores)
    drawn = (rng.integers(size, size=size) for _ in range(resamples))
    taus = [kendall_tau(scores[one], accuracies[one]) for one in drawn]
    return np.array(taus, np.float64)


def interval(values: Values) -> tuple[float | None, float | None]:
    """The middle 95 % of resamples, without NaN; None where all are."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None, None
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(defined, [tail, 100 - tail]).tolist()
    return low, high


def kendall_tau(scores: Values, accuracies: Values) -> float | None:
    """Tau-b of two rankings; None where it is not defined."""
    if len(scores) < 2:
        return None
    # The exact p-value, which nobody reads, would cost more than tau; the
    # other one divides by zero where there are two.
    method = "asymptotic" if len(scores) > 2 else "auto"
    found = scipy.stats.kendalltau(scores, accuracies, method=method)
    return _defined(found.statistic)


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _is_constant(values: Values) -> bool:
    return bool((values == values[0]).all())


def top_count(asked: str, size: int) -> int:
    """How many architectures a top is.

    Args:
        asked: A number, or a percentage of all with a % sign, at least one.
        size: All architectures.

    Raises:
        UserError: It is neither, or not from 1 to all of them.

    >>> top_count("10", 500), top_count("5%", 500), top_count("1%", 20)
    (10, 25, 1)
    """
    try:
        if asked.endswith("%"):
            share = float(asked[:-1])
            valid = 0 < share <= 100
            count = max(1, round(size * share / 100)) if valid else 0
        else:
            count = int(asked)
    except ValueError:
        count = 0
    if not 1 <= count <= size:
        raise UserError(
            f"`top_k` holds numbers from 1 to {size} (all architectures that "
            f"are compared) or percentages such as 5%; got {asked!r}."
        )
    return count


def top_recall(scores: Values, accuracies: Values, asked: str) -> TopRecall:
    """Share of the accuracies' top k that the scores' top k holds.

    Where values that are equal stand on both sides of the k-th place, each of
    them belongs to the top in part: the recall is the mean over all ways to
    order them.

    Args:
        scores: `[architectures]`.
        accuracies: `[architectures]`.
        asked: See `top_count`.
    """
    size = len(scores)
    k = top_count(asked, size)
    both = _membership(scores, k) @ _membership(accuracies, k)
    return TopRecall(asked, k, float(both) / k, k / size)


def _membership(values: Values, k: int) -> Values:
    """How much each value belongs to the k highest, 0 to 1; k in sum."""
    last = np.sort(values)[-k]
    above = values > last
    tied = values == last
    return above + tied * ((k - above.sum()) / tied.sum())
