"""One decision of a search space."""

import dataclasses
from typing import Any

from spos_tf.errors import UserError

Option = str | int | float | tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A named decision with an ordered, finite set of options.

    Args:
        name: A dotted path, for example `"stage1.block1.op"`.
        options: Distinct values that JSON can hold, or short tuples of them.
            Their order is the encoding.

    Raises:
        UserError: There is no option, or one is repeated.

    Example:
        >>> Choice("stage1.block1.op", ("3x3", "5x5")).index("5x5")
        1
    """

    name: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise UserError(
                f"Choice {self.name!r} has no options. Give at least one."
            )
        if len(set(self.options)) != len(self.options):
            raise UserError(
                f"Choice {self.name!r} repeats an option: {self.options}. "
                "Give each one once."
            )

    def __len__(self) -> int:
        return len(self.options)

    def index(self, option: object) -> int:
        """Position of `option`; see `option_of`.

        Raises:
            UserError: The choice has no such option.
        """
        wanted = option_of(option)
        for position, known in enumerate(self.options):
            # A bool equals an int in Python; it is no option here.
            if known == wanted and not _has_bool(wanted):
                return position
        raise UserError(
            f"Choice {self.name!r} has no option {option!r}. "
            f"Its options are {self.options}."
        )


def option_of(value: Any) -> Any:
    """An option that JSON holds, which has lists instead of tuples."""
    return tuple(value) if isinstance(value, list) else value


def _has_bool(option: object) -> bool:
    parts = option if isinstance(option, tuple) else (option,)
    return any(isinstance(part, bool) for part in parts)
