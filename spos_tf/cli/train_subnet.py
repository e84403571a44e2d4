r"""Trains a final network, from scratch or from the supernet's weights.

Example:
  spos train_subnet \
      --flagfile=saved_configs/train_subnet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR --name=winner \
      --search_name=evolution

Reads an architecture (work_dir/search/<search_name>/best.json, or what
--architecture, --encoding, --uniform_bits or --network name) and writes
work_dir/subnet/<name>/: subnet.keras (a plain Keras model), architecture.json,
labels.json, metrics.json, run.json, checkpoints/ and TensorBoard events. The
images are those of the search unless --dataset names others. An architecture
file holds the search space and its sizes, so --preset, --image_size,
--num_classes and --space_arguments need not be given with it. If the steps of
the supernet were picked to take at most an hour, so are these. Start it again
to resume where it stopped.
"""

from typing import Any

from spos_tf.cli.following import command_line
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


def main(given: Given) -> str:
    """Trains what the flags ask for."""
    given.use_threads()
    import pathlib

    from spos_tf.cli.objects import chosen_network, data_of
    from spos_tf.jobs.found import SEARCH_STAGE, read_found
    from spos_tf.jobs.notes import tell
    from spos_tf.jobs.planning import planned_subnet
    from spos_tf.jobs.train_subnet import train_subnet
    from spos_tf.jobs.trained import SUBNET_STAGE, SUPERNET_STAGE

    run, start = given(RunOptions), given(StartOptions)
    space = given(SpaceOptions)
    work_dir = pathlib.Path(str(run.work_dir))
    supernet = given(SupernetNameOptions).supernet_name
    folder = work_dir / SUBNET_STAGE / run.name
    trained = work_dir / SUPERNET_STAGE / supernet
    before = [folder]
    network: Any = chosen_network(space, given(NetworkOptions))
    if network is None:
        network = read_found(work_dir, start.search_name, space)
        before.append(work_dir / SEARCH_STAGE / start.search_name)
    train = data_of(given, *before, trained)
    options = given(SubnetOptions)
    recipe, reasons = planned_subnet(network, train, options, folder, trained)
    for line in reasons:
        tell(line)
    train_subnet(
        network,
        train,
        work_dir=work_dir,
        name=run.name,
        options=options,
        recipe=recipe,
        inherit_from=start.inherit_from,
        supernet_name=supernet,
        weights=start.weights,
        start_from=start.start_from,
    )
    return command_line("export", work_dir=run.work_dir, name=run.name)


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
