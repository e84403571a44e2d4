"""Costs that tools know, and limits on them, from flags."""

import hashlib
import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from spos_tf.errors import UserError

if TYPE_CHECKING:
    from spos_tf.cost.constraint import Constraint, CostFunction
    from spos_tf.networks.blueprint import Blueprint

FLAGS = flags.FLAGS

# Costs with --max_... and --min_... of their own, and what they count.
_SHORTHANDS = {
    "macs": "multiply-adds",
    "params": "weights",
    "latency_ms": "milliseconds by --latency_table",
    "bit_ops": "BitOps in units of 2^30, of spaces with bits",
}
# A limit, as `parse_constraint` gives it: cost, minimum, maximum.
Limit = tuple[str, float | None, float | None]


def define_limits() -> None:
    """--max_macs and the like, --constraint, --cost, --latency_table."""
    for cost, unit in _SHORTHANDS.items():
        flags.DEFINE_float(f"max_{cost}", None, f"Most {unit}, inclusive.")
        flags.DEFINE_float(f"min_{cost}", None, f"Least {unit}, inclusive.")
    flags.DEFINE_multi_string(
        "constraint",
        [],
        "Repeatable; any cost, for example 'macs<=330e6', or one of your own: "
        "'energy.py:energy_mj<=5'.",
    )
    flags.DEFINE_multi_string(
        "cost",
        [],
        "Repeatable; FILE.py:function, a cost of your own that is written "
        "down without being limited.",
    )
    flags.DEFINE_multi_string(
        "latency_table",
        [],
        "YAML table that the cost latency_ms is read from. Repeatable, for "
        "networks of several spaces: the first that has all parts is taken.",
    )


def given_limits() -> list[Limit]:
    """All limits that the flags give.

    Raises:
        UserError: A constraint is not of the form of one.
    """
    from spos_tf.cost.constraint import parse_constraint

    shorthands: list[Limit] = [
        (cost, FLAGS[f"min_{cost}"].value, FLAGS[f"max_{cost}"].value)
        for cost in _SHORTHANDS
    ]
    return [
        limit
        for limit in (*shorthands, *map(parse_constraint, FLAGS.constraint))
        if limit[1:] != (None, None)
    ]


def known_costs(
    blueprint: "Blueprint", *named: str, latency: bool = True
) -> "dict[str, CostFunction]":
    """Every cost that can be told of the blueprint's networks, by name.

    Args:
        blueprint: Pinned if it is to be: tables then hold what is left.
        *named: Costs that are needed besides those in --constraint and
            --cost; costs of the user's own are loaded.
        latency: Whether --latency_table is read, if there is one.

    Raises:
        UserError: A file cannot be read, a table lacks an entry, or two costs
            have one name.
    """
    from spos_tf.cost.table import cost_names, cost_table
    from spos_tf.cost.user_cost import is_user_cost, load_cost, user_cost

    costs: dict[str, CostFunction] = {
        name: cost_table(blueprint, name) for name in cost_names(blueprint)
    }
    if latency and FLAGS.latency_table:
        costs["latency_ms"] = latency_cost(blueprint)
    mentioned = (*FLAGS.cost, *(limit[0] for limit in given_limits()), *named)
    sources: dict[str, str] = {}
    seen = set()
    for text in dict.fromkeys(mentioned):
        if not is_user_cost(text) and text not in FLAGS.cost:
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
                f"Every cost has a name of its own; {text!r} is called like "
                f"{other}. Rename the function."
            )
        costs[loaded.name] = user_cost(blueprint, loaded)
        sources[loaded.name] = repr(text)
    return costs


def fingerprints(costs: "Iterable[Any]") -> dict[str, str]:
    """By name a hash of what the tables hold."""
    return {
        cost.name: hashlib.sha256(
            repr(cost.constant).encode() + cost.table.tobytes()
        ).hexdigest()[:16]
        for cost in costs
    }


def latency_cost(blueprint: "Blueprint") -> "CostFunction":
    """The cost latency_ms, from --latency_table.

    Raises:
        UserError: There is no such table, or it lacks an entry.
    """
    from spos_tf.cost.latency import latency_table, read_latency_table

    refusals = []
    for path in FLAGS.latency_table:
        table = read_latency_table(path)
        try:
            return latency_table(blueprint, table)
        except UserError as error:
            refusals.append(str(error))
    raise UserError(" ".join(refusals))


def cost_named(costs: "dict[str, CostFunction]", text: str) -> "CostFunction":
    """The cost that a flag names: `macs`, or `FILE.py:function`.

    Raises:
        UserError: It is not known.
    """
    from spos_tf.cost.user_cost import is_user_cost

    name = text.rpartition(":")[2] if is_user_cost(text) else text
    if name in costs:
        return costs[name]
    if name == "latency_ms":
        raise UserError(
            "The cost latency_ms is read from a table. Name one by "
            "--latency_table, see tools/build_latency_table.py."
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
    costs: "dict[str, CostFunction]", limits: Iterable[Limit]
) -> "list[Constraint]":
    """Limits as constraints.

    Raises:
        UserError: A cost is unknown, or its limit no finite number.
    """
    from spos_tf.cost.constraint import Constraint

    return [
        Constraint(cost_named(costs, name), minimum=minimum, maximum=maximum)
        for name, minimum, maximum in limits
    ]


def tables_only(constraints: "Sequence[Constraint]") -> None:
    """Refuses limits that cannot be kept while paths are drawn.

    Raises:
        UserError: A cost is of whole architectures.
    """
    from spos_tf.cost.table import CostTable

    for constraint in constraints:
        if not isinstance(constraint.cost, CostTable):
            raise UserError(
                "In training, limits are on costs that are sums over the "
                f"slots; {constraint.cost.name!r} is of whole architectures. "
                "Limit it in the search, or write it as a function of 'slot'."
            )
