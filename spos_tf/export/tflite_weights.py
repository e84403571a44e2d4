"""Weights of a TFLite file: read as they are stored, or stored in int8."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from spos_tf.errors import UserError
from spos_tf.export.tflite_operations import (
    builtin_codes,
    model_content,
    read_model,
)

_OPERATION = schema.BuiltinOperator


def convolution_kernels(content: bytes) -> list[np.ndarray]:
    """The int8 kernels of all convolutions, `[out, height, width, in]`."""
    model = read_model(content)
    (graph,) = model.subgraphs
    codes = builtin_codes(model)
    kernels = []
    for operator in graph.operators:
        if codes[operator.opcodeIndex] == _OPERATION.CONV_2D:
            tensor = graph.tensors[operator.inputs[1]]
            data = model.buffers[tensor.buffer].data
            if tensor.type == schema.TensorType.INT8:
                kernels.append(data.view(np.int8).reshape(tensor.shape))
    return kernels


def with_int8_matrix(
    content: bytes, integers: np.ndarray, step: float
) -> bytes:
    """Stores the matrix of the last operation in int8, dequantized once.

    The converter keeps the weights of a fully connected layer in float where
    its output is.

    Args:
        content: A file whose one fully connected layer has float weights.
        integers: What they are in steps, int8 `[out, in]`.
        step: One step.

    Raises:
        UserError: There is no such layer, or its weights are others.
    """
    model = read_model(content)
    (graph,) = model.subgraphs
    codes = builtin_codes(model)
    dense = [
        position
        for position, operator in enumerate(graph.operators)
        if codes[operator.opcodeIndex] == _OPERATION.FULLY_CONNECTED
    ]
    if len(dense) != 1:
        raise _broken()
    (position,) = dense
    operator = graph.operators[position]
    matrix = graph.tensors[operator.inputs[1]]
    data = model.buffers[matrix.buffer].data
    expected = (integers * np.float32(step)).ravel()
    # Both are products of an integer and the step, in float32.
    if data is None or not np.allclose(
        data.view(np.float32), expected, rtol=1e-5, atol=0
    ):
        raise _broken()
    stored = schema.TensorT()
    stored.name = matrix.name + b".int8"
    stored.shape = matrix.shape
    stored.type = schema.TensorType.INT8
    stored.quantization = schema.QuantizationParametersT()
    stored.quantization.scale = np.array([step], np.float32)
    stored.quantization.zeroPoint = np.array([0], np.int64)
    stored.buffer = matrix.buffer
    data = integers.astype(np.int8).ravel().view(np.uint8)
    model.buffers[matrix.buffer].data = data
    # The first buffer is empty: a tensor that is computed.
    matrix.buffer = 0
    graph.tensors.append(stored)
    dequantize = schema.OperatorT()
    dequantize.opcodeIndex = codes.index(_OPERATION.DEQUANTIZE)
    dequantize.inputs = np.array([len(graph.tensors) - 1], np.int32)
    dequantize.outputs = np.array([operator.inputs[1]], np.int32)
    graph.operators.insert(position, dequantize)
    return model_content(model)


def _broken() -> UserError:
    return UserError(
        "Format 'tflite_lowbit' ends in the network's classifier; the "
        "converter wrote another. Leave the format out of `formats`, and "
        "report a bug."
    )
