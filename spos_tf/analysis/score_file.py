"""Scores by checkpoint and architecture, a JSON line each, as they come."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

from spos_tf.atomic_write import append_line
from spos_tf.errors import UserError, system_errors
from spos_tf.space.candidate import ACCURACY, is_encoding, is_halves, is_score
from spos_tf.strict_json import is_number, parse_json

Encoding = tuple[int, ...]
# How every line begins: only the start of one is cut off as unfinished.
_LINE_START = b'{"step": '


@dataclasses.dataclass(frozen=True)
class Scored:
    """An architecture as a supernet scores it.

    Attributes:
        step: Training steps of the supernet.
        encoding: Option indices.
        architecture: As text.
        score: The metric's value.
        accuracy: The benchmark's, in its own unit.
        seconds: That scoring took; 0 where the score was known.
        halves: Scores on both halves of the images; empty where a half has
            none. None in a line that an earlier version wrote.
    """

    step: int
    encoding: Encoding
    architecture: str
    score: float
    accuracy: float
    seconds: float
    halves: tuple[float, ...] | None = ()

    def to_json(self) -> str:
        """One line, without its end."""
        fields = dict(vars(self))
        if self.halves is None:
            del fields["halves"]
        return json.dumps(fields)

    @classmethod
    def from_json(cls, line: str, metric: str = ACCURACY) -> "Scored":
        """Reads a line.

        Args:
            line: A JSON object.
            metric: Name of what was scored; an accuracy is a share.

        Raises:
            ValueError: It is no such line.
        """
        data: Any = parse_json(line)
        if not isinstance(data, dict) or {*data, "halves"} != set(_FIELDS):
            raise ValueError(f"its fields are not {', '.join(_FIELDS)}")
        outdated = "halves" not in data
        data.setdefault("halves", [])
        for name, is_right in _FIELDS.items():
            if not is_right(data[name]) or (
                name == "score" and not is_score(data[name], metric)
            ):
                raise ValueError(f"{name!r} cannot be {str(data[name])[:60]}")
        if not is_halves(data["halves"], metric):
            raise ValueError(f"'halves' cannot be {str(data['halves'])[:60]}")
        data["halves"] = None if outdated else tuple(data["halves"])
        return cls(**{**data, "encoding": tuple(data["encoding"])})


def _is_whole(value: object) -> bool:
    return type(value) is int and value >= 0


_FIELDS: dict[str, Callable[[object], bool]] = {
    "step": _is_whole,
    "encoding": is_encoding,
    "architecture": lambda value: isinstance(value, str),
    "score": is_number,
    "accuracy": is_number,
    "seconds": is_number,
    "halves": lambda value: isinstance(value, list),
}


class ScoreFile:
    """The scores of a comparison; a missing file is an empty one.

    A last line that a killed run left unfinished is cut off the file.

    Args:
        path: JSON lines.
        metric: Name of what was scored.

    Raises:
        UserError: The file cannot be read or written, or a line is none.
    """

    def __init__(self, path: pathlib.Path, metric: str = ACCURACY) -> None:
        self._path = path
        self._scored: dict[tuple[int, Encoding], Scored] = {}
        if not path.exists():
            return
        with system_errors("read scores", path):
            text = path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            rest = text[len(whole) :]
            if rest[: len(_LINE_START)] != _LINE_START[: len(rest)]:
                raise self._no_line("the last", "it has no end")
            if rest:
                os.truncate(path, len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                one = Scored.from_json(line.decode(), metric)
            except ValueError as error:
                raise self._no_line(f"line {number}", str(error)) from None
            before = self._scored.get((one.step, one.encoding))
            # A line without halves is scored anew, and the new one follows.
            if before is not None and (
                before.halves is not None or one.halves is None
            ):
                raise self._no_line(f"line {number}", "it stands there before")
            self._scored[one.step, one.encoding] = one

    def __len__(self) -> int:
        return len(self._scored)

    @property
    def outdated(self) -> int:
        """Scores without halves, as an earlier version wrote them."""
        return sum(one.halves is None for one in self._scored.values())

    def get(self, step: int, encoding: Encoding) -> Scored | None:
        """The score of an architecture.

        None where it is not known yet, or is to be scored anew.
        """
        found = self._scored.get((step, encoding))
        return None if found is None or found.halves is None else found

    def append(self, scored: Scored) -> None:
        """Adds a score to the file, as one write.

        Raises:
            UserError: The file cannot be written.
        """
        with system_errors("write scores", self._path):
            append_line(self._path, scored.to_json(), "scores")
        self._scored[scored.step, scored.encoding] = scored

    def _no_line(self, which: str, why: str) -> UserError:
        return UserError(
            f"A file of scores has one architecture a line; {which} of "
            f"{str(self._path)!r} is none: {why}. Restore the file or delete "
            "it."
        )
