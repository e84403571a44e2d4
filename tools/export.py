r"""Exports a trained network and compares every file with it.

Example:
  python tools/export.py --work_dir=runs/cifar10 --name=winner \
      --dataset=cifar10 --data_dir=DIR \
      --formats=saved_model,tflite,tflite_float16,tflite_int8,onnx

Reads work_dir/subnet/<subnet_name>/ and writes work_dir/export/<name>/: the
files and manifest.json. Each file is loaded by its own runtime and compared
with Keras on test images; one that computes something else fails the run, and
then the folder is left as it was. Otherwise it holds exactly what this run
made: a format of an earlier run that is not among --formats is removed.
"""

import pathlib
from collections.abc import Iterable

import numpy as np
from absl import flags, logging

import program
import run_folder
import shared_flags
import trained_subnet
from spos_tf.errors import UserError
from spos_tf.export.formats import DEPLOY_FORM, FORMATS

FLAGS = flags.FLAGS

_LEAST = {
    name: known.min_agreement
    for name, known in {**FORMATS, DEPLOY_FORM.name: DEPLOY_FORM}.items()
}

shared_flags.define_run()
# No image has to be held out: nothing is searched here.
shared_flags.define_data(holdout_per_class=0)
trained_subnet.define_subnet()
flags.DEFINE_list(
    "formats",
    None,
    "; ".join(f"{name}: {known.help}" for name, known in FORMATS.items())
    + ". If unset all that can hold the network; "
    + " and ".join(n for n, known in FORMATS.items() if known.is_deploy_form)
    + " only after train_subnet.py --deploy_form.",
)
flags.DEFINE_list(
    "min_agreement",
    [f"{name}={share}" for name, share in _LEAST.items()],
    "Least share of images with the network's top class, FORMAT=SHARE; a bare "
    "SHARE counts for all. saved_model, tflite and onnx have to agree on all "
    "images, except where a network with bits rounds features. Of "
    "tflite_lowbit and onnx_deploy the top class is that of the deploy form, "
    "which has a share of its own.",
)
flags.DEFINE_integer(
    "stored_weight_bits",
    None,
    "What a file stores low-bit weights in: 4 (the default) or 8 in onnx_qdq, "
    "8 in tflite_lowbit and onnx_deploy.",
)
flags.DEFINE_integer(
    "num_images",
    2000,
    "Test images to compare on, chosen at random; 0 for all. They are in "
    "memory at once.",
    lower_bound=0,
)
flags.DEFINE_integer(
    "num_representative_images",
    200,
    "Training images that show tflite_int8 the range of every feature.",
    lower_bound=1,
)
flags.DEFINE_integer("batch_size", 64, "Images at once.", lower_bound=1)

# Flags that a run in the same folder may change: it makes every file anew.
_FREE = (
    "batch_size",
    "formats",
    "min_agreement",
    "num_images",
    "num_representative_images",
    "stored_weight_bits",
)
_STEPS = {"convert": "converting", "check": "comparing"}


def _min_agreement() -> dict[str, float]:
    limits = dict(_LEAST)
    for item in FLAGS.min_agreement:
        name, _, share = item.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if (name and name not in limits) or not 0 <= value <= 1:
            raise UserError(
                "--min_agreement is a share in [0, 1] or FORMAT=SHARE with a "
                f"format of {', '.join(limits)}; got {item!r}."
            )
        limits.update({name: value} if name else dict.fromkeys(limits, value))
    return limits


def _some(split, count):
    """A fixed random part of a split, in the split's order."""
    if count in (0, len(split)) or count > len(split):
        return split
    rng = np.random.default_rng(FLAGS.seed)
    chosen = np.sort(rng.permutation(len(split))[:count])
    return split.select(chosen, split.name)


def _other_files(folder: pathlib.Path, formats: Iterable[str]) -> list[str]:
    """Files there of formats that are not asked for now."""
    return [
        known.file_name
        for name, known in FORMATS.items()
        if name not in formats and (folder / known.file_name).exists()
    ]


def _table(manifest) -> str:
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


def main() -> None:
    """Writes the files that the flags ask for."""
    min_agreement = _min_agreement()
    subnet = trained_subnet.read_subnet()
    blueprint = subnet.blueprint
    from spos_tf.data.pipeline import evaluation_arrays
    from spos_tf.export import (
        check_formats,
        check_weight_bits,
        default_formats,
        export_model,
        possible_formats,
    )
    from spos_tf.networks.int8_subnet import is_int8

    possible = possible_formats(subnet.model)
    formats = FLAGS.formats or default_formats(subnet.model)
    targets = check_formats(
        formats, space=blueprint.search_space.name, allowed=possible
    )
    check_weight_bits(targets, FLAGS.stored_weight_bits)
    parts = shared_flags.splits(blueprint)
    preprocessing = shared_flags.preprocessing(blueprint)
    representative = None
    if "tflite_int8" in formats and not is_int8(subnet.model):
        count = min(FLAGS.num_representative_images, len(parts.train))
        representative, _ = evaluation_arrays(
            parts.recalibration(count, FLAGS.seed), preprocessing
        )
    images, labels = evaluation_arrays(
        _some(parts.test, FLAGS.num_images), preprocessing
    )

    def progress(name, step, index):
        if step in _STEPS:
            logging.info(
                "[%s/%s] %s %s", index + 1, len(formats), _STEPS[step], name
            )

    with run_folder.open_run("export", "export", free=_FREE) as folder:
        others = _other_files(folder, formats)
        manifest = export_model(
            subnet.model,
            blueprint=blueprint,
            architecture=subnet.architecture,
            formats=formats,
            folder=folder,
            images=images,
            labels=labels,
            representative_images=representative,
            min_agreement=min_agreement,
            stored_weight_bits=FLAGS.stored_weight_bits,
            batch_size=FLAGS.batch_size,
            progress=progress,
        )
    if others:
        logging.info(
            "Removed %s of an earlier run, not among --formats now.",
            ", ".join(others),
        )
    print(_table(manifest))
    print(f"{len(images)} test images; files and manifest.json in {folder}")


if __name__ == "__main__":
    program.run(main)
