"""A network, or a whole space, in numbers: what `describe` prints."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from spos_tf.cost.counts import network_cost, segment_costs
from spos_tf.cost.table import cost_names, cost_table, short_names
from spos_tf.networks.blueprint import Blueprint, plain_arguments

# Random networks whose median is told.
_SAMPLE = 10_000


def describe(
    blueprint: Blueprint, encoding: npt.ArrayLike | None = None
) -> dict[str, Any]:
    """Describes one network of a space, or the space without an encoding.

    Args:
        blueprint: The description.
        encoding: int32 `[num_choices]`.

    Returns:
        The JSON object of `spos describe --format=json`; see
        `docs/contracts.md`. `slots` are the parts with a choice; totals count
        the fixed parts (stem, head) too.

    Raises:
        UserError: The encoding is not one of this space.
    """
    space = blueprint.search_space
    result: dict[str, Any] = {
        "search_space": space.name,
        "space_arguments": plain_arguments(blueprint.space_arguments),
        "num_choices": space.num_choices,
        "size_log10": math.log10(space.size),
        "encoding": None,
        "architecture": None,
        "macs": None,
        "params": None,
        "params_without_bn": None,
        "bit_ops": None,
        "ranges": None,
        "slots": _slots(blueprint, encoding),
    }
    if encoding is None:
        result["ranges"] = cost_ranges(blueprint)
    else:
        cost = network_cost(blueprint, encoding)
        architecture = blueprint.architecture(encoding).to_dict()
        architecture["space_arguments"] = result["space_arguments"]
        checked = space.check(encoding).tolist()
        # Where nothing can be chosen there is nothing to encode: a baseline.
        result["encoding"] = checked if space.has_choices else None
        result["architecture"] = architecture
        result["macs"] = cost.macs
        result["params"] = cost.params
        result["params_without_bn"] = cost.params_without_bn
        result["bit_ops"] = cost.bit_ops
        for name in blueprint.further_costs:
            result[name] = getattr(cost, name)
    return result


def cost_ranges(blueprint: Blueprint) -> dict[str, dict[str, int | float]]:
    """What the networks of a space cost: the ground to choose a limit on.

    Args:
        blueprint: The description.

    Returns:
        By the cost's name `{"least", "median", "most"}`: exact ends, and the
        median of random networks.
    """
    rng = np.random.default_rng(0)
    sample = blueprint.search_space.sample(rng, _SAMPLE)
    ranges = {}
    for name in cost_names(blueprint):
        table = cost_table(blueprint, name)
        # The lower one of an even number: a cost that a network has.
        middle = np.sort(table(sample))[(_SAMPLE - 1) // 2]
        ranges[name] = {
            "least": table.minimum,
            "median": middle.item(),
            "most": table.maximum,
        }
    return ranges


def _slots(
    blueprint: Blueprint, encoding: npt.ArrayLike | None
) -> list[dict[str, Any]]:
    space = blueprint.search_space
    chosen = None if encoding is None else space.decode(encoding)
    costs = None if encoding is None else segment_costs(blueprint, encoding)
    return [
        {
            "name": segment.name,
            "choices": {
                short: {
                    "options": list(
                        space.choices[space.position(name)].options
                    ),
                    "chosen": chosen and chosen[name],
                }
                for short, name in zip(
                    short_names(segment.reads), segment.reads, strict=True
                )
            },
            "input_shape": list(blueprint.input_shapes[index]),
            "output_shape": list(blueprint.output_shapes[index]),
            "macs": costs and costs[index].macs,
            "params": costs and costs[index].params,
        }
        for index, segment in enumerate(blueprint.segments)
        if segment.reads
    ]
