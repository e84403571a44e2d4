"""What of a benchmark table is of a search space, and a sample of it."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from spos_tf.analysis.benchmark_table import BenchmarkTable
from spos_tf.errors import UserError
from spos_tf.space import SearchSpace

Encodings = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class SubTable:
    """The rows of a table whose architectures are legal in a space.

    The order is that of the encodings, not of the file: what follows from it
    does not change when somebody sorts the table.

    Attributes:
        encodings: int32 `[architectures, num_choices]`, ascending.
        rows: int64 `[architectures]`, where each stands in the table.
        left_out: Rows of the table that are not legal in the space.
        equal: Rows whose network another row has under another encoding.
    """

    encodings: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]
    left_out: int
    equal: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def sample(
        self, count: int, seed: int, *, without: tuple[int, int] | None = None
    ) -> "SubTable":
        """Draws without replacement; a smaller sample is part of a larger.

        Args:
            count: Architectures; 0 for all.
            seed: Of the draw.
            without: Seed and size of another sample, whose architectures are
                left out.

        Raises:
            UserError: There are not as many.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        if without is not None:
            other = np.random.default_rng(without[0]).permutation(len(self))
            order = order[~np.isin(order, other[: without[1]])]
        if count > len(order) or not len(order):
            left = "" if without is None else " and not in `without_sample`"
            raise UserError(
                f"The table has {len(order)} architectures that are in the "
                f"space{left}; got `num_architectures={count}`. Lower "
                "`num_architectures`, or give 0 for all."
            )
        chosen = np.sort(order[: count or len(order)])
        return dataclasses.replace(
            self, encodings=self.encodings[chosen], rows=self.rows[chosen]
        )


def sub_table(
    table: BenchmarkTable,
    space: SearchSpace,
    parse: Callable[[str], Iterable[int]],
    canonical: Callable[[Encodings], Encodings] | None = None,
) -> SubTable:
    """The part of a table that a space has, every network once.

    Args:
        table: Of this space, or of one that it is a part of.
        space: The choices, with what is legal.
        parse: From an architecture's text to its option indices; raises a
            UserError for a text of another form.
        canonical: Gives the encoding that stands for an encoding's network.
            Where rows have equal networks, the one with this very encoding
            is taken, or the first.

    Raises:
        UserError: A row is no architecture of the space's encoding, two rows
            are the same one, or none is legal.
    """
    found = np.empty((len(table.architectures), space.num_choices), np.int32)
    for row, text in enumerate(table.architectures):
        try:
            indexes = [int(index) for index in parse(text)]
            _check_range(indexes, space)
        except UserError as error:
            raise UserError(
                f"Row {row + 1} of table {table.path!r} is no architecture of "
                f"space {space.name!r}: {error}"
            ) from None
        found[row] = indexes
    _check_unequal(table, found)
    legal = np.ones(len(found), bool)
    for position, options in enumerate(space.legal_options):
        legal &= np.isin(found[:, position], options)
    rows = np.flatnonzero(legal)
    if not len(rows):
        raise UserError(
            f"None of the {len(found)} architectures of table {table.path!r} "
            f"is legal in space {space.name!r} as the supernet has it. Give "
            "the table of this space, or a supernet with fewer fixed choices."
        )
    forms = found[rows] if canonical is None else canonical(found[rows])
    # Rows that have their canonical form come before those that have not.
    order = np.argsort((forms != found[rows]).any(axis=1), kind="stable")
    # Ascending by encoding.
    kept, first = np.unique(forms[order], axis=0, return_index=True)
    return SubTable(
        kept, rows[order[first]], len(found) - len(rows), len(rows) - len(kept)
    )


def _check_range(indexes: Sequence[int], space: SearchSpace) -> None:
    if len(indexes) != space.num_choices:
        raise UserError(
            f"it has {len(indexes)} options to choose; the space has "
            f"{space.num_choices} choices."
        )
    for index, choice in zip(indexes, space.choices, strict=True):
        if not 0 <= index < len(choice):
            raise UserError(
                f"choice {choice.name!r} has options 0 to {len(choice) - 1}; "
                f"got {index}."
            )


def _check_unequal(
    table: BenchmarkTable, encodings: npt.NDArray[np.int32]
) -> None:
    _, first, place = np.unique(
        encodings, axis=0, return_index=True, return_inverse=True
    )
    again = np.flatnonzero(first[place.ravel()] != np.arange(len(encodings)))
    if len(again):
        row = int(again[0])
        before = int(first[place.ravel()[row]])
        raise UserError(
            f"A table has every architecture once; row {row + 1} of "
            f"{table.path!r} is that of row {before + 1} again: "
            f"{table.architectures[row]!r}."
        )
