"""Times networks in the runtimes that they are exported for."""

import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from spos_tf.errors import UserError
from spos_tf.export import measure_parts
from spos_tf.export.channel_split import with_channel_split
from spos_tf.export.onnx_model import write_onnx
from spos_tf.export.saved_model import write_saved_model
from spos_tf.silence import silenced

Session = measure_parts.Session


# By the runtime: whose version a measurement says.
_PACKAGES = {
    "tflite": "ai-edge-litert",
    "onnxruntime": "onnxruntime",
    "tensorflow": "tensorflow",
}


def describe_machine(runtime: str) -> dict[str, Any]:
    """Processor, cores, system, Python and the runtime's version."""
    return measure_parts.describe_machine(_PACKAGES[runtime])


class Timing(NamedTuple):
    """Milliseconds of one call.

    Attributes:
        median_ms: Median.
        low_ms: Lower quartile.
        high_ms: Upper quartile.
        repeats: Calls measured.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int


def measure_network(
    model: keras.Model, runtime: str, threads: int, batch: int, rounds: int = 50
) -> Timing:
    """Exports one network and times it end to end.

    Args:
        model: Images -> logits.
        runtime: A key of `RUNTIMES`.
        threads: CPU threads of the runtime.
        batch: Images of one call.
        rounds: Calls measured, after five others.

    Raises:
        UserError: See `open_session`; or no rounds.
    """
    session = open_session(model, runtime, threads=threads, batch=batch)
    times = interleaved([session], rounds, warmup=5)
    return timing_of(times[:, 0])


def open_session(
    model: keras.Model, runtime: str, *, threads: int, batch: int
) -> Session:
    """Exports a network, or a part of one, and loads it in a runtime.

    What is timed is the runtime's call alone: inputs are in place before and
    outputs are not copied out.

    Args:
        model: A functional model with one input and one output.
        runtime: A key of `RUNTIMES`.
        threads: CPU threads. TensorFlow's belong to the process, which has
            to have as many.
        batch: Images of one call.

    Raises:
        UserError: No such runtime, threads or batch below 1, TensorFlow has
            other threads, or the network cannot be exported.
    """
    if runtime not in RUNTIMES:
        raise UserError(
            f"Unknown runtime {runtime!r}. The runtimes are: "
            f"{', '.join(RUNTIMES)}."
        )
    for name, value in (("threads", threads), ("batch", batch)):
        if value < 1:
            raise UserError(f"`{name}` is at least 1; got {value}.")
    values = measure_parts.input_values((batch, *model.input_shape[1:]))
    return RUNTIMES[runtime](model, values, threads)


def interleaved(
    sessions: Sequence[Session],
    rounds: int,
    *,
    warmup: int = 3,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> np.ndarray:
    """Times several sessions in turns; see `measure_parts.interleaved`.

    Raises:
        UserError: No rounds, or fewer than no warm-up.
    """
    if rounds < 1 or warmup < 0:
        raise UserError(
            "A timing has at least 1 round and 0 of warm-up; got "
            f"{rounds} and {warmup}."
        )
    return measure_parts.interleaved(
        sessions, rounds, warmup=warmup, seed=seed, progress=progress
    )


def timing_of(times: np.ndarray) -> Timing:
    """Median and quartiles of milliseconds `[n]`."""
    low, median, high = np.percentile(times, [25, 50, 75]).tolist()
    return Timing(median, low, high, len(times))


def set_tensorflow_threads(threads: int) -> None:
    """Refuses to time TensorFlow with other threads than the process has.

    Raises:
        UserError: It has others.
    """
    settings = tf.config.threading
    found = (
        settings.get_intra_op_parallelism_threads(),
        settings.get_inter_op_parallelism_threads(),
    )
    if found != (threads, threads):
        within, between = (one or "all" for one in found)
        raise UserError(
            "TensorFlow's threads belong to the process; got "
            f"`threads={threads}` where it has {within} within an operation "
            f"and {between} between them. Use `runtime=tflite` or onnxruntime, "
            "or set both by tf.config.threading before TensorFlow runs "
            "anything."
        )


def convert_tflite(model: keras.Model, batch: int) -> bytes:
    """A TFLite file of a network, or of a part of one, for a batch size.

    With its weights as constants a network is converted in half the time of
    `write_tflite` (5 s instead of 10 for 20 blocks) and runs as fast (7.80 and
    7.94 ms on a busy machine). Unfrozen it would run 4 times slower.
    """
    image = tf.TensorSpec((batch, *model.input_shape[1:]), tf.float32)
    with silenced():
        split = with_channel_split(model, "transposed")
        function = tf.function(lambda image: split(image, training=False))
        frozen = convert_variables_to_constants_v2(
            function.get_concrete_function(image)
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        content: bytes = converter.convert()
    return content


def _open_tflite(
    model: keras.Model, values: np.ndarray, threads: int
) -> Session:
    content = convert_tflite(model, len(values))
    with silenced():
        session, _ = measure_parts.open_tflite(content, values, threads)
    return session


def _open_onnx(model: keras.Model, values: np.ndarray, threads: int) -> Session:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        write_onnx(model, path)
        return measure_parts.open_onnx(
            str(path), values, (len(values), *model.output_shape[1:]), threads
        )


def _open_tensorflow(
    model: keras.Model, values: np.ndarray, threads: int
) -> Session:
    set_tensorflow_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "saved_model"
        write_saved_model(model, path)
        loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    source = tf.constant(values)

    def run() -> float:
        # The signature keeps its variables alive only through `loaded`.
        assert loaded is not None
        start = time.perf_counter()
        signature(image=source)
        return (time.perf_counter() - start) * 1e3

    return run


RUNTIMES: dict[str, Callable[[keras.Model, np.ndarray, int], Session]] = {
    "tflite": _open_tflite,
    "onnxruntime": _open_onnx,
    "tensorflow": _open_tensorflow,
}
