"""The deploy form of a low-bit network in Keras, computed on whole numbers.

Every sum is one of integers, which float32 holds exactly (but for a last place
in wide layers with features of more than 5 bits), so the files that are made of
it have the same results but for the rounding of ties. The gradients are those
of the network it was made from: it can be trained.
"""

import functools
from typing import Any, NamedTuple

import keras
import tensorflow as tf

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
from spos_tf.quantization.integers import (
    embedded_kernel,
    int8_kernel,
    integer_bias,
    on_int8_grid,
)
from spos_tf.quantization.rounding import dorefa, pact, straight_through


class IntegerWeights(NamedTuple):
    """Weights of an operation, as whole numbers in float32.

    Attributes:
        kernel: `[height, width, in, out]`, from -127 to 127.
        kernel_step: `[out]`.
        bias: `[out]`, in steps of the kernel times those of the features.
    """

    kernel: tf.Tensor
    kernel_step: tf.Tensor
    bias: tf.Tensor


def integer_weights(conv: Conv) -> IntegerWeights:
    """What a convolution computes with, of its variables of now.

    The first one takes pixels in the network's order, less their mean; what
    they are divided by is in the kernel.
    """
    gain, shift = _affine(conv)
    kernel = tf.convert_to_tensor(conv.layer.kernel)
    if conv.bits is None:
        scale = tf.reshape(tf.constant(conv.source.std), [1, 1, -1, 1])
        integers, step = int8_kernel(kernel / scale * gain)
    else:
        integers, step = embedded_kernel(kernel, conv.bits, gain)
    bias, step = integer_bias(shift, step, feature_step(conv.source))
    return IntegerWeights(integers, step, bias)


def classifier_weights(node: Classifier) -> tuple[tf.Tensor, tf.Tensor]:
    """The classifier's kernel as integers, and their step."""
    return int8_kernel(tf.convert_to_tensor(node.layer.kernel))


def feature_step(node: Any) -> Any:
    """Step of the grid that a node's result lies on."""
    return (
        1.0 if isinstance(node, Image) else node.grid.scale_and_zero_point()[0]
    )


def _affine(conv: Conv) -> tuple[tf.Tensor, tf.Tensor]:
    """Batch norm of inference: what it multiplies by, and adds."""
    norm = conv.norm
    gain = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    return gain, norm.beta - norm.moving_mean * gain


class DeployForm(keras.layers.Layer):
    """Images to logits, as an integer runtime computes them.

    Args:
        graph: From `integer_graph`; its variables are not this layer's.
    """

    def __init__(self, graph: IntegerGraph, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self._graph = graph

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        conv = functools.partial(_conv, training=bool(training))
        return self._graph.run({**_RUN, Conv: conv}, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self._graph.num_classes)


def _image(node: Image, pixels: tf.Tensor) -> tf.Tensor:
    pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
    return tf.gather(pixels, node.order, axis=-1) - tf.constant(node.mean)


def _conv(node: Conv, x: tf.Tensor, training: bool) -> tf.Tensor:
    kernel, step, bias = integer_weights(node)
    unit = feature_step(node.source)
    sums = tf.nn.conv2d(tf.round(x / unit), kernel, node.strides, "SAME")
    y = (sums + bias) * (step * unit)
    if training:
        y = straight_through(_exact(node, x), y)
    return _on_grid(node.grid, y)


def _exact(node: Conv, x: tf.Tensor) -> tf.Tensor:
    """What the network itself computes from the same features."""
    gain, shift = _affine(node)
    kernel = tf.convert_to_tensor(node.layer.kernel)
    if node.bits is not None:
        kernel = dorefa(kernel, node.bits)
    elif isinstance(node.source, Image):
        x /= tf.constant(node.source.std)
    return tf.nn.conv2d(x, kernel, node.strides, "SAME") * gain + shift


def _on_grid(grid: Grid, x: tf.Tensor) -> tf.Tensor:
    if isinstance(grid, ClipRange):
        return pact(x, tf.convert_to_tensor(grid.pact.alpha), grid.bits)
    step, zero_point = (
        tf.stop_gradient(one) for one in grid.scale_and_zero_point()
    )
    return on_int8_grid(x, step, zero_point)


def _add(node: Add, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    return _on_grid(node.grid, tf.nn.relu(left + right))


def _max_pool(node: MaxPool, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(x, node.size, node.strides, "SAME")


def _mean(node: Mean, x: tf.Tensor) -> tf.Tensor:
    return _on_grid(node.grid, tf.reduce_mean(x, axis=(1, 2)))


def _classifier(node: Classifier, x: tf.Tensor) -> tf.Tensor:
    kernel, step = classifier_weights(node)
    exact = tf.convert_to_tensor(node.layer.kernel)
    kernel = straight_through(exact, tf.stop_gradient(kernel * step))
    return tf.matmul(x, kernel) + node.layer.bias


_RUN: dict[type, Any] = {
    Image: _image,
    Add: _add,
    MaxPool: _max_pool,
    Mean: _mean,
    Classifier: _classifier,
}


def deploy_form(model: keras.Model, graph: IntegerGraph) -> keras.Model:
    """The deploy form of a low-bit network, which shares its variables.

    Batch norm is as in inference also in training. Both forms differ by the
    rounding of the first kernel, the classifier's and the biases, which
    `settle` moves into the network, and of pixels, sides of residual sums,
    the last sum and its mean; see `build_deployable_subnet`.

    Args:
        model: The network. Training the form trains its variables, which are
            not those of the form's model to Keras.
        graph: From `integer_graph`, of that network.

    Returns:
        Images -> logits, of the network's own shapes.
    """
    layer = DeployForm(graph)
    inputs = keras.Input(model.input_shape[1:], name="image")
    return keras.Model(inputs, layer(inputs), name=model.name)


def settle(graph: IntegerGraph) -> None:
    """Puts the network's own weights where their integers are.

    The first kernel, the classifier's and what batch norm adds then are, in
    the network too, what the deploy form rounds them to. Where the network
    has no grids of its own, those of sums move a little with what was added.

    Args:
        graph: From `integer_graph`.
    """
    for node in graph.nodes:
        if isinstance(node, Classifier):
            integers, step = classifier_weights(node)
            node.layer.kernel.assign(integers * step)
        elif isinstance(node, Conv):
            _settle(node)


def _settle(conv: Conv) -> None:
    gain, shift = _affine(conv)
    kernel, step, bias = integer_weights(conv)
    moved = bias * step * feature_step(conv.source) - shift
    if conv.bits is None:
        scale = tf.reshape(tf.constant(conv.source.std), [1, 1, -1, 1])
        # A channel that batch norm makes constant has any kernel.
        settled = tf.math.divide_no_nan(kernel * step * scale, gain)
        conv.layer.kernel.assign(settled)
    conv.norm.beta.assign_add(moved)
