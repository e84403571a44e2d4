"""Building an ONNX graph of a low-bit network with onnx's own helpers.

tf2onnx has neither int4 nor a quantizer for each channel.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from spos_tf.lowbit.integer_arrays import same_padding
from spos_tf.lowbit.integer_nodes import IntegerGraph, MaxPool, Node

OPSET = 21
# Opset 21 came with it; onnxruntime refuses newer ones that it does not know.
_IR_VERSION = 10


def channels_first(kernel: np.ndarray) -> np.ndarray:
    """A Keras kernel in ONNX's order: out, in, height, width."""
    return kernel.transpose(3, 2, 0, 1)


class OnnxGraph:
    """ONNX nodes by the names of what they make.

    Args:
        graph: From `integer_graph`.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph = graph
        self.nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._outputs: dict[int, str] = {}
        self._lengths: dict[int, int] = {}

    def _add(self, node: Node) -> None:
        """Adds what a node of the network is here."""
        name = getattr(node, "name", None) or (
            f"{type(node).__name__.lower()}{len(self._outputs)}"
        )
        inputs = [self._outputs[id(one)] for one in node.sources]
        self._outputs[id(node)] = self.emit(node, name, *inputs)
        strides = getattr(node, "strides", 1)
        length = max(
            (self._lengths[id(one)] for one in node.sources), default=0
        )
        self._lengths[id(node)] = (
            -(-length // strides) or self._graph.image_size
        )

    def emit(self, node: Any, name: str, *inputs: str) -> str:
        """Adds the operations of a node.

        Args:
            node: A `Node`.
            name: Of its result.
            *inputs: Names of what it is computed from.

        Returns:
            Name of the result.
        """
        raise NotImplementedError

    def op(
        self, kind: str, inputs: Sequence[str], name: str, **more: Any
    ) -> str:
        """Adds an operation with one output, and gives its name."""
        self.nodes.append(
            helper.make_node(kind, list(inputs), [name], name=name, **more)
        )
        return name

    def constant(
        self, values: Any, name: str, kind: int = TensorProto.FLOAT
    ) -> str:
        """Adds a constant, and gives its name."""
        array = np.asarray(values)
        if kind == TensorProto.INT4:
            tensor = helper.make_tensor(
                name, kind, array.shape, array.astype(np.int64).ravel()
            )
        else:
            dtype = helper.tensor_dtype_to_np_dtype(kind)
            tensor = numpy_helper.from_array(array.astype(dtype), name)
        self._constants[name] = tensor
        return name

    def dequantized(
        self,
        values: Any,
        step: Any,
        name: str,
        kind: int,
        zero_point: int | None = None,
    ) -> str:
        """A constant of integers, a step for each of the first axis or one."""
        inputs = [
            self.constant(values, f"{name}.integers", kind),
            self.constant(step, f"{name}.step"),
        ]
        if zero_point is not None:
            zeros = np.full(np.shape(step), zero_point)
            inputs.append(self.constant(zeros, f"{name}.zero", kind))
        more = {"axis": 0} if np.ndim(step) else {}
        return self.op("DequantizeLinear", inputs, name, **more)

    def pads(self, node: Any, size: int) -> list[int]:
        """Padding of a window over what a node is computed from."""
        length = self._lengths[id(node.source)]
        before, after = same_padding(length, size, node.strides)
        return [before, before, after, after]

    def pixels(self) -> str:
        """The input, channels first."""
        return self.op("Transpose", ["image"], "pixels", perm=[0, 3, 1, 2])

    def max_pool(self, node: MaxPool, x: str, name: str) -> str:
        """Adds the most of a window."""
        return self.op(
            "MaxPool",
            [x],
            name,
            kernel_shape=[node.size] * 2,
            strides=[node.strides] * 2,
            pads=self.pads(node, node.size),
        )

    def pooled(self, x: str, name: str) -> str:
        """Adds the mean of a map."""
        y = self.op("GlobalAveragePool", [x], f"{name}.map")
        return self.op("Flatten", [y], name)

    def model(self) -> onnx.ModelProto:
        """The whole network."""
        for node in self._graph.nodes:
            self._add(node)
        size = self._graph.image_size
        image: list[str | int | None] = ["batch", size, size, 3]
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
            [
                helper.make_tensor_value_info(
                    "logits",
                    TensorProto.FLOAT,
                    ["batch", self._graph.num_classes],
                )
            ],
            list(self._constants.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="spos_tf",
        )
