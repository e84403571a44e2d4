"""Means over repetitions, with their interval and their spread."""

import dataclasses

import numpy as np
import numpy.typing as npt

from spos_tf.analysis.correlation import interval


@dataclasses.dataclass(frozen=True)
class MeanInterval:
    """A mean over repetitions.

    Attributes:
        mean: The mean.
        low: Lower end of the bootstrap's 95 % interval of the mean.
        high: Upper end.
        spread: Standard deviation of the repetitions, unbiased; 0 of one.
        count: Repetitions.
    """

    mean: float
    low: float
    high: float
    spread: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


def mean_interval(
    values: npt.ArrayLike, *, resamples: int = 10_000, seed: int = 0
) -> MeanInterval:
    """The mean of independent repetitions.

    Args:
        values: `[repetitions]`; differences of paired ones give the interval
            of the difference.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ValueError: There is none.

    >>> mean_interval([3.0, 3.0]).high
    3.0
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"A mean of repetitions; got shape {found.shape}.")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(found), size=(resamples, len(found)))
    low, high = interval(found[drawn].mean(axis=1))
    return MeanInterval(
        float(found.mean()),
        low,
        high,
        float(found.std(ddof=1)) if len(found) > 1 else 0.0,
        len(found),
    )
