r"""Makes a table for tools/correlate.py of NAS-Bench-201's official files.

Examples:
  python tools/convert_nasbench201.py \
      --source=NATS-tss-v1_0-3ffb9-simple --output=nb201.npz
  python tools/convert_nasbench201.py \
      --source=NAS-Bench-201-v1_1-096897.pth --output=nb201.npz

The source is a folder of NATS-Bench's topology space (the best: it is read
one architecture at a time), its file NATS-tss-v1_0-3ffb9.pickle.pbz2, or a
file of NAS-Bench-201; a file is in memory as a whole, which takes several
times its size. They are pickles: nothing but plain containers and numbers is
loaded of them, and torch is not needed.

Columns are arch_str, macs and params (of the CIFAR-10 networks), and mean
accuracies in percent over the benchmark's repetitions, after 12 and 200
epochs: test200_cifar10, valid200_cifar10, test200_cifar100,
valid200_cifar100, test200_imagenet16, valid200_imagenet16, test12_cifar10 and
so on (docs/correlation.md). A column that not all architectures have is left
out, and said.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import program
import tqdm
from absl import flags, logging

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "source", None, "Folder or file of the benchmark, as it was published."
)
flags.DEFINE_string("output", None, "The table to write, .npz.")
flags.mark_flags_as_required(["source", "output"])


def _with_bar(entries: Iterator, count: int) -> Iterator:
    return iter(
        tqdm.tqdm(entries, total=count, desc="reading", unit="architecture")
    )


def main() -> None:
    """Reads, then writes."""
    import numpy as np

    from spos_tf.analysis.nasbench201_files import convert

    output = pathlib.Path(FLAGS.output)
    if output.suffix != ".npz":
        raise UserError(f"--output ends in .npz; got {FLAGS.output!r}.")
    if not output.absolute().parent.is_dir():
        raise UserError(
            f"There is no folder {str(output.absolute().parent)!r} for "
            "--output. Make it first."
        )
    found = convert(FLAGS.source, progress=_with_bar)
    columns: dict[str, Any] = found.columns
    with unfinished(output) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **columns)
    rows = len(found.columns["arch_str"])
    for name, count in found.incomplete.items():
        logging.warning(
            "Column %s is left out: %s of %s architectures have it.",
            name,
            count,
            rows,
        )
    if found.absent:
        logging.warning("%s architectures have no results there.", found.absent)
    print(f"{rows} architectures, columns {', '.join(found.columns)}")


if __name__ == "__main__":
    program.run(main)
