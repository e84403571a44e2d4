"""Exports a trained network and compares every file with it."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spos_tf.atomic_write import write_json
from spos_tf.data.class_names import are_named
from spos_tf.data.inputs import Images, images_of
from spos_tf.data.pipeline import evaluation_arrays
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.sources import DataSource
from spos_tf.errors import UserError, check_kind
from spos_tf.export.exporting import (
    default_formats,
    export_model,
    possible_formats,
)
from spos_tf.export.formats import (
    DEPLOY_FORM,
    FORMATS,
    check_formats,
    check_weight_bits,
)
from spos_tf.jobs.data import preprocessing_of, source_options
from spos_tf.jobs.notes import tell, warn
from spos_tf.jobs.run_folder import RunPlan, open_run
from spos_tf.jobs.trained import LABELS_FILE, TrainedSubnet, network_known
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.int8_subnet import is_int8
from spos_tf.options import ExportOptions, RunOptions, SubnetNameOptions
from spos_tf.paths import local_path
from spos_tf.space import Architecture

if TYPE_CHECKING:
    import keras

EXPORT_STAGE = "export"
# The format that shows itself training images.
_REPRESENTED = "tflite_int8"
# Dimensions of a tensor that delegates of GPUs and NPUs take.
_MOST_DIMENSIONS = 4
_STEPS = {"convert": "converting", "check": "comparing"}


def export_subnet(
    model: "keras.Model",
    folder: str | pathlib.Path,
    *,
    compare_on: Any,
    formats: Sequence[str] | None = None,
    representative: Any = None,
    architecture: Architecture | str | pathlib.Path | None = None,
    blueprint: Blueprint | None = None,
    class_names: Sequence[str] | None = None,
    subnet_name: str | None = None,
    options: ExportOptions | None = None,
) -> dict[str, Any]:
    """Writes a network to files for other programs, and checks each of them.

    Every file is loaded by its own runtime and compared with Keras on real
    images. If a file does not agree, that is an error, and the folder is left
    as it was. Otherwise the folder holds exactly these formats:
    files of an earlier export that are not asked for now are removed.

    Args:
        model: From `train_subnet` or `load_subnet`, or from elsewhere.
        folder: Where the files go; made if it is not there.
        compare_on: Images to compare on: `(images, labels)`, a data set (its
            test images), or a `tf.data.Dataset` of batches.
        formats: Names of formats; those of the options if None.
        representative: Training images from which `tflite_int8` takes the
            value range of every feature, in a form that `compare_on` takes.
            If None, the training images of a data set as `compare_on`.
        architecture: Of a model from elsewhere, or the path of an architecture
            file.
        blueprint: Of the architecture, if it was built in Python.
        class_names: Names of the classes in the order of the outputs, if the
            model's training did not store them; those of the images if None.
        subnet_name: Name of the network in its work_dir, for the flag file
            that repeats the export.
        options: How the files are made and compared.

    Returns:
        The manifest, as `manifest.json` in the folder has it.

    Raises:
        UserError: The network cannot be exported to a format, or the images
            do not fit it.
        ExportMismatch: A file computes something else than the network.

    Example:
        >>> spos_tf.export_subnet(  # doctest: +SKIP
        ...     model, "runs/x/export", formats=("tflite", "onnx"),
        ...     compare_on=test)
    """
    options = options or ExportOptions()
    check_kind(options, ExportOptions, "options", "spos_tf.ExportOptions(...)")
    if formats is not None:
        options = dataclasses.replace(options, formats=tuple(formats))
    limits = _min_agreement(options.min_agreement)
    network = network_known(model, architecture, blueprint)
    names, left_out = _formats(network, options, compare_on, representative)
    outputs = _outputs(network, class_names)
    compared = images_of(
        compare_on,
        argument="compare_on",
        num_classes=network.blueprint.num_classes,
        outputs=outputs,
    )
    preprocessing = preprocessing_of(network.blueprint, options)
    images, labels = _compared(compared, preprocessing, options)
    inputs = {"compare_on": compared.fingerprint()}
    shown: np.ndarray | None = None
    if _REPRESENTED in names and not is_int8(model):
        shown, inputs["representative"] = _representative(
            compare_on if representative is None else representative,
            network.blueprint,
            preprocessing,
            options,
            outputs,
        )
    classes = (
        outputs
        or compared.class_names
        or tuple(map(str, range(network.blueprint.num_classes)))
    )
    if left_out:
        tell(left_out)

    def progress(name: str, step: str, index: int) -> None:
        if step in _STEPS:
            tell(f"[{index + 1}/{len(names)}] {_STEPS[step]} {name}")

    place = local_path(folder, "folder")
    stage, work_dir = "", place.parent
    if place.parent.name == EXPORT_STAGE:
        stage, work_dir = EXPORT_STAGE, place.parent.parent
    plan = RunPlan.of(
        "export",
        stage,
        RunOptions(work_dir=str(work_dir), name=place.name),
        SubnetNameOptions(subnet_name=subnet_name),
        *source_options(compare_on),
        options,
    )
    with open_run(work_dir, place.name, plan) as run:
        run.note_inputs(**inputs)
        others = _other_files(run.folder, names)
        manifest = export_model(
            model,
            blueprint=network.blueprint,
            architecture=network.architecture,
            formats=names,
            folder=run.folder,
            images=images,
            labels=labels,
            class_names=classes,
            representative_images=shown,
            min_agreement=limits,
            stored_weight_bits=options.stored_weight_bits,
            batch_size=options.batch_size,
            progress=progress,
        )
        write_json(run.folder / LABELS_FILE, list(classes))
    _warn_of_dimensions(manifest)
    if others:
        tell(
            f"Removed {', '.join(others)} of an earlier export, which are not "
            "among the `formats` now."
        )
    # As the file has it: lists where Python had tuples.
    as_json: dict[str, Any] = json.loads(json.dumps(manifest))
    return as_json


def _min_agreement(given: Iterable[str]) -> dict[str, float]:
    """Least shares by format, where they are not the format's own."""
    known = (*FORMATS, DEPLOY_FORM.name)
    limits: dict[str, float] = {}
    for item in given:
        name, _, share = item.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if (name and name not in known) or not 0 <= value <= 1:
            raise UserError(
                "`min_agreement` is a share in [0, 1] or FORMAT=SHARE with a "
                f"format of {', '.join(known)}; got {item!r}."
            )
        limits.update({name: value} if name else dict.fromkeys(known, value))
    return limits


