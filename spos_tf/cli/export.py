r"""Exports a trained network and compares every file with it.

Example:
  spos export --work_dir=runs/cifar10 --name=winner \
      --dataset=cifar10 --data_dir=DIR \
      --formats=saved_model,tflite,tflite_float16,tflite_int8,onnx

Reads work_dir/subnet/<subnet_name>/ and writes work_dir/export/<name>/: the
files, labels.json and manifest.json. Each file is loaded by its own runtime
and compared with Keras on test images. If a file does not agree, the command
fails and leaves the folder as it was. Otherwise the folder then holds exactly
the files of this run: other formats of an earlier run are removed. The search
space and its sizes are those of the trained network and need not be given.

The table that is printed compares every file with the network. difference: the
largest difference of a logit. agreement: the share of images with the same top
class. near ties: images that this share leaves out, because the network's two
largest logits are so close that rounding decides between them. Without
--formats all formats that can hold the network are written, in some minutes.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given
from spos_tf.options import (
    ExportOptions,
    RunOptions,
    SourceOptions,
    SpaceOptions,
    SubnetNameOptions,
)


def _table(manifest: Mapping[str, Any]) -> str:
    """What a manifest says of every file, as lines for people."""
    lines = [
        f"{'format':15} {'bytes':>12} {'difference':>11} {'agreement':>10} "
        f"{'accuracy':>9} {'near ties':>10}"
    ]
    rows = {
        name: (f"{entry['bytes']:,d}", entry)
        for name, entry in manifest["files"].items()
    }
    if "deploy_form" in manifest:
        rows["(deploy form)"] = "", manifest["deploy_form"]
    lines += [
        f"{name:15} {size:>12} {entry['max_abs_difference']:11.2e} "
        f"{entry['top1_agreement']:10.2%} {entry['accuracy']:9.2%} "
        f"{entry['near_ties']:10d}"
        for name, (size, entry) in rows.items()
    ]
    return "\n".join(lines)


def main(given: Given) -> str:
    """Writes the files that the flags ask for."""
    from spos_tf.cli.objects import data_of, subnet_folder, subnet_of_flags
    from spos_tf.cost.counts import network_cost
    from spos_tf.jobs.export import export_subnet
    from spos_tf.jobs.trained import network_known

    run = given(RunOptions)
    folder = pathlib.Path(str(run.work_dir)) / "export" / run.name
    model = subnet_of_flags(given)
    manifest = export_subnet(
        model,
        folder,
        compare_on=data_of(given, subnet_folder(given)),
        subnet_name=given(SubnetNameOptions).subnet_name,
        options=given(ExportOptions),
    )
    print(_table(manifest))
    subnet = network_known(model)
    cost = network_cost(subnet.blueprint, subnet.encoding)
    print(f"{cost.macs:,} multiply-adds, {cost.params:,} weights")
    count = max(one["images"] for one in manifest["files"].values())
    print(f"{count} test images; files and manifest.json in {folder}")
    return command_line("report", work_dir=run.work_dir)


COMMAND = Command(
    __doc__,
    (RunOptions, SubnetNameOptions, SpaceOptions, SourceOptions, ExportOptions),
    main,
    ("work_dir",),
)
