"""Choices that a run settles in advance, from flags."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from spos_tf.errors import UserError, said_of
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.space import Architecture
    from spos_tf.space.choice import Choice, Option

FLAGS = flags.FLAGS

# Flags that name files: what they come to stands in checkpoint and record.
FREE = ("fix_from",)


def define_pins() -> None:
    """--fix and --fix_from."""
    flags.DEFINE_multi_string(
        "fix",
        [],
        "Repeatable; settles a choice, for example 'stage1.block1.op=3x3'.",
    )
    flags.DEFINE_string(
        "fix_from",
        None,
        "Architecture file, for example a best.json: settles every choice "
        "that it settles; this space must have them.",
    )


def pinned(
    blueprint: "Blueprint", inherited: Mapping[str, Any] | None = None
) -> "tuple[Blueprint, dict[str, Option]]":
    """The blueprint with the flags' pins, and all pins of it.

    Args:
        blueprint: Of the whole space, or with `inherited` in it.
        inherited: Pins that the supernet was trained with.

    Raises:
        UserError: A pin is not legal, or contradicts another one.
    """
    space = blueprint.search_space
    pins: dict[str, Option] = {}
    sources: dict[str, str] = {}

    def add(name: str, option: "Option", source: str) -> None:
        if pins.setdefault(name, option) != option:
            raise UserError(
                f"Choice {name!r} is settled once: {sources[name]} says "
                f"{pins[name]!r}, {source} says {option!r}. Leave one out."
            )
        sources.setdefault(name, source)

    for name, option in (inherited or {}).items():
        add(name, _plain(option), "the supernet's training")
    for text in FLAGS.fix:
        name, option = _parse(text, space.choices)
        add(name, option, f"--fix={text}")
    if FLAGS.fix_from is not None:
        for name, option in _settled(blueprint, FLAGS.fix_from).items():
            add(name, option, f"--fix_from={FLAGS.fix_from}")
    if not pins:
        return blueprint, pins
    smaller = blueprint.pinned(pins)
    size = smaller.search_space.size
    logging.info(
        "%s of %s choices are settled, which leaves %s architectures.",
        len(pins),
        space.num_choices,
        f"{size:,}" if size < 10**9 else f"{size:.3g}",
    )
    return smaller, pins


def _plain(option: Any) -> "Option":
    return tuple(option) if isinstance(option, list) else option


def _parse(text: str, choices: "tuple[Choice, ...]") -> "tuple[str, Option]":
    """Reads `CHOICE=OPTION`; the option may be JSON: a number, a list."""
    name, equals, written = (part.strip() for part in text.partition("="))
    if not (name and equals and written):
        raise UserError(
            "A settled choice is CHOICE=OPTION such as "
            f"'stage1.block1.op=3x3'; got {text!r}."
        )
    by_name = {choice.name: choice for choice in choices}
    if name not in by_name:
        raise UserError(
            f"--fix={text} names choice {name!r}, which the space has not. "
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


def _settled(blueprint: "Blueprint", path: str) -> "dict[str, Option]":
    """The choices that an architecture file settles."""
    from spos_tf.space import Architecture

    architecture = Architecture.read(path)
    with said_of(path):
        return _choices_of(blueprint, architecture, path)


def _choices_of(
    blueprint: "Blueprint", architecture: "Architecture", path: str
) -> "dict[str, Option]":
    from spos_tf.networks.blueprint import plain_arguments

    space = blueprint.search_space
    choices = {choice.name: choice for choice in space.choices}
    theirs, ours = (
        plain_arguments(one.space_arguments)
        for one in (architecture, blueprint)
    )
    if theirs != ours:
        raise UserError(
            f"--fix_from takes an architecture of the same space arguments: "
            f"{path!r} has {theirs}, this run has {ours}. Use the same "
            "--preset, --image_size and --num_classes."
        )
    settled = {}
    for name, option in architecture.choices.items():
        choice = choices.get(name)
        if choice is None:
            raise UserError(
                f"--fix_from={path} settles choice {name!r}, which space "
                f"{space.name!r} has not. Give an architecture of this space "
                "or of one that is part of it."
            )
        settled[name] = choice.options[choice.index(option)]
    return settled
