"""Finds the search spaces that the modules beside this one define."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.space import Architecture
from spos_tf.space.search_space import parse_encoding
from spos_tf.spaces import _user_file


class NamedNetwork(NamedTuple):
    """A published network: one encoding of one space, a baseline to train.

    Attributes:
        search_space: Name of the space that it is part of.
        encoding: In that space; None for the only network that a space has
            with these arguments.
        arguments: Of the space, where they differ from its published size's.
        always: Arguments of the space at every size.
    """

    search_space: str
    encoding: tuple[int, ...] | None
    arguments: Mapping[str, Any] = {}
    always: Mapping[str, Any] = {}


@functools.cache
def _modules() -> tuple[Any, ...]:
    package = importlib.import_module("spos_tf.spaces")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
    return tuple(
        importlib.import_module(f"spos_tf.spaces.{name}")
        for name in names
        if not name.startswith("_")
    )


@functools.cache
def _families() -> dict[str, Any]:
    return {name: module for module in _modules() for name in module.SPACES}


@functools.cache
def _networks() -> dict[str, NamedNetwork]:
    return {
        name: network
        for module in _modules()
        for name, network in getattr(module, "NETWORKS", {}).items()
    }


def space_names() -> tuple[str, ...]:
    """Names of all registered spaces, sorted; not those of users' files."""
    return tuple(sorted(_families()))


def network_names() -> tuple[str, ...]:
    """Names of all published networks, sorted."""
    return tuple(sorted(_networks()))


def _family(name: str) -> tuple[Any, str]:
    """The module of a space, and its name there."""
    if _user_file.is_in_file(name):
        return _user_file.load_family(name)
    if name not in _families():
        raise UserError(
            f"Unknown search space {name!r}. "
            f"The spaces are: {', '.join(space_names())}; one of your own is "
            "path/to/file.py."
        )
    return _families()[name], name


def preset_names(name: str) -> tuple[str, ...]:
    """Presets that a space has; the first is the paper's network.

    Raises:
        UserError: No such space.
    """
    return tuple(_family(name)[0].PRESETS)


def build_blueprint(name: str, /, **arguments: Any) -> Blueprint:
    """Makes the blueprint of a space.

    Args:
        name: Name of a space, as `spos describe --list` prints it; or
            `path/to/file.py`, a file that defines a space, or
            `path/to/file.py:space` where it defines several. The file's code
            is run, so name only files that you trust.
        **arguments: The space's arguments; None stands for the default.

    Returns:
        The blueprint; for a space of a file, the space's name is
        `path/to/file.py:space` with the path as given.

    Raises:
        UserError: No such space, preset or argument, or a value out of range.

    Example:
        >>> import spos_tf
        >>> blueprint = spos_tf.build_blueprint(
        ...     "shufflenet_blocks", preset="cifar", num_classes=5)
        >>> blueprint.image_size, blueprint.search_space.num_choices
        (32, 20)
    """
    family, key = _family(name)
    factory: Callable[..., Blueprint] = family.SPACES[key]
    given = {
        key: value for key, value in arguments.items() if value is not None
    }
    known = inspect.signature(factory).parameters
    # One that takes any says itself which it knows.
    kinds = {parameter.kind for parameter in known.values()}
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds
    for argument in given:
        if not takes_any and argument not in known:
            raise UserError(
                f"Space {name!r} has no argument {argument!r}. "
                f"Its arguments are: {', '.join(known)}."
            )
    preset = given.get("preset")
    if preset is not None and (
        not isinstance(preset, str) or preset not in family.PRESETS
    ):
        raise UserError(
            f"Space {name!r} has no preset {preset!r}. "
            f"Its presets are: {', '.join(family.PRESETS)}."
        )
    if _user_file.is_in_file(name):
        return _user_file.build(name, key, factory, given)
    return factory(**given)


