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

import concurrent.futures
import json
import pathlib
import shlex
import subprocess
import sys

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS

flags.DEFINE_string("work_dir", None, "Folder with the supernet.")
flags.DEFINE_string("data_dir", None, "Where CIFAR-10 is prepared for TFDS.")
flags.DEFINE_integer("seeds", 3, "Seeds of searches and of retrainings.")
flags.DEFINE_integer("processes", 2, "Tools at once, one thread each.")
flags.mark_flags_as_required(["work_dir", "data_dir"])

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_SPACE = '--space_arguments={"stage_repeats": [2, 2, 2, 2]}'
_OPTIONS = ("3x3", "5x5", "7x7", "xception")


def _tool(name, *further, config=True):
    command = [
        f"tools/{name}.py",
        *([f"--flagfile=saved_configs/{name}/cifar10.flags"] if config else []),
        f"--work_dir={pathlib.Path(FLAGS.work_dir).resolve()}",
        f"--data_dir={pathlib.Path(FLAGS.data_dir).resolve()}",
        *further,
    ]
    # One write, since two threads print.
    print(f"python {shlex.join(command)}\n", end="", flush=True)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=_REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")


def _all(jobs):
    with concurrent.futures.ThreadPoolExecutor(FLAGS.processes) as pool:
        for future in [pool.submit(_tool, *job) for job in jobs]:
            future.result()


def _json(*parts):
    path = pathlib.Path(FLAGS.work_dir).joinpath(*parts)
    return json.loads(path.read_text("utf-8"))


def _record(name):
    path = pathlib.Path(FLAGS.work_dir) / "search" / name / "record.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return sorted(lines, key=lambda line: line["i"])


def _searches():
    _all(
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
    best = f"{FLAGS.work_dir}/search/evolution_seed0/best.json"
    macs = _json("search", "evolution_seed0", "best.json")["costs"]["macs"]
    first = _record("random_seed0")[0]["encoding"]
    by_encoding = ["--preset=cifar", _SPACE]
    return {
        "winner": [f"--architecture={pathlib.Path(best).resolve()}"],
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
    _all(
        ("train_subnet", *told, f"--seed={seed}", f"--name={name}_seed{seed}")
        for seed in range(FLAGS.seeds)
        for name, told in networks.items()
    )


def _spread(values):
    values = np.array(values) * 100
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


def _tables(networks):
    rows = [
        "| strategy | best by seed, % | mean of all candidates, % |",
        "|---|---|---|",
    ]
    for strategy in ("random", "evolution"):
        records = [
            [line["accuracy"] for line in _record(f"{strategy}_seed{seed}")]
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
        figures = [_json("subnet", run, "metrics.json") for run in runs]
        arguments = _json("subnet", runs[0], "architecture.json")
        widths = arguments["space_arguments"].get("stage_widths", "preset")
        rows.append(
            f"| {name} | {widths} | {figures[0]['macs']:,} | "
            f"{figures[0]['params']:,} | "
            f"{_spread([f['test_accuracy'] for f in figures])} |"
        )
    rows += [
        "",
        "| file | accuracy, % | agreement, % | bytes |",
        "|---|---|---|---|",
    ]
    manifest = _json("export", "winner_seed0", "manifest.json")
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
    _tool(
        "export",
        "--name=winner_seed0",
        "--dataset=cifar10",
        "--num_images=0",
        "--min_agreement=0.9",
        config=False,
    )
    print(_tables(networks))


if __name__ == "__main__":
    app.run(main)
