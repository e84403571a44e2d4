r"""The CIFAR-10 evidence on path dropout, Gumbel softmax and two paths.

Example:
  python benchmarks/cifar10_comparators.py --work_dir=runs/cifar10 \
      --data_dir=DIR

Trains, with saved_configs/train_supernet/cifar10_*.flags, supernets by single
path and by path dropout at three keep rates, whose fixed random paths are
scored on the way: the paper's Figure 1, as figure1.png in the work_dir (or
--figure). Then architectures by gumbel and two_path, which are retrained like
those of benchmarks/cifar10.py, at the multiply-adds of its winner, and printed
as rows of the paper's Table 3. Runs that are done are not done again.
"""

import pathlib

from absl import app, flags

from cifar10_tools import (
    FLAGS,
    percent_spread,
    read_json,
    run_all,
)
from spos_tf.report.training_curves import plot_curves, read_curve

flags.DEFINE_integer(
    "fit_macs", 3_397_376, "Multiply-adds of the retrained networks."
)
flags.DEFINE_integer("steps", 4500, "Steps of every supernet.")
flags.DEFINE_string("figure", None, "Where to draw; work_dir/figure1.png.")

_KEEP_RATES = (0.3, 0.5, 0.7)
_LEARNING = ("gumbel", "two_path")
# The random paths that are scored, and how often in a run.
_PATHS, _SCORES = 5, 9
_SINGLE = "figure1_single_path"


def _kept(keep_rate):
    return f"figure1_keep{keep_rate}"


def _supernets():
    alike = [
        f"--steps={FLAGS.steps}",
        f"--validate_every={FLAGS.steps // _SCORES}",
        "--threads=1",
    ]
    paths = f"--validation_paths={_PATHS}"
    jobs = {
        (_SINGLE, "cifar10"): [paths, "--sampler=uniform"],
        **{
            (_kept(rate), "cifar10_path_dropout"): [
                paths,
                f"--keep_rate={rate}",
            ]
            for rate in _KEEP_RATES
        },
        **{(name, f"cifar10_{name}"): [] for name in _LEARNING},
    }
    run_all(
        (
            ("train_supernet", f"--name={name}", *alike, *further)
            for (name, _), further in jobs.items()
        ),
        [config for _, config in jobs],
    )


def _folder(name):
    return (pathlib.Path(FLAGS.work_dir) / "supernet" / name).resolve()


def _curves():
    names = {
        "single path": _SINGLE,
        **{
            f"path dropout, {rate:.0%} kept": _kept(rate)
            for rate in _KEEP_RATES
        },
    }
    return {
        title: read_curve(_folder(name) / "events", "validation/accuracy")
        for title, name in names.items()
    }


def _retrainings():
    run_all(
        (
            "train_subnet",
            f"--architecture={_folder(name) / 'best.json'}",
            f"--fit_macs={FLAGS.fit_macs}",
            f"--seed={seed}",
            f"--name={name}_seed{seed}",
        )
        for name in _LEARNING
        for seed in range(FLAGS.seeds)
    )


def _tables(curves):
    lines = [
        "| training | accuracy of random paths by steps, % |",
        "|---|---|",
    ]
    lines += [
        f"| {title} | "
        + ", ".join(f"{100 * value:.1f} ({step})" for step, value in curve)
        + " |"
        for title, curve in curves.items()
    ]
    lines += [
        "",
        "| network | supernet accuracy, % | largest probabilities | MACs "
        "| params | test accuracy, mean (least to most), % |",
        "|---|---|---|---|---|---|",
    ]
    for name in _LEARNING:
        best = read_json("supernet", name, "best.json")
        largest = ", ".join(
            f"{option} {max(best['probabilities'][choice].values()):.2f}"
            for choice, option in best["choices"].items()
        )
        runs = [f"{name}_seed{seed}" for seed in range(FLAGS.seeds)]
        figures = [read_json("subnet", run, "metrics.json") for run in runs]
        lines.append(
            f"| {name} | {100 * best['accuracy']:.2f} | {largest} | "
            f"{figures[0]['macs']:,} | {figures[0]['params']:,} | "
            f"{percent_spread([one['test_accuracy'] for one in figures])} |"
        )
    return "\n".join(lines)


def main(argv):
    del argv
    _supernets()
    curves = _curves()
    picture = FLAGS.figure or pathlib.Path(FLAGS.work_dir) / "figure1.png"
    plot_curves(curves, picture, y_label=f"accuracy of {_PATHS} random paths")
    _retrainings()
    print(_tables(curves))


if __name__ == "__main__":
    app.run(main)
