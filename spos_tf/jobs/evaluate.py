"""Measures the accuracy of a trained network, or of an exported file of it."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spos_tf.data.inputs import Images, images_of
from spos_tf.data.sources import DataSource
from spos_tf.errors import UserError
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.export.formats import FORMATS
from spos_tf.export.runtimes import keras_predictor, load
from spos_tf.jobs.data import preprocessing_of
from spos_tf.jobs.process import precision
from spos_tf.jobs.trained import (
    LABELS_FILE,
    TrainedSubnet,
    network_known,
    read_labels,
)
from spos_tf.jobs.validation import score
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.int8_subnet import copy_weights
from spos_tf.networks.subnet import build_subnet
from spos_tf.options import EvaluationOptions
from spos_tf.paths import local_path

if TYPE_CHECKING:
    import keras


def evaluate_subnet(
    model: "keras.Model",
    data: Any,
    *,
    export_folder: str | pathlib.Path | None = None,
    options: EvaluationOptions | None = None,
) -> dict[str, Any]:
    """Measures how many images a network classifies correctly.

    Args:
        model: From `train_subnet` or `load_subnet`.
        data: `(images, labels)`, a data set, or a `tf.data.Dataset` of
            batches. Of a data set, `options.split` is taken.
        export_folder: Where `export_subnet` wrote; needed unless
            `options.format` is keras.
        options: What is measured.

    Returns:
        `{"format", "split", "images", "accuracy", "dtype_policy"}`; the split
        is None where the images were given, the policy for a file.

    Raises:
        UserError: There are no images, the file is missing, a logit is not
            finite, or the network has a precision of its own.
    """
    options = (options or EvaluationOptions()).complete()
    network = network_known(model)
    blueprint = network.blueprint
    preprocessing = preprocessing_of(blueprint, options)
    outputs = network.class_names
    if options.format != "keras" and export_folder is not None:
        # The network may have been trained anew since.
        own = read_labels(pathlib.Path(export_folder) / LABELS_FILE)
        outputs = own or outputs
    images = _images(data, blueprint, options, outputs)
    split = images.everything(preprocessing)
    if not len(split):
        way_out = "Choose another `split`."
        if options.split == "search":
            way_out = "Give the `holdout_per_class` of the search."
        raise UserError(
            "Accuracy is measured on at least one image; split "
            f"{options.split!r} has none. {way_out}"
        )
    if options.format == "keras":
        policy = options.dtype_policy or "float32"
        predict = keras_predictor(_in_precision(network, policy))
    elif export_folder is None:
        raise UserError(
            f"`format={options.format}` is an exported file. Give the "
            "`export_folder` that has it."
        )
    else:
        place = local_path(export_folder, "export_folder")
        file = place / FORMATS[options.format].file_name
        predict = load(file, options.format)
    return {
        "format": options.format,
        "split": options.split if isinstance(data, DataSource) else None,
        "images": len(split),
        "accuracy": score(
            predict,
            split,
            preprocessing,
            ScoreMetric.make(num_classes=blueprint.num_classes),
            batch_size=options.batch_size,
        ),
        "dtype_policy": options.dtype_policy,
    }


def _in_precision(known: TrainedSubnet, policy: str) -> "keras.Model":
    """The network, computing in some precision.

    Raises:
        UserError: It was trained for files of 8 bits, whose arithmetic is
            their own.
    """
    if policy == "float32":
        return known.model
    with precision(policy):
        model = build_subnet(known.blueprint, known.encoding)
    ours, theirs = (
        {layer.name for layer in one.layers if layer.variables}
        for one in (model, known.model)
    )
    if ours != theirs:
        raise UserError(
            f"`dtype_policy={policy}` is for networks that compute in one "
            "precision; this one was trained with quantizers for files of 8 "
            "bits. Leave it out."
        )
    copy_weights(known.model, model)
    return model


def _images(
    data: Any,
    blueprint: Blueprint,
    options: EvaluationOptions,
    outputs: Sequence[str] | None,
) -> Images:
    """The images that are measured on."""
    is_test = not isinstance(data, DataSource) or options.split == "test"
    images = images_of(
        data,
        argument="test" if is_test else "train",
        num_classes=blueprint.num_classes,
        outputs=outputs,
    )
    if is_test:
        return images
    train, search = images.hold_out(options.holdout_per_class or 0)
    return train if options.split == "train" else search
