r"""Trains a supernet: on single paths (equation 8), or as others do.

Example:
  python tools/train_supernet.py \
      --flagfile=saved_configs/train_supernet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR

Writes work_dir/supernet/<name>/: checkpoints/, train_supernet.flags and
TensorBoard events; with --algorithm=gumbel or two_path also best.json, the
architecture found. Start it again to go on where it stopped.
"""

import json
import sys

import limits
import numpy as np
import pins
import program
import run_folder
from absl import flags, logging

import algorithms
import architecture_learner
import shared_flags
import training_flags
import training_run
from spos_tf.errors import UserError

FLAGS = flags.FLAGS

shared_flags.define_run()
shared_flags.define_space()
shared_flags.define_data()
shared_flags.define_width_mode()
pins.define_pins()
limits.define_limits()
training_flags.define_training(steps=150_000)
algorithms.define_algorithm()
flags.DEFINE_enum(
    "sampler",
    None,
    ["uniform", "uniform_constraint", "strict_fairness"],
    "single_path: how paths are drawn. uniform: every option alike. "
    "uniform_constraint (default): a cost range drawn uniformly, then a path "
    "inside it (the paper's). strict_fairness: over m steps each of m options "
    "once.",
)
flags.DEFINE_string(
    "constraint_cost",
    "macs",
    "Cost of --sampler=uniform_constraint; one of your own is "
    "FILE.py:function.",
)
flags.DEFINE_string(
    "constraint_ranges",
    None,
    "FROM:TO:STEP, for example 290e6:360e6:10e6 (the official code's, and the "
    "default for the MACs of shufflenet_blocks as in the paper); otherwise 7 "
    "equal ranges between the 1st and 99th percentile of random paths.",
)
flags.DEFINE_bool(
    "untied",
    None,
    "Where several blocks share a choice, as the cells of nasbench201 do, "
    "every block draws its own; a cell in which nothing reaches a node is "
    "drawn anew. The supernet is searched with the shared choices all the "
    "same. With --sampler=uniform or strict_fairness (which draws none anew).",
)
flags.DEFINE_enum(
    "initialization",
    "independent",
    ["independent", "aligned"],
    "independent: every option starts with weights of its own (official). "
    "aligned: the options of a choice start alike, larger kernels as the 3x3 "
    "one with zeros around; learns faster where steps are few.",
)
flags.DEFINE_integer(
    "validation_paths",
    3,
    "Fixed random paths that validation scores.",
    lower_bound=1,
)

# Random streams of a seed: 0 and 1 are the sampler's.
_DROPOUT = 2
# Legal paths that say which of the default ranges can be reached.
_RANGE_PATHS = 2000
# A limit is a finite number; no cost is beyond this one.
_NO_END = sys.float_info.max


def _ranges(blueprint, cost, constraints):
    """The ranges that paths are drawn from, without those nothing is in."""
    from spos_tf.cost.feasible import sample_feasible
    from spos_tf.training.samplers import default_ranges, parse_ranges

    space = blueprint.search_space
    if FLAGS.constraint_ranges is not None:
        return parse_ranges(FLAGS.constraint_ranges)
    # The official code's, for the network and the cost that it is about.
    paper = (space.name, space.legal, cost.name, {**blueprint.space_arguments})
    if paper == ("shufflenet_blocks", None, "macs", {}) and not constraints:
        return parse_ranges("290e6:360e6:10e6")
    legal = sample_feasible(
        space, constraints, np.random.default_rng(FLAGS.seed), _RANGE_PATHS
    )
    costs = cost(legal)
    ranges = default_ranges(space, cost, seed=FLAGS.seed)
    kept = [
        (low, high)
        for low, high in ranges
        if ((costs >= low) & (costs <= high)).any()
    ]
    # Limits may leave nothing between the percentiles.
    return kept or [(float(costs.min()), float(costs.max()))]


def _constraint_sampler(blueprint, cost, ranges, constraints):
    from spos_tf.training.samplers import ConstraintSampler

    sampler = ConstraintSampler(
        blueprint.search_space,
        cost,
        ranges,
        constraints=constraints,
        seed=FLAGS.seed,
    )
    if constraints:
        logging.info(
            "Every path keeps %s.",
            " and ".join(one.describe() for one in constraints),
        )
    return sampler


