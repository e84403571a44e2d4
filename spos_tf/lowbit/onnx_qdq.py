"""A low-bit network as ONNX, as it was trained: weights on few integers."""

from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto

from spos_tf.lowbit.integer_arrays import as_array
from spos_tf.lowbit.integer_nodes import (
    Add,
    Classifier,
    Conv,
    Image,
    IntegerGraph,
    MaxPool,
    Mean,
)
from spos_tf.lowbit.onnx_graph import OnnxGraph, channels_first
from spos_tf.lowbit.ranges import ClipRange, Grid, StoredRange
from spos_tf.quantization.rounding import dorefa


def onnx_qdq_model(
    graph: IntegerGraph, weight_bits: int = 4
) -> onnx.ModelProto:
    """The network as it was trained, its weights as integers.

    A runtime that fuses quantization into integer operations rounds biases
    to a grid that is coarse for so small integers: in onnxruntime set
    `session.disable_quant_qdq` to `1`, or take `onnx_deploy_model`'s.

    Args:
        graph: From `integer_graph`.
        weight_bits: 4 stores weights of up to 4 bits as int4, and others as
            int8; 8 stores all as int8.
    """
    return _Trained(graph, weight_bits).model()


class _Trained(OnnxGraph):
    """Outputs are float, features on their levels."""

    def __init__(self, graph: IntegerGraph, weight_bits: int) -> None:
        super().__init__(graph)
        self._weight_bits = weight_bits

    def emit(self, node: Any, name: str, *inputs: str) -> str:
        if isinstance(node, Image):
            return self._image(node)
        if isinstance(node, MaxPool):
            return self.max_pool(node, inputs[0], name)
        if isinstance(node, Mean):
            y = self.pooled(inputs[0], f"{name}.exact")
            return self._rounded(node.grid, y, name)
        if isinstance(node, Classifier):
            return self._classifier(node, inputs[0])
        if isinstance(node, Conv):
            y = self._conv(node, inputs[0], name)
        else:
            y = self.op("Add", inputs, f"{name}.sum")
        if isinstance(node.grid, ClipRange):
            return self._on_levels(node.grid, y, name)
        if isinstance(node, Add):
            y = self.op("Relu", [y], f"{name}.relu")
        return self._rounded(node.grid, y, name)

    def _rounded(self, grid: Grid, x: str, name: str) -> str:
        """On the grid, if the network itself rounds to it."""
        if not isinstance(grid, StoredRange):
            return x
        step, zero_point = (
            as_array(one) for one in grid.scale_and_zero_point()
        )
        places = [
            self.constant(step, f"{name}.step"),
            self.constant(zero_point, f"{name}.zero", TensorProto.INT8),
        ]
        x = self.op("QuantizeLinear", [x, *places], f"{name}.levels")
        return self.op("DequantizeLinear", [x, *places], name)

    def _image(self, node: Image) -> str:
        x = self.pixels()
        if node.rounds:
            places = [
                self.constant(1.0, "pixels.step"),
                self.constant(0, "pixels.zero", TensorProto.UINT8),
            ]
            x = self.op("QuantizeLinear", [x, *places], "pixels.levels")
            x = self.op("DequantizeLinear", [x, *places], "pixels.rounded")
        if node.order != (0, 1, 2):
            order = self.constant(node.order, "order", TensorProto.INT64)
            x = self.op("Gather", [x, order], "reordered", axis=1)
        if not any(node.mean):
            return x
        mean, std = (
            self.constant(np.reshape(values, (1, 3, 1, 1)), name)
            for values, name in ((node.mean, "mean"), (node.std, "std"))
        )
        return self.op(
            "Div", [self.op("Sub", [x, mean], "centred"), std], "normalised"
        )

    def _conv(self, node: Conv, x: str, name: str) -> str:
        norm = node.norm
        assert norm is not None
        size = node.layer.kernel.shape[0]
        y = self.op(
            "Conv",
            [x, self._kernel(node, f"{name}.kernel")],
            f"{name}.sum",
            kernel_shape=[size] * 2,
            strides=[node.strides] * 2,
            pads=self.pads(node, size),
        )
        variables = ("gamma", "beta", "moving_mean", "moving_variance")
        inputs = [
            self.constant(as_array(getattr(norm, one)), f"{norm.name}.{one}")
            for one in variables
        ]
        return self.op(
            "BatchNormalization", [y, *inputs], norm.name, epsilon=norm.epsilon
        )

    def _kernel(self, node: Conv, name: str) -> str:
        kernel = tf.convert_to_tensor(node.layer.kernel)
        if node.bits is None:
            return self.constant(channels_first(as_array(kernel)), name)
        levels = channels_first(as_array(dorefa(kernel, node.bits)))
        most = 2**node.bits - 1
        unit = np.abs(levels).max() if node.bits == 1 else np.float32(1 / most)
        odd = np.round(levels / unit) if unit else np.ones_like(levels)
        room = max(self._weight_bits, 4 if node.bits <= 4 else 8)
        kind = TensorProto.INT4 if room == 4 else TensorProto.INT8
        if node.bits < room:
            return self.dequantized(odd, unit, name, kind)
        # Odd numbers of so many bits do not fit; their halves do.
        halves = self.dequantized(
            (odd - 1) / 2, 2 * unit, f"{name}.halves", kind
        )
        return self.op(
            "Add", [halves, self.constant(unit, f"{name}.unit")], name
        )

    def _on_levels(self, grid: ClipRange, x: str, name: str) -> str:
        low, alpha = (
            self.constant(np.float32(end), f"{name}.{kind}")
            for kind, end in zip(
                ("low", "alpha"), grid.value_range(), strict=True
            )
        )
        step = self.constant(
            as_array(grid.scale_and_zero_point()[0]), f"{name}.step"
        )
        zero = self.constant(0, f"{name}.zero", TensorProto.UINT8)
        x = self.op("Clip", [x, low, alpha], f"{name}.clipped")
        x = self.op("QuantizeLinear", [x, step, zero], f"{name}.levels")
        return self.op("DequantizeLinear", [x, step, zero], name)

    def _classifier(self, node: Classifier, x: str) -> str:
        inputs = [
            x,
            self.constant(as_array(node.layer.kernel), "classifier.kernel"),
            self.constant(as_array(node.layer.bias), "classifier.bias"),
        ]
        return self.op("Gemm", inputs, "logits")
