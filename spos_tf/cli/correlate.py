r"""Says whether a supernet's ranking can be trusted (paper, Table 8).

Scores architectures of a benchmark's table with a trained supernet, as the
search would, and compares the ranking with the table's accuracies.

Examples:
  spos correlate --work_dir=runs/nb201 --dataset=cifar10 \
      --table=nb201.npz --accuracy_column=test200_cifar10
  # Over training: all checkpoints that --keep_checkpoints left.
  spos correlate ... --supernet_step=all --name=over_training
  # Without recalibration.
  spos correlate ... --statistics=shared --name=shared
  # 300 architectures, none of the 500 of seed 0, to choose a read-out with.
  spos correlate ... --num_architectures=300 --seed=1 \
      --without_sample=0:500 --name=choice

The table is an NPZ or CSV file: a column arch_str with architectures
(NAS-Bench-201's strings, or comma-separated encodings of any space), columns
of accuracies, and perhaps macs and params (docs/correlation.md).
`spos convert_nasbench201` makes one from the official files.

Writes work_dir/correlate/<name>/: scores.jsonl (every score as soon as it is
known), scores.npz, correlation.json, read_outs.json and read_outs.md (what
else ranks these architectures, and how well), scatter.png, beside.png (all
runs on the same table), and with several checkpoints over_training.json and
over_training.png. Start it again to resume. Scores are shared with other
runs in work_dir/correlate/scores.jsonl. The search space and its sizes are
those of the supernet and need not be given.
"""

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given
from spos_tf.options import (
    CorrelationOptions,
    RunOptions,
    SourceOptions,
    SpaceOptions,
    SupernetNameOptions,
    TableOptions,
    ThreadOptions,
)


def main(given: Given) -> str:
    """Scores and compares."""
    given.use_threads()
    from spos_tf.cli.objects import source_of
    from spos_tf.jobs.correlate import correlate_supernet
    from spos_tf.jobs.trained import load_supernet

    run, table = given(RunOptions), given(TableOptions)
    options = given(CorrelationOptions)
    supernet = load_supernet(
        str(run.work_dir),
        name=given(SupernetNameOptions).supernet_name,
        space=given(SpaceOptions),
    )
    found = correlate_supernet(
        supernet,
        str(table.table),
        accuracy_column=str(table.accuracy_column),
        options=options,
        work_dir=str(run.work_dir),
        name=run.name,
        train=source_of(given, supernet.source),
    )
    result = found.correlation
    print(
        f"{result.num_architectures} architectures, {table.accuracy_column}, "
        f"step {max(found.by_step)}, {options.statistics} statistics: "
        f"{result}, reliability {found.reliability}"
    )
    return command_line("report", work_dir=run.work_dir)


COMMAND = Command(
    __doc__,
    (
        RunOptions,
        ThreadOptions,
        SpaceOptions,
        SourceOptions,
        SupernetNameOptions,
        TableOptions,
        CorrelationOptions,
    ),
    main,
    ("work_dir", "table", "accuracy_column"),
)
