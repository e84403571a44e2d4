r"""Trains a supernet: on single paths, or as other papers do.

Example:
  spos train_supernet \
      --flagfile=saved_configs/train_supernet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR

Writes work_dir/supernet/<name>/: checkpoints/, run.json, labels.json,
train_supernet.flags and TensorBoard events; with --algorithm=gumbel or
two_path also best.json, the architecture found. Start it again to resume where
it stopped.
"""

from spos_tf.cli.program import Command, Given
from spos_tf.options import (
    LimitOptions,
    PinOptions,
    RunOptions,
    SourceOptions,
    SpaceOptions,
    SupernetOptions,
    ThreadOptions,
)


def main(given: Given) -> None:
    """Trains what the flags ask for."""
    given.use_threads()
    from spos_tf.cli.objects import blueprint_of
    from spos_tf.data.sources import DataSource
    from spos_tf.jobs.train_supernet import train_supernet

    run = given(RunOptions)
    train_supernet(
        blueprint_of(given(SpaceOptions)),
        DataSource.of(given(SourceOptions)),
        work_dir=str(run.work_dir),
        name=run.name,
        options=given(SupernetOptions),
        **given.values(PinOptions),
        **given.values(LimitOptions),
    )


COMMAND = Command(
    __doc__,
    (
        RunOptions,
        ThreadOptions,
        SpaceOptions,
        SourceOptions,
        SupernetOptions,
        PinOptions,
        LimitOptions,
    ),
    main,
    required=("work_dir",),
)
