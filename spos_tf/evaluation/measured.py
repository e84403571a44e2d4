"""The score of a network on images, and on each half of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Measured(NamedTuple):
    """What a network scored in one pass over the search images.

    Attributes:
        score: On all images.
        halves: On each half of the images, in the same pass. Empty where
            they are not known: there is a single image, the metric is not
            defined on a half, or the score was looked up.
        parts: Where a winner is confirmed: on many parts of the images, each
            image by itself where hits are counted.
    """

    score: float
    halves: tuple[float, ...] = ()
    parts: tuple[float, ...] = ()

    @classmethod
    def of(cls, value: "float | Measured") -> "Measured":
        """What an evaluator gave; a plain number is a score without halves."""
        if isinstance(value, Measured):
            return value
        return cls(float(value))


def finite_halves(halves: Sequence[float]) -> tuple[float, ...]:
    """Both halves where both are finite numbers, else none.

    >>> finite_halves([0.5, 0.25]), finite_halves([0.5, float("nan")])
    ((0.5, 0.25), ())
    """
    usable = len(halves) == 2 and all(map(math.isfinite, halves))
    return tuple(map(float, halves)) if usable else ()
