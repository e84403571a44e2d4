"""One network of a search space, as people and files see it."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from spos_tf.errors import UserError
from spos_tf.space.choice import Option, option_of
from spos_tf.strict_json import parse_json

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network named by its space, the space's arguments and its choices.

    Args:
        search_space: Name of the space.
        space_arguments: What differs from the paper's network (preset, image
            size, classes, widths); JSON values.
        choices: `{choice name: option}`; see `SearchSpace.decode`.

    Example:
        >>> found = Architecture("toy", {}, {"stage1.block1.op": "3x3"})
        >>> found.to_dict()["choices"]
        {'stage1.block1.op': '3x3'}
    """

    search_space: str
    space_arguments: Mapping[str, Any]
    choices: Mapping[str, Option]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of an architecture file, schema 1."""
        return {
            "schema": SCHEMA,
            "search_space": self.search_space,
            "space_arguments": dict(self.space_arguments),
            "choices": dict(self.choices),
        }

    def to_json(self) -> str:
        """An architecture file's text, keys sorted."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_dict(cls, data: object, *, source: str) -> "Architecture":
        """Reads the object of an architecture file or of `best.json`.

        Args:
            data: Parsed JSON.
            source: Where it came from, for the message.

        Raises:
            UserError: Not an object, another schema, or a field is missing or
                of another type.
        """
        if not isinstance(data, dict):
            raise UserError(
                f"An architecture file holds a JSON object; {source} holds "
                f"{type(data).__name__}. Name another file."
            )
        if data.get("schema") != SCHEMA:
            raise UserError(
                f"This version reads architecture schema {SCHEMA}; {source} "
                f"has schema {data.get('schema')!r}. Name another file."
            )
        fields: dict[str, tuple[type, str]] = {
            "search_space": (str, "a string"),
            "space_arguments": (dict, "an object"),
            "choices": (dict, "an object"),
        }
        for field, (kind, word) in fields.items():
            if not isinstance(data.get(field), kind):
                raise UserError(
                    f"{field!r} of an architecture file is {word}; {source} "
                    f"has {data.get(field)!r}."
                )
        return cls(
            data["search_space"],
            data["space_arguments"],
            {name: option_of(one) for name, one in data["choices"].items()},
        )

    @classmethod
    def read(cls, path: str | pathlib.Path) -> "Architecture":
        """Reads an architecture file; `best.json` is one too.

        Raises:
            UserError: The file is missing or not readable as one.
        """
        try:
            data = parse_json(pathlib.Path(path).read_bytes())
        except FileNotFoundError:
            raise UserError(
                f"There is no architecture file {str(path)!r}. A search "
                "writes one as its best.json: run search first, or name "
                "another file."
            ) from None
        except OSError as error:
            raise UserError(
                f"Cannot read architecture file {str(path)!r}: "
                f"{error.strerror}. Name another file."
            ) from None
        except ValueError as error:
            raise UserError(
                f"An architecture file is JSON; {str(path)!r} is not: "
                f"{error}. Restore it, or name another file."
            ) from None
        return cls.from_dict(data, source=repr(str(path)))
