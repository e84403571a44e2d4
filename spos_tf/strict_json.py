"""JSON read so that it says one thing, and something that can be said again.

Python's reader lets through what is no JSON (NaN), what says two things (a key
that stands twice) and what cannot be counted or printed later (numbers without
end, half characters). From a damaged or hostile file that would be a wrong
answer or a traceback somewhere else.
"""

import json
import math
import sys
from typing import Any, TypeGuard

# Beyond these a number is no count of anything here, and no int64.
_END = 2**63


def parse_json(text: str | bytes, *, half_characters: bool = False) -> Any:
    """Parses a text in UTF-8.

    Args:
        text: The whole of it.
        half_characters: Whether texts may hold lone surrogates, which cannot
            be printed; for readers that only show what there is.

    Raises:
        ValueError: It is not JSON, or says something twice, not finite or
            without end; the message says what.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # An escape is the one way to half a character.
    if "\\u" in text and not half_characters:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("a text holds half a character") from None
    return value


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of JSON is a finite number; true and false are none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # `math.isfinite` cannot take a whole number beyond floats.
    return abs(value) <= sys.float_info.max


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} stands twice")
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:60]} is beyond all bounds")
    return value


def _int(text: str) -> int:
    # A long text would take Python long to turn into a number.
    if len(text) > len(str(-_END)) or not -_END <= int(text) < _END:
        raise ValueError(f"the whole number {text[:60]} has over 64 bits")
    return int(text)
