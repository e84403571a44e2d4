r"""Says whether a supernet's ranking can be trusted (paper, Table 8).

Scores architectures of a benchmark's table with a trained supernet, as the
search would, and compares the ranking with the table's accuracies.

Examples:
  python tools/correlate.py --work_dir=runs/nb201 --dataset=cifar10 \
      --table=nb201.npz --accuracy_column=test200_cifar10
  # Over training: all checkpoints that --keep_checkpoints left.
  python tools/correlate.py ... --supernet_step=all --name=over_training
  # Without recalibration.
  python tools/correlate.py ... --statistics=shared --name=shared

The table is an NPZ or CSV file: a column arch_str with architectures
(NAS-Bench-201's strings, or comma-separated encodings of any space), columns
of accuracies, and perhaps macs and params (docs/correlation.md).
tools/convert_nasbench201.py makes one of the official files.

Writes work_dir/correlate/<name>/: scores.jsonl (every score, at once),
correlation.json, scatter.png, beside.png (all runs on the same table), and
with several checkpoints over_training.json and over_training.png. Start it
again to go on where it stopped. Scores are shared with other runs in
work_dir/correlate/scores.jsonl.
"""

import functools
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import program
import run_folder
import tqdm
from absl import flags, logging

import correlation_judge
import correlation_results
import scoring
import shared_flags
import trained_supernet
from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    from spos_tf.analysis.score_file import ScoreFile
    from spos_tf.networks.blueprint import Blueprint

FLAGS = flags.FLAGS

shared_flags.define_run()
shared_flags.define_space()
shared_flags.define_data()
shared_flags.define_width_mode()
trained_supernet.define_supernet()
correlation_judge.define_judge()
flags.DEFINE_string("table", None, "The benchmark's table, .npz or .csv.")
flags.DEFINE_string(
    "accuracy_column",
    None,
    "Column of the table to compare with; a wrong one lists those there are.",
)
flags.DEFINE_integer(
    "num_architectures",
    500,
    "Architectures to compare, drawn with --seed from those of the table that "
    "are in the space; 0: all of them.",
    lower_bound=0,
)
flags.DEFINE_list(
    "supernet_step",
    [],
    "Checkpoints of the supernet, by training steps: one, several with commas "
    "between them, or all. Several also give tau over training. Unset: the "
    "newest. (tools/train_supernet.py keeps as many as --keep_checkpoints.)",
)
correlation_results.define_results()
flags.mark_flags_as_required(["table", "accuracy_column"])

# Flags that a resumed run may change. What the table holds is looked at.
_FREE = (*scoring.FREE, "table", "supernet_step", "top_k", "resamples")


def _steps() -> list[int | None]:
    """The checkpoints that --supernet_step asks for; None is the newest."""
    from spos_tf.training.checkpoints import checkpoint_steps

    if not FLAGS.supernet_step:
        return [None]
    folder = trained_supernet.supernet_folder(FLAGS.work_dir) / "checkpoints"
    there = checkpoint_steps(folder)
    if FLAGS.supernet_step == ["all"]:
        if there:
            return [*there]
        # Says that there is none, and what to do.
        return [None]
    wanted: set[int] = set()
    for text in FLAGS.supernet_step:
        if not text.isdecimal() or int(text) not in there:
            raise UserError(
                f"--supernet_step is all, or checkpoints of {str(folder)!r}, "
                f"which are: {', '.join(map(str, there)) or 'none'}; got "
                f"{text!r}. tools/train_supernet.py keeps as many as "
                "--keep_checkpoints says."
            )
        wanted.add(int(text))
    return [*sorted(wanted)]


def _read_compared(blueprint: "Blueprint") -> correlation_results.Compared:
    """The sample of the table, with what is known of it."""
    from spos_tf.analysis.benchmark_table import COST_COLUMNS, read_table
    from spos_tf.analysis.table_architectures import sub_table
    from spos_tf.cost.table import cost_table
    from spos_tf.spaces import parse_architecture

    space = blueprint.search_space
    table = read_table(FLAGS.table)
    accuracies = table.numbers(FLAGS.accuracy_column)
    legal = sub_table(
        table, space, functools.partial(parse_architecture, space.name)
    )
    if legal.left_out:
        logging.info(
            "%s of the table's %s architectures are not in space %s and are "
            "left out.",
            f"{legal.left_out:,}",
            f"{len(table.architectures):,}",
            space.name,
        )
    sample = legal.sample(FLAGS.num_architectures, FLAGS.seed)
    if len(sample) < 2:
        raise UserError(
            "Rankings are compared of at least 2 architectures; got "
            f"{len(sample)} of table {FLAGS.table!r}."
        )
    costs = {
        name: table.numbers(name)[sample.rows]
        if name in table.columns
        else np.asarray(cost_table(blueprint, name)(sample.encodings))
        for name in COST_COLUMNS
    }
    return correlation_results.Compared(
        sample.encodings,
        [table.architectures[row] for row in sample.rows],
        accuracies[sample.rows],
        costs,
        table.sha256,
    )


