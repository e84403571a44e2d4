"""Which writer makes which format."""

import dataclasses
import pathlib
from collections.abc import Iterable

import keras
import numpy as np

from spos_tf.export.formats import Format
from spos_tf.export.lowbit_levels import most_levels, onnx_kernels
from spos_tf.export.lowbit_tflite import write_lowbit_tflite
from spos_tf.export.onnx_deploy import write_onnx_deploy
from spos_tf.export.onnx_model import write_onnx
from spos_tf.export.onnx_qdq import write_onnx_qdq
from spos_tf.export.saved_model import write_saved_model
from spos_tf.export.tflite import (
    Precision,
    write_tflite,
    write_tflite_source,
)
from spos_tf.export.tflite_weights import convolution_kernels
from spos_tf.lowbit.integer_nodes import (
    IntegerGraph,
)
from spos_tf.networks.int8_subnet import is_int8

_PRECISIONS: dict[str, Precision] = {
    "tflite": "float32",
    "tflite_float16": "float16",
    "tflite_int8": "int8",
}


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes one network.

    Attributes:
        model: The network.
        graph: Its deploy form; None for one without bits.
        representative_images: For tflite_int8; see `write_tflite`.
        stored_weight_bits: For onnx_qdq; None for the fewest.
    """

    model: keras.Model
    graph: IntegerGraph | None
    representative_images: Iterable[np.ndarray] | None = None
    stored_weight_bits: int | None = None

    def write(self, target: Format, path: pathlib.Path) -> dict[str, int]:
        """Makes a file or folder.

        Args:
            target: Its format.
            path: Where; what float formats share is made beside it.

        Returns:
            For each layer whose weights the file has as low-bit integers the
            most different ones of an output channel, read from the file.

        Raises:
            UserError: The format cannot hold the network.
        """
        if target.name == "saved_model":
            write_saved_model(self.model, path)
        elif target.name == "onnx":
            write_onnx(self.model, path)
        elif target.name in _PRECISIONS:
            self._write_tflite(_PRECISIONS[target.name], path)
        else:
            return self._write_integers(target, path)
        return {}

    def _write_tflite(self, precision: Precision, path: pathlib.Path) -> None:
        source = path.parent / "tflite_source"
        if not source.exists():
            write_tflite_source(self.model, source)
        write_tflite(
            source,
            path,
            precision,
            representative_images=self.representative_images,
            has_ranges=is_int8(self.model),
        )

    def _write_integers(
        self, target: Format, path: pathlib.Path
    ) -> dict[str, int]:
        graph = self.graph
        assert graph is not None
        if target.name == "tflite_lowbit":
            write_lowbit_tflite(graph, path)
            kernels = convolution_kernels(path.read_bytes())
            return most_levels(graph, kernels)
        if target.name == "onnx_deploy":
            write_onnx_deploy(graph, path)
        else:
            bits = self.stored_weight_bits or target.weight_bits[0]
            write_onnx_qdq(graph, path, bits)
        return most_levels(graph, onnx_kernels(path))
