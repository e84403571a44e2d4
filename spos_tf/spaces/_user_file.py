"""Search spaces of the user's own, in a Python file of theirs.

`path/to/file.py` or `path/to/file.py:space` names one. The file defines
`SPACES` and `PRESETS` as the modules beside this one do. Its code is run, so
only a file that the user names is loaded. An architecture or a checkpoint
names one too, but is data: it is met by the file that was loaded, and never
has one loaded.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.user_module import is_loaded, load_module, told


def is_in_file(name: str) -> bool:
    """Whether a space's name is one of a file.

    >>> is_in_file("a/my_space.py"), is_in_file("a/my_space.py:one")
    (True, True)
    >>> is_in_file("fbnet")
    False
    """
    return _parts(name)[0].endswith(".py")


def full_name(name: str, key: str) -> str:
    """`file.py:space`, from that or from `file.py` alone."""
    return f"{_parts(name)[0]}:{key}"


def may_be_same(stored: str, name: str) -> bool:
    """Whether `name` may be the space `stored` whose file has moved.

    >>> may_be_same("old/file.py:one", "new/file.py")
    True
    >>> may_be_same("old/file.py:one", "new/file.py:two")
    False
    """
    if not (is_in_file(stored) and is_in_file(name)):
        return False
    keys = _parts(stored)[1], _parts(name)[1]
    return keys[0] == keys[1] or "" in keys


def check_loaded(name: str) -> None:
    """Refuses a name that a file says, unless its own file was loaded.

    Raises:
        UserError: Nobody has named the file in this process.
    """
    path = _parts(name)[0]
    try:
        known = is_loaded(path)
    # No file can have such a name.
    except (OSError, ValueError, RuntimeError):
        known = False
    if not known:
        raise UserError(
            f"The search space is {name!r}, a Python file, and only files "
            "that you name yourself are run. If you trust it, pass "
            f"`search_space={name}`, with its new path if it has moved."
        )


def load_family(name: str) -> tuple[Any, str]:
    """Runs the file, once a process.

    Args:
        name: `file.py`, where it defines one space, or `file.py:space`.

    Returns:
        The module, and the space's key in its `SPACES`.

    Raises:
        UserError: There is no such file or space, the file fails, or it
            lacks `SPACES` or `PRESETS`.
    """
    path, key = _parts(name)
    module = load_module(
        path,
        "a search space",
        "If the file has moved, pass `search_space` with its new path.",
    )
    for attribute in ("SPACES", "PRESETS"):
        value = getattr(module, attribute, None)
        if not isinstance(value, Mapping) or not value:
            raise UserError(
                f"A file of search spaces defines {attribute}, a dict that is "
                f"not empty; {path!r} has {value!r}. See "
                "docs/custom_space.md."
            )
    names = [str(one) for one in module.SPACES]
    unfit = [one for one in names if not one.isidentifier()]
    if unfit:
        raise UserError(
            "Names of spaces are words of letters, digits and underscores; "
            f"{path!r} has {unfit[0]!r}. Rename it."
        )
    if not key and len(names) == 1:
        key = names[0]
    if key not in names:
        raise UserError(
            f"File {path!r} defines the search spaces {', '.join(names)}. "
            f"Name one of them, such as '{path}:{names[0]}'; got {name!r}."
        )
    try:
        inspect.signature(module.SPACES[key])
    except (TypeError, ValueError):
        raise UserError(
            f"SPACES of {path!r} holds functions that return a Blueprint; "
            f"{key!r} is {module.SPACES[key]!r}."
        ) from None
    return module, key


def build(
    name: str,
    key: str,
    factory: Callable[..., Any],
    arguments: Mapping[str, Any],
) -> Blueprint:
    """Calls a file's function, and sees that a blueprint comes of it.

    Args:
        name: As in `load_family`.
        key: Of the space in the file.
        factory: Its value in `SPACES`.
        arguments: The space's.

    Raises:
        UserError: The function fails or gives no blueprint.
    """
    path = _parts(name)[0]
    try:
        blueprint = factory(**arguments)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"Search space {key!r} of file {path!r} cannot be built: "
            f"{told(error, path)}."
        ) from None
    if not isinstance(blueprint, Blueprint):
        raise UserError(
            f"A search space is a function that returns a Blueprint; {key!r} "
            f"of file {path!r} returns {type(blueprint).__name__}."
        )
    space = dataclasses.replace(
        blueprint.search_space, name=full_name(name, key)
    )
    return dataclasses.replace(blueprint, search_space=space)


def _parts(name: str) -> tuple[str, str]:
    """Path and key; the key is empty where there is none."""
    path, colon, key = name.rpartition(":")
    return (path, key) if colon and path.endswith(".py") else (name, "")
