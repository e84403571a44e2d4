"""A deploy form as a TFLite file that computes on integers.

The converter reads the grids from TensorFlow's own fake quantization, which
stands wherever the file has a tensor; all numbers are constants by then.
"""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.atomic_write import unfinished
from spos_tf.export.integer_arrays import (
    as_array,
    classifier_arrays,
    conv_arrays,
    same_padding,
)
from spos_tf.export.silence import silenced
from spos_tf.export.tflite import convert
from spos_tf.export.tflite_operations import check_builtin, check_integer
from spos_tf.export.tflite_weights import with_int8_matrix
from spos_tf.lowbit.integer_grids import Grid, Levels
from spos_tf.lowbit.integer_nodes import (
    Add,
    Classifier,
    Conv,
    Image,
    IntegerGraph,
    MaxPool,
    Mean,
)
from spos_tf.quantization.integers import MOST_INTEGER


def write_lowbit_tflite(
    graph: IntegerGraph, path: str | os.PathLike[str]
) -> None:
    """Writes a deploy form as TFLite: int8 features, weights and sums.

    Input `image`, float32 `[batch, height, width, 3]`, and output `logits`,
    float32 `[batch, classes]`, are as in other TFLite files. The classifier
    multiplies dequantized integers.

    Args:
        graph: From `integer_graph`.
        path: The file to make; replaced if it is there. Nothing is left of it
            when writing fails.

    Raises:
        UserError: The converter refuses the network, or left something but
            the classifier in float.
    """
    shape = (None, graph.image_size, graph.image_size, 3)
    spec = tf.TensorSpec(shape, tf.float32, "image")
    function = tf.function(
        lambda image: {"logits": _run(graph, image)}, input_signature=[spec]
    ).get_concrete_function()
    with silenced():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = convert(converter)
    kernel, step, _ = classifier_arrays(graph.classifier)
    content = with_int8_matrix(content, kernel.T, float(step))
    check_builtin(content)
    check_integer(content, "tflite_lowbit", float_classifier=True)
    with unfinished(path) as temporary:
        temporary.write_bytes(content)


def _run(graph: IntegerGraph, image: tf.Tensor) -> tf.Tensor:
    values: dict[int, tf.Tensor] = {}
    for node in graph.nodes:
        operands = [values[id(one)] for one in node.sources] or [image]
        values[id(node)] = _RUN[type(node)](node, *operands)
    return values[id(node)]


def _on_grid(grid: Grid, x: tf.Tensor) -> tf.Tensor:
    with tf.init_scope():
        step, zero_point = (float(as_array(one)) for one in grid.grid())
    return tf.quantization.fake_quant_with_min_max_args(
        tf.nn.relu(x) if isinstance(grid, Levels) else x,
        min=(-128 - zero_point) * step,
        max=(127 - zero_point) * step,
    )


def _kernel(integers: np.ndarray, step: np.ndarray) -> tf.Tensor:
    """Weights, with a step for each output channel or for all."""
    most = MOST_INTEGER * step
    quantization = tf.quantization
    fake_quant = (
        quantization.fake_quant_with_min_max_vars_per_channel
        if most.shape
        else quantization.fake_quant_with_min_max_vars
    )
    return fake_quant(
        tf.constant(integers * step), -most, most, narrow_range=True
    )


def _image(node: Image, pixels: tf.Tensor) -> tf.Tensor:
    return tf.quantization.fake_quant_with_min_max_args(
        pixels, min=0.0, max=255.0
    )


def _conv(node: Conv, x: tf.Tensor) -> tf.Tensor:
    with tf.init_scope():
        arrays = conv_arrays(node)
    padding = "SAME"
    if arrays.around is not None:
        size = arrays.kernel.shape[:2]
        x = _padded(x, arrays.around, size, node.strides)
        padding = "VALID"
    kernel = _kernel(arrays.kernel, arrays.step)
    y = tf.nn.conv2d(x, kernel, node.strides, padding)
    return _on_grid(
        node.grid, tf.nn.bias_add(y, arrays.bias * arrays.bias_step)
    )


def _padded(
    x: tf.Tensor, mean: np.ndarray, size: tuple[int, int], strides: int
) -> tf.Tensor:
    """Pads each channel with its own value, as `"same"` padding would."""
    around = [
        same_padding(length, k, strides)
        for length, k in zip(x.shape[1:3], size, strict=True)
    ]
    return tf.concat(
        [
            tf.pad(channel, [(0, 0), *around, (0, 0)], constant_values=value)
            for channel, value in zip(tf.split(x, 3, -1), mean, strict=True)
        ],
        -1,
    )


def _add(node: Add, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    return _on_grid(node.grid, tf.nn.relu(left + right))


def _max_pool(node: MaxPool, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(x, node.size, node.strides, "SAME")


def _mean(node: Mean, x: tf.Tensor) -> tf.Tensor:
    return _on_grid(node.grid, tf.reduce_mean(x, axis=(1, 2)))


def _classifier(node: Classifier, x: tf.Tensor) -> tf.Tensor:
    with tf.init_scope():
        kernel, step, bias = classifier_arrays(node)
    return tf.nn.bias_add(tf.matmul(x, _kernel(kernel, step)), bias)


_RUN: dict[type, Any] = {
    Image: _image,
    Conv: _conv,
    Add: _add,
    MaxPool: _max_pool,
    Mean: _mean,
    Classifier: _classifier,
}
