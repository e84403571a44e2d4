"""Finds the search spaces that the modules beside this one define."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.space import Architecture


@functools.cache
def _families() -> dict[str, Any]:
    package = importlib.import_module("spos_tf.spaces")
    families: dict[str, Any] = {}
    for module in sorted(
        m.name for m in pkgutil.iter_modules(package.__path__)
    ):
        if module == "registry":
            continue
        family = importlib.import_module(f"spos_tf.spaces.{module}")
        families.update(dict.fromkeys(family.SPACES, family))
    return families


def space_names() -> tuple[str, ...]:
    """Names of all registered spaces, sorted."""
    return tuple(sorted(_families()))


def _family(name: str) -> Any:
    if name not in _families():
        raise UserError(
            f"Unknown search space {name!r}. "
            f"The spaces are: {', '.join(space_names())}."
        )
    return _families()[name]


def preset_names(name: str) -> tuple[str, ...]:
    """Presets that a space has; the first is the paper's network.

    Raises:
        UserError: No such space.
    """
    return tuple(_family(name).PRESETS)


def build_blueprint(name: str, **arguments: Any) -> Blueprint:
    """Makes the blueprint of a space.

    Args:
        name: One of `space_names()`.
        **arguments: The space's arguments; None stands for the default.

    Raises:
        UserError: No such space, preset or argument, or a value out of range.
    """
    factory: Callable[..., Blueprint] = _family(name).SPACES[name]
    given = {
        key: value for key, value in arguments.items() if value is not None
    }
    known = inspect.signature(factory).parameters
    for key in given:
        if key not in known:
            raise UserError(
                f"Space {name!r} has no argument {key!r}. "
                f"Its arguments are: {', '.join(known)}."
            )
    preset = given.get("preset")
    if preset is not None and preset not in preset_names(name):
        raise UserError(
            f"Space {name!r} has no preset {preset!r}. "
            f"Its presets are: {', '.join(preset_names(name))}."
        )
    return factory(**given)


def blueprint_of(architecture: Architecture) -> Blueprint:
    """The blueprint that an architecture file names.

    Raises:
        UserError: Space or arguments are unknown here.
    """
    arguments: Mapping[str, Any] = architecture.space_arguments
    return build_blueprint(architecture.search_space, **arguments)
