"""One network to all its files, each checked in its own runtime."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from spos_tf.atomic_write import put_in_place, remove, write_json
from spos_tf.errors import UserError
from spos_tf.export.formats import (
    DEPLOY_FORM,
    FORMATS,
    Kind,
    check_formats,
    check_weight_bits,
    formats_of,
)
from spos_tf.export.labels import put_labels
from spos_tf.export.manifest import FILE_NAME, build_manifest, file_entry
from spos_tf.export.parity import ExportMismatch, Parity, check, compare
from spos_tf.export.runtimes import predict, predict_reference
from spos_tf.export.tflite_operations import most_dimensions
from spos_tf.export.writing import Network
from spos_tf.lowbit.deploy_form import deploy_form
from spos_tf.lowbit.deployable_subnet import rounds_sums
from spos_tf.lowbit.integer_graph import has_bits, integer_graph
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.int8_subnet import is_int8
from spos_tf.space import Architecture

# (format, "convert", "check" or "done", index of the format from 0)
Progress = Callable[[str, str, int], None]


def export_model(
    model: keras.Model,
    *,
    blueprint: Blueprint,
    architecture: Architecture,
    formats: Sequence[str],
    folder: str | os.PathLike[str],
    images: np.ndarray,
    labels: np.ndarray,
    representative_images: Iterable[np.ndarray] | None = None,
    min_agreement: Mapping[str, float] | None = None,
    stored_weight_bits: int | None = None,
    class_names: Sequence[str] | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Exports a network, compares every file with it, writes manifest.json.

    Everything is made and checked in `folder/.unfinished` and moved at the
    end: a failure leaves the folder as it was. After a success it holds these
    formats only; files of others that were there are removed.

    Args:
        model: The network of `architecture`; images -> logits.
        blueprint: What the network was built from.
        architecture: One of the blueprint's; goes into the manifest.
        formats: Keys of `FORMATS`.
        folder: Where the files go; made where it is missing.
        images: Real images to compare on, float32 `[n, height, width, 3]`,
            RGB 0..255.
        labels: Their classes, int `[n]`.
        representative_images: For tflite_int8; see `write_tflite`.
        min_agreement: From names of formats that are not exact, and
            `"deploy_form"`, to the least top-1 agreement; their own where
            absent.
        stored_weight_bits: What onnx_qdq stores low-bit weights in, 4 or 8;
            None for 4.
        class_names: In the order of the outputs; they go into the manifest
            and into the files that have a place for them.
        batch_size: Images at once.
        progress: Called as (format name, `"convert"`, `"check"` or `"done"`,
            index of the format) when a step begins.

    Returns:
        The manifest; see `build_manifest`.

    Raises:
        UserError: A format is unknown or cannot hold the network, the
            architecture is not one of the blueprint's, the model or the
            images do not fit it, or a converter refuses
            the network.
        ExportMismatch: A file computes something else than the network, or a
            logit is NaN or infinite.
    """
    encoding = blueprint.encode(architecture)
    kind = _kind(model)
    targets = tuple(
        target.for_kind(kind)
        for target in check_formats(
            formats,
            space=architecture.search_space,
            allowed=possible_formats(model),
        )
    )
    _check_shapes(model, blueprint, images, labels)
    report = progress or (lambda name, step, index: None)
    check_weight_bits(targets, stored_weight_bits)
    limits = min_agreement or {}
    reference = predict_reference(model, images, batch_size)
    graph = deployed = deploy_parity = None
    if any(target.weight_bits for target in targets):
        graph = integer_graph(model, blueprint, encoding)
    if graph is not None and any(one.is_deploy_form for one in targets):
        form = deploy_form(model, graph)
        deployed = predict_reference(form, images, batch_size)
        deploy_parity = _parity("deploy_form", reference, deployed, labels)
        check(deploy_parity, DEPLOY_FORM, limits.get(DEPLOY_FORM.name))
    network = Network(model, graph, representative_images, stored_weight_bits)
    files = {}
    target_folder = pathlib.Path(folder)
    target_folder.mkdir(parents=True, exist_ok=True)
    with _scratch_folder(target_folder) as scratch:
        for index, target in enumerate(targets):
            report(target.name, "convert", index)
            path = scratch / target.file_name
            levels = target.load_writer()(network, path)
            if class_names is not None:
                put_labels(path, class_names)
            report(target.name, "check", index)
            logits = predict(path, target.name, images, batch_size)
            of = deployed if target.is_deploy_form else reference
            assert of is not None
            parity = _parity(target.name, of, logits, labels)
            check(parity, target, limits.get(target.name))
            dimensions = None
            if path.suffix == ".tflite":
                dimensions = most_dimensions(path.read_bytes())
            files[target.name] = file_entry(path, parity, levels, dimensions)
            report(target.name, "done", index)
        manifest = build_manifest(
            architecture,
            blueprint.image_size,
            files,
            deploy_parity,
            class_names,
        )
        # A manifest never speaks of files other than those beside it.
        (target_folder / FILE_NAME).unlink(missing_ok=True)
        names = [target.name for target in targets]
        for other in FORMATS.values():
            if other.name not in names:
                remove(target_folder / other.file_name)
        for target in targets:
            put_in_place(
                scratch / target.file_name, target_folder / target.file_name
            )
        write_json(target_folder / FILE_NAME, manifest)
    return manifest


def _parity(
    name: str, reference: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> Parity:
    try:
        return compare(reference, logits, labels)
    except ExportMismatch as error:
        raise ExportMismatch(f"{name}: {error}") from None


def _kind(model: keras.Model) -> Kind:
    if is_int8(model):
        return "int8"
    return "low_bit" if has_bits(model) else "float"


def possible_formats(model: keras.Model) -> tuple[str, ...]:
    """The formats that can hold a network.

    One that was trained with 8-bit quantizers is for integers, and is a
    SavedModel that rounds floats beside.
    """
    return formats_of(_kind(model))


def default_formats(model: keras.Model) -> tuple[str, ...]:
    """The formats of an export that names none.

    All that are possible, but of a network with bits integer files only if it
    rounds what they round: other ones would hold another network.
    """
    return tuple(
        name
        for name in possible_formats(model)
        if rounds_sums(model) or not FORMATS[name].is_deploy_form
    )


@contextlib.contextmanager
def _scratch_folder(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder within `folder`; what a killed run left is removed."""
    scratch = folder / ".unfinished"
    for left in folder.glob(f"{scratch.name}*"):
        remove(left)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_shapes(
    model: keras.Model,
    blueprint: Blueprint,
    images: np.ndarray,
    labels: np.ndarray,
) -> None:
    expected = (*blueprint.input_shape, blueprint.num_classes)
    found = (*model.input_shape[1:], model.output_shape[-1])
    if found != expected:
        raise UserError(
            f"The architecture's networks take images {list(expected[:3])} and "
            f"give {expected[3]} logits; this one takes {list(found[:3])} and "
            f"gives {found[-1]}. Export it with its own architecture."
        )
    if images.shape[1:] != blueprint.input_shape or not len(images):
        raise UserError(
            "The network is compared on at least one image "
            f"{list(blueprint.input_shape)}; got {list(images.shape)}."
        )
    if images.dtype != np.float32 or labels.shape != (len(images),):
        raise UserError(
            "Images are float32 and have one label each; got "
            f"{images.dtype} and labels {list(labels.shape)} for "
            f"{len(images)} images."
        )
