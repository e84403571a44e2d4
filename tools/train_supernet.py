r"""Trains a single-path supernet (paper, section 3.1, equation 8).

Example:
  python tools/train_supernet.py \
      --flagfile=saved_configs/train_supernet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR

Writes work_dir/supernet/<name>/: checkpoints/, train_supernet.flags and
TensorBoard events. Start it again to go on where it stopped.
"""

import numpy as np
from absl import flags, logging

import program
import run_folder
import shared_flags
import training_flags
import training_run
from spos_tf.errors import UserError

FLAGS = flags.FLAGS

shared_flags.define_run()
shared_flags.define_space()
shared_flags.define_data()
training_flags.define_training(steps=150_000)
flags.DEFINE_enum(
    "sampler",
    "uniform_constraint",
    ["uniform", "uniform_constraint", "strict_fairness"],
    "uniform: every option alike. uniform_constraint: a cost range drawn "
    "uniformly, then a path inside it (the paper's). strict_fairness: over m "
    "steps each of m options once.",
)
flags.DEFINE_string(
    "constraint_cost", "macs", "Cost of --sampler=uniform_constraint."
)
flags.DEFINE_string(
    "constraint_ranges",
    None,
    "FROM:TO:STEP, for example 290e6:360e6:10e6 (the official code's, and the "
    "default at the imagenet preset); otherwise 7 equal ranges between the "
    "1st and 99th percentile of random paths.",
)
flags.DEFINE_enum(
    "initialization",
    "independent",
    ["independent", "aligned"],
    "independent: every option starts with weights of its own (official). "
    "aligned: the options of a choice start alike, larger kernels as the 3x3 "
    "one with zeros around; learns faster where steps are few.",
)
flags.DEFINE_enum(
    "width_mode",
    "slice",
    ["slice", "mask"],
    "How elastic widths are taken. slice: only the channels that are taken are "
    "computed. mask: all are, and the others set to zero; shapes are static, "
    "as --jit_compile needs.",
)
flags.DEFINE_integer(
    "validation_paths",
    3,
    "Fixed random paths that validation scores.",
    lower_bound=1,
)

# Random streams of a seed: 0 and 1 are the sampler's.
_DROPOUT = 2


def _ranges(blueprint, cost):
    from spos_tf.training.samplers import default_ranges, parse_ranges

    text = FLAGS.constraint_ranges
    name = blueprint.search_space.name
    is_papers = name == "shufflenet_blocks" and not blueprint.space_arguments
    if text is None and is_papers:
        text = "290e6:360e6:10e6"
    if text is not None:
        return parse_ranges(text)
    return default_ranges(blueprint.search_space, cost, seed=FLAGS.seed)


def _sampler(blueprint):
    from spos_tf.cost.table import cost_table
    from spos_tf.training import samplers

    space = blueprint.search_space
    if FLAGS.sampler == "uniform":
        return samplers.UniformSampler(space, seed=FLAGS.seed)
    if FLAGS.sampler == "strict_fairness":
        return samplers.StrictFairnessSampler(space, seed=FLAGS.seed)
    cost = cost_table(blueprint, FLAGS.constraint_cost)
    ranges = _ranges(blueprint, cost)
    sampler = samplers.ConstraintSampler(space, cost, ranges, seed=FLAGS.seed)
    logging.info(
        "Paths are drawn from %s ranges of %s: %s",
        len(ranges),
        cost.name,
        ", ".join(f"{low:,.0f} to {high:,.0f}" for low, high in ranges),
    )
    return sampler


def _validation(blueprint, supernet, parts, preprocessing):
    """Mean accuracy of a few fixed paths, recalibrated."""
    from spos_tf.data.pipeline import evaluation_batches
    from spos_tf.search.evaluator import Evaluator

    if not FLAGS.validate_every or not FLAGS.holdout_per_class:
        return None
    evaluator = Evaluator(
        supernet,
        evaluation_batches(
            parts.recalibration(min(2000, len(parts.train)), FLAGS.seed),
            preprocessing,
            batch_size=200,
        ),
        evaluation_batches(parts.search, preprocessing, batch_size=200),
    )
    paths = blueprint.search_space.sample(
        np.random.default_rng(FLAGS.seed), FLAGS.validation_paths
    )

    def validate():
        scores = [evaluator(path) for path in paths]
        named = {f"path{i}": score for i, score in enumerate(scores)}
        return {**named, "accuracy": float(np.mean(scores))}

    return validate


def _log_marginals(space, counts):
    """How often each option was drawn: constraint sampling skews it."""
    for choice, row in zip(space.choices, counts, strict=True):
        total = max(int(row.sum()), 1)
        shares = ", ".join(
            f"{option} {count / total:.1%}"
            for option, count in zip(choice.options, row, strict=False)
        )
        logging.info("Share of steps of %s: %s", choice.name, shares)


def main() -> None:
    """Trains, or goes on training, what the flags ask for."""
    blueprint = shared_flags.blueprint()
    elastic = any(segment.elastic for segment in blueprint.segments)
    if FLAGS.jit_compile and elastic and FLAGS.width_mode == "slice":
        raise UserError(
            "--jit_compile needs static shapes; space "
            f"{blueprint.search_space.name!r} slices its widths. Add "
            "--width_mode=mask."
        )
    options = training_flags.loop_options()
    with run_folder.open_run(
        "train_supernet", "supernet", free=training_flags.FREE
    ) as folder:
        _train(blueprint, options, folder)


def _train(blueprint, options, folder):
    preprocessing = shared_flags.preprocessing(blueprint)
    strategy = training_flags.prepare_backend()
    parts = shared_flags.splits(blueprint)
    sampler = _sampler(blueprint)

    import tensorflow as tf

    from spos_tf.data.splits import fingerprint
    from spos_tf.layers.path_norm import BatchNorm, SynchronizedBatchNorm
    from spos_tf.networks.supernet import Supernet

    replicas = strategy.num_replicas_in_sync
    synchronized = FLAGS.batch_norm == "synchronized"
    with strategy.scope():
        supernet = Supernet(
            blueprint,
            seed=FLAGS.seed,
            aligned=FLAGS.initialization == "aligned",
            width_mode=FLAGS.width_mode,
            norm=SynchronizedBatchNorm(replicas)
            if synchronized
            else BatchNorm(),
        )

    def forward(images, path, step):
        # Streams of their own: not the sampler's, and one a replica.
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        stream = _DROPOUT + tf.cast(replica, tf.int64)
        seed = tf.stack([FLAGS.seed + stream * 2**32, step])
        return supernet(images, path, dropout_seed=seed)

    space = blueprint.search_space
    counts = np.zeros((space.num_choices, space.num_options.max()), np.int64)
    variables = supernet.named_variables
    gates = supernet.gates
    training_run.train(
        folder,
        blueprint=blueprint,
        description={
            "kind": "supernet",
            "steps": FLAGS.steps,
            "holdout_per_class": FLAGS.holdout_per_class,
            "search_split": fingerprint(parts.search),
        },
        forward=forward,
        variables=variables,
        gates=[(variable, gates[name]) for name, variable in variables.items()],
        sampler=sampler,
        path_counts=counts,
        split=parts.train,
        preprocessing=preprocessing,
        options=options,
        strategy=strategy,
        validate=_validation(blueprint, supernet, parts, preprocessing),
    )
    _log_marginals(space, counts)


if __name__ == "__main__":
    program.run(main)
