"""An ordered set of choices: the only place that knows the encoding."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.space.choice import Choice, Option

Encoding = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """All architectures that a list of choices spans.

    Args:
        name: Name of the space in files and flags.
        choices: In the order of the encoding.

    >>> space = SearchSpace("toy", (
    ...     Choice("stage1.block1.op", ("3x3", "5x5")),
    ...     Choice("stage1.block2.op", ("3x3", "5x5", "7x7")),
    ... ))
    >>> space.size
    6
    >>> space.encode({"stage1.block1.op": "5x5", "stage1.block2.op": "3x3"})
    array([1, 0], dtype=int32)
    >>> space.decode([1, 2])
    {'stage1.block1.op': '5x5', 'stage1.block2.op': '7x7'}
    """

    name: str
    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        names = [choice.name for choice in self.choices]
        if len(set(names)) != len(names):
            raise ValueError(f"Space {self.name!r} repeats a choice name.")

    @property
    def num_choices(self) -> int:
        """Length of an encoding."""
        return len(self.choices)

    @property
    def num_options(self) -> npt.NDArray[np.int32]:
        """Options of every choice, int32 `[num_choices]`."""
        return np.array([len(choice) for choice in self.choices], np.int32)

    @property
    def size(self) -> int:
        """Number of architectures, exact."""
        return math.prod(len(choice) for choice in self.choices)

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
        for value, choice in zip(values.tolist(), self.choices, strict=True):
            if not 0 <= value < len(choice):
                raise UserError(
                    f"Choice {choice.name!r} has options 0 to "
                    f"{len(choice) - 1} ({', '.join(map(str, choice.options))})"
                    f"; got index {value}."
                )
        return values.astype(np.int32)

    def encode(self, chosen: Mapping[str, object]) -> Encoding:
        """Turns `{choice name: option}` into int32 `[num_choices]`.

        Raises:
            UserError: A choice is missing, unknown, or has no such option.
        """
        names = [choice.name for choice in self.choices]
        missing = [name for name in names if name not in chosen]
        unknown = [name for name in chosen if name not in set(names)]
        if missing or unknown:
            raise UserError(
                f"An architecture of space {self.name!r} settles each of its "
                f"{self.num_choices} choices and nothing else; "
                f"missing: {missing[:3] or 'none'}, "
                f"unknown: {unknown[:3] or 'none'}."
            )
        return np.array(
            [choice.index(chosen[choice.name]) for choice in self.choices],
            np.int32,
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
        """Draws `count` encodings uniformly, int32 `[count, num_choices]`."""
        return rng.integers(
            self.num_options, size=(count, self.num_choices), dtype=np.int32
        )


def parse_encoding(text: str) -> npt.NDArray[np.int32]:
    """Reads the command line's comma-separated form.

    Raises:
        UserError: Something between the commas is not a whole number.

    >>> parse_encoding("2, 1,0")
    array([2, 1, 0], dtype=int32)
    """
    try:
        values = [int(part) for part in text.split(",")]
        return np.array(values, np.int32)
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