def named_network(
    name: str, **arguments: Any
) -> tuple[Blueprint, npt.NDArray[np.int32]]:
    """A published network: its space and its encoding there.

    Args:
        name: One of `network_names()`.
        **arguments: Of its space; they replace the network's own. None stands
            for what the network has. Another preset than the published one
            replaces all of them.

    Raises:
        UserError: No such network, an argument that its space refuses, or one
            with which the space has other choices than the network.
    """
    if name not in _networks():
        raise UserError(
            f"Unknown network {name!r}. "
            f"The networks are: {', '.join(network_names())}."
        )
    network = _networks()[name]
    given = {
        key: value for key, value in arguments.items() if value is not None
    }
    published = preset_names(network.search_space)[0]
    if given.get("preset", published) == published:
        # Widths of the published size: another preset has its own.
        given = {**network.arguments, **given}
    given = {**network.always, **given}
    blueprint = build_blueprint(network.search_space, **given)
    space = blueprint.search_space
    if network.encoding is None:
        return _only_network(blueprint)
    if space.num_choices != len(network.encoding):
        raise UserError(
            f"Network {name!r} has {len(network.encoding)} blocks to choose; "
            f"with {given} its space has {space.num_choices}. Leave the "
            "arguments out that change the number of blocks."
        )
    return blueprint, space.check(network.encoding)


def uniform_network(
    name: str, bits: int, **arguments: Any
) -> tuple[Blueprint, npt.NDArray[np.int32]]:
    """The baseline with the same bits everywhere, at full width (kWkA).

    Args:
        name: Of a space of bits.
        bits: Of weights and of features.
        **arguments: Of the space.

    Raises:
        UserError: The space has no bits to choose, or these are out of range.
    """
    family, _ = _family(name)
    if not hasattr(family, "uniform"):
        raise UserError(
            "Uniform bits are for spaces with bits, such as resnet18_bits; "
            f"{name!r} has none. Choose such a space."
        )
    settled = {**arguments, **family.uniform(bits)}
    return _only_network(build_blueprint(name, **settled))


def _only_network(
    blueprint: Blueprint,
) -> tuple[Blueprint, npt.NDArray[np.int32]]:
    first = blueprint.search_space.legal_table[:, 0]
    return blueprint, blueprint.search_space.check(first)


def stored_blueprint(name: str, arguments: Mapping[str, Any]) -> Blueprint:
    """The blueprint that a file names, which has no code run.

    Args:
        name: Of the space, as an architecture file or a checkpoint says it.
            One of a user's file is met only if `build_blueprint` has loaded
            that file in this process, for a name that the user gave.
        arguments: The space's.

    Raises:
        UserError: Space or arguments are unknown here, or nobody named the
            space's file.
    """
    if _user_file.is_in_file(name):
        _user_file.check_loaded(name)
    return build_blueprint(name, **arguments)


def blueprint_of(architecture: Architecture) -> Blueprint:
    """The blueprint that an architecture file names; see `stored_blueprint`."""
    return stored_blueprint(
        architecture.search_space, architecture.space_arguments
    )


def parse_architecture(name: str, text: str) -> npt.NDArray[np.int32]:
    """Reads an architecture as benchmarks and command lines write it.

    Args:
        name: Of the space.
        text: The family's own form, such as NAS-Bench-201's strings, or
            comma-separated option indexes where it has none.

    Returns:
        int32 `[num_choices]`; whether its options are legal is for
        `SearchSpace.check` to say.

    Raises:
        UserError: No such space, or the text is not of that form.
    """
    read = getattr(_family(name)[0], "parse_arch_string", parse_encoding)
    encoding: npt.NDArray[np.int32] = read(text)
    return encoding


def at_its_place(stored: str, asked: str) -> str:
    """The name of a stored space, with its file where it lies now.

    Args:
        stored: Name of a space as a file has it.
        asked: Name of a space as a flag has it.

    Returns:
        `asked`, in full, if both are spaces of a file and may be the same;
        otherwise `stored`.

    Raises:
        UserError: There is no such file or space.
    """
    if not _user_file.may_be_same(stored, asked):
        return stored
    _, key = _family(asked)
    full = _user_file.full_name(asked, key)
    return full if _user_file.may_be_same(stored, full) else stored
