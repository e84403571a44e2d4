r"""Makes a table for `spos correlate` from NAS-Bench-201's official files.

Examples:
  spos convert_nasbench201 \
      --source=NATS-tss-v1_0-3ffb9-simple --output=nb201.npz
  spos convert_nasbench201 \
      --source=NAS-Bench-201-v1_1-096897.pth --output=nb201.npz

The source is the folder of NATS-Bench's topology space, its file
NATS-tss-v1_0-3ffb9.pickle.pbz2, or a file of NAS-Bench-201. Prefer the folder:
it is read one architecture at a time, while a file is loaded as a whole and
takes several times its size in memory. The sources are pickles. Only plain
containers and numbers are loaded from them, and torch is not needed.

Columns are arch_str, macs and params (of the CIFAR-10 networks), and mean
accuracies in percent over the benchmark's repetitions, after 12 and 200
epochs: test200_cifar10, valid200_cifar10, test200_cifar100,
valid200_cifar100, test200_imagenet16, valid200_imagenet16, test12_cifar10 and
so on (docs/correlation.md). A column that not all architectures have is left
out with a warning.
"""

import dataclasses
import logging
import pathlib
from collections.abc import Iterator
from typing import Any

from spos_tf.atomic_write import unfinished
from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given
from spos_tf.errors import UserError
from spos_tf.options import Options, option
from spos_tf.options.fields import PLACE
from spos_tf.progress import progress

_LOGGER = logging.getLogger("spos_tf")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options(Options):
    source: str | None = option(
        None,
        "Folder or file of the benchmark, as it was published.",
        effect=PLACE,
    )
    output: str | None = option(None, "The table to write, .npz.", effect=PLACE)


def _with_bar(entries: Iterator, count: int) -> Iterator:
    return iter(
        progress(entries, total=count, desc="reading", unit="architecture")
    )


def main(given: Given) -> str:
    """Reads, then writes."""
    options = given(_Options)
    import numpy as np

    from spos_tf.analysis.nasbench201_files import convert

    output = pathlib.Path(str(options.output))
    if output.suffix != ".npz":
        raise UserError(f"--output ends in .npz; got {options.output!r}.")
    if not output.absolute().parent.is_dir():
        raise UserError(
            f"There is no folder {str(output.absolute().parent)!r} for "
            "--output. Make it first."
        )
    found = convert(str(options.source), progress=_with_bar)
    columns: dict[str, Any] = found.columns
    with unfinished(output) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **columns)
    rows = len(found.columns["arch_str"])
    for name, count in found.incomplete.items():
        _LOGGER.warning(
            "Column %s is left out: %s of %s architectures have it.",
            name,
            count,
            rows,
        )
    if found.absent:
        _LOGGER.warning(
            "%s architectures have no results in the source.", found.absent
        )
    print(f"{rows} architectures, columns {', '.join(found.columns)}")
    accuracies = [name for name in found.columns if "_" in name]
    return command_line(
        "correlate",
        work_dir="DIR",
        table=output,
        accuracy_column=accuracies[-1],
    )


COMMAND = Command(__doc__, (_Options,), main, ("source", "output"))
