"""Ratios of two things measured in turn, and how they are reported."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Case:
    """One figure of a benchmark.

    Attributes:
        case: What was measured.
        value: Median.
        unit: Of `value`, `low` and `high`.
        low: First quartile; the smallest of fewer than four values.
        high: Third quartile; the largest of fewer than four values.
        mark: What is to be reached; None where the figure is only reported.
        better: Which side of the mark is the good one.
        note: What else a reader should know.
    """

    case: str
    value: float
    unit: Literal["ratio", "s", "MB"]
    low: float
    high: float
    mark: float | None
    better: Literal["lower", "higher"]
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the mark is reached; None without one."""
        if self.mark is None:
            return None
        if self.better == "lower":
            return self.value <= self.mark
        return self.value >= self.mark

    def as_json(self) -> dict[str, Any]:
        """The object of docs/contracts.md."""
        return {**dataclasses.asdict(self), "met": self.met}


def case_of(
    name: str,
    values: Sequence[float],
    mark: float | None,
    *,
    better: Literal["lower", "higher"] = "lower",
    unit: Literal["ratio", "s", "MB"] = "ratio",
    note: str = "",
) -> Case:
    """The median of some values with their spread."""
    if len(values) < 4:
        low, high = min(values), max(values)
    else:
        low, _, high = statistics.quantiles(values, n=4)
    value = statistics.median(values)
    rounded = [float(f"{number:.4g}") for number in (value, low, high)]
    value, low, high = rounded
    return Case(name, value, unit, low, high, mark, better, note)


def seconds_of(run: Callable[[], Any]) -> float:
    """Wall time of one call, which ends when its result is there."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def alternating(
    ours: Callable[[], Any], reference: Callable[[], Any], pairs: int
) -> list[tuple[float, float]]:
    """Seconds of A B A B ..., after one call of each that is not counted."""
    ours()
    reference()
    return [(seconds_of(ours), seconds_of(reference)) for _ in range(pairs)]


def ratios(times: Sequence[tuple[float, float]]) -> list[float]:
    """Ours / reference, pair by pair."""
    return [ours / reference for ours, reference in times]
