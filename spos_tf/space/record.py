"""What a search has evaluated, one JSON line each, written as it happens."""

import os
import pathlib
from collections.abc import Sequence

from spos_tf.atomic_write import append_line, write_json
from spos_tf.errors import UserError, system_errors
from spos_tf.space import Architecture
from spos_tf.space.candidate import Candidate

# How every line begins: only the start of one is cut off as unfinished.
_LINE_START = b'{"i": '


def read_record(path: str | pathlib.Path) -> list[Candidate]:
    """Reads a record, in the order of proposal, and leaves it as it is.

    A last line without its newline is one that is being written: left out.
    The new line counts for a candidate that was scored anew because an earlier
    version had not scored both halves.

    Raises:
        UserError: The file cannot be read, or a line is no candidate.
    """
    return _parse(path, _whole_lines(path, _read(path)))


class Record:
    """The record of one search, open for more candidates.

    See `Record.open` and `Record.in_memory`. Where there is a file, it is the
    record: every `append` is with the system before it returns, as one write.
    That outlives a kill. It does not wait for the disk: a power loss may take
    the last lines, which costs one evaluation each.

    Attributes:
        path: Of the file; None for a record in memory.
    """

    def __init__(
        self, path: pathlib.Path | None, candidates: Sequence[Candidate]
    ) -> None:
        self.path = path
        self._by_index = {one.i: one for one in candidates}

    @classmethod
    def open(cls, path: str | pathlib.Path) -> "Record":
        """Opens a record to go on with; a missing file is an empty one.

        A last line that a killed run left unfinished is cut off the file.

        Raises:
            UserError: The file cannot be read or written, or a line is no
                candidate.
        """
        path = pathlib.Path(path)
        if not path.exists():
            return cls(path, [])
        text = _read(path)
        whole = _whole_lines(path, text)
        candidates = _parse(path, whole)
        if len(whole) < len(text):
            with system_errors("write", path):
                os.truncate(path, len(whole))
        return cls(path, candidates)

    @classmethod
    def in_memory(cls) -> "Record":
        """An empty record that no file keeps."""
        return cls(None, [])

    def __str__(self) -> str:
        if self.path is None:
            return "the record in memory"
        return f"record {str(self.path)!r}"

    def __len__(self) -> int:
        return len(self._by_index)

    @property
    def outdated(self) -> int:
        """Candidates whose halves were not scored by an earlier version."""
        return sum(one.halves is None for one in self._by_index.values())

    @property
    def candidates(self) -> list[Candidate]:
        """Everything recorded, in the order of proposal."""
        return [self._by_index[i] for i in sorted(self._by_index)]

    def recorded(self, i: int) -> Candidate | None:
        """The candidate of number `i`, also one that is to be scored anew."""
        return self._by_index.get(i)

    def get(self, i: int) -> Candidate | None:
        """The candidate that was proposed as number `i`.

        None where it is not known, or is to be scored anew.
        """
        found = self._by_index.get(i)
        return None if found is None or found.halves is None else found

    def append(self, candidate: Candidate) -> None:
        """Adds a candidate, and writes it to the file at once.

        Raises:
            ValueError: There is one of that number.
            UserError: The file cannot be written.
        """
        if self.get(candidate.i) is not None:
            raise ValueError(f"Candidate {candidate.i} is recorded already.")
        if self.path is not None:
            with system_errors("write", self.path):
                append_line(self.path, candidate.to_json(), "record")
        self._by_index[candidate.i] = candidate


def write_best(
    path: str | pathlib.Path,
    architecture: Architecture,
    candidate: Candidate,
    **further: object,
) -> None:
    """Writes `best.json`: an architecture file with costs and the score.

    The file appears whole or not at all.

    Args:
        path: Where to; an old file is replaced.
        architecture: The named form of the candidate's encoding.
        candidate: Whose costs and score go in.
        **further: Other JSON values of the file.

    Raises:
        UserError: The file cannot be written.
    """
    data = {
        **further,
        **architecture.to_dict(),
        "costs": dict(candidate.costs),
        **candidate.scores(),
    }
    with system_errors("write", path):
        write_json(path, data, sort_keys=True)


def _read(path: str | pathlib.Path) -> bytes:
    with system_errors("read", path):
        return pathlib.Path(path).read_bytes()


def _whole_lines(path: str | pathlib.Path, text: bytes) -> bytes:
    whole = text[: text.rfind(b"\n") + 1]
    rest = text[len(whole) :]
    if rest[: len(_LINE_START)] != _LINE_START[: len(rest)]:
        raise UserError(
            f"Every line of a record is a candidate; {str(path)!r} ends with "
            "something else. Give another path or move the file away."
        )
    return whole


def _parse(path: str | pathlib.Path, text: bytes) -> list[Candidate]:
    candidates: dict[int, Candidate] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            one = Candidate.from_json(line.decode())
            before = candidates.get(one.i)
            if before is not None and not _renews(one, before):
                raise ValueError(f"candidate {one.i} is there already")
        except ValueError as error:
            raise UserError(
                f"Every line of a record is a candidate; line {number} of "
                f"{str(path)!r} is not: {error}. Restore the file or move "
                "it away."
            ) from None
        candidates[one.i] = one
    return [candidates[i] for i in sorted(candidates)]


def _renews(line: Candidate, before: Candidate) -> bool:
    """Whether a line has the halves that an earlier version's lacks."""
    return before.halves is None and line.halves is not None
