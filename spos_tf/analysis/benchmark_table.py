"""A benchmark's table as it lies on disk: architectures and their figures.

An NPZ file (plain arrays, read without pickle) or a CSV file with a heading.
A column `arch_str` or `arch` has the architectures as text, or an NPZ file has
an array `encodings`, a row of option indices each. Every other one-dimensional
column of numbers is a figure of them.
"""

import csv
import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError, system_errors
from spos_tf.plain_arrays import NotPlainError, read_arrays
from spos_tf.space.search_space import format_encoding

ARCHITECTURE_COLUMNS = ("arch_str", "arch")
_ENCODINGS = "encodings"
# Figures that are no accuracies.
COST_COLUMNS = ("macs", "params")

Column = npt.NDArray[np.generic]


@dataclasses.dataclass(frozen=True, eq=False)
class BenchmarkTable:
    """Architectures of a benchmark in the order of their rows.

    Attributes:
        path: The file, for messages.
        architectures: Their text, as it stands in the file.
        columns: All others of one value a row, by name; those of a CSV file
            are text until they are asked for.
        sha256: Of the file.
    """

    path: str
    architectures: tuple[str, ...]
    columns: Mapping[str, Column]
    sha256: str

    @property
    def accuracy_columns(self) -> tuple[str, ...]:
        """Names of the columns of numbers that are no costs."""
        return tuple(
            name
            for name, column in self.columns.items()
            if name not in COST_COLUMNS and _may_be_numbers(column)
        )

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column, float64 `[rows]`.

        Raises:
            UserError: There is no such column, or something in it is not a
                finite number.
        """
        if name not in self.columns:
            raise UserError(
                f"Table {self.path!r} has no column {name!r}. Its columns of "
                f"accuracies are: {', '.join(self.accuracy_columns) or 'none'}."
            )
        column = self.columns[name]
        if column.dtype.kind not in "iufUS":
            raise UserError(
                f"A column of accuracies or costs holds numbers; {name!r} of "
                f"table {self.path!r} holds {column.dtype} values. Name "
                "another column."
            )
        values = np.empty(len(column), np.float64)
        for row, value in enumerate(column.tolist()):
            try:
                # Python's float() takes "1_0" for 10.
                if isinstance(value, (str, bytes)) and "_" in _text(value):
                    raise ValueError(value)
                values[row] = float(value)
            except ValueError:
                raise UserError(
                    f"Column {name!r} of table {self.path!r} has {value!r} in "
                    f"row {row + 1}, which is no number. Correct it, or leave "
                    "the row out."
                ) from None
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise UserError(
                f"Column {name!r} of table {self.path!r} has "
                f"{values[wrong[0]]} in row {wrong[0] + 1} ({len(wrong)} such "
                "rows). Leave out the rows without a figure."
            )
        return values


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _may_be_numbers(column: Column) -> bool:
    if column.dtype.kind in "iuf":
        return True
    try:
        float(column[0])
    except ValueError:
        return False
    return True


def read_table(path: str | pathlib.Path) -> BenchmarkTable:
    """Reads a table.

    Raises:
        UserError: The file cannot be read, is damaged, is of another kind,
            holds pickled objects, has no architectures, no row, or rows of
            unequal lengths.
    """
    path = pathlib.Path(path)
    kinds = {".npz": _read_npz, ".csv": _read_csv}
    if path.suffix not in kinds:
        raise UserError(
            f"A benchmark table is a .npz or a .csv file; got {str(path)!r}."
        )
    with system_errors("read table", path, "Check its path."):
        content = path.read_bytes()
        columns = kinds[path.suffix](path)
    named = [name for name in ARCHITECTURE_COLUMNS if name in columns]
    if not named:
        columns["arch"] = _as_text(columns, path)
        named = ["arch"]
    architectures = columns.pop(named[0])
    if architectures.ndim != 1 or architectures.dtype.kind not in "US":
        raise UserError(
            f"Column {named[0]!r} of table {str(path)!r} holds one text a row; "
            f"got {architectures.dtype} {list(architectures.shape)}."
        )
    rows = len(architectures)
    if not rows:
        raise UserError(f"Table {str(path)!r} has no row.")
    figures = {
        name: column
        for name, column in columns.items()
        if column.shape == (rows,)
    }
    return BenchmarkTable(
        str(path),
        tuple(map(_text, architectures.tolist())),
        figures,
        hashlib.sha256(content).hexdigest(),
    )


def _as_text(columns: Mapping[str, Column], path: pathlib.Path) -> Column:
    """The architectures of a table without a text, from their encodings."""
    encodings = columns.get(_ENCODINGS)
    if encodings is None:
        raise UserError(
            "A benchmark table has a column arch_str or arch, or an array "
            f"{_ENCODINGS}; {str(path)!r} has: "
            f"{', '.join(columns) or 'no column'}."
        )
    if encodings.ndim != 2 or encodings.dtype.kind not in "iu":
        raise UserError(
            f"{_ENCODINGS} of table {str(path)!r} are rows of option indices; "
            f"got {encodings.dtype} {list(encodings.shape)}."
        )
    return np.array([format_encoding(row) for row in encodings], np.str_)


def _read_npz(path: pathlib.Path) -> dict[str, Column]:
    try:
        return read_arrays(path)
    except NotPlainError:
        raise UserError(
            f"Table {str(path)!r} holds pickled Python objects, which are not "
            "read: they could run code. Save plain arrays of numbers and text "
            "(a list of str as np.array(list), without dtype=object)."
        ) from None
    except ValueError as error:
        raise UserError(
            f"Table {str(path)!r} is damaged or no NPZ file ({error}). Get it "
            "anew."
        ) from None


def _read_csv(path: pathlib.Path) -> dict[str, Column]:
    try:
        # A byte order mark, which spreadsheets write, is no part of a name.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream, strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"Table {str(path)!r} is damaged or no CSV file in UTF-8: {error}. "
            "Get it anew."
        ) from None
    if not rows:
        raise UserError(f"Table {str(path)!r} is empty. Get it anew.")
    heading = [name.strip() for name in rows[0]]
    twice = {name for name in heading if heading.count(name) > 1}
    if twice:
        raise UserError(
            f"Table {str(path)!r} has two columns called {min(twice)!r}. "
            "Rename one of them."
        )
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(heading):
            raise UserError(
                f"Row {number} of table {str(path)!r} has {len(row)} values, "
                f"its heading {len(heading)}. Put an architecture with commas "
                'in quotes, as in "2,1,0".'
            )
    return {
        name: np.array([row[place].strip() for row in rows[1:]], np.str_)
        for place, name in enumerate(heading)
    }
