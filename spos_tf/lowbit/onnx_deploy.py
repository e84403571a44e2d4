"""The deploy form of a low-bit network as ONNX.

Between QuantizeLinear and DequantizeLinear, runtimes fuse every operation into
one of integers.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from spos_tf.lowbit.integer_arrays import (
    as_array,
    classifier_arrays,
    conv_arrays,
)
from spos_tf.lowbit.integer_nodes import (
    Add,
    Classifier,
    Conv,
    Image,
    IntegerGraph,
    MaxPool,
)
from spos_tf.lowbit.onnx_graph import OnnxGraph, channels_first
from spos_tf.lowbit.ranges import ClipRange, Grid

_MOST_UINT8 = 255


def onnx_deploy_model(graph: IntegerGraph) -> onnx.ModelProto:
    """A deploy form: 8-bit weights, uint8 features, int32 biases.

    Weights are int8 where `pairs_fit_int16`, elsewhere uint8 around 128.
    Input and output are those of the format onnx.

    Args:
        graph: From `integer_graph`.
    """
    return _Deploy(graph).model()


def pairs_fit_int16(kernel: np.ndarray, most_feature: int) -> bool:
    """Whether 16 bits hold the sum of any two products of a kernel.

    x86 processors without VNNI multiply uint8 features by int8 weights and add
    the products up in pairs, in 16 bits that saturate. By uint8 weights they
    multiply in wider integers. Which weights make a pair is the runtime's
    choice, so the largest stands for both.

    Args:
        kernel: Whole numbers, of any shape.
        most_feature: Greatest integer of the features; the least is 0.
    """
    most_weight = int(np.abs(kernel).max())
    return 2 * most_feature * most_weight <= np.iinfo(np.int16).max


class _Deploy(OnnxGraph):
    """Outputs are uint8 tensors, each with the grid of its node."""

    def emit(self, node: Any, name: str, *inputs: str) -> str:
        if isinstance(node, Image):
            return self.pixels()
        if isinstance(node, MaxPool):
            return self.max_pool(node, inputs[0], name)
        reals = [
            self._real(source, x, f"{name}.in{position}")
            for position, (source, x) in enumerate(
                zip(node.sources, inputs, strict=True)
            )
        ]
        if isinstance(node, Classifier):
            return self._classifier(node, reals[0])
        if isinstance(node, Conv):
            y = self._conv(node, reals[0], name)
        elif isinstance(node, Add):
            y = self.op("Add", reals, f"{name}.sum")
        else:
            y = self.pooled(reals[0], f"{name}.mean")
        return self._on_grid(node.grid, y, name)

    def _real(self, source: Any, x: str, name: str) -> str:
        """The numbers that a node's integers stand for."""
        if isinstance(source, Image):
            return x
        step, zero_point = self._grid(source.grid, name)
        return self.op("DequantizeLinear", [x, step, zero_point], name)

    def _grid(self, grid: Grid | None, name: str) -> tuple[str, str]:
        step, zero = (
            (1.0, -128.0)
            if grid is None
            else (as_array(one) for one in grid.scale_and_zero_point())
        )
        # uint8: clipped features are the small integers 0 to 2^bits - 1.
        zero = 0 if isinstance(grid, ClipRange) else zero + 128
        return (
            self.constant(np.float32(step), f"{name}.step"),
            self.constant(zero, f"{name}.zero", TensorProto.UINT8),
        )

    def _on_grid(self, grid: Grid, x: str, name: str) -> str:
        step, zero_point = self._grid(grid, name)
        if not isinstance(grid, ClipRange):
            return self.op("QuantizeLinear", [x, step, zero_point], name)
        x = self.op("QuantizeLinear", [x, step, zero_point], f"{name}.levels")
        top = self.constant(grid.top, f"{name}.top", TensorProto.UINT8)
        # Not Min, which onnxruntime before 1.24 does not have for uint8.
        return self.op("Clip", [x, "", top], name)

    def _conv(self, node: Conv, x: str, name: str) -> str:
        arrays = conv_arrays(node)
        size = arrays.kernel.shape[0]
        pads = self.pads(node, size)
        if isinstance(node.source, Image):
            x = self._framed(x, pads, node.source.mean)
            pads = [0] * 4
        inputs = [
            x,
            self._weights(
                node.source,
                channels_first(arrays.kernel),
                arrays.step,
                f"{name}.kernel",
            ),
            self.dequantized(
                arrays.bias, arrays.bias_step, f"{name}.bias", TensorProto.INT32
            ),
        ]
        return self.op(
            "Conv",
            inputs,
            f"{name}.sum",
            kernel_shape=[size] * 2,
            strides=[node.strides] * 2,
            pads=pads,
        )

    def _weights(
        self, source: Any, kernel: np.ndarray, step: np.ndarray, name: str
    ) -> str:
        """Weights of the type that multiplies a node's integers exactly."""
        grid = None if isinstance(source, Image) else source.grid
        most = grid.top if isinstance(grid, ClipRange) else _MOST_UINT8
        if pairs_fit_int16(kernel, most):
            return self.dequantized(kernel, step, name, TensorProto.INT8)
        return self.dequantized(
            kernel + 128, step, name, TensorProto.UINT8, zero_point=128
        )

    def _framed(
        self, pixels: str, pads: list[int], mean: tuple[float, ...]
    ) -> str:
        """Pixels with their mean around, as integers and back."""
        channels = [f"pixels.{colour}" for colour in "rgb"]
        self.nodes.append(
            helper.make_node(
                "Split", [pixels], channels, "split", axis=1, num_outputs=3
            )
        )
        around = self.constant(
            [0, 0, *pads[:2], 0, 0, *pads[2:]], "pads", TensorProto.INT64
        )
        framed = [
            self.op(
                "Pad",
                [channel, around, self.constant(pixel, f"{channel}.around")],
                f"{channel}.framed",
            )
            for channel, pixel in zip(channels, mean, strict=True)
        ]
        x = self.op("Concat", framed, "pixels.framed", axis=1)
        step, zero_point = self._grid(None, "pixels")
        x = self.op("QuantizeLinear", [x, step, zero_point], "pixels.levels")
        return self.op("DequantizeLinear", [x, step, zero_point], "pixels.real")

    def _classifier(self, node: Classifier, x: str) -> str:
        kernel, step, floats = classifier_arrays(node)
        weights = self._weights(node.source, kernel, step, "classifier.kernel")
        y = self.op("MatMul", [x, weights], "classifier.product")
        bias = self.constant(floats, "classifier.bias")
        return self.op("Add", [y, bias], "logits")
