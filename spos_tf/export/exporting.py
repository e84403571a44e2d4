"""One network to all its files, each checked in its own runtime."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from spos_tf.atomic_write import put_in_place
from spos_tf.errors import UserError
from spos_tf.export.formats import FORMATS, Format, check_formats
from spos_tf.export.manifest import (
    FILE_NAME,
    build_manifest,
    file_entry,
    write_manifest,
)
from spos_tf.export.onnx_model import write_onnx
from spos_tf.export.parity import ExportMismatch, check, compare
from spos_tf.export.runtimes import predict, predict_reference
from spos_tf.export.saved_model import write_saved_model
from spos_tf.export.tflite import (
    Precision,
    write_tflite,
    write_tflite_source,
)
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.int8_subnet import is_int8
from spos_tf.space import Architecture
from spos_tf.spaces import blueprint_of

# (format, "convert", "check" or "done", index of the format from 0)
Progress = Callable[[str, str, int], None]

_PRECISIONS: dict[str, Precision] = {
    "tflite": "float32",
    "tflite_float16": "float16",
    "tflite_int8": "int8",
}


def export_model(
    model: keras.Model,
    *,
    architecture: Architecture,
    formats: Sequence[str],
    folder: str | os.PathLike[str],
    images: np.ndarray,
    labels: np.ndarray,
    representative_images: Iterable[np.ndarray] | None = None,
    min_agreement: Mapping[str, float] | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Exports a network, compares every file with it, writes manifest.json.

    Everything is made and checked in `folder/.unfinished` and moved at the
    end: a failure leaves the folder as it was. After a success it holds these
    formats only; files of others that were there are removed.

    Args:
        model: The network of `architecture`; images -> logits.
        architecture: Goes into the manifest; its space says which formats
            are possible.
        formats: Keys of `FORMATS`.
        folder: Where the files go; made where it is missing.
        images: Real images to compare on, float32 `[n, height, width, 3]`,
            RGB 0..255.
        labels: Their classes, int `[n]`.
        representative_images: For tflite_int8; see `write_tflite`.
        min_agreement: From float16's and int8's format names to the least
            top-1 agreement; the formats' own where absent.
        batch_size: Images at once.
        progress: Called as (format name, `"convert"`, `"check"` or `"done"`,
            index of the format) when a step begins.

    Returns:
        The manifest; see `build_manifest`.

    Raises:
        UserError: A format is unknown or not one of the space's, the model or
            the images do not fit the architecture, or a converter refuses
            the network.
        ExportMismatch: A file computes something else than the network, or a
            logit is NaN or infinite.
    """
    blueprint = blueprint_of(architecture)
    targets = check_formats(
        formats,
        space=architecture.search_space,
        allowed=possible_formats(model, blueprint),
    )
    _check_shapes(model, blueprint, images, labels)
    report = progress or (lambda name, step, index: None)
    reference = predict_reference(model, images, batch_size)
    files = {}
    target_folder = pathlib.Path(folder)
    target_folder.mkdir(parents=True, exist_ok=True)
    with _scratch_folder(target_folder) as scratch:
        for index, target in enumerate(targets):
            report(target.name, "convert", index)
            path = scratch / target.file_name
            _write(model, target, path, representative_images)
            report(target.name, "check", index)
            logits = predict(path, target.name, images, batch_size)
            try:
                parity = compare(reference, logits, labels)
            except ExportMismatch as error:
                raise ExportMismatch(f"{target.name}: {error}") from None
            check(parity, target, (min_agreement or {}).get(target.name))
            files[target.name] = file_entry(path, parity)
            report(target.name, "done", index)
        manifest = build_manifest(architecture, blueprint.image_size, files)
        # A manifest never speaks of files other than those beside it.
        (target_folder / FILE_NAME).unlink(missing_ok=True)
        for other in FORMATS.values():
            if other not in targets:
                _remove(target_folder / other.file_name)
        for target in targets:
            put_in_place(
                scratch / target.file_name, target_folder / target.file_name
            )
        write_manifest(manifest, target_folder)
    return manifest


def possible_formats(
    model: keras.Model, blueprint: Blueprint
) -> tuple[str, ...]:
    """The formats that can hold a network of the blueprint.

    One that was trained with 8-bit quantizers is for integers, and is a
    SavedModel that rounds floats beside.
    """
    if is_int8(model):
        return ("saved_model", "tflite_int8")
    return blueprint.export_formats


def _write(
    model: keras.Model,
    target: Format,
    path: pathlib.Path,
    representative_images: Iterable[np.ndarray] | None,
) -> None:
    if target.name == "saved_model":
        write_saved_model(model, path)
    elif target.name == "onnx":
        write_onnx(model, path)
    else:
        source = path.parent / "tflite_source"
        if not source.exists():
            write_tflite_source(model, source)
        write_tflite(
            source,
            path,
            _PRECISIONS[target.name],
            representative_images=representative_images,
            has_ranges=is_int8(model),
        )


def _remove(path: pathlib.Path) -> None:
    """Removes a file or folder where there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _scratch_folder(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder within `folder`; one that a killed run left is removed."""
    scratch = folder / ".unfinished"
    shutil.rmtree(scratch, ignore_errors=True)
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
