r"""The CIFAR-10 evidence on channels, pipelines and ProxylessNAS's space.

Example:
  T="python tools/train_supernet.py --work_dir=runs/cifar10 --data_dir=DIR \
      --flagfile=saved_configs/train_supernet/cifar10.flags"
  $T --name=channels --search_space=shufflenet_channels
  $T --name=joint --search_space=shufflenet_joint
  $T --name=pipeline --search_space=shufflenet_joint \
      --fix_from=runs/cifar10/search/evolution_seed0/best.json
  $T --name=proxyless --search_space=proxyless_default \
      --space_arguments='{"stage_repeats": [2, 2, 2, 2, 2, 1]}'
  python tools/build_latency_table.py --search_space=proxyless_default \
      --preset=cifar --output=runs/cifar10/latency.yaml \
      --space_arguments='{"stage_repeats": [2, 2, 2, 2, 2, 1]}'
  python benchmarks/cifar10_spaces.py --work_dir=runs/cifar10 --data_dir=DIR

It needs the block search of benchmarks/cifar10.py too. Searches are those of
saved_configs/search/cifar10_*.flags. What a search found is retrained with
every seed. Beside it stand random networks that cost between 97 and 100 % of
it, one a seed.
"""

import json
import pathlib

import numpy as np
from absl import app

from cifar10_tools import (
    FLAGS,
    best_json,
    percent_spread,
    read_json,
    run_all,
)
from spos_tf.cost.constraint import Constraint
from spos_tf.cost.feasible import sample_feasible
from spos_tf.cost.latency import latency_table, read_latency_table
from spos_tf.cost.table import cost_table
from spos_tf.spaces import build_blueprint

_BLOCKS = {"stage_repeats": [2, 2, 2, 2]}
# The least share of the winner's cost that counts as an equal cost.
_EQUAL = 0.97
_COSTS = {
    "channels": "macs",
    "joint": "macs",
    "pipeline": "macs",
    "proxyless": "macs",
    "proxyless_latency": "latency_ms",
}


def _latencies():
    return (pathlib.Path(FLAGS.work_dir) / "latency.yaml").resolve()


def _searches():
    run_all(
        [
            (
                "search",
                f"--name={name}",
                *[f"--latency_table={_latencies()}"] * (cost == "latency_ms"),
            )
            for name, cost in _COSTS.items()
        ],
        [f"cifar10_{name}" for name in _COSTS],
    )


def _found(name):
    """Names of retrainings, and what they are told."""
    told = [f"--architecture={best_json(name)}"]
    return {f"{name}_seed{seed}": told for seed in range(FLAGS.seeds)}


def _random(name):
    """The same for networks that nobody searched for."""
    best = read_json("search", name, "best.json")
    cost = _COSTS[name]
    most = best["costs"][cost]
    blueprint = build_blueprint(best["search_space"], **best["space_arguments"])
    function = (
        latency_table(blueprint, read_latency_table(_latencies()))
        if cost == "latency_ms"
        else cost_table(blueprint, cost)
    )
    encodings = sample_feasible(
        blueprint.search_space,
        [Constraint(function, minimum=_EQUAL * most, maximum=most)],
        np.random.default_rng(0),
        FLAGS.seeds,
    )
    return {
        f"{name}_random_seed{seed}": _by_encoding(
            best["search_space"], best["space_arguments"], encoding
        )
        for seed, encoding in enumerate(encodings)
    }


def _by_encoding(space, arguments, encoding):
    arguments = {k: v for k, v in arguments.items() if k != "preset"}
    return [
        f"--search_space={space}",
        "--preset=cifar",
        f"--space_arguments={json.dumps(arguments)}",
        f"--encoding={','.join(map(str, encoding))}",
    ]


def _blocks():
    told = [f"--architecture={best_json('evolution_seed0')}"]
    return {f"blocks_seed{seed}": told for seed in range(FLAGS.seeds)}


def _full_widths():
    space = "shufflenet_channels"
    choices = build_blueprint(space, **_BLOCKS).search_space.choices
    full = [choice.index(1.0) for choice in choices]
    return {
        f"full_widths_seed{seed}": _by_encoding(space, _BLOCKS, full)
        for seed in range(FLAGS.seeds)
    }


def _rows(groups):
    lines = [
        "| networks | supernet accuracy, % | MACs | params "
        "| test accuracy, mean (least to most), % |",
        "|---|---|---|---|---|",
    ]
    for title, accuracy, runs in groups:
        figures = [read_json("subnet", run, "metrics.json") for run in runs]
        macs, params = (
            ", ".join({f"{one[name] / 1e6:.3f} M": None for one in figures})
            for name in ("macs", "params")
        )
        lines.append(
            f"| {title} | {accuracy} | {macs} | {params} | "
            f"{percent_spread([one['test_accuracy'] for one in figures])} |"
        )
    return "\n".join(lines)


def main(argv):
    del argv
    _searches()
    groups = []
    for name in _COSTS:
        best = read_json("search", name, "best.json")
        groups += [
            (f"{name}: found", f"{100 * best['accuracy']:.2f}", _found(name)),
            (f"{name}: random at its cost", "", _random(name)),
        ]
    groups += [
        ("all 3x3, all widths 1.0", "", _full_widths()),
        ("winner of the block search", "", _blocks()),
    ]
    run_all(
        ("train_subnet", *told, f"--seed={name[-1]}", f"--name={name}")
        for *_, runs in groups
        for name, told in runs.items()
    )
    print(_rows(groups))


if __name__ == "__main__":
    app.run(main)
