r"""Measures the accuracy of a trained network, or of an exported file of it.

Example:
  python tools/evaluate.py --work_dir=runs/cifar10 --name=winner \
      --dataset=cifar10 --data_dir=DIR

Reads work_dir/subnet/<subnet_name>/ and, with --format, the file of that
format in work_dir/export/<name>/. Prints one JSON object on stdout.
"""

import json
import pathlib

from absl import flags

import program
import shared_flags
import trained_subnet
from spos_tf.errors import UserError
from spos_tf.export.formats import FORMATS

FLAGS = flags.FLAGS

shared_flags.define_run()
shared_flags.define_data(holdout_per_class=0)
trained_subnet.define_subnet()
flags.DEFINE_enum(
    "format",
    "keras",
    ["keras", *FORMATS],
    "keras: the network itself. Others: the exported file, in its runtime.",
)
flags.DEFINE_enum(
    "split",
    "test",
    ["train", "search", "test"],
    "Images to measure on. search needs the --holdout_per_class of the search.",
)
flags.DEFINE_integer("batch_size", 256, "Images at once.", lower_bound=1)


def _predictor(subnet):
    from spos_tf.export import keras_predictor, load

    if FLAGS.format == "keras":
        return keras_predictor(subnet.model)
    folder = pathlib.Path(FLAGS.work_dir) / "export" / FLAGS.name
    return load(folder / FORMATS[FLAGS.format].file_name, FLAGS.format)


def main() -> None:
    """Prints what the flags ask for."""
    subnet = trained_subnet.read_subnet()
    parts = shared_flags.splits(
        subnet.blueprint,
        f"the network in {str(trained_subnet.subnet_folder())!r}",
    )
    split = getattr(parts, FLAGS.split)
    if not len(split):
        way_out = "Choose another --split."
        if FLAGS.split == "search":
            way_out = "Pass the --holdout_per_class of the search."
        raise UserError(
            f"Accuracy is measured on at least one image; split {FLAGS.split!r}"
            f" has none. {way_out}"
        )
    result = {
        "format": FLAGS.format,
        "split": FLAGS.split,
        "images": len(split),
        "accuracy": trained_subnet.accuracy(
            _predictor(subnet),
            split,
            shared_flags.preprocessing(subnet.blueprint),
            batch_size=FLAGS.batch_size,
        ),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    program.run(main)
