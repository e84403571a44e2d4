"""TFLite (LiteRT) files: float32, float16 weights, full-integer int8."""

import os
from collections.abc import Iterable, Iterator
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError
from spos_tf.export.channel_split import with_channel_split
from spos_tf.export.saved_model import readable_place, write_saved_model
from spos_tf.export.tflite_operations import check_builtin, check_integer
from spos_tf.export.tflite_weights import with_int8_matrix
from spos_tf.lowbit.integer_arrays import classifier_arrays
from spos_tf.lowbit.integer_nodes import IntegerGraph
from spos_tf.lowbit.tflite_function import tflite_function
from spos_tf.silence import silenced

Precision = Literal["float32", "float16", "int8"]


def write_tflite_source(
    model: keras.Model, path: str | os.PathLike[str]
) -> None:
    """Writes the SavedModel that `write_tflite` converts.

    All precisions share one; it differs from `write_saved_model` in the form
    of the channel split.
    """
    write_saved_model(with_channel_split(model, "transposed"), path)


def write_tflite(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    precision: Precision,
    *,
    representative_images: Iterable[np.ndarray] | None = None,
    has_ranges: bool = False,
) -> None:
    """Converts a network to a TFLite file of builtin operations only.

    Input `image`, float32 `[batch, height, width, 3]`, and output `logits`,
    float32 `[batch, classes]`, are the same in every precision; the batch
    size is open (`resize_tensor_input`).

    - float32: weights and arithmetic.
    - float16: weights stored in half the bytes; arithmetic in float32, or in
      float16 where the CPU has it.
    - int8: every operation computes on integers, weights per channel; the
      first operation quantizes the image and the last dequantizes the logits.

    Args:
        source: A folder that `write_tflite_source` wrote.
        path: The file to make; replaced if it is there. Nothing is left of it
            when writing fails.
        precision: Of weights and arithmetic.
        representative_images: For int8, images that show every feature's
            range: one float32 array `[n, height, width, 3]` or an iterable of
            arrays `[k, height, width, 3]`, RGB 0..255. A few hundred of the
            training split are enough.
        has_ranges: For int8, whether the network has quantizers that say
            them; no images are needed then.

    Raises:
        UserError: The network needs an operation that TFLite has not, int8
            was asked for without images, or a part of it stays in float.
    """
    with readable_place(source) as place:
        content = _converted(
            place, precision, representative_images, has_ranges
        )
    check_builtin(content)
    if precision == "int8":
        check_integer(content)
    with unfinished(path) as temporary:
        temporary.write_bytes(content)


def _converted(
    source: str,
    precision: Precision,
    representative_images: Iterable[np.ndarray] | None,
    has_ranges: bool,
) -> bytes:
    """The bytes of a TFLite file; see `write_tflite`."""
    with silenced():
        converter = tf.lite.TFLiteConverter.from_saved_model(
            source, signature_keys=["serving_default"]
        )
    builtins = tf.lite.OpsSet.TFLITE_BUILTINS
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    elif precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if not has_ranges:
            builtins = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            batches = _single_images(representative_images)
            converter.representative_dataset = lambda: batches
    converter.target_spec.supported_ops = [builtins]
    with silenced():
        return _convert(converter)


def write_lowbit_tflite(
    graph: IntegerGraph, path: str | os.PathLike[str]
) -> None:
    """Writes a deploy form as TFLite: int8 features, weights and sums.

    Input and output are those of `write_tflite`. The classifier multiplies
    dequantized integers.

    Args:
        graph: From `integer_graph`.
        path: The file to make; replaced if it is there. Nothing is left of it
            when writing fails.

    Raises:
        UserError: The converter refuses the network, or left something but
            the classifier in float.
    """
    with silenced():
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [tflite_function(graph)]
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = _convert(converter)
    kernel, step, _ = classifier_arrays(graph.classifier)
    content = with_int8_matrix(content, kernel.T, float(step))
    check_builtin(content)
    check_integer(content, "tflite_lowbit", float_classifier=True)
    with unfinished(path) as temporary:
        temporary.write_bytes(content)


def _convert(converter: tf.lite.TFLiteConverter) -> bytes:
    """Runs a converter, whose refusal of a network is a UserError."""
    try:
        return converter.convert()
    except Exception as error:
        # The converter's own class is private and so is its data.
        if type(error).__name__ != "ConverterError":
            raise
        lines = [line for line in str(error).splitlines() if "error:" in line]
        reason = (lines or str(error).splitlines() or ["no reason given"])[0]
        raise UserError(
            "TFLite formats take networks of TFLite's builtin operations; "
            f"the converter refused this one: {reason.strip()[:300]}. Leave "
            "the TFLite formats out of `formats`."
        ) from None


def _single_images(
    images: Iterable[np.ndarray] | None,
) -> Iterator[list[np.ndarray]]:
    """The calibrator's items: lists of inputs, one image each."""
    if images is None:
        raise UserError(
            "Format 'tflite_int8' takes representative images; got none. "
            "Pass some hundred images of the training split."
        )
    if isinstance(images, np.ndarray):
        images = [images]
    return (
        [np.ascontiguousarray(batch[i : i + 1], np.float32)]
        for batch in images
        for i in range(len(batch))
    )
