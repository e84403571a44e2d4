"""What counting alone says of an architecture, besides what it costs.

A supernet has to rank better than these: they need no training.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from spos_tf.blocks.mobile import Projection
from spos_tf.networks.blueprint import Blueprint
from spos_tf.ops.protocol import passes_on

Count = Callable[[npt.ArrayLike], npt.NDArray[np.float64]]


def counts(blueprint: Blueprint) -> dict[str, Count]:
    """Counts of int32 `[n, num_choices]` encodings, `[n]`, by name.

    Returns:
        `blocks`, the number of blocks that are not skipped, of chains in which
        some can be; `log_widths`, the sum of the logarithms of all options
        that are numbers, of spaces with such.
    """
    found: dict[str, Count] = {}
    blocks = _blocks(blueprint)
    if blocks is not None:
        found["blocks"] = _summed(blocks)
    logs = _logs(blueprint)
    if logs.any():
        found["log_widths"] = _summed(logs)
    return found


def _summed(table: npt.NDArray[np.float64]) -> Count:
    """From a table `[num_choices, options]` to the sum over choices."""

    def count(encodings: npt.ArrayLike) -> npt.NDArray[np.float64]:
        rows = np.asarray(encodings)
        total: npt.NDArray[np.float64] = table[
            np.arange(rows.shape[-1]), rows
        ].sum(axis=-1)
        # Equal sums of logarithms are ties, whatever the order of adding.
        return np.round(total, 9)

    return count


def _blocks(blueprint: Blueprint) -> npt.NDArray[np.float64] | None:
    space = blueprint.search_space
    table = np.zeros((space.num_choices, space.num_options.max()))
    skips = False
    if not blueprint.is_chain:
        return None
    for segment, reads in zip(blueprint.segments, blueprint.reads, strict=True):
        if segment.choice is None:
            continue
        for option, block in enumerate(segment.branches):
            skipped = passes_on(block)
            # A projection stands for a skip where the shape changes.
            counted = not skipped and not isinstance(block, Projection)
            table[reads[0], option] += counted
            skips |= skipped
    return table if skips else None


def _logs(blueprint: Blueprint) -> npt.NDArray[np.float64]:
    space = blueprint.search_space
    table = np.zeros((space.num_choices, space.num_options.max()))
    for position, choice in enumerate(space.choices):
        for index, option in enumerate(choice.options):
            if isinstance(option, int | float) and option > 0:
                table[position, index] = math.log(option)
    return table
