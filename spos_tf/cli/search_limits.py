r"""Searches one trained supernet under several limits (paper, Table 5).

Example:
  spos search_limits \
      --flagfile=saved_configs/search_limits/imagenet.flags --data_dir=DIR

Weights and images are loaded once. Every --limits is a search of its own in
work_dir/search/<name>-<limit>/, as `spos search` would leave it; start it
again to resume where it stopped. work_dir/search_limits/<name>/table.md and
table.json put the winners beside the networks of --baseline. Networks that
`spos train_subnet` trained under the same names show their test accuracy. The
search space and its sizes are those of the supernet, as in `spos search`.
"""

from spos_tf.cli import search
from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given
from spos_tf.options import LimitsTableOptions, RunOptions


def main(given: Given) -> str:
    """Searches under every limit, then prints the table."""
    given.use_threads()
    from spos_tf.jobs.search_limits import search_limits

    table = given(LimitsTableOptions)
    found = search_limits(
        limits=table.limits, baselines=table.baseline, **search.arguments(given)
    )
    print(found.table, end="")
    run = given(RunOptions)
    name = next(
        (one.folder.name for one in found.searches.values() if one.folder),
        run.name,
    )
    return command_line(
        "train_subnet", work_dir=run.work_dir, search_name=name, name=name
    )


COMMAND = Command(
    __doc__, (*search.KINDS, LimitsTableOptions), main, required=("work_dir",)
)
