r"""Trains a final network, from scratch or from the supernet's weights.

Example:
  spos train_subnet \
      --flagfile=saved_configs/train_subnet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR --name=winner \
      --search_name=evolution

Reads an architecture (work_dir/search/<search_name>/best.json, or what
--architecture, --encoding, --uniform_bits or --network name) and writes
work_dir/subnet/<name>/: subnet.keras (a plain Keras model), architecture.json,
labels.json, metrics.json, run.json, checkpoints/ and TensorBoard events. Start
it again to resume where it stopped.
"""

from spos_tf.cli.program import Command, Given
from spos_tf.options import (
    NetworkOptions,
    RunOptions,
    SourceOptions,
    SpaceOptions,
    StartOptions,
    SubnetOptions,
    SupernetNameOptions,
    ThreadOptions,
)


def main(given: Given) -> None:
    """Trains what the flags ask for."""
    given.use_threads()
    import pathlib

    from spos_tf.cli.objects import chosen_network, network_of
    from spos_tf.data.sources import DataSource
    from spos_tf.jobs.train_subnet import train_subnet

    run, start = given(RunOptions), given(StartOptions)
    space = given(SpaceOptions)
    network = chosen_network(space, given(NetworkOptions))
    if network is None:
        searches = pathlib.Path(str(run.work_dir)) / "search"
        network = network_of(searches / start.search_name / "best.json", space)
    train_subnet(
        network,
        DataSource.of(given(SourceOptions)),
        work_dir=str(run.work_dir),
        name=run.name,
        options=given(SubnetOptions),
        inherit_from=start.inherit_from,
        supernet_name=given(SupernetNameOptions).supernet_name,
        weights=start.weights,
        start_from=start.start_from,
    )


COMMAND = Command(
    __doc__,
    (
        RunOptions,
        ThreadOptions,
        SpaceOptions,
        NetworkOptions,
        StartOptions,
        SupernetNameOptions,
        SourceOptions,
        SubnetOptions,
    ),
    main,
    required=("work_dir",),
)
