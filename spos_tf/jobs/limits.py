"""Costs that a job knows, and hard limits on them."""

import hashlib
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spos_tf.cost.constraint import Constraint, CostFunction, parse_constraint
from spos_tf.cost.latency import latency_table, read_latency_table
from spos_tf.cost.table import CostTable, cost_names, cost_table
from spos_tf.cost.user_cost import is_user_cost, load_cost, user_cost
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import LimitOptions

# A limit, as `parse_constraint` gives it: cost, minimum, maximum.
Limit = tuple[str, float | None, float | None]

_MOST, _LEAST = "max_", "min_"


def given_limits(options: LimitOptions) -> list[Limit]:
    """All limits that the options give.

    Raises:
        UserError: A constraint is not of the form of one.
    """
    costs = [
        one.name.removeprefix(_MOST)
        for one in options.described()
        if one.name.startswith(_MOST)
    ]
    limits: list[Limit] = [
        (
            cost,
            getattr(options, f"{_LEAST}{cost}"),
            getattr(options, f"{_MOST}{cost}"),
        )
        for cost in costs
    ]
    limits += map(parse_constraint, options.constraint)
    return [limit for limit in limits if limit[1:] != (None, None)]


def known_costs(
    blueprint: Blueprint,
    options: LimitOptions,
    *named: str,
    latency: bool = True,
) -> dict[str, CostFunction]:
    """Every cost that is known of the blueprint's networks, by name.

    Args:
        blueprint: With its pins: tables then hold what is left.
        options: Limits, costs and latency tables.
        *named: Costs that are needed besides those of the options; costs of
            the user's own are loaded.
        latency: Whether the latency tables are read, if there are any.

    Raises:
        UserError: A file cannot be read, a table lacks an entry, or two costs
            have one name.
    """
    costs: dict[str, CostFunction] = {
        name: cost_table(blueprint, name) for name in cost_names(blueprint)
    }
    if latency and options.latency_table:
        costs["latency_ms"] = latency_cost(blueprint, options.latency_table)
    limited = (limit[0] for limit in given_limits(options))
    mentioned = (*options.cost, *limited, *named)
    sources: dict[str, str] = {}
    seen = set()
    for text in dict.fromkeys(mentioned):
        if not is_user_cost(text) and text not in options.cost:
            continue
        loaded = load_cost(text)
        # One file may be spelled in several ways.
        file = pathlib.Path(text.rpartition(":")[0]).resolve()
        if (file, loaded.name) in seen:
            continue
        seen.add((file, loaded.name))
        if loaded.name in costs:
            other = sources.get(loaded.name, "a cost of this program")
            raise UserError(
                f"Every cost has a name of its own; {text!r} has that of "
                f"{other}. Rename the function."
            )
        costs[loaded.name] = user_cost(blueprint, loaded)
        sources[loaded.name] = repr(text)
    return costs


def fingerprints(costs: Iterable[Any]) -> dict[str, str]:
    """By name a hash of what the tables hold."""
    return {
        cost.name: hashlib.sha256(
            repr(cost.constant).encode() + cost.table.tobytes()
        ).hexdigest()[:16]
        for cost in costs
    }


def latency_cost(blueprint: Blueprint, tables: Sequence[str]) -> CostFunction:
    """The cost latency_ms, from the first table that has all parts.

    Raises:
        UserError: There is no such table, or it lacks an entry.
    """
    refusals = []
    for path in tables:
        measured = read_latency_table(path)
        try:
            return latency_table(blueprint, measured)
        except UserError as error:
            refusals.append(str(error))
    raise UserError(" ".join(refusals))


def cost_named(costs: Mapping[str, CostFunction], text: str) -> CostFunction:
    """The cost that an option names: `macs`, or `FILE.py:function`.

    Raises:
        UserError: It is not known.
    """
    name = text.rpartition(":")[2] if is_user_cost(text) else text
    if name in costs:
        return costs[name]
    if name == "latency_ms":
        raise UserError(
            "The cost latency_ms is read from a table. Name one by "
            "`latency_table`; build_latency_table makes it."
        )
    if name == "bit_ops":
        raise UserError(
            "The cost bit_ops is of networks with bits, such as those of "
            "space resnet18_bits; this space has none. Limit macs."
        )
    raise UserError(
        f"Unknown cost {text!r}. The costs are: {', '.join(costs)}, and "
        "FILE.py:function for one of your own."
    )


def constraints(
    costs: Mapping[str, CostFunction], limits: Iterable[Limit]
) -> list[Constraint]:
    """Limits as constraints.

    Raises:
        UserError: A cost is unknown, or its limit no finite number.
    """
    return [
        Constraint(cost_named(costs, name), minimum=minimum, maximum=maximum)
        for name, minimum, maximum in limits
    ]


def tables_only(constraints: Sequence[Constraint]) -> list[CostTable]:
    """The tables of limits that are kept while paths are drawn.

    Raises:
        UserError: A cost is of whole architectures.
    """
    tables = []
    for constraint in constraints:
        if not isinstance(constraint.cost, CostTable):
            raise UserError(
                "In training, limits are on costs that are sums over the "
                f"slots; {constraint.cost.name!r} is of whole architectures. "
                "Limit it in the search, or write it as a function of 'slot'."
            )
        tables.append(constraint.cost)
    return tables
