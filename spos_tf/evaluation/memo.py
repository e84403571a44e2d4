"""Scores that searches of one supernet share."""

import hashlib
import json
import pathlib
from collections.abc import Sequence

from spos_tf.atomic_write import append_line
from spos_tf.errors import system_errors
from spos_tf.evaluation.measured import Measured
from spos_tf.space.candidate import (
    Direction,
    is_encoding,
    is_halves,
    is_score,
)
from spos_tf.strict_json import parse_json


class ScoreMemo:
    """Scores by encoding, in a file that many runs append to.

    Args:
        path: JSON lines; lines of other keys are left alone.
        metric: Name of the metric.
        *parts: What a score depends on besides the encoding: fingerprints of
            weights and images, the metric's arguments, batch size, threads,
            the seed of the halves.
        direction: Whether more or less of the metric is better.

    Attributes:
        path: Of the file.
        outdated: Scores in the file without those of both halves, as an
            earlier version wrote them; they are not used.
    """

    def __init__(
        self,
        path: pathlib.Path,
        metric: str,
        *parts: object,
        direction: Direction = "max",
    ) -> None:
        self.path = path
        self._metric, self._direction = metric, direction
        text = json.dumps([metric, *map(str, parts)])
        self._key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._scores: dict[tuple[int, ...], Measured] = {}
        self.outdated = 0
        if path.exists():
            for line in path.read_text("utf-8", "replace").splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            data = parse_json(line)
            encoding, score = data["encoding"], data["score"]
            fits = is_encoding(encoding) and is_score(score, self._metric)
            if "halves" not in data:
                self.outdated += fits
                return
            halves = data["halves"]
            fits = fits and is_halves(halves, self._metric)
            if data["key"] == self._key and fits:
                both = tuple(map(float, halves))
                self._scores[tuple(encoding)] = Measured(float(score), both)
        # A line cut off by a kill costs one evaluation, nothing else.
        except (ValueError, KeyError, TypeError):
            return

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, encoding: Sequence[int]) -> Measured | None:
        """The score, None where it is not known yet."""
        return self._scores.get(tuple(int(value) for value in encoding))

    def put(self, encoding: Sequence[int], measured: Measured) -> None:
        """Adds a score to the file, as one write.

        It does not wait for the disk: a line that a power loss takes costs
        one evaluation.

        Raises:
            UserError: The file cannot be written.
        """
        key = tuple(int(value) for value in encoding)
        self._scores[key] = measured
        line = json.dumps(
            {
                "key": self._key,
                "encoding": key,
                "score": measured.score,
                "metric": self._metric,
                "direction": self._direction,
                "halves": measured.halves,
            }
        )
        with system_errors(
            "write scores",
            self.path,
            "Everything that was recorded is kept. Start the same command "
            "again to resume.",
        ):
            # Another process's line may have been cut off.
            append_line(self.path, f"\n{line}", "scores")
