"""Flags made of the fields of options, and options made of flags."""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from absl import flags

from spos_tf.errors import UserError
from spos_tf.options import Option, Options
from spos_tf.strict_json import parse_json

Kind = TypeVar("Kind", bound=Options)

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def define(kinds: Iterable[type[Options]], values: flags.FlagValues) -> None:
    """Defines a flag for every option; one that two classes share once.

    Args:
        kinds: Classes of options.
        values: Where the flags are defined.
    """
    for one in described(kinds):
        _define(one, values)


def described(kinds: Iterable[type[Options]]) -> list[Option]:
    """The options of some classes, each name once."""
    named: dict[str, Option] = {}
    for kind in kinds:
        for one in kind.described():
            named.setdefault(one.name, one)
    return list(named.values())


def _define(one: Option, values: flags.FlagValues) -> None:
    about, text = one.about, one.full_help()
    module = {"flag_values": values, "module_name": "spos_tf"}
    if one.choices:
        flags.DEFINE_enum(one.name, one.default, one.choices, text, **module)
    elif one.kind is bool:
        flags.DEFINE_bool(one.name, one.default, text, **module)
    elif one.kind is int:
        flags.DEFINE_integer(one.name, one.default, text, **module)
    elif one.kind is float:
        flags.DEFINE_float(one.name, one.default, text, **module)
    elif one.kind is tuple and about.repeated:
        flags.DEFINE_multi_string(one.name, [*one.default], text, **module)
    elif one.kind is tuple:
        default = None if one.default is None else [*one.default]
        flags.DEFINE_list(one.name, default, text, **module)
    else:
        flags.DEFINE_string(one.name, one.default, text, **module)


def parsed(kind: type[Kind], values: flags.FlagValues, **changes: Any) -> Kind:
    """The options of a class as the flags say them.

    Args:
        kind: The class.
        values: Parsed flags.
        **changes: Values that replace what the flags say.

    Raises:
        UserError: A value is out of its range, or two contradict each other.
    """
    given = {
        one.name: _value(one, values[one.name].value)
        for one in kind.described()
    }
    return kind(**{**given, **changes})


def _value(one: Option, value: Any) -> Any:
    if value is None or one.kind is not dict:
        return tuple(value) if isinstance(value, list) else value
    try:
        read = parse_json(value)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise UserError(f"`{one.name}` is a JSON object; got {value!r}.")
    return read


def as_flags(message: str, names: Iterable[str]) -> str:
    """A message of the library, with its parameters written as flags.

    >>> as_flags("`steps` is at least 1; got `steps=0`.", ["steps"])
    '--steps is at least 1; got --steps=0.'
    """
    known = set(names)

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2] or ""
        if name not in known:
            return match[0]
        if value == "=true":
            return f"--{name}"
        return f"--no{name}" if value == "=false" else f"--{name}{value}"

    return re.sub(r"`([a-z_0-9]+)(=[^`]*)?`", flag, message)


def arguments(
    typed: Sequence[str], values: flags.FlagValues
) -> tuple[list[str], list[str]]:
    """What flag files say, and what was typed.

    What was typed wins wherever it stands, also over a flag that repeats.

    Args:
        typed: The command line without the program's name.
        values: Says which flags there are.

    Returns:
        Arguments of the flag files without the flags that were typed, and
        the others.

    Raises:
        UserError: There is no such flag file.
    """
    files, rest = [], []
    pending = iter(typed)
    for text in pending:
        if text in ("-flagfile", "--flagfile"):
            files.append(f"--flagfile={_found(next(pending, ''))}")
        elif re.match(r"--?flagfile=", text):
            files.append(f"--flagfile={_found(text.partition('=')[2])}")
        else:
            rest.append(text)
    typed_names = {flag_name(text, values) for text in rest}
    lines = values.read_flags_from_files(["program", *files])[1:]
    kept = [one for one in lines if flag_name(one, values) not in typed_names]
    return kept, rest


def flag_name(text: str, values: flags.FlagValues) -> str:
    """The name of `--batch_size=8`, `--deterministic`, `--nodeterministic`."""
    if not text.startswith("-"):
        return ""
    name = text.lstrip("-").partition("=")[0]
    return name if name in values else name.removeprefix("no")


def _found(name: str) -> str:
    """A flag file, or the one of that name which the package comes with."""
    path = pathlib.Path(name)
    if path.exists() or path.is_absolute() or ".." in path.parts:
        return name
    if path.parts[:1] == ("saved_configs",) and (_PACKAGE / path).is_file():
        return str(_PACKAGE / path)
    return name
