"""One evaluated architecture: one JSON line of the record."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping

from spos_tf.space.choice import Option
from spos_tf.strict_json import parse_json


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An evaluated architecture.

    Attributes:
        i: Order of proposal, from 0.
        generation: From 0.
        encoding: One option index a choice.
        choices: `{choice name: option}`.
        costs: `{cost name: value}`.
        accuracy: Share of the scored images that were right.
        seconds: Time the evaluation took.
        worker: Who evaluated it.
        time: When it was done, seconds since 1970 (UTC).
    """

    i: int
    generation: int
    encoding: tuple[int, ...]
    choices: Mapping[str, Option]
    costs: Mapping[str, int | float]
    accuracy: float
    seconds: float
    worker: str
    time: float

    def to_json(self) -> str:
        """The line of the record, without its newline."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
        }
        for name in ("choices", "costs"):
            fields[name] = dict(fields[name])
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
        if set(data) != set(_FIELDS):
            odd = sorted(set(_FIELDS) ^ set(data))
            raise ValueError(f"missing or unknown: {', '.join(odd)}")
        for name, is_right in _FIELDS.items():
            if not is_right(data[name]):
                raise ValueError(f"{name!r} cannot be {data[name]!r}")
        data["encoding"] = tuple(data["encoding"])
        data["choices"] = {
            name: tuple(option) if isinstance(option, list) else option
            for name, option in data["choices"].items()
        }
        return cls(**data)


def same_record(a: Iterable[Candidate], b: Iterable[Candidate]) -> bool:
    """Whether two records tell of the same search.

    Order of the lines and who evaluated when and for how long do not count.
    """
    return _without_times(a) == _without_times(b)


def best_of(candidates: Iterable[Candidate]) -> Candidate:
    """The most accurate; of equals the one proposed first."""
    return min(candidates, key=lambda one: (-one.accuracy, one.i))


def _without_times(candidates: Iterable[Candidate]) -> list[Candidate]:
    return [
        dataclasses.replace(one, seconds=0, worker="", time=0)
        for one in sorted(candidates, key=lambda one: one.i)
    ]


def _whole(value: object) -> bool:
    return type(value) is int and value >= 0


def _number(value: object) -> bool:
    # JSON's true is an int in Python; it is no number here.
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # `math.isfinite` cannot take a whole number beyond floats.
    return abs(value) <= sys.float_info.max


def is_share(value: object) -> bool:
    """Whether a JSON value is a number from 0 to 1."""
    return _number(value) and 0 <= value <= 1  # type: ignore[operator]


def is_encoding(value: object) -> bool:
    """Whether a JSON value is a list of option indices."""
    return isinstance(value, list) and all(map(_whole, value))


def _option(value: object) -> bool:
    return isinstance(value, str) or _number(value) or isinstance(value, list)


def _options(value: object) -> bool:
    return isinstance(value, dict) and all(map(_option, value.values()))


def _numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_number, value.values()))


_FIELDS: dict[str, Callable[[object], bool]] = {
    "i": _whole,
    "generation": _whole,
    "encoding": is_encoding,
    "choices": _options,
    "costs": _numbers,
    "accuracy": is_share,
    "seconds": _number,
    "worker": lambda value: isinstance(value, str),
    "time": _number,
}
