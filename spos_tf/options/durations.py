"""Durations as people write them."""

import re

from spos_tf.errors import UserError

_PARTS = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?"
)
_SECONDS = (3600.0, 60.0, 1.0)


def seconds_of(text: str, name: str) -> float:
    """The seconds of a duration.

    Args:
        text: Such as `"90s"`, `"30m"`, `"1.5h"` or `"1h30m"`; a bare number
            is of seconds.
        name: Of the option, for messages.

    Raises:
        UserError: It is none, or not above 0.

    >>> seconds_of("1h30m", "time_limit"), seconds_of("90", "time_limit")
    (5400.0, 90.0)
    """
    found = _PARTS.fullmatch(text.strip())
    numbers = found.groups() if found else ()
    total = sum(
        float(number) * seconds
        for number, seconds in zip(numbers, _SECONDS, strict=False)
        if number is not None
    )
    if not total:
        raise UserError(
            f"`{name}` is a duration above 0, such as 90s, 30m or 1h30m; got "
            f"{text!r}."
        )
    return total
