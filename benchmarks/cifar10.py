r"""The CIFAR-10 evidence of docs/results.md, from a trained supernet on.

Example:
  python tools/train_supernet.py \
      --flagfile=saved_configs/train_supernet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR
  python benchmarks/cifar10.py --work_dir=runs/cifar10 --data_dir=DIR

Searches by evolution and at random over several seeds, retrains the winner, a
random architecture and the four one-option baselines at the winner's
multiply-adds, exports the winner, and prints the tables as Markdown. Each
step is a tool's command; what is done already is not done again.
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
    run_tool,
)

_SPACE = '--space_arguments={"stage_repeats": [2, 2, 2, 2]}'
_OPTIONS = ("3x3", "5x5", "7x7", "xception")


def _searches():
    run_all(
        (
            "search",
            f"--strategy={strategy}",
            f"--seed={seed}",
            f"--name={strategy}_seed{seed}",
        )
        for seed in range(FLAGS.seeds)
        for strategy in ("random", "evolution")
    )


def _networks():
    """Name -> what its retraining is told."""
    macs = read_json("search", "evolution_seed0", "best.json")["costs"]["macs"]
    first = read_record("random_seed0")[0]["encoding"]
    by_encoding = ["--preset=cifar", _SPACE]
    return {
        "winner": [f"--architecture={best_json('evolution_seed0')}"],
        "random": [
            f"--encoding={','.join(map(str, first))}",
            *by_encoding,
            f"--fit_macs={macs}",
        ],
        **{
            option: [
                f"--encoding={','.join([str(index)] * len(first))}",
                *by_encoding,
                f"--fit_macs={macs}",
            ]
            for index, option in enumerate(_OPTIONS)
        },
    }


def _retrainings(networks):
    run_all(
        ("train_subnet", *told, f"--seed={seed}", f"--name={name}_seed{seed}")
        for seed in range(FLAGS.seeds)
        for name, told in networks.items()
    )


def _tables(networks):
    rows = [
        "| strategy | best by seed, % | mean of all candidates, % |",
        "|---|---|---|",
    ]
    for strategy in ("random", "evolution"):
        records = [
            [line["score"] for line in read_record(f"{strategy}_seed{seed}")]
            for seed in range(FLAGS.seeds)
        ]
        best = ", ".join(f"{100 * max(r):.2f}" for r in records)
        rows.append(
            f"| {strategy} | {best} | "
            f"{100 * np.mean([np.mean(r) for r in records]):.2f} |"
        )
    rows += [
        "",
        "| network | stage widths | MACs | params | test accuracy, mean "
        "(least to most), % |",
        "|---|---|---|---|---|",
    ]
    for name in networks:
        runs = [f"{name}_seed{seed}" for seed in range(FLAGS.seeds)]
        figures = [read_json("subnet", run, "metrics.json") for run in runs]
        arguments = read_json("subnet", runs[0], "architecture.json")
        widths = arguments["space_arguments"].get("stage_widths", "preset")
        rows.append(
            f"| {name} | {widths} | {figures[0]['macs']:,} | "
            f"{figures[0]['params']:,} | "
            f"{percent_spread([f['test_accuracy'] for f in figures])} |"
        )
    rows += [
        "",
        "| file | accuracy, % | agreement, % | bytes |",
        "|---|---|---|---|",
    ]
    manifest = read_json("export", "winner_seed0", "manifest.json")
    rows += [
        f"| {name} | {100 * entry['accuracy']:.2f} | "
        f"{100 * entry['top1_agreement']:.2f} | {entry['bytes']:,} |"
        for name, entry in manifest["files"].items()
    ]
    return "\n".join(rows)


def main(argv):
    del argv
    _searches()
    networks = _networks()
    _retrainings(networks)
    run_tool(
        "export",
        "--name=winner_seed0",
        "--dataset=cifar10",
        "--num_images=0",
        "--min_agreement=0.9",
        config=None,
    )
    print(_tables(networks))


if __name__ == "__main__":
    app.run(main)
