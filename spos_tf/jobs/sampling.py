"""Which paths a supernet is trained on."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from spos_tf.cost.constraint import Constraint, merge_constraints
from spos_tf.cost.feasible import check_feasible, sample_feasible
from spos_tf.cost.table import CostTable
from spos_tf.errors import UserError
from spos_tf.jobs import limits
from spos_tf.jobs.notes import tell
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.shared_choices import connections
from spos_tf.options import LimitOptions, SupernetOptions
from spos_tf.randomness import Purpose, generator
from spos_tf.training import samplers
from spos_tf.training.connected_sampler import ConnectedSampler
from spos_tf.training.path_dropout import PathDropoutSampler

# Legal paths that say which of the default ranges can be reached.
_RANGE_PATHS = 2000
# A limit is a finite number; no cost is beyond this one.
_NO_END = sys.float_info.max


class Sampling(NamedTuple):
    """How paths are drawn.

    Attributes:
        sampler: Draws the path of every step.
        costs: Fingerprints of the costs that decide it, by name.
    """

    sampler: samplers.Sampler
    costs: dict[str, str]


def check_algorithm(
    blueprint: Blueprint, options: SupernetOptions, limited: LimitOptions
) -> None:
    """Refuses what an algorithm cannot do.

    Raises:
        UserError: The space or a limit does not go with the algorithm, or
            the space's widths not with XLA.
    """
    elastic = [one for one in blueprint.segments if one.elastic]
    space = blueprint.search_space
    if options.jit_compile and elastic and options.width_mode == "slice":
        raise UserError(
            f"`jit_compile` needs static shapes; space {space.name!r} slices "
            "its widths. Add `width_mode=mask`."
        )
    name = options.algorithm
    if name == "single_path":
        return
    if elastic:
        raise UserError(
            f"`algorithm={name}` chooses between branches; choice "
            f"{elastic[0].elastic[0]!r} of space {space.name!r} sets the width "
            "or the bits of one branch. Use `algorithm=single_path`, or a "
            "space without widths and bits."
        )
    given = limits.given_limits(limited)
    if given:
        instead = (
            ", or use `architecture_cost_weight`."
            if options.learns_architecture
            else "."
        )
        raise UserError(
            f"`algorithm={name}` runs several paths at once, so it cannot keep "
            f"a limit on each; got one on {given[0][0]!r}. Limit the search "
            f"instead{instead}"
        )


def sampling_of(
    blueprint: Blueprint, options: SupernetOptions, limited: LimitOptions
) -> Sampling:
    """How the paths of `single_path` and `path_dropout` are drawn.

    Args:
        blueprint: With its pins; untied where the options say so.
        options: Complete.
        limited: What every path has to keep.

    Raises:
        UserError: The options contradict each other, or no path keeps the
            limits.
    """
    space = blueprint.search_space
    if options.algorithm == "path_dropout":
        dropout = PathDropoutSampler(
            space,
            options.keep_rate or 0.0,
            schedule=options.keep_rate_schedule or "constant",
            steps=options.steps or 0,
            seed=options.seed,
        )
        return Sampling(dropout, {})
    ranged = options.sampler == "uniform_constraint"
    named = [options.constraint_cost] * ranged
    costs = limits.known_costs(blueprint, limited, *named)
    constraints = merge_constraints(
        limits.constraints(costs, limits.given_limits(limited))
    )
    tables = limits.tables_only(constraints)
    # Says which limit cannot be kept, and how near one can come.
    check_feasible(space, constraints)
    _check_sampler(options, constraints)
    if options.sampler == "strict_fairness":
        fair = samplers.StrictFairnessSampler(space, seed=options.seed)
        return Sampling(fair, {})
    if options.untied:
        nodes = connections(blueprint)
        untied = ConnectedSampler(space, nodes, seed=options.seed)
        return Sampling(untied, {})
    if not ranged and not constraints:
        return Sampling(samplers.UniformSampler(space, seed=options.seed), {})
    used = limits.fingerprints(one.cost for one in constraints)
    if not ranged:
        # One range with no ends of its own.
        return Sampling(
            _constrained(
                blueprint,
                tables[0],
                [(-_NO_END, _NO_END)],
                constraints,
                options.seed,
            ),
            used,
        )
    named_cost = limits.cost_named(costs, options.constraint_cost)
    (cost,) = limits.tables_only([Constraint(named_cost)])
    ranges = _ranges(blueprint, cost, constraints, options)
    sampler = _constrained(blueprint, cost, ranges, constraints, options.seed)
    low, high = (
        # Counts are whole, and no exponent is easier to read.
        f"{end:,.0f}" if abs(end) >= 10_000 else f"{end:.6g}"
        for end in (ranges[0][0], ranges[-1][1])
    )
    tell(
        f"Paths are drawn from {len(ranges)} range{'s' * (len(ranges) > 1)} of "
        f"{cost.name}, from {low} to {high}: each is taken equally often"
        f"{', as far as the limits allow' * bool(constraints)}."
    )
    return Sampling(sampler, {**used, **limits.fingerprints([cost])})


def _check_sampler(
    options: SupernetOptions, constraints: Sequence[Constraint]
) -> None:
    limit = "".join(f" and {one.describe()}" for one in constraints[:1])
    ranged = options.sampler == "uniform_constraint"
    if options.untied and (ranged or constraints):
        raise UserError(
            "`untied` networks have no single cost, so `sampler` is uniform or "
            "strict_fairness and there are no limits; got "
            f"`sampler={options.sampler}`{limit}."
        )
    if options.sampler == "strict_fairness" and constraints:
        raise UserError(
            "`sampler=strict_fairness` takes every option equally often, so "
            f"it can keep no limit; got {constraints[0].describe()}. Use "
            "`sampler=uniform` or `sampler=uniform_constraint`."
        )


def _ranges(
    blueprint: Blueprint,
    cost: CostTable,
    constraints: Sequence[Constraint],
    options: SupernetOptions,
) -> list[tuple[float, float]]:
    """The ranges that paths are drawn from, without those nothing is in."""
    space = blueprint.search_space
    if options.constraint_ranges is not None:
        return samplers.parse_ranges(options.constraint_ranges)
    # The official code's, for the network and the cost that it is about.
    paper = (space.name, space.legal, cost.name, {**blueprint.space_arguments})
    if paper == ("shufflenet_blocks", None, "macs", {}) and not constraints:
        return samplers.parse_ranges("290e6:360e6:10e6")
    random = generator(options.seed, Purpose.RANGE_PATHS)
    legal = sample_feasible(space, constraints, random, _RANGE_PATHS)
    costs = cost(legal)
    kept = [
        (low, high)
        for low, high in samplers.default_ranges(space, cost, seed=options.seed)
        if ((costs >= low) & (costs <= high)).any()
    ]
    # Limits may leave nothing between the percentiles.
    return kept or [(float(costs.min()), float(costs.max()))]


def _constrained(
    blueprint: Blueprint,
    cost: CostTable,
    ranges: Sequence[tuple[float, float]],
    constraints: Sequence[Constraint],
    seed: int,
) -> samplers.ConstraintSampler:
    sampler = samplers.ConstraintSampler(
        blueprint.search_space, cost, ranges, constraints=constraints, seed=seed
    )
    if constraints:
        kept = " and ".join(one.describe() for one in constraints)
        tell(f"Every path keeps {kept}.")
    return sampler
