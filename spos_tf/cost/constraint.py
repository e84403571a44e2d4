"""Hard limits on what a network may cost (the paper's Equation 5)."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError

Encodings = npt.NDArray[np.int32]


class CostFunction(Protocol):
    """Costs of many architectures at once; `CostTable` is one."""

    @property
    def name(self) -> str:
        """Name of the cost, as in flags and records."""

    def __call__(self, encodings: npt.ArrayLike, /) -> npt.NDArray[Any]:
        """Costs of int32 `[n, num_choices]` encodings, `[n]`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Constraint:
    """An architecture's cost has to lie in a range; both ends belong to it.

    Args:
        cost: What is limited.
        minimum: Least legal value, None for no limit.
        maximum: Largest legal value, None for no limit.

    Raises:
        UserError: A limit is not a finite number, or they exclude each other.
    """

    cost: CostFunction
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        for limit in (self.minimum, self.maximum):
            if limit is not None and not math.isfinite(limit):
                raise UserError(
                    f"A limit of {self.cost.name!r} is a finite number; "
                    f"got {limit}."
                )
        if self.low > self.high:
            raise UserError(
                f"The lower limit of {self.cost.name!r} is at most the upper "
                f"one; got {format_cost(self.low)} and "
                f"{format_cost(self.high)}."
            )

    @property
    def low(self) -> float:
        """Least legal value, -inf where there is no limit."""
        return -math.inf if self.minimum is None else self.minimum

    @property
    def high(self) -> float:
        """Largest legal value, inf where there is no limit."""
        return math.inf if self.maximum is None else self.maximum

    def values(self, encodings: npt.ArrayLike) -> npt.NDArray[Any]:
        """Costs of int32 `[n, num_choices]` encodings, `[n]`.

        Raises:
            UserError: The cost gives something else than n numbers.
        """
        encodings = np.asarray(encodings)
        values = np.asarray(self.cost(encodings))
        if (
            values.shape != encodings.shape[:1]
            or values.dtype.kind not in "iuf"
        ):
            raise UserError(
                f"Cost {self.cost.name!r} is one number per architecture; "
                f"for {encodings.shape[0]} it gave {values.dtype} values of "
                f"shape {values.shape}."
            )
        return values

    def allows(self, encodings: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which of int32 `[n, num_choices]` are legal, bool `[n]`.

        A cost of NaN is not.
        """
        values = self.values(encodings)
        return np.asarray((values >= self.low) & (values <= self.high))

    def violation(self, encodings: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """How far int32 `[n, num_choices]` are outside, float64 `[n]`.

        0 inside; outside the distance to the limit as a share of the limit,
        so that costs of different units can be added up. A cost of NaN is
        infinitely far.
        """
        values = self.values(encodings).astype(np.float64)
        outside = np.zeros_like(values)
        if self.minimum is not None:
            outside += np.maximum(self.minimum - values, 0) / _unit(
                self.minimum
            )
        if self.maximum is not None:
            outside += np.maximum(values - self.maximum, 0) / _unit(
                self.maximum
            )
        return np.where(np.isnan(values), np.inf, outside)

    def describe(self) -> str:
        """The rule in words, for messages."""
        name = self.cost.name
        if self.minimum is None and self.maximum is None:
            return f"any {name}"
        if self.minimum is None:
            return f"{name} <= {format_cost(self.high)}"
        if self.maximum is None:
            return f"{name} >= {format_cost(self.low)}"
        return f"{name} in [{format_cost(self.low)}, {format_cost(self.high)}]"


def merge_constraints(
    constraints: Sequence[Constraint],
) -> tuple[Constraint, ...]:
    """Joins the limits of one cost into one range.

    Raises:
        UserError: Two limits of a cost exclude each other.
    """
    merged: dict[int, Constraint] = {}
    for constraint in constraints:
        other = merged.get(id(constraint.cost))
        if other is not None:
            low = max(constraint.low, other.low)
            high = min(constraint.high, other.high)
            constraint = Constraint(
                constraint.cost,
                None if low == -math.inf else low,
                None if high == math.inf else high,
            )
        merged[id(constraint.cost)] = constraint
    return tuple(merged.values())


def all_allow(
    constraints: Sequence[Constraint], encodings: npt.ArrayLike
) -> npt.NDArray[np.bool_]:
    """Which of int32 `[n, num_choices]` every constraint allows, bool `[n]`."""
    encodings = np.asarray(encodings)
    allowed = np.ones(encodings.shape[0], np.bool_)
    for constraint in constraints:
        allowed &= constraint.allows(encodings)
    return allowed


def parse_constraint(text: str) -> tuple[str, float | None, float | None]:
    """Reads the command line's form: `(cost name, minimum, maximum)`.

    Raises:
        UserError: It is not a cost and an inclusive limit.

    >>> parse_constraint("macs<=330e6")
    ('macs', None, 330000000.0)
    >>> parse_constraint("params >= 1e6")
    ('params', 1000000.0, None)
    >>> parse_constraint("290e6 <= macs <= 330e6")
    ('macs', 290000000.0, 330000000.0)
    """
    low: float | None = None
    high: float | None = None
    parts = [part.strip() for part in text.replace(">=", "<=").split("<=")]
    up, down = text.count(">="), text.count("<=")
    if (down, up) == (1, 0):
        name, high = parts[0], _number(parts[1])
    elif (down, up) == (0, 1):
        name, low = parts[0], _number(parts[1])
    elif (down, up) == (2, 0):
        low, name, high = _number(parts[0]), parts[1], _number(parts[2])
    else:
        name = ""
    # NaN compares false with everything, itself included.
    broken = any(limit is not None and limit != limit for limit in (low, high))
    if not name or broken or set(name) & set("<>="):
        raise UserError(
            "A constraint is a cost with an inclusive limit such as "
            f"'macs<=330e6' or 'params>=1e6'; got {text!r}."
        )
    if low is not None and high is not None and low > high:
        raise UserError(
            "The lower limit of a constraint is at most the upper one; "
            f"got {text!r}."
        )
    return name, low, high


def format_cost(value: float) -> str:
    """Writes a cost for messages, as shortly as reads as the same number.

    So that what a refusal names can be given as the limit.

    >>> format_cost(322918720.0), format_cost(10.25)
    ('322918720', '10.25')
    """
    number = float(value)
    return str(int(value)) if number.is_integer() else repr(number)


def _number(text: str) -> float:
    # NaN stands for whatever is no finite number; the caller knows the text.
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _unit(limit: float) -> float:
    return abs(limit) or 1.0
