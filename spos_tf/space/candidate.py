"""One evaluated architecture: one JSON line of the record."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from spos_tf.space.choice import Option, option_of
from spos_tf.strict_json import is_number, parse_json

# The metric whose scores are shares of images, from 0 to 1.
ACCURACY = "accuracy"

# Whether a larger or a smaller score is better.
Direction = Literal["max", "min"]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An evaluated architecture.

    Attributes:
        i: Order of proposal, from 0.
        generation: Number of its generation, from 0.
        encoding: One option index for each choice.
        choices: `{choice name: option}`.
        costs: `{cost name: value}`.
        score: What the metric gave; a finite number, and for accuracy the
            share of the scored images that were right.
        metric: Name of the metric.
        direction: `"max"` where a larger score is better, `"min"` where a
            smaller one is.
        seconds: Time the evaluation took.
        worker: Who evaluated it.
        time: When it was done, seconds since 1970 (UTC).
        halves: Its scores on both halves of the images; empty where a half
            has none. None in a line that an earlier version wrote, which is
            scored anew.
    """

    i: int
    generation: int
    encoding: tuple[int, ...]
    choices: Mapping[str, Option]
    costs: Mapping[str, int | float]
    score: float
    metric: str
    direction: Direction
    seconds: float
    worker: str
    time: float
    halves: tuple[float, ...] | None = ()

    @property
    def merit(self) -> float:
        """The score, negated where a smaller one is better."""
        return self.score if self.direction == "max" else -self.score

    @property
    def accuracy(self) -> float | None:
        """The score where it is an accuracy, else None."""
        return self.score if self.metric == ACCURACY else None

    def scores(self) -> dict[str, Any]:
        """The score as `best.json` and `front.json` hold it; JSON values."""
        told: dict[str, Any] = {
            "score": self.score,
            "metric": self.metric,
            "direction": self.direction,
        }
        return told if self.accuracy is None else {**told, ACCURACY: self.score}

    def to_json(self) -> str:
        """The line of the record, without its newline."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
        }
        for name in ("choices", "costs"):
            fields[name] = dict(fields[name])
        if self.halves is None:
            del fields["halves"]
        return json.dumps(fields, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> "Candidate":
        """Reads a line of the record.

        Raises:
            ValueError: It is no such line; says what is wrong.
        """
        try:
            data = parse_json(line)
        except ValueError as error:
            raise ValueError(f"it is not JSON: {error}") from None
        if not isinstance(data, dict):
            raise ValueError("it is not a JSON object")
        has_halves, halves = "halves" in data, data.pop("halves", None)
        if set(data) != set(_FIELDS):
            odd = sorted(set(_FIELDS) ^ set(data))
            raise ValueError(f"missing or unknown: {', '.join(odd)}")
        for name, is_right in _FIELDS.items():
            if not is_right(data[name]):
                raise ValueError(f"{name!r} cannot be {data[name]!r}")
        if not is_score(data["score"], data["metric"]):
            raise ValueError(f"'score' cannot be {data['score']!r}")
        if has_halves and not is_halves(halves, data["metric"]):
            raise ValueError(f"'halves' cannot be {halves!r}")
        data["halves"] = tuple(halves) if has_halves else None
        data["encoding"] = tuple(data["encoding"])
        data["choices"] = {
            name: option_of(one) for name, one in data["choices"].items()
        }
        return cls(**data)


def same_record(a: Iterable[Candidate], b: Iterable[Candidate]) -> bool:
    """Whether two records tell of the same search.

    Order of the lines and who evaluated when and for how long do not count.
    """
    return _without_times(a) == _without_times(b)


def best_of(candidates: Iterable[Candidate]) -> Candidate:
    """The one with the best score; of equals the one proposed first."""
    return min(candidates, key=lambda one: (-one.merit, one.i))


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The best first; of equals the one proposed first."""
    return sorted(candidates, key=lambda one: (-one.merit, one.i))


def score_text(metric: str, score: float) -> str:
    """A score as people read it.

    >>> score_text("accuracy", 0.75), score_text("loss", 0.75)
    ('75.00 %', '0.75')
    """
    return f"{100 * score:.2f} %" if metric == ACCURACY else f"{score:.4g}"


def _without_times(candidates: Iterable[Candidate]) -> list[Candidate]:
    return [
        dataclasses.replace(one, seconds=0, worker="", time=0)
        for one in sorted(candidates, key=lambda one: one.i)
    ]


def _whole(value: object) -> bool:
    return type(value) is int and value >= 0


def is_score(value: object, metric: str) -> bool:
    """Whether a JSON value is a score of a metric: an accuracy is a share."""
    return is_number(value) and (metric != ACCURACY or 0 <= value <= 1)


def is_halves(value: object, metric: str) -> bool:
    """Whether a JSON value is a list of the scores of both halves, or empty."""
    return (
        isinstance(value, list)
        and len(value) in (0, 2)
        and all(is_score(one, metric) for one in value)
    )


def is_encoding(value: object) -> bool:
    """Whether a JSON value is a list of option indices."""
    return isinstance(value, list) and all(map(_whole, value))


def _option(value: object) -> bool:
    return isinstance(value, str) or is_number(value) or isinstance(value, list)


def _options(value: object) -> bool:
    return isinstance(value, dict) and all(map(_option, value.values()))


def _numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_number, value.values()))


_FIELDS: dict[str, Callable[[object], bool]] = {
    "i": _whole,
    "generation": _whole,
    "encoding": is_encoding,
    "choices": _options,
    "costs": _numbers,
    "score": is_number,
    "metric": lambda value: isinstance(value, str),
    "direction": lambda value: value in ("max", "min"),
    "seconds": is_number,
    "worker": lambda value: isinstance(value, str),
    "time": is_number,
}
