"""ONNX, by tf2onnx, with names a reader can use."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import keras
import onnx
import tensorflow as tf

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError
from spos_tf.export.channel_split import with_channel_split
from spos_tf.silence import silenced

OPSET = 17


def write_onnx(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes a network as an ONNX file, opset 17, for any batch size.

    Its input is `image`, float32 `[batch, height, width, 3]`, its output
    `logits`, float32 `[batch, classes]`.

    Args:
        model: Images -> logits.
        path: The file to make; replaced if it is there. Nothing is left of it
            when writing fails.

    Raises:
        UserError: The network holds an operation that ONNX lacks, or the
            result breaks ONNX's rules.
    """
    # Importing it takes a second that the other formats need not pay.
    import tf2onnx

    strided = with_channel_split(model, "strided")
    function = tf.function(
        lambda image: {"logits": strided(image, training=False)}
    )
    shape = (None, *model.input_shape[1:])
    with silenced(), _logged_errors("tf2onnx") as errors:
        converted, _ = tf2onnx.convert.from_function(
            function,
            input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
            opset=OPSET,
        )
    # tf2onnx returns a broken graph after an operation that it cannot convert.
    if errors:
        raise _unconvertible(errors[0])
    _name_batch(converted)
    save_onnx(converted, path)


def save_onnx(converted: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """Checks a model and writes it as a file.

    Args:
        converted: The model.
        path: The file to make; replaced if it is there. Nothing is left of it
            when writing fails.

    Raises:
        UserError: As `check_onnx`.
    """
    check_onnx(converted)
    with unfinished(path) as temporary:
        onnx.save(converted, str(temporary))


def check_onnx(converted: Any) -> None:
    """Checks an `onnx.ModelProto` with ONNX's checker and shape inference.

    Raises:
        UserError: It breaks ONNX's rules, or uses an operation outside the
            standard set.
    """
    foreign = {
        f"{node.domain}::{node.op_type}"
        for node in converted.graph.node
        if node.domain not in ("", "ai.onnx")
    }
    if foreign:
        raise _unconvertible(
            f"it uses the non-standard operations {', '.join(sorted(foreign))}"
        )
    try:
        onnx.checker.check_model(converted, full_check=True)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        raise _unconvertible(str(error)) from None


def _unconvertible(reason: str) -> UserError:
    return UserError(
        "Format 'onnx' takes networks of standard ONNX operations (opset "
        f"{OPSET}); this one failed: {' '.join(reason.split())[:300]}. Leave "
        "'onnx' out of `formats`."
    )


def _name_batch(converted: Any) -> None:
    # tf2onnx numbers unknown sizes (`unk__450`), a new name for every tensor.
    # Those within the graph are dropped; runtimes infer them.
    del converted.graph.value_info[:]
    for value in (*converted.graph.input, *converted.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


@contextlib.contextmanager
def _logged_errors(name: str) -> Iterator[list[str]]:
    """Collects what a logger and those below it say at level ERROR."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler = Collector(logging.ERROR)
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
