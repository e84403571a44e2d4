r"""Kendall's tau between scores in float32 and in half precision.

Example:
  python benchmarks/dtype_ranks.py --work_dir=runs/cifar10 --networks=200

Scores random networks of a trained supernet in both, on the images that a
search would score them on, and prints one JSON object: tau with a 95 %
interval (bootstrap over networks), the largest and the mean difference of two
scores, and beside them what makes two scores differ anyway: tau between the
two halves of the images in float32. A run that was stopped goes on.
"""

import dataclasses
import json
import pathlib
import sys

from absl import app, flags

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent)]

_RESAMPLES = 1000

FLAGS = flags.FLAGS
flags.DEFINE_string("work_dir", None, "Folder with a supernet.", required=True)
flags.DEFINE_string("supernet_name", "default", "Name of the supernet.")
flags.DEFINE_integer("networks", 200, "How many random networks.")
flags.DEFINE_integer("recalibration_images", 20_000, "As in the search.")
flags.DEFINE_integer("seed", 0, "Seed of the networks.")
flags.DEFINE_enum(
    "dtype_policy",
    "mixed_bfloat16",
    ["mixed_bfloat16", "mixed_float16"],
    "What float32 is compared with.",
)


def main(_: list[str]) -> None:
    """Searches at random in both precisions, with the same seed."""
    import numpy as np

    import spos_tf
    from spos_tf.analysis.correlation import kendall_interval, kendall_tau

    supernet = spos_tf.load_supernet(FLAGS.work_dir, name=FLAGS.supernet_name)
    found = {}
    for policy in ("float32", FLAGS.dtype_policy):
        result = spos_tf.search_supernet(
            supernet,
            name=f"ranks-{policy}-{FLAGS.networks}-{FLAGS.seed}",
            options=spos_tf.SearchOptions(
                strategy="random",
                population=FLAGS.networks,
                generations=1,
                seed=FLAGS.seed,
                recalibration_images=FLAGS.recalibration_images,
                dtype_policy=policy,
            ),
        )
        found[policy] = sorted(result.candidates, key=lambda one: one.i)
    exact, half = found.values()
    if [one.encoding for one in exact] != [one.encoding for one in half]:
        raise ValueError("The searches drew other networks.")
    scores = [np.array([one.score for one in each]) for each in (exact, half)]
    differences = np.abs(scores[0] - scores[1])
    halves = np.array([one.halves for one in exact])
    tau = kendall_interval(*scores, resamples=_RESAMPLES, seed=FLAGS.seed)
    print(
        json.dumps(
            {
                "networks": len(exact),
                "dtype_policy": FLAGS.dtype_policy,
                "kendall": dataclasses.asdict(tau),
                "kendall_of_halves": kendall_tau(*halves.T),
                "largest_difference": float(differences.max()),
                "mean_difference": float(differences.mean()),
            }
        )
    )


if __name__ == "__main__":
    app.run(main)
