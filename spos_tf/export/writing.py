"""One writer for each format of `formats.py`, by the format's name.

A writer takes the network and the path of the file or folder to make. It
returns, for each layer whose weights the file has as low-bit integers, the
most different ones of an output channel, read from the file. What several
formats share is made beside the file.

Raises:
    UserError: The format cannot hold the network.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from spos_tf.export.formats import FORMATS
from spos_tf.export.onnx_model import save_onnx, write_onnx
from spos_tf.export.saved_model import write_saved_model
from spos_tf.export.tflite import (
    Precision,
    write_lowbit_tflite,
    write_tflite,
    write_tflite_source,
)
from spos_tf.export.tflite_weights import convolution_kernels
from spos_tf.lowbit.onnx_deploy import onnx_deploy_model
from spos_tf.lowbit.onnx_qdq import onnx_qdq_model
from spos_tf.lowbit.weight_levels import most_levels, onnx_kernels
from spos_tf.networks.int8_subnet import is_int8


@dataclasses.dataclass(frozen=True)
class Network:
    """What writers read.

    Attributes:
        model: The network.
        graph: Its `IntegerGraph`; None where no format needs one.
        representative_images: For tflite_int8; see `write_tflite`.
        stored_weight_bits: For onnx_qdq; None for the fewest.
    """

    model: keras.Model
    graph: Any = None
    representative_images: Iterable[np.ndarray] | None = None
    stored_weight_bits: int | None = None


Levels = dict[str, int]


def saved_model(network: Network, path: pathlib.Path) -> Levels:
    """Writes `saved_model`."""
    write_saved_model(network.model, path)
    return {}


def onnx(network: Network, path: pathlib.Path) -> Levels:
    """Writes `onnx`."""
    write_onnx(network.model, path)
    return {}


def tflite(
    network: Network, path: pathlib.Path, precision: Precision = "float32"
) -> Levels:
    """Writes `tflite`, or by its precision one of the two below."""
    source = path.parent / "tflite_source"
    if not source.exists():
        write_tflite_source(network.model, source)
    write_tflite(
        source,
        path,
        precision,
        representative_images=network.representative_images,
        has_ranges=is_int8(network.model),
    )
    return {}


tflite_float16 = functools.partial(tflite, precision="float16")
tflite_int8 = functools.partial(tflite, precision="int8")


def tflite_lowbit(network: Network, path: pathlib.Path) -> Levels:
    """Writes `tflite_lowbit`."""
    write_lowbit_tflite(network.graph, path)
    return most_levels(network.graph, convolution_kernels(path.read_bytes()))


def onnx_qdq(network: Network, path: pathlib.Path) -> Levels:
    """Writes `onnx_qdq`."""
    bits = network.stored_weight_bits or FORMATS["onnx_qdq"].weight_bits[0]
    save_onnx(onnx_qdq_model(network.graph, bits), path)
    return most_levels(network.graph, onnx_kernels(path))


def onnx_deploy(network: Network, path: pathlib.Path) -> Levels:
    """Writes `onnx_deploy`."""
    save_onnx(onnx_deploy_model(network.graph), path)
    return most_levels(network.graph, onnx_kernels(path))
