r"""The 20 blocks on CIFAR-10 of docs/results.md, from a trained supernet on.

Example:
  python tools/train_supernet.py --data_dir=DIR \
      --flagfile=saved_configs/train_supernet/cifar10_20_blocks.flags
  python benchmarks/cifar10_20_blocks.py --data_dir=DIR \
      --work_dir=runs/cifar10_20_blocks \
      --output=docs/results/cifar10_20_blocks.json

Searches by evolution and at random with two seeds, retrains the winner, random
networks at its multiply-adds and the four networks of one option, and prints
the tables as Markdown. OUTPUT gets the scores of all candidates and the
accuracies of what was retrained. What is done already is not done again.
"""

import json
import pathlib

import numpy as np
from absl import app, flags

import cifar10_tools
import spos_tf
from cifar10_tools import FLAGS, best_json, percent_spread, read_json

flags.DEFINE_string("output", None, "JSON file for the figures.")
flags.mark_flag_as_required("output")

_CONFIG = "cifar10_20_blocks"
_LIMIT = 5_500_000
# The least share of the limit that counts as equal multiply-adds.
_LEAST_SHARE = 0.97
_SEARCHES = [
    (strategy, seed) for seed in (0, 1) for strategy in ("evolution", "random")
]
_OPTIONS = ("3x3", "5x5", "7x7", "xception")
# Trained with three seeds, the others with one.
_REPEATED = ("winner", "3x3")


def _done(*parts):
    return pathlib.Path(FLAGS.work_dir).joinpath(*parts).is_file()


def _search_name(strategy, seed):
    return f"{strategy}_seed{seed}"


def _search():
    jobs = [
        ("search", f"--strategy={one[0]}", f"--seed={one[1]}", f"--name={name}")
        for one in _SEARCHES
        if not _done("search", name := _search_name(*one), "best.json")
    ]
    cifar10_tools.run_all(jobs, [_CONFIG] * len(jobs))


def _random_networks(count):
    """The first random encodings that cost nearly what the limit allows."""
    blueprint = spos_tf.build_blueprint("shufflenet_blocks", preset="cifar")
    random = np.random.default_rng(0)
    found = []
    while len(found) < count:
        encoding = random.integers(0, len(_OPTIONS), 20).tolist()
        macs = spos_tf.network_cost(blueprint, encoding).macs
        if _LEAST_SHARE * _LIMIT <= macs <= _LIMIT:
            found.append(encoding)
    return found


def _networks():
    """Name -> what its retraining is told."""

    def told(encoding):
        return [
            f"--encoding={','.join(map(str, encoding))}",
            "--search_space=shufflenet_blocks",
            "--preset=cifar",
        ]

    networks = {
        option: [*told([index] * 20), f"--fit_macs={_LIMIT}"]
        for index, option in enumerate(_OPTIONS)
    }
    for index, encoding in enumerate(_random_networks(3), start=1):
        networks[f"random{index}"] = told(encoding)
    winner = best_json(_search_name(*_SEARCHES[0]))
    return {"winner": [f"--architecture={winner}"], **networks}


def _runs(name):
    """Names of its retrainings."""
    seeds = range(FLAGS.seeds if name in _REPEATED else 1)
    return [f"{name}_seed{seed}" if seed else name for seed in seeds]


def _retrain(networks):
    jobs = [
        ("train_subnet", *told, f"--seed={seed}", f"--name={run}")
        for name, told in networks.items()
        for seed, run in enumerate(_runs(name))
        if not _done("subnet", run, "metrics.json")
    ]
    cifar10_tools.run_all(jobs, [_CONFIG] * len(jobs))


def _searched():
    """Name -> pairs of encoding and score, in the order of proposal."""
    return {
        name: [
            ("".join(map(str, line["encoding"])), line["score"])
            for line in cifar10_tools.read_record(name)
        ]
        for name in (_search_name(*one) for one in _SEARCHES)
    }


def _search_table(searched):
    rows = [
        "| search | random networks, % | all candidates, % | found, % |"
        " reliability |",
        "|---|---|---|---|---|",
    ]
    for name, pairs in searched.items():
        scores = np.array([score for _, score in pairs])
        trust = read_json("search", name, "best.json")["trust"]
        rows.append(
            f"| {name} | {100 * trust['mean']:.2f} | "
            f"{100 * scores.mean():.2f} | {100 * scores.max():.2f} | "
            f"{trust['reliability']['value']:.2f} |"
        )
    return rows


def _retrained_table(networks):
    rows = [
        "| network | MACs | params | test accuracy, mean (least to most), % |",
        "|---|---|---|---|",
    ]
    kept = {}
    for name in networks:
        figures = [
            read_json("subnet", run, "metrics.json") for run in _runs(name)
        ]
        accuracies = [one["test_accuracy"] for one in figures]
        kept[name] = {
            "macs": figures[0]["macs"],
            "params": figures[0]["params"],
            "test_accuracy": accuracies,
        }
        rows.append(
            f"| {name} | {figures[0]['macs']:,} | {figures[0]['params']:,} | "
            f"{percent_spread(accuracies)} |"
        )
    return rows, kept


def main(argv):
    """Runs what is not done, and prints the tables."""
    del argv
    _search()
    networks = _networks()
    _retrain(networks)
    searched = _searched()
    retrained, kept = _retrained_table(networks)
    figures = {"searches": searched, "retrained": kept}
    pathlib.Path(FLAGS.output).write_text(json.dumps(figures) + "\n", "utf-8")
    print("\n".join([*_search_table(searched), "", *retrained]))


if __name__ == "__main__":
    app.run(main)