def _sampler(blueprint):
    """How paths are drawn, and fingerprints of the costs that say so."""
    from spos_tf.cost.constraint import Constraint, merge_constraints
    from spos_tf.cost.feasible import check_feasible
    from spos_tf.training import samplers

    space = blueprint.search_space
    ranged = FLAGS.sampler == "uniform_constraint"
    costs = limits.known_costs(blueprint, *[FLAGS.constraint_cost] * ranged)
    constraints = merge_constraints(
        limits.constraints(costs, limits.given_limits())
    )
    limits.tables_only(constraints)
    # Says which limit cannot be kept, and how near one can come.
    check_feasible(space, constraints)
    if FLAGS.untied and (ranged or constraints):
        raise UserError(
            "--untied networks are of no one cost, so --sampler is uniform or "
            "strict_fairness and there are no limits; got --sampler="
            f"{FLAGS.sampler}"
            + "".join(f" and {one.describe()}" for one in constraints[:1])
            + "."
        )
    if FLAGS.sampler == "strict_fairness":
        if constraints:
            raise UserError(
                "--sampler=strict_fairness takes every option equally often, "
                "so it can keep no limit; got "
                f"{constraints[0].describe()}. Use --sampler=uniform or "
                "uniform_constraint."
            )
        return samplers.StrictFairnessSampler(space, seed=FLAGS.seed), {}
    if FLAGS.untied:
        from spos_tf.networks.shared_choices import connections
        from spos_tf.training.connected_sampler import ConnectedSampler

        nodes = connections(blueprint)
        return ConnectedSampler(space, nodes, seed=FLAGS.seed), {}
    if not ranged and not constraints:
        return samplers.UniformSampler(space, seed=FLAGS.seed), {}
    used = limits.fingerprints(one.cost for one in constraints)
    if not ranged:
        # One range with no ends of its own.
        sampler = _constraint_sampler(
            blueprint, constraints[0].cost, [(-_NO_END, _NO_END)], constraints
        )
        return sampler, used
    cost = limits.cost_named(costs, FLAGS.constraint_cost)
    limits.tables_only([Constraint(cost)])
    ranges = _ranges(blueprint, cost, constraints)
    sampler = _constraint_sampler(blueprint, cost, ranges, constraints)
    logging.info(
        "Paths are drawn from %s ranges of %s: %s",
        len(ranges),
        cost.name,
        ", ".join(f"{low:,.6g} to {high:,.6g}" for low, high in ranges),
    )
    return sampler, {**used, **limits.fingerprints([cost])}


def _evaluator(supernet, parts, preprocessing):
    """Scores paths on the search split, recalibrated."""
    from spos_tf.data.pipeline import evaluation_batches
    from spos_tf.evaluation.evaluator import Evaluator

    return Evaluator(
        supernet,
        evaluation_batches(
            parts.recalibration(min(2000, len(parts.train)), FLAGS.seed),
            preprocessing,
            batch_size=200,
        ),
        evaluation_batches(parts.search, preprocessing, batch_size=200),
    )


def _validation(blueprint, evaluator, learner):
    """Mean accuracy of a few fixed paths, or that of the architecture."""
    if learner is not None:
        parameters = learner.sampler.parameters
        return lambda: {"accuracy": evaluator(parameters.encoding())}
    paths = blueprint.search_space.sample(
        np.random.default_rng(FLAGS.seed), FLAGS.validation_paths
    )
    if FLAGS.untied:
        from spos_tf.networks.shared_choices import untied_encoding

        paths = [untied_encoding(blueprint, path) for path in paths]

    def validate():
        scores = [evaluator(path) for path in paths]
        named = {f"path{i}": score for i, score in enumerate(scores)}
        return {**named, "accuracy": float(np.mean(scores))}

    return validate


def _log_marginals(space, counts):
    """How often each option ran: constraint sampling skews it."""
    for choice, row in zip(space.choices, counts, strict=True):
        shares = ", ".join(
            f"{option} {count / FLAGS.steps:.1%}"
            for option, count in zip(choice.options, row, strict=False)
        )
        logging.info("Share of steps of %s: %s", choice.name, shares)


