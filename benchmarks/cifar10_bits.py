r"""The CIFAR-10 evidence on mixed precision.

Example:
  T="python tools/train_supernet.py --work_dir=runs/cifar10 --data_dir=DIR \
      --flagfile=saved_configs/train_supernet/cifar10.flags \
      --search_space=resnet18_bits"
  $T --name=bits_by_bits --space_arguments='{"clip": "by_bits"}'
  $T --name=bits_shared --space_arguments='{"clip": "shared"}'
  python benchmarks/cifar10_bits.py --work_dir=runs/cifar10 --data_dir=DIR

Both supernets are searched at the BitOps of 2W2A, 3W3A and 4W4A, and score
the same 60 random networks. What a search
in the second one found is retrained with every seed, and so are kWkA; beside
them stand random networks that cost between 97 and 100 % of kWkA, one a seed.
"""

import numpy as np
from absl import app

from cifar10_tools import (
    FLAGS,
    best_json,
    percent_spread,
    read_json,
    read_record,
    run_all,
)
from spos_tf.cost.constraint import Constraint
from spos_tf.cost.counts import network_cost
from spos_tf.cost.feasible import sample_feasible
from spos_tf.cost.table import cost_table
from spos_tf.spaces import build_blueprint
from spos_tf.spaces.resnet_bits import uniform

_SPACE = "resnet18_bits"
_BITS = (2, 3, 4)
_CLIPS = ("by_bits", "shared")
_EQUAL = 0.97


def _limit(bits):
    """BitOps of kWkA at full width."""
    blueprint = build_blueprint(_SPACE, preset="cifar", **uniform(bits))
    encoding = [0] * len(blueprint.search_space.choices)
    return network_cost(blueprint, encoding).bit_ops


def _searches():
    run_all(
        [
            (
                "search",
                f"--supernet_name=bits_{clip}",
                f"--name={clip}_{bits}",
                f"--max_bit_ops={_limit(bits)}",
            )
            for clip in _CLIPS
            for bits in _BITS
        ],
        ["cifar10_bits"] * len(_CLIPS) * len(_BITS),
    )
    run_all(
        [
            (
                "search",
                f"--supernet_name=bits_{clip}",
                f"--name=random_{clip}",
                "--max_bit_ops=1e9",
                "--strategy=random",
                "--generations=2",
            )
            for clip in _CLIPS
        ],
        ["cifar10_bits"] * len(_CLIPS),
    )


def _told(bits):
    """Names of retrainings at the BitOps of kWkA, and what they are told."""
    space = [f"--search_space={_SPACE}", "--preset=cifar"]
    blueprint = build_blueprint(_SPACE, preset="cifar")
    most = _limit(bits)
    limit = Constraint(
        cost_table(blueprint, "bit_ops"), minimum=_EQUAL * most, maximum=most
    )
    rng = np.random.default_rng(0)
    drawn = sample_feasible(blueprint.search_space, [limit], rng, FLAGS.seeds)
    seeds = range(FLAGS.seeds)
    yield (
        f"{bits}W{bits}A",
        {
            f"uniform_{bits}_seed{seed}": [*space, f"--uniform_bits={bits}"]
            for seed in seeds
        },
    )
    yield (
        "found",
        {
            f"found_{bits}_seed{seed}": [
                f"--architecture={best_json(f'shared_{bits}')}"
            ]
            for seed in seeds
        },
    )
    yield (
        "random",
        {
            f"random_{bits}_seed{seed}": [
                *space,
                f"--encoding={','.join(map(str, encoding))}",
            ]
            for seed, encoding in enumerate(drawn)
        },
    )


def _row(bits, title, runs):
    figures = [read_json("subnet", run, "metrics.json") for run in runs]
    costs = {f"{one['bit_ops']:.4f}": None for one in figures}
    macs = {f"{one['macs'] / 1e6:.2f} M": None for one in figures}
    return (
        f"| {bits}W{bits}A | {title} | {', '.join(costs)} | "
        f"{', '.join(macs)} | "
        f"{percent_spread([one['test_accuracy'] for one in figures])} |"
    )


def _compare_clips():
    """Both supernets' scores of the same random networks."""
    by_bits, shared = (
        {
            tuple(line["encoding"]): line["score"]
            for line in read_record(f"random_{clip}")
        }
        for clip in _CLIPS
    )
    gains = np.array([shared[one] - by_bits[one] for one in by_bits])
    print(
        f"\n{len(gains)} random networks: by_bits "
        f"{100 * np.mean(list(by_bits.values())):.2f} %, shared "
        f"{100 * np.mean(list(shared.values())):.2f} %, which is more for "
        f"{(gains > 0).sum()} of them."
    )


def main(argv):
    del argv
    _searches()
    groups = [(bits, *group) for bits in _BITS for group in _told(bits)]
    run_all(
        ("train_subnet", *told, f"--seed={name[-1]}", f"--name={name}")
        for *_, runs in groups
        for name, told in runs.items()
    )
    print("| limit | networks | BitOps, 2^30 | MACs | test accuracy, % |")
    print("|---|---|---|---|---|")
    for group in groups:
        print(_row(*group))
    _compare_clips()
    print("\n| limit | clip levels | BitOps found | supernet accuracy, % |")
    print("|---|---|---|---|")
    for bits in _BITS:
        for clip in _CLIPS:
            best = read_json("search", f"{clip}_{bits}", "best.json")
            print(
                f"| {bits}W{bits}A | {clip} | {best['costs']['bit_ops']:.4f} "
                f"| {100 * best['accuracy']:.2f} |"
            )


if __name__ == "__main__":
    app.run(main)
