r"""Trains a supernet: on single paths, or as other papers do.

Examples:
  # Images of your own; sizes, steps and the rest are picked and printed.
  spos train_supernet --dataset=folder:photos --work_dir=runs/photos
  spos train_supernet \
      --flagfile=saved_configs/train_supernet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR

If none of --preset, --image_size, --num_classes and --space_arguments is
given, the sizes are picked to suit the images, and the number of steps so that
they take at most an hour on this device.

Writes work_dir/supernet/<name>/: checkpoints/, run.json, labels.json,
train_supernet.flags and TensorBoard events; with --algorithm=gumbel or
two_path also best.json, the architecture found. Start it again to resume where
it stopped.
"""

import pathlib
from typing import TYPE_CHECKING, Any

from spos_tf.cli.following import command_line, in_millions
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

if TYPE_CHECKING:
    from spos_tf.jobs.trained import TrainedSupernet

# Flags that say the size of the networks: nothing is picked then.
_SIZES = ("preset", "image_size", "num_classes", "space_arguments")


def _arguments(given: Given, folder: pathlib.Path) -> dict[str, Any]:
    """What the flags say, or else what the images suggest."""
    from spos_tf.cli.objects import DEFAULT_SPACE, blueprint_of, data_of
    from spos_tf.jobs.notes import tell
    from spos_tf.jobs.planning import plan_supernet, stored_plan
    from spos_tf.spaces import space_names

    space, options = given(SpaceOptions), given(SupernetOptions)
    train = data_of(given, folder)
    name = space.search_space or DEFAULT_SPACE
    if name not in space_names() or any(map(given.is_typed, _SIZES)):
        return {
            "blueprint": blueprint_of(space),
            "train": train,
            "options": options,
        }
    plan = stored_plan(folder, train, search_space=name, options=options)
    if plan is None:
        plan = plan_supernet(train, search_space=name, options=options)
    for line in plan.reasons:
        tell(line)
    return {
        "blueprint": plan.blueprint,
        "train": plan.train,
        "options": plan.options,
        "recipe": plan.recipe,
    }


def _next(run: RunOptions, trained: "TrainedSupernet") -> str:
    """The search, under a limit that half of the networks keep."""
    from spos_tf.cost.description import cost_ranges

    folder = pathlib.Path(str(run.work_dir)) / "supernet" / run.name
    if (folder / "best.json").exists():
        return command_line(
            "train_subnet",
            work_dir=run.work_dir,
            name=run.name,
            architecture=folder / "best.json",
        )
    median = cost_ranges(trained.blueprint)["macs"]["median"]
    return command_line(
        "search",
        work_dir=run.work_dir,
        supernet_name=run.name,
        max_macs=in_millions(median),
        time_limit="30m",
    )


def main(given: Given) -> str:
    """Trains what the flags ask for."""
    given.use_threads()
    from spos_tf.jobs.train_supernet import train_supernet
    from spos_tf.jobs.trained import SUPERNET_STAGE

    run = given(RunOptions)
    folder = pathlib.Path(str(run.work_dir)) / SUPERNET_STAGE / run.name
    trained = train_supernet(
        **_arguments(given, folder),
        work_dir=str(run.work_dir),
        name=run.name,
        **given.values(PinOptions),
        **given.values(LimitOptions),
    )
    return _next(run, trained)


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
    required=("work_dir", "dataset"),
)
