"""Reads files of a work_dir and collects what could not be read."""

import base64
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from spos_tf.strict_json import is_number, parse_json

_PNG = b"\x89PNG\r\n\x1a\n"


class Fields:
    """A JSON object, read field by field.

    A field that is missing or null is None (or empty); one of another type
    too, and then `problems` says so.

    Args:
        values: The object.
        file: Whose it is, for `problems`.
        problems: Gets a line for every field of a wrong type.
    """

    def __init__(
        self, values: Mapping[str, Any], file: str, problems: list[str]
    ) -> None:
        self.values = values
        self._file = file
        self._problems = problems

    def __bool__(self) -> bool:
        return bool(self.values)

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def number(self, name: str) -> int | float | None:
        """A finite number."""
        return self._get(name, is_number, "a number")

    def text(self, name: str) -> str | None:
        """A string."""
        return self._get(name, lambda value: isinstance(value, str), "a text")

    def fields(self, name: str) -> "Fields":
        """An object, empty if it is missing."""
        value = self._get(name, lambda v: isinstance(v, dict), "an object")
        return Fields(value or {}, self._file, self._problems)

    def values_of(self, name: str) -> list[Any]:
        """A list, empty if it is missing."""
        return self._get(name, lambda v: isinstance(v, list), "a list") or []

    def rows(self, name: str) -> list["Fields"]:
        """A list of objects; what is no object is left out."""
        return objects(self.values_of(name), self._file, self._problems)

    def texts(self, name: str) -> list[str]:
        """A list of texts; nothing if one of them is none."""
        found = self._get(
            name,
            lambda value: (
                isinstance(value, list)
                and all(isinstance(one, str) for one in value)
            ),
            "a list of texts",
        )
        return list(found or [])

    def numbers(self, name: str) -> dict[str, int | float]:
        """An object of numbers."""
        inner = self.fields(name)
        found = {key: inner.number(key) for key in inner}
        return {key: v for key, v in found.items() if v is not None}

    def _get(
        self, name: str, is_right: Callable[[Any], bool], kind: str
    ) -> Any:
        value = self.values.get(name)
        if value is None:
            return None
        if not is_right(value):
            self._problems.append(
                f"{self._file}: {name!r} could not be read: it is "
                f"{shortened(value)}, not {kind}."
            )
            return None
        return value


def shortened(value: object) -> str:
    """A value for a message, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def objects(values: list[Any], file: str, problems: list[str]) -> list[Fields]:
    """The objects of a list; `problems` says how many entries are none."""
    found = [
        Fields(value, file, problems)
        for value in values
        if isinstance(value, dict)
    ]
    if len(found) < len(values):
        problems.append(
            f"{file}: {len(values) - len(found)} of {len(values)} entries "
            "could not be read: they are no objects."
        )
    return found


def read_bytes(path: pathlib.Path, problems: list[str]) -> bytes | None:
    """The bytes of a file; None if it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        problems.append(
            f"{path.name} could not be read: {error.strerror or error}."
        )
        return None


def read_json(path: pathlib.Path, problems: list[str]) -> Any:
    """A JSON file's value; None if it is not there or cannot be read."""
    data = read_bytes(path, problems)
    if data is None:
        return None
    try:
        # What is half a character is shown as a question mark.
        return parse_json(data, half_characters=True)
    except ValueError as error:
        problems.append(
            f"{path.name} could not be read: it is no JSON ({error})."
        )
        return None


def read_object(path: pathlib.Path, problems: list[str]) -> Fields:
    """A JSON file's object, empty if there is none."""
    value = read_json(path, problems)
    if value is not None and not isinstance(value, dict):
        problems.append(
            f"{path.name} could not be read: it holds {shortened(value)}, not "
            "an object."
        )
        value = None
    return Fields(value or {}, path.name, problems)


def png_uri(path: pathlib.Path, problems: list[str]) -> str | None:
    """A PNG file as a data URI."""
    data = read_bytes(path, problems)
    if data is None:
        return None
    if not data.startswith(_PNG):
        problems.append(f"{path.name} could not be read: it is no PNG.")
        return None
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
