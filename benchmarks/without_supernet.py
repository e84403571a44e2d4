r"""What a benchmark's table gives without a supernet, and at most.

Two figures belong beside the rank correlation of a supernet. The ceiling:
how two trainings of the same networks rank them. The competitor: an additive
model, one value for each option of each choice, that is fitted to one training
each of a few random networks and predicts all others.

  python benchmarks/without_supernet.py --search_space=nas_bench_macro \
      --table=nas_bench_macro.npz --trainings=test_acc
  python benchmarks/without_supernet.py --search_space=channel_bench_macro \
      --table=channel_bench_macro.npz --trainings=test_acc_mobilenet

The table has an array of the accuracies of three trainings, `[networks, 3]`.
"""

import functools
import pathlib

import numpy as np
import scipy.stats
from absl import app, flags

from mean_interval import mean_interval
from spos_tf.analysis.benchmark_table import read_table
from spos_tf.analysis.read_outs import additive_fit
from spos_tf.analysis.table_architectures import sub_table
from spos_tf.cost.counting import counts
from spos_tf.cost.table import cost_names, cost_table
from spos_tf.plain_arrays import read_arrays
from spos_tf.spaces import build_blueprint, parse_architecture

FLAGS = flags.FLAGS

flags.DEFINE_string("search_space", None, "The benchmark's space.")
flags.DEFINE_string("table", None, "NPZ file of the benchmark.")
flags.DEFINE_string("trainings", None, "Array [networks, trainings].")
flags.DEFINE_list("networks", ["30", "60", "120"], "Trained networks.")
flags.DEFINE_integer("draws", 20, "Random sets of each size.")
flags.mark_flags_as_required(["search_space", "table", "trainings"])


def tau(one, other):
    return scipy.stats.kendalltau(one, other, method="asymptotic").statistic


def competitor(encodings, trained, count, rng):
    """Tau of the model with the mean of the other trainings, elsewhere."""
    order = rng.permutation(len(encodings))
    some, rest = order[:count], order[count:]
    training = rng.integers(trained.shape[1])
    others = np.delete(trained, training, axis=1).mean(axis=1)
    found = additive_fit(
        encodings[some], trained[some, training], encodings[rest]
    )
    return tau(found, others[rest])


def main(argv):
    del argv
    blueprint = build_blueprint(FLAGS.search_space)
    space = blueprint.search_space
    found = sub_table(
        read_table(FLAGS.table),
        space,
        functools.partial(parse_architecture, space.name),
        blueprint.canonical,
    )
    arrays = read_arrays(pathlib.Path(FLAGS.table))
    trained = arrays[FLAGS.trainings][found.rows].astype(np.float64)
    print(f"{len(found)} networks, {trained.shape[1]} trainings")
    truth = trained.mean(axis=1)
    counted = {
        name: cost_table(blueprint, name) for name in cost_names(blueprint)
    }
    for name, count in {**counted, **counts(blueprint)}.items():
        print(f"tau of {name}: {tau(count(found.encodings), truth):.3f}")
    pairs = np.array(np.triu_indices(trained.shape[1], 1)).T
    ceiling = [tau(trained[:, one], trained[:, other]) for one, other in pairs]
    print(f"tau between two trainings: {np.mean(ceiling):.3f}")
    rng = np.random.default_rng(0)
    for count in map(int, FLAGS.networks):
        taus = [
            competitor(found.encodings, trained, count, rng)
            for _ in range(FLAGS.draws)
        ]
        mean = mean_interval(taus)
        print(
            f"additive model of {count} trained networks: tau {mean.mean:.3f} "
            f"({mean.low:.3f} to {mean.high:.3f})"
        )


if __name__ == "__main__":
    app.run(main)
