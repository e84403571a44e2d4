"""Choices that several blocks share, as the cells of NAS-Bench-201 do."""

import dataclasses

import numpy as np
import numpy.typing as npt

from spos_tf.blocks.cell import Zero
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.space import Choice, SearchSpace

# Terms of a sum: (index of the choice, index of the option that is zero).
Connection = tuple[tuple[int, int], ...]


def untied(blueprint: Blueprint) -> Blueprint:
    """The same weights with a choice of its own for every segment.

    Where segments share a choice, a supernet may be trained with one each and
    searched with the shared one. A choice is named after its segment.

    Args:
        blueprint: With shared choices.

    Raises:
        UserError: No two segments share a choice.
    """
    space = blueprint.search_space
    shared = [one for one in blueprint.segments if one.choice is not None]
    elastic = any(segment.elastic for segment in blueprint.segments)
    if elastic or len(shared) == space.num_choices:
        raise UserError(
            f"No two blocks of space {space.name!r} share a choice, so there "
            "is nothing to untie. Leave `untied` out."
        )
    positions = _positions(blueprint)
    choices = tuple(
        Choice(segment.name, space.choices[position].options)
        for segment, position in zip(shared, positions, strict=True)
    )
    legal = tuple(space.legal_options[position] for position in positions)
    return dataclasses.replace(
        blueprint,
        search_space=SearchSpace(
            space.name, choices, None if space.legal is None else legal
        ),
        segments=tuple(
            segment
            if segment.choice is None
            else dataclasses.replace(segment, choice=segment.name)
            for segment in blueprint.segments
        ),
    )


def untied_encoding(
    blueprint: Blueprint, encoding: npt.ArrayLike
) -> npt.NDArray[np.int32]:
    """The encoding in `untied(blueprint)` of a network of `blueprint`.

    Args:
        blueprint: With shared choices.
        encoding: int32 `[num_choices]`.

    Raises:
        UserError: It is not one of the space.
    """
    return blueprint.search_space.check(encoding)[_positions(blueprint)]


def _positions(blueprint: Blueprint) -> list[int]:
    return [reads[0] for reads in blueprint.reads if reads]


def connections(blueprint: Blueprint) -> tuple[Connection, ...]:
    """Sums of which something should be left: the nodes of cells.

    Returns:
        For each the choices of its terms, and the option with which a term
        is zero. Sums that have a term without such an option are left out.
    """
    found: dict[Connection, None] = {}
    for taken in blueprint.sources:
        terms = []
        for source in taken:
            segment = blueprint.segments[source]
            zeros = [
                option
                for option, block in enumerate(segment.branches)
                if isinstance(block, Zero)
            ]
            if segment.choice is not None and zeros:
                terms.append((blueprint.reads[source][0], zeros[0]))
        if terms and len(terms) == len(taken):
            found[tuple(terms)] = None
    return tuple(found)