def main() -> None:
    """Trains, or goes on training, what the flags ask for."""
    blueprint, pinned = pins.pinned(shared_flags.blueprint())
    elastic = any(segment.elastic for segment in blueprint.segments)
    if FLAGS.jit_compile and elastic and FLAGS.width_mode == "slice":
        raise UserError(
            "--jit_compile needs static shapes; space "
            f"{blueprint.search_space.name!r} slices its widths. Add "
            "--width_mode=mask."
        )
    options = training_flags.loop_options()
    algorithms.settle(blueprint)
    free = (*training_flags.FREE, *pins.FREE)
    chief = training_flags.is_chief()
    with run_folder.open_run(
        "train_supernet", "supernet", free=free, writes=chief
    ) as folder:
        _train(blueprint, pinned, options, folder)


def _train(blueprint, pinned, options, folder):
    preprocessing = shared_flags.preprocessing(blueprint)
    team = training_flags.prepare_backend()
    parts = shared_flags.splits(blueprint)
    drawn = blueprint
    if FLAGS.untied:
        from spos_tf.networks.shared_choices import untied

        drawn = untied(blueprint)
    sampler, costs = None, {}
    if FLAGS.algorithm == "single_path":
        sampler, costs = _sampler(drawn)
    elif FLAGS.algorithm == "path_dropout":
        sampler = algorithms.path_dropout(blueprint)

    import tensorflow as tf

    from spos_tf.data.splits import fingerprint
    from spos_tf.networks.supernet import Supernet
    from spos_tf.ops.path_norm import BatchNorm, SynchronizedBatchNorm

    replicas = team.strategy.num_replicas_in_sync
    synchronized = FLAGS.batch_norm == "synchronized"
    with team.strategy.scope():
        supernet = Supernet(
            drawn,
            seed=FLAGS.seed,
            aligned=FLAGS.initialization == "aligned",
            norm=SynchronizedBatchNorm(replicas)
            if synchronized
            else BatchNorm(),
            width_mode=FLAGS.width_mode,
        )

    def forward(images, path, step):
        # Streams of their own: not the sampler's, and one a replica.
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        stream = _DROPOUT + tf.cast(replica, tf.int64)
        seed = tf.stack([FLAGS.seed + stream * 2**32, step])
        return supernet(images, path, dropout_seed=seed)

    learner = None
    if sampler is None:
        learner = architecture_learner.make_learner(
            blueprint, forward, parts.search, preprocessing, team
        )
        sampler, costs = learner.sampler, learner.fingerprints
    validate = evaluator = None
    if learner or (FLAGS.validate_every and FLAGS.holdout_per_class):
        evaluator = _evaluator(supernet, parts, preprocessing)
        validate = _validation(blueprint, evaluator, learner)
    space = drawn.search_space
    counts = np.zeros((space.num_choices, space.num_options.max()), np.int64)
    variables = supernet.named_variables
    gates = supernet.gates
    training_run.train(
        folder,
        blueprint=blueprint,
        description={
            "kind": "supernet",
            "algorithm": FLAGS.algorithm,
            "steps": FLAGS.steps,
            "holdout_per_class": FLAGS.holdout_per_class,
            "search_split": fingerprint(parts.search),
            # As JSON gives it back.
            "pins": json.loads(json.dumps(pinned)),
            # Of costs that files say: those may have changed.
            "costs": costs,
            "untied": bool(FLAGS.untied),
        },
        forward=forward,
        variables=variables,
        gates=[(variable, gates[name]) for name, variable in variables.items()],
        sampler=sampler,
        path_counts=counts,
        split=parts.train,
        preprocessing=preprocessing,
        options=options,
        team=team,
        validate=validate,
        learner=learner,
    )
    if not team.is_chief:
        team.wait()
        return
    if FLAGS.algorithm != "gumbel":  # Of which every branch runs.
        _log_marginals(space, counts)
    if learner is not None and evaluator is not None:
        architecture_learner.write_best(
            folder / "best.json", blueprint, learner, evaluator
        )
    team.wait()


if __name__ == "__main__":
    program.run(main)
