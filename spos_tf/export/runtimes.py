"""Runs an exported file in the runtime it was made for."""

import os
from collections.abc import Callable, Mapping

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from spos_tf.errors import UserError
from spos_tf.export.formats import find_format
from spos_tf.export.saved_model import readable_place
from spos_tf.silence import silenced

Predictor = Callable[[np.ndarray], np.ndarray]


def predict(
    path: str | os.PathLike[str],
    format_name: str,
    images: np.ndarray,
    batch_size: int = 64,
) -> np.ndarray:
    """Computes the logits of many images; see `load`.

    Args:
        path: The file or folder.
        format_name: A key of `FORMATS`.
        images: float32 `[n, height, width, 3]`, RGB 0..255.
        batch_size: Images at once; the last batch may be smaller.

    Returns:
        Logits, float32 `[n, classes]`.

    Raises:
        UserError: The runtime refuses the file, or there are no images.
    """
    return _predict_batches(load(path, format_name), images, batch_size)


def predict_reference(
    model: keras.Model, images: np.ndarray, batch_size: int = 64
) -> np.ndarray:
    """Computes a network's own logits in Keras, as `predict` does a file's.

    Raises:
        UserError: There are no images.
    """
    return _predict_batches(keras_predictor(model), images, batch_size)


def keras_predictor(model: keras.Model) -> Predictor:
    """A network itself as the function that `load` makes of a file."""
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    run = tf.function(
        lambda batch: model(batch, training=False)
    ).get_concrete_function(images)
    return lambda batch: run(tf.constant(batch)).numpy()


def _predict_batches(
    predictor: Predictor, images: np.ndarray, batch_size: int
) -> np.ndarray:
    if not len(images):
        raise UserError("A prediction needs images; got 0.")
    return np.concatenate(
        [
            predictor(images[start : start + batch_size])
            for start in range(0, len(images), batch_size)
        ]
    )


def load(
    path: str | os.PathLike[str],
    format_name: str,
    *,
    threads: int | None = None,
) -> Predictor:
    """Loads a file in its own runtime: TensorFlow, LiteRT or onnxruntime.

    Args:
        path: The file or folder.
        format_name: A key of `FORMATS`.
        threads: CPU threads of LiteRT and onnxruntime, None for all; in
            TensorFlow they belong to the process.

    Returns:
        A function from images, float32 `[batch, height, width, 3]`, to
        logits, float32 `[batch, classes]`, of any batch size.

    Raises:
        UserError: There is no such format or file, or the runtime refuses it.
    """
    target = find_format(format_name)
    if not os.path.exists(path):
        raise UserError(
            f"An exported {target.name!r} file is needed; there is nothing at "
            f"{os.fspath(path)!r}. Export it first."
        )
    with silenced():
        try:
            predictor: Predictor = target.load_loader()(
                os.fspath(path), threads or os.cpu_count() or 1
            )
            return predictor
        # Each runtime has exception classes of its own, some of them private.
        except Exception as error:
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise UserError(
                f"{os.fspath(path)!r} is not a readable {target.name!r} file: "
                f"{reason or type(error).__name__}. Export it again."
            ) from None


def load_saved_model(path: str, threads: int) -> Predictor:
    """Loads a SavedModel into TensorFlow."""
    with readable_place(path) as place:
        loaded = tf.saved_model.load(place)
    signature = loaded.signatures["serving_default"]

    def run(images: np.ndarray) -> np.ndarray:
        # The signature keeps its variables alive only through `loaded`.
        assert loaded is not None
        return signature(image=tf.constant(images))["logits"].numpy()

    return run


def load_tflite(path: str, threads: int) -> Predictor:
    """Loads a TFLite file into LiteRT."""
    interpreter = Interpreter(model_path=path, num_threads=threads)
    # Now, so that a file it cannot run is refused at loading.
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()

    def run(images: np.ndarray) -> np.ndarray:
        shape = list(images.shape)
        if interpreter.get_input_details()[0]["shape"].tolist() != shape:
            interpreter.resize_tensor_input(source["index"], shape)
            with silenced():
                interpreter.allocate_tensors()
        # Our files have float32 at both ends; files from elsewhere may not.
        interpreter.set_tensor(source["index"], _quantized(images, source))
        interpreter.invoke()
        return _dequantized(interpreter.get_tensor(target["index"]), target)

    return run


def _quantized(values: np.ndarray, tensor: dict) -> np.ndarray:
    """Values as a tensor with integer type and scale wants them."""
    kind = tensor["dtype"]
    if not np.issubdtype(kind, np.integer):
        return values.astype(kind)
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(kind)
    steps = np.round(values / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(kind)


def _dequantized(values: np.ndarray, tensor: dict) -> np.ndarray:
    if not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32)
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


def load_onnx_qdq(path: str, threads: int) -> Predictor:
    """Loads an ONNX file; biases are not rounded to the grid of sums."""
    return load_onnx(path, threads, {"session.disable_quant_qdq": "1"})


def load_onnx(
    path: str, threads: int, entries: Mapping[str, str] | None = None
) -> Predictor:
    """Loads an ONNX file into onnxruntime, with its configuration entries."""
    options = onnxruntime.SessionOptions()
    for key, value in (entries or {}).items():
        options.add_session_config_entry(key, value)
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    return lambda images: session.run(["logits"], {"image": images})[0]
