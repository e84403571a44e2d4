r"""Measures the accuracy of a trained network, or of an exported file of it.

Example:
  spos evaluate --work_dir=runs/cifar10 --name=winner \
      --dataset=cifar10 --data_dir=DIR

Reads work_dir/subnet/<subnet_name>/ and, with --format, the file of that
format in work_dir/export/<name>/. Prints one JSON object on stdout. The search
space and its sizes are those of the trained network and need not be given.
"""

import json
import pathlib

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given
from spos_tf.options import (
    EvaluationOptions,
    RunOptions,
    SourceOptions,
    SpaceOptions,
    SubnetNameOptions,
)


def main(given: Given) -> str:
    """Prints what the flags ask for."""
    from spos_tf.cli.objects import data_of, subnet_folder, subnet_of_flags
    from spos_tf.jobs.evaluate import evaluate_subnet

    run = given(RunOptions)
    result = evaluate_subnet(
        subnet_of_flags(given),
        data_of(given, subnet_folder(given)),
        export_folder=pathlib.Path(str(run.work_dir)) / "export" / run.name,
        options=given(EvaluationOptions),
    )
    print(json.dumps(result))
    return command_line("report", work_dir=run.work_dir)


COMMAND = Command(
    __doc__,
    (
        RunOptions,
        SubnetNameOptions,
        SpaceOptions,
        SourceOptions,
        EvaluationOptions,
    ),
    main,
    ("work_dir",),
)
