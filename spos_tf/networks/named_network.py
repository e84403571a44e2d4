"""A network with a name of its own: one encoding of one space."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class NamedNetwork(NamedTuple):
    """A published network, to be trained and exported as a baseline.

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
