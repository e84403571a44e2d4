"""An ordered set of choices: the only place that knows the encoding."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.space.choice import Choice, Option

Encoding = npt.NDArray[np.int32]

_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """All architectures that a list of choices spans.

    Args:
        name: Name of the space in files and flags.
        choices: In the order of the encoding.
        legal: Of every choice the option indices that may be taken, ascending;
            None where all may. A smaller space keeps the encoding of the
            larger one: the same length, the same indices.

    Raises:
        UserError: Two choices have one name, or a choice has no legal
            option.

    Example:
        >>> space = SearchSpace("toy", (
        ...     Choice("stage1.block1.op", ("3x3", "5x5")),
        ...     Choice("stage1.block2.op", ("3x3", "5x5", "7x7")),
        ... ))
        >>> space.size
        6
        >>> space.encode(
        ...     {"stage1.block1.op": "5x5", "stage1.block2.op": "3x3"})
        array([1, 0], dtype=int32)
        >>> space.decode([1, 2])
        {'stage1.block1.op': '5x5', 'stage1.block2.op': '7x7'}
    """

    name: str
    choices: tuple[Choice, ...]
    legal: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        names = [choice.name for choice in self.choices]
        if len(set(names)) != len(names):
            raise UserError(
                f"Space {self.name!r} repeats a choice name; its choices are "
                f"{', '.join(map(repr, names))}."
            )
        if self.legal is None:
            return
        for choice, legal in zip(self.choices, self.legal, strict=True):
            if not legal or not {*legal} <= {*range(len(choice))}:
                raise UserError(
                    f"Choice {choice.name!r} has at least one legal option of "
                    f"0 to {len(choice) - 1}; got {legal}."
                )

    @property
    def num_choices(self) -> int:
        """Length of an encoding."""
        return len(self.choices)

    @property
    def has_choices(self) -> bool:
        """Whether any choice has several options; pins do not count."""
        return any(len(choice) > 1 for choice in self.choices)

    @property
    def num_options(self) -> npt.NDArray[np.int32]:
        """Options of every choice, int32 `[num_choices]`."""
        return np.array([len(choice) for choice in self.choices], np.int32)

    @property
    def size(self) -> int:
        """Number of legal architectures, exact."""
        return math.prod(map(len, self.legal_options))

    @functools.cached_property
    def legal_options(self) -> tuple[tuple[int, ...], ...]:
        """The option indices that may be taken, ascending, by choice."""
        if self.legal is not None:
            return self.legal
        return tuple(tuple(range(len(choice))) for choice in self.choices)

    @functools.cached_property
    def legal_table(self) -> npt.NDArray[np.int32]:
        """`legal_options` as int32 `[num_choices, most]`, the rest 0."""
        most = max(map(len, self.legal_options))
        return np.array(
            [row + (0,) * (most - len(row)) for row in self.legal_options],
            np.int32,
        )

    @functools.cached_property
    def legal_mask(self) -> npt.NDArray[np.bool_]:
        """What may be taken, bool `[num_choices, most options]`."""
        mask = np.zeros((self.num_choices, self.num_options.max()), np.bool_)
        for row, legal in zip(mask, self.legal_options, strict=True):
            row[list(legal)] = True
        return mask

    @functools.cached_property
    def num_legal(self) -> npt.NDArray[np.int32]:
        """Legal options of every choice, int32 `[num_choices]`."""
        return np.array([len(row) for row in self.legal_options], np.int32)

    def pinned(self, pins: Mapping[str, object]) -> "SearchSpace":
        """The smaller space in which some choices are fixed.

        Args:
            pins: `{choice name: option}`.

        Raises:
            UserError: No such choice or option, or the option is not legal.

        >>> space = SearchSpace("toy", (Choice("a", (1, 2)), Choice("b", (3,))))
        >>> space.pinned({"a": 2}).size
        1
        """
        legal = list(self.legal_options)
        names = [choice.name for choice in self.choices]
        for name, option in pins.items():
            if name not in names:
                raise UserError(
                    f"Space {self.name!r} has no choice {name!r}. Its choices "
                    f"are: {', '.join(names)}."
                )
            position = names.index(name)
            index = self.choices[position].index(option)
            if index not in legal[position]:
                raise UserError(
                    f"Choice {name!r} cannot be {option!r} here. Legal are: "
                    f"{self._legal_words(position)}."
                )
            legal[position] = (index,)
        return dataclasses.replace(self, legal=tuple(legal))

    def _legal_words(self, position: int) -> str:
        choice = self.choices[position]
        return ", ".join(
            str(choice.options[index]) for index in self.legal_options[position]
        )

    def position(self, choice_name: str) -> int:
        """Index of a choice in the encoding.

        Raises:
            KeyError: The space has no such choice.
        """
        for position, choice in enumerate(self.choices):
            if choice.name == choice_name:
                return position
        raise KeyError(choice_name)

    def check(self, encoding: npt.ArrayLike) -> Encoding:
        """Returns `encoding` as int32 `[num_choices]`.

        Raises:
            UserError: It has another length, something that is not a whole
                number, or an index that its choice does not have.
        """
        values = np.asarray(encoding)
        if values.shape != (self.num_choices,):
            raise UserError(
                f"An encoding of space {self.name!r} has {self.num_choices} "
                f"integers, one a choice; got shape {values.shape}."
            )
        if values.dtype.kind not in "iu":
            raise UserError(
                f"An encoding of space {self.name!r} holds integers; got "
                f"{values.dtype} values {values.tolist()}."
            )
        for position, (value, choice) in enumerate(
            zip(values.tolist(), self.choices, strict=True)
        ):
            if not 0 <= value < len(choice):
                raise UserError(
                    f"Choice {choice.name!r} has options 0 to "
                    f"{len(choice) - 1} ({', '.join(map(str, choice.options))})"
                    f"; got index {value}."
                )
            if self.legal and value not in self.legal[position]:
                raise UserError(
                    f"Choice {choice.name!r} cannot be "
                    f"{choice.options[value]!r} (index {value}) here. Legal "
                    f"are: {self._legal_words(position)}."
                )
        return values.astype(np.int32)

    def encode(self, chosen: Mapping[str, object]) -> Encoding:
        """Turns `{choice name: option}` into int32 `[num_choices]`.

        Raises:
            UserError: A choice is missing, unknown, or has no such option, or
                it is not legal.
        """
        names = [choice.name for choice in self.choices]
        missing = [name for name in names if name not in chosen]
        unknown = [name for name in chosen if name not in set(names)]
        if missing or unknown:
            raise UserError(
                f"An architecture of space {self.name!r} has an option for "
                f"each of its {self.num_choices} choices and nothing else; "
                f"missing: {missing[:3] or 'none'}, "
                f"unknown: {unknown[:3] or 'none'}."
            )
        return self.check(
            [choice.index(chosen[choice.name]) for choice in self.choices]
        )

    def decode(self, encoding: npt.ArrayLike) -> dict[str, Option]:
        """Turns an encoding into `{choice name: option}`; see `check`."""
        return {
            choice.name: choice.options[index]
            for choice, index in zip(
                self.choices, self.check(encoding).tolist(), strict=True
            )
        }

    def sample(self, rng: np.random.Generator, count: int) -> Encoding:
        """Draws `count` legal ones uniformly, int32 `[count, num_choices]`."""
        drawn = rng.integers(
            self.num_legal, size=(count, self.num_choices), dtype=np.int32
        )
        if self.legal is None:
            return drawn
        return self.legal_table[np.arange(self.num_choices), drawn]


def parse_encoding(text: str) -> npt.NDArray[np.int32]:
    """Reads the command line's comma-separated form.

    Raises:
        UserError: Something between the commas is not a whole number.

    >>> parse_encoding("2, 1,0")
    array([2, 1, 0], dtype=int32)
    """
    try:
        parts = text.split(",")
        # Python's int() also takes digits of other scripts, and "1_0".
        if not all(_WHOLE.fullmatch(part) for part in parts):
            raise ValueError(text)
        # By way of int64: NumPy 1 lets a Python integer wrap around in int32.
        values = np.array([int(part) for part in parts], np.int64)
        encoding = values.astype(np.int32)
        if (encoding != values).any():
            raise ValueError(text)
        return encoding
    except (ValueError, OverflowError):
        raise UserError(
            "An encoding is a comma-separated list of option indices such as "
            f"'2,1,0'; got {text!r}."
        ) from None


def format_encoding(encoding: Iterable[int]) -> str:
    """Writes the command line's comma-separated form.

    >>> format_encoding(np.array([2, 1, 0]))
    '2,1,0'
    """
    return ",".join(str(int(value)) for value in encoding)
