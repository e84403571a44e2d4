"""Choices that a run fixes in advance."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from spos_tf.errors import UserError, said_of
from spos_tf.jobs.notes import tell
from spos_tf.networks.blueprint import Blueprint, plain_arguments
from spos_tf.options import PinOptions
from spos_tf.space import Architecture
from spos_tf.space.choice import Choice, Option, option_of
from spos_tf.strict_json import parse_json


def pin_options(
    fix: Sequence[str] | Mapping[str, Any],
    fix_from: str | os.PathLike[str] | None,
) -> PinOptions:
    """What a job is given to fix, as options.

    Args:
        fix: `["stage1.block1.op=3x3"]`, or `{"stage1.block1.op": "3x3"}`.
        fix_from: Architecture file.
    """
    if isinstance(fix, Mapping):
        texts = {
            name: option if isinstance(option, str) else json.dumps(option)
            for name, option in fix.items()
        }
        fix = [f"{name}={text}" for name, text in texts.items()]
    return PinOptions(
        fix=tuple(fix),
        fix_from=None if fix_from is None else os.fspath(fix_from),
    )


def pinned(
    blueprint: Blueprint,
    options: PinOptions,
    inherited: Mapping[str, Any] | None = None,
) -> tuple[Blueprint, dict[str, Option]]:
    """The blueprint with the options' pins, and all pins of it.

    Args:
        blueprint: Of the whole space, or with `inherited` in it.
        options: What is fixed.
        inherited: Pins that the supernet was trained with.

    Raises:
        UserError: A pin is not legal, or contradicts another one.
    """
    space = blueprint.search_space
    pins: dict[str, Option] = {}
    sources: dict[str, str] = {}

    def add(name: str, option: Option, source: str) -> None:
        if pins.setdefault(name, option) != option:
            raise UserError(
                f"Choice {name!r} is fixed once: {sources[name]} says "
                f"{pins[name]!r}, {source} says {option!r}. Leave one out."
            )
        sources.setdefault(name, source)

    for name, option in (inherited or {}).items():
        add(name, option_of(option), "the supernet's training")
    for text in options.fix:
        name, option = _parse(text, space.choices)
        add(name, option, f"`fix={text}`")
    if options.fix_from is not None:
        for name, option in _fixed_by(blueprint, options.fix_from).items():
            add(name, option, f"`fix_from={options.fix_from}`")
    if not pins:
        return blueprint, pins
    smaller = blueprint.pinned(pins)
    size = smaller.search_space.size
    tell(
        f"{len(pins)} of {space.num_choices} choices are fixed, which leaves "
        f"{f'{size:,}' if size < 10**9 else f'{size:.3g}'} architectures."
    )
    return smaller, pins


def _parse(text: str, choices: tuple[Choice, ...]) -> tuple[str, Option]:
    """Reads `CHOICE=OPTION`; the option may be JSON: a number, a list."""
    name, equals, written = (part.strip() for part in text.partition("="))
    if not (name and equals and written):
        raise UserError(
            "A fixed choice is CHOICE=OPTION such as "
            f"'stage1.block1.op=3x3'; got {text!r}."
        )
    by_name = {choice.name: choice for choice in choices}
    if name not in by_name:
        raise UserError(
            f"`fix={text}` names choice {name!r}, which this space "
            "does not have. "
            f"Its choices are: {', '.join(by_name)}."
        )
    choice = by_name[name]
    for option in choice.options:
        if str(option) == written:
            return name, option
    try:
        value = parse_json(written)
    except ValueError:
        value = written
    return name, choice.options[choice.index(value)]


def _fixed_by(blueprint: Blueprint, path: str) -> dict[str, Option]:
    """The choices that an architecture file fixes."""
    architecture = Architecture.read(path)
    space = blueprint.search_space
    choices = {choice.name: choice for choice in space.choices}
    theirs, ours = (
        plain_arguments(one.space_arguments)
        for one in (architecture, blueprint)
    )
    if theirs != ours:
        raise UserError(
            f"`fix_from` takes an architecture of the same space arguments: "
            f"{path!r} has {theirs}, this run has {ours}. Use the same "
            "preset, image size and number of classes."
        )
    settled = {}
    for name, option in architecture.choices.items():
        choice = choices.get(name)
        if choice is None:
            raise UserError(
                f"`fix_from={path}` fixes choice {name!r}, which space "
                f"{space.name!r} does not have. Give an architecture of this "
                "space or of one that is part of it."
            )
        with said_of(path):
            settled[name] = choice.options[choice.index(option)]
    return settled
