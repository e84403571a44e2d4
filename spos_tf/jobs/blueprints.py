"""Blueprints that files name, and blueprints that were built in Python."""

import os
from collections.abc import Mapping
from typing import Any

from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint, plain_arguments
from spos_tf.options import Options, RunOptions, SpaceOptions, ThreadOptions
from spos_tf.spaces import (
    at_its_place,
    build_blueprint,
    space_names,
    stored_blueprint,
)
from spos_tf.spaces._user_file import is_in_file


def can_be_built(name: str) -> bool:
    """Whether a space's name is enough to build its blueprint again."""
    return name in space_names() or is_in_file(name)


def check_registered(blueprint: Blueprint) -> None:
    """Refuses a blueprint that has the name of another, registered one.

    Files name a blueprint by its space and the space's arguments, so that two
    of the same name could be taken for each other.

    Raises:
        UserError: The registry builds something else by that name.
    """
    name = blueprint.search_space.name
    if name not in space_names():
        return
    known = build_blueprint(name, **blueprint.space_arguments)
    same = (
        known.segments == blueprint.segments
        and known.search_space.choices == blueprint.search_space.choices
        and known.input_shape == blueprint.input_shape
        and known.num_classes == blueprint.num_classes
    )
    if not same:
        raise UserError(
            f"The blueprint is called {name!r} like a search space of this "
            "package, and differs from it. Give its SearchSpace a name of "
            "its own."
        )


def found_blueprint(
    name: str,
    arguments: Mapping[str, Any],
    given: Blueprint | None,
    asked: str | None = None,
) -> Blueprint:
    """The blueprint that a checkpoint or an architecture file is of.

    Args:
        name: Of the search space, as the file has it.
        arguments: The space's, likewise.
        given: The blueprint that the caller has; needed where no registry
            knows the name.
        asked: Name of a search space that the caller has: a Python file of
            the user's that has moved is found by it.

    Raises:
        UserError: The blueprint is unknown here, or the given one differs.
    """
    if given is None:
        if not can_be_built(name):
            raise UserError(
                f"Search space {name!r} was built in Python, so it cannot be "
                "found by its name. Build it again and give it as `blueprint`."
            )
        if asked is not None:
            name = at_its_place(name, asked)
        return stored_blueprint(name, arguments)
    check_registered(given)
    own = given.search_space.name
    if is_in_file(own):
        name = at_its_place(name, own)
    theirs, ours = (
        plain_arguments(arguments),
        plain_arguments(given.space_arguments),
    )
    if (name, theirs) != (own, ours):
        raise UserError(
            f"The stored blueprint is of space {name!r} with {theirs}; the "
            f"given one is of {own!r} with {ours}. Give the same `blueprint`, "
            "or name another run."
        )
    return given


def place_options(
    work_dir: str | os.PathLike[str],
    name: str,
    blueprint: Blueprint,
    threads: int | None,
) -> tuple[Options, ...]:
    """What `run.json` says besides a job's own options."""
    return (
        RunOptions(work_dir=os.fspath(work_dir), name=name),
        ThreadOptions(threads=threads),
        SpaceOptions(
            search_space=blueprint.search_space.name,
            space_arguments=plain_arguments(blueprint.space_arguments),
        ),
    )
