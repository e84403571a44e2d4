"""How far scores would repeat on other images: split-half reliability.

A score on finitely many images is a network's true score plus noise. Whether
a ranking by such scores means anything is a matter of how far the networks
differ beside that noise. Two halves of the images are two measurements with
independent noise: the correlation of both over many networks says it.

The figures are about repetition alone. Scores can repeat perfectly and still
rank networks otherwise than their training from scratch would.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from spos_tf.analysis.correlation import CONFIDENCE, Values, interval

# Fisher's z has the standard error 1 / sqrt(n - 3).
_LEAST = 4


@dataclasses.dataclass(frozen=True)
class Reliability:
    """The share of the scores' variance that is not noise.

    Attributes:
        value: 0 to 1; None where it is not known.
        low: Lower end of the 95 % interval.
        high: Upper end.
        candidates: Networks that it was computed of.
    """

    value: float | None
    low: float | None
    high: float | None
    candidates: int

    def __str__(self) -> str:
        if self.value is None:
            return "not known"
        text = f"{self.value:.2f}"
        if self.low is None or self.high is None:
            return text
        return f"{text} ({self.low:.2f} to {self.high:.2f})"


def reliability(halves: Sequence[Sequence[float]]) -> Reliability:
    """The reliability of scores, by those on both halves of the images.

    The correlation r of the halves is that of scores of half the length; that
    of whole scores is 2 r / (1 + r) (Spearman, 1910; Brown, 1910), and 0 where
    r is negative. The interval is Fisher's of r, corrected alike; it takes the
    networks for a random sample. Networks that a search has chosen are none:
    their scores lie closer together.

    Args:
        halves: Both scores of every network, `[networks, 2]`; networks without
            halves are left out.

    Returns:
        Without a value if there are fewer than 4 networks. Where all scores on
        a half are equal it is 0, without an interval.

    >>> str(reliability([[1, 2], [2, 1], [3, 4], [4, 3], [5, 6], [6, 5]]))
    '0.91 (0.37 to 0.99)'
    """
    pairs = _pairs(halves)
    count = len(pairs)
    if count < _LEAST:
        return Reliability(None, None, None, count)
    if (pairs == pairs[0]).all(axis=0).any():
        return Reliability(0.0, None, None, count)
    found = scipy.stats.pearsonr(pairs[:, 0], pairs[:, 1])
    ends = found.confidence_interval(CONFIDENCE)
    value, low, high = (
        full_length(float(one))
        for one in (found.statistic, ends.low, ends.high)
    )
    return Reliability(value, low, high, count)


def full_length(r: float) -> float:
    """Spearman and Brown's correction of a correlation of halves.

    >>> round(full_length(0.15), 2), full_length(-0.2)
    (0.26, 0.0)
    """
    return max(0.0, 2 * r / (1 + r)) if r > 0 else 0.0


def images_needed(
    value: float | None, images: int, aim: float = 0.8
) -> int | None:
    """Images with which scores would have a reliability, by Spearman-Brown.

    Args:
        value: Reliability with the present images.
        images: How many these are.
        aim: The reliability asked for.

    Returns:
        None where no number of them would help, or the present ones do.

    >>> images_needed(0.5, 1000), images_needed(0.9, 1000), images_needed(0, 9)
    (4000, None, None)
    """
    if not value or value >= aim:
        return None
    return math.ceil(round(images * aim * (1 - value) / (value * (1 - aim)), 6))


class Spread(NamedTuple):
    """How scores of random networks lie.

    Attributes:
        mean: Of the scores.
        spread: Their standard deviation; None of a single one.
        standard_error: That of one score, as images are drawn; None where it
            is not known.
        noise: The spread that equal networks would have on these images; None
            where halves are not known.
    """

    mean: float | None
    spread: float | None
    standard_error: float | None
    noise: float | None


def spread_of(
    scores: Sequence[float],
    halves: Sequence[Sequence[float]],
    accuracy_images: int | None,
) -> Spread:
    """Mean and spread of scores, and what of it is noise.

    The standard error of an accuracy is the binomial one. That of another
    metric is taken from the halves: their difference has four times the
    variance of the whole score. All networks see the same images, so what is
    hard about these images moves all scores together; `noise` is the part
    that does not, and the only one that changes their order.

    Args:
        scores: One a network.
        halves: See `reliability`.
        accuracy_images: Images of a score, if it is an accuracy; else None.
    """
    if not len(scores):
        return Spread(None, None, None, None)
    values = np.asarray(scores, np.float64)
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    pairs = _pairs(halves)
    error = noise = None
    differences = pairs[:, 0] - pairs[:, 1]
    if len(pairs):
        error = float(np.sqrt((differences**2).mean()) / 2)
    if len(pairs) > 1:
        noise = float(differences.std(ddof=1) / 2)
    if accuracy_images:
        error = math.sqrt(mean * (1 - mean) / accuracy_images)
    return Spread(mean, spread, error, noise)


@dataclasses.dataclass(frozen=True)
class Confirmed:
    """The winner beside random networks, on images that chose neither.

    Attributes:
        winner: The winner's score.
        random_mean: Mean score of the random networks.
        difference: How much better the winner is; negative if it is worse.
        low: Lower end of the bootstrap's 95 % interval; None where a part of
            the images has no score.
        high: Upper end.
    """

    winner: float
    random_mean: float
    difference: float
    low: float | None
    high: float | None


def confirm(
    scores: Sequence[float],
    parts: Sequence[Sequence[float]],
    *,
    direction: str,
    resamples: int,
    seed: int,
) -> Confirmed:
    """Compares a winner with random networks.

    Nothing was chosen by these scores, so the difference is free of the
    winner's curse. The interval is of a bootstrap over both the parts of the
    images and the random networks: it holds for other images and for other
    random networks under the same limits, not for another search.

    Args:
        scores: The winner's, then one a random network.
        parts: The scores on every part of the images, `[networks, parts]`, in
            the same order; an image each for accuracy (0 or 1).
        direction: `"max"` where a larger score is better, else `"min"`.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ValueError: There is no random network, or the shapes differ.
    """
    values = np.array(parts, np.float64)
    if values.ndim != 2 or len(values) != len(scores) or len(values) < 2:
        raise ValueError(f"Shapes {len(scores)} and {values.shape} differ.")
    sign = 1.0 if direction == "max" else -1.0
    winner, random_mean = float(scores[0]), float(np.mean(scores[1:]))
    difference = sign * (winner - random_mean)
    if not values.size or not np.isfinite(values).all():
        return Confirmed(winner, random_mean, difference, None, None)
    by_part = sign * (values[0] - values[1:])
    rng = np.random.default_rng(seed)
    networks, count = by_part.shape
    found = np.empty(resamples)
    for i in range(resamples):
        # Weights of the drawn ones: a matrix of both would be copied.
        who = rng.multinomial(networks, np.full(networks, 1 / networks))
        where = rng.multinomial(count, np.full(count, 1 / count))
        found[i] = who @ by_part @ where / (networks * count)
    # A metric that is no mean differs from that of its parts.
    found += difference - by_part.mean()
    return Confirmed(winner, random_mean, difference, *interval(found))


def _pairs(halves: Sequence[Sequence[float]]) -> Values:
    pairs = np.array([one for one in halves if len(one) == 2], np.float64)
    pairs = pairs.reshape(-1, 2)
    if not np.isfinite(pairs).all():
        raise ValueError("Scores on both halves of the images are finite.")
    return pairs
