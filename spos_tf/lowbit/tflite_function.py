"""A deploy form as a function that TFLite converts to one on integers.

The converter reads the grids from TensorFlow's own fake quantization, which
stands wherever the file has a tensor; all numbers are constants by then.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.lowbit.integer_arrays import (
    as_array,
    classifier_arrays,
    conv_arrays,
    same_padding,
)
from spos_tf.lowbit.integer_nodes import (
    Add,
    Classifier,
    Conv,
    Image,
    IntegerGraph,
    MaxPool,
    Mean,
)
from spos_tf.lowbit.ranges import ClipRange, Grid
from spos_tf.quantization.integers import MOST_INTEGER


def tflite_function(graph: IntegerGraph) -> Any:
    """A deploy form as the function that TFLite's converter takes.

    Args:
        graph: From `integer_graph`.

    Returns:
        A concrete function from `image`, float32 `[batch, height, width, 3]`,
        to `{"logits": float32 [batch, classes]}`.
    """
    shape = (None, graph.image_size, graph.image_size, 3)
    spec = tf.TensorSpec(shape, tf.float32, "image")
    return tf.function(
        lambda image: {"logits": graph.run(_RUN, image)}, input_signature=[spec]
    ).get_concrete_function()


def _on_grid(grid: Grid, x: tf.Tensor) -> tf.Tensor:
    with tf.init_scope():
        step, zero_point = (
            float(as_array(one)) for one in grid.scale_and_zero_point()
        )
    return tf.quantization.fake_quant_with_min_max_args(
        tf.nn.relu(x) if isinstance(grid, ClipRange) else x,
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