def _check_unchanged(
    folder: pathlib.Path,
    judge: correlation_judge.Judge,
    trained: trained_supernet.TrainedSupernet,
    compared: correlation_results.Compared,
) -> None:
    """A file of scores mixes no other weights, images or tables.

    What they are made with stands beside them; checkpoints are added to it.
    """
    path = folder / "scored_with.json"
    now: dict[str, Any] = {
        "table": compared.fingerprint,
        **judge.scored_with,
        "supernet": {str(trained.step): trained.fingerprint()},
    }
    before: dict[str, Any] = {}
    if path.exists():
        try:
            before = parse_json(path.read_bytes())
            weights = {**now["supernet"], **before["supernet"]}
        except (ValueError, KeyError, TypeError):
            before, weights = {"supernet": None}, {}
        if before != {**now, "supernet": before["supernet"]} or any(
            weights[step] != digest for step, digest in now["supernet"].items()
        ):
            raise UserError(
                "The supernet, the images or the table changed since the "
                f"comparison in {str(folder)!r} began (see {path.name}). "
                "Choose another --name, or delete that folder."
            )
    else:
        weights = now["supernet"]
    correlation_results.write_json(path, {**now, "supernet": weights})


def _score(
    judge: correlation_judge.Judge,
    trained: trained_supernet.TrainedSupernet,
    compared: correlation_results.Compared,
    scores: "ScoreFile",
    bar: tqdm.tqdm,
) -> np.ndarray:
    """Scores with one checkpoint, float64 `[architectures]`."""
    from spos_tf.analysis.score_file import Scored

    keys = [tuple(one) for one in compared.encodings.tolist()]
    unknown = [
        place
        for place, key in enumerate(keys)
        if scores.get(trained.step, key) is None
    ]
    bar.set_postfix_str(f"step {trained.step}", refresh=False)
    bar.update(len(keys) - len(unknown))
    if unknown:
        judge.take(trained)
    memo_file = pathlib.Path(FLAGS.work_dir) / "correlate" / "scores.jsonl"
    for found, score, seconds in judge.scores(
        trained, [*compared.encodings[unknown]], memo_file
    ):
        place = unknown[found]
        scores.append(
            Scored(
                trained.step,
                keys[place],
                compared.texts[place],
                score,
                float(compared.accuracies[place]),
                seconds,
            )
        )
        bar.update()
    known = [scores.get(trained.step, key) for key in keys]
    return np.array([one.score for one in known if one is not None])


def main() -> None:
    """Scores and compares."""
    from spos_tf.analysis.correlation import top_count
    from spos_tf.analysis.score_file import ScoreFile

    with run_folder.open_run("correlate", "correlate", free=_FREE) as folder:
        steps = _steps()
        trained = trained_supernet.read_supernet(FLAGS.work_dir, steps[0])
        compared = _read_compared(trained.blueprint)
        for asked in FLAGS.top_k:
            top_count(asked, len(compared.encodings))
        scores = ScoreFile(folder / "scores.jsonl")
        judge = correlation_judge.load_judge(trained)
        _check_unchanged(folder, judge, trained, compared)
        by_step: dict[int, np.ndarray] = {}
        with tqdm.tqdm(
            total=len(steps) * len(compared.encodings),
            desc="scoring",
            unit="architecture",
        ) as bar:
            for step in steps:
                if by_step:
                    trained = trained_supernet.read_supernet(
                        FLAGS.work_dir, step
                    )
                    _check_unchanged(folder, judge, trained, compared)
                by_step[trained.step] = _score(
                    judge, trained, compared, scores, bar
                )
        result = correlation_results.write_results(
            folder, trained.blueprint, compared, by_step
        )
    print(
        f"{result.num_architectures} architectures, {FLAGS.accuracy_column}, "
        f"step {max(by_step)}, {FLAGS.statistics} statistics: {result}"
    )
    logging.info("See %s.", folder / "correlation.json")


if __name__ == "__main__":
    program.run(main)
