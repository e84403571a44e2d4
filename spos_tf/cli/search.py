r"""Searches a trained supernet under hard limits (paper, Algorithm 1).

Example:
  spos search --work_dir=runs/cifar10 --name=evolution --max_macs=9.2e6

Reads work_dir/supernet/<supernet_name>/ and writes work_dir/search/<name>/:
record.jsonl (every evaluation, at once), best.json (after every generation),
search.png, run.json, search.flags and scored_with.json (which weights and
images); with --strategy=nsga2 also front.json and front.png. Start it again to
resume where it stopped. Scores are shared with other searches of the same
supernet in work_dir/search/scores.jsonl. The images are those that the
supernet was trained with, unless --dataset names them again. The search space
and its sizes are those of the supernet: leave out --preset, --image_size,
--num_classes and --space_arguments, and --search_space too unless it is a
Python file of your own. If you give one, all have to be those of the training.
"""

from typing import Any

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given
from spos_tf.options import (
    LimitOptions,
    PinOptions,
    RunOptions,
    SearchOptions,
    SourceOptions,
    SpaceOptions,
    SupernetNameOptions,
    ThreadOptions,
)

KINDS = (
    RunOptions,
    ThreadOptions,
    SpaceOptions,
    SourceOptions,
    SupernetNameOptions,
    SearchOptions,
    PinOptions,
    LimitOptions,
)


def arguments(given: Given) -> dict[str, Any]:
    """What the flags say, as arguments of `search_supernet`."""
    from spos_tf.cli.objects import source_of
    from spos_tf.jobs.trained import load_supernet

    run = given(RunOptions)
    supernet = load_supernet(
        run.work_dir or "",
        name=given(SupernetNameOptions).supernet_name,
        space=given(SpaceOptions),
    )
    return {
        "supernet": supernet,
        "options": given(SearchOptions),
        "work_dir": run.work_dir,
        "name": run.name,
        "train": source_of(given, supernet.source),
        **given.values(PinOptions),
        **given.values(LimitOptions),
    }


def main(given: Given) -> str:
    """Searches and writes what it found."""
    given.use_threads()
    from spos_tf.jobs.search import search_supernet

    search_supernet(**arguments(given))
    run = given(RunOptions)
    return command_line(
        "train_subnet",
        work_dir=run.work_dir,
        search_name=run.name,
        name=run.name,
    )


COMMAND = Command(__doc__, KINDS, main, required=("work_dir",))