def _outputs(
    network: TrainedSubnet, class_names: Sequence[str] | None
) -> tuple[str, ...] | None:
    """Names of the classes in the order of the outputs, where known.

    Raises:
        UserError: `class_names` are not one a class, or not those of the
            training.
    """
    if class_names is None:
        return network.class_names
    given, count = tuple(map(str, class_names)), network.blueprint.num_classes
    if len(given) != count:
        raise UserError(
            f"`class_names` has a name for each of the {count} classes; got "
            f"{len(given)}."
        )
    known = network.class_names
    if known is not None and are_named(known) and given != known:
        raise UserError(
            f"The network was trained with the classes {list(known)} in this "
            f"order; got `class_names` {list(given)}. Leave them out."
        )
    return given


def _formats(
    network: TrainedSubnet,
    options: ExportOptions,
    compare_on: Any,
    representative: Any,
) -> tuple[tuple[str, ...], str]:
    """The formats to write, and what to say of one that is left out."""
    model = network.model
    names = options.formats or default_formats(model)
    targets = check_formats(
        names,
        space=network.blueprint.search_space.name,
        allowed=possible_formats(model),
    )
    check_weight_bits(targets, options.stored_weight_bits)
    has_images = representative is not None or isinstance(
        compare_on, DataSource
    )
    if _REPRESENTED not in names or has_images or is_int8(model):
        return tuple(target.name for target in targets), ""
    rule = (
        f"Format {_REPRESENTED!r} needs training images that show it the range "
        "of every feature: give some as `representative`"
    )
    if options.formats is not None:
        raise UserError(f"{rule}, or leave the format out.")
    left = tuple(one.name for one in targets if one.name != _REPRESENTED)
    return left, f"{rule}. It is left out."


def _compared(
    images: Images, preprocessing: PreprocessingOptions, options: ExportOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Some images, float32, and their classes."""
    if options.num_images:
        split = images.subset(preprocessing, options.num_images, options.seed)
    else:
        split = images.everything(preprocessing)
    return evaluation_arrays(split, preprocessing)


def _representative(
    given: Any,
    blueprint: Blueprint,
    preprocessing: PreprocessingOptions,
    options: ExportOptions,
    outputs: Sequence[str] | None,
) -> tuple[np.ndarray, str]:
    """Training images, float32 `[n, height, width, 3]`; their fingerprint."""
    images = images_of(
        given,
        argument="representative",
        num_classes=blueprint.num_classes,
        outputs=outputs,
    )
    fingerprint = images.fingerprint()
    if options.holdout_per_class:
        images, _ = images.hold_out(options.holdout_per_class)
    split = images.subset(
        preprocessing, options.num_representative_images, options.seed
    )
    arrays, _ = evaluation_arrays(split, preprocessing)
    return arrays, fingerprint


def _warn_of_dimensions(manifest: Mapping[str, Any]) -> None:
    """Says which files not every accelerator takes as a whole."""
    for name, entry in manifest["files"].items():
        most = entry.get("most_dimensions", 0)
        if most > _MOST_DIMENSIONS:
            warn(
                f"{name} has tensors of {most} dimensions. Delegates of GPUs "
                f"and NPUs take at most {_MOST_DIMENSIONS}, and leave such "
                "operations to the CPU."
            )


def _other_files(folder: pathlib.Path, formats: Iterable[str]) -> list[str]:
    """Files there of formats that are not asked for now."""
    return [
        known.file_name
        for name, known in FORMATS.items()
        if name not in formats and (folder / known.file_name).exists()
    ]
