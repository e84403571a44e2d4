"""The depthwise convolution's own gradient."""

import numpy as np
import pytest
import tensorflow as tf

from graph_nodes import cases
from spos_tf.ops.depthwise import depthwise_conv2d


def _inputs(size):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(3, 9, 9, 4)), tf.float32)
    return x, tf.constant(rng.normal(size=(size, size, 4, 1)), tf.float32)


def _gradients(run):
    @tf.function(autograph=False)
    def gradients(x, kernel, zero):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            loss = tf.reduce_sum(run(x, kernel, zero) ** 3)
        return tape.gradient(loss, [x, kernel])

    return gradients


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("strides", [1, 2])
def test_it_is_tensorflows(size, strides):
    x, kernel = _inputs(size)
    zero = tf.constant(0)
    y = depthwise_conv2d(x, kernel, strides, zero)
    along = [1, strides, strides, 1]
    np.testing.assert_array_equal(
        y, tf.nn.depthwise_conv2d(x, kernel, along, "SAME")
    )
    ours = _gradients(lambda x, k, z: depthwise_conv2d(x, k, strides, z))
    theirs = _gradients(
        lambda x, k, z: tf.nn.depthwise_conv2d(x, k, along, "SAME")
    )
    for found, expected in zip(
        ours(x, kernel, zero), theirs(x, kernel, zero), strict=True
    ):
        # Float32 sums of up to 243 products in another order.
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


@pytest.mark.parametrize(("size", "count"), [(3, 0), (5, 1), (7, 1)])
def test_the_gradient_of_a_large_kernel_is_kept_apart(size, count):
    if tf.config.list_logical_devices("GPU"):
        pytest.skip("It is for CPUs alone.")
    x, kernel = _inputs(size)
    gradients = _gradients(lambda x, k, z: depthwise_conv2d(x, k, 1, z))
    concrete = gradients.get_concrete_function(x, kernel, tf.constant(0))
    assert len(cases(concrete)) == count
