"""Operations on tensors; whole blocks are in test_blocks.py."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.ops.path_norm import BatchNorm, fused_batch_norm
from spos_tf.ops.tensor_ops import FoldedOps, TensorOps

# The same sums in float32, with the scale applied to the kernel instead of
# the result: a few units in the last place of values up to 30.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
MEAN = [0.5, -1.0, 2.0, 0.0, 3.0, -0.5]
VARIANCE = [4.0, 0.5, 9.0, 1.0, 1.0, 2.0]


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(3.0, 2.0, (4, 5, 5, 6)), tf.float32)


def _weights():
    rng = np.random.default_rng(1)
    shapes = {
        "one": (1, 1, 6, 6),
        "three": (3, 3, 6, 6),
        "depthwise": (5, 5, 6, 1),
    }
    return {
        f"{name}.kernel": tf.constant(rng.normal(size=shape), tf.float32)
        for name, shape in shapes.items()
    }


LAYERS = {
    "one": lambda ops, x: ops.conv(x, 6, name="one"),
    "one strided": lambda ops, x: ops.conv(x, 6, strides=2, name="one"),
    "three": lambda ops, x: ops.conv(x, 6, 3, name="three"),
    "depthwise": lambda ops, x: ops.depthwise(
        x, 5, strides=2, name="depthwise"
    ),
    "nothing": lambda ops, x: x,
    "pool": lambda ops, x: tf.nn.avg_pool2d(x, 2, 1, "SAME"),
}


def _norm(y):
    return (y - np.array(MEAN)) / np.sqrt(np.array(VARIANCE) + 1e-3)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("relu", [False, True])
def test_folding_is_normalising_with_the_statistics(x, name, relu):
    plain = TensorOps(_weights(), "float32", norm=BatchNorm())
    expected = _norm(LAYERS[name](plain, x).numpy())
    statistics = tf.constant([MEAN, VARIANCE])
    folded = FoldedOps(_weights(), "float32", statistics=statistics)
    found = folded.batch_norm(LAYERS[name](folded, x), epsilon=1e-3, name="bn")
    if relu:
        found, expected = folded.relu(found), np.maximum(expected, 0)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_a_convolution_used_before_its_batch_norm_too_stays_itself(x):
    statistics = tf.constant([MEAN, VARIANCE])
    ops = FoldedOps(_weights(), "float32", statistics=statistics)
    y = ops.conv(x, 6, name="one")
    before = y.numpy()
    normalised = ops.batch_norm(y, epsilon=1e-3, name="bn")
    np.testing.assert_array_equal(y, before)
    np.testing.assert_allclose(normalised, _norm(before), **CLOSE)
    np.testing.assert_array_equal(ops.relu(y), np.maximum(before, 0))


def test_statistics_are_used_in_order_and_padding_is_not():
    x = tf.ones([1, 1, 1, 2])
    padded = tf.constant([[1.0, 2, 3, 4, 9, 9], [1.0, 4, 9, 16, 9, 9]])
    ops = FoldedOps({}, "float32", statistics=padded)
    first = ops.batch_norm(x, epsilon=0.0, name="one")
    second = ops.batch_norm(x, epsilon=0.0, name="two")
    np.testing.assert_allclose(first[0, 0, 0], [0, -1 / 2], **CLOSE)
    np.testing.assert_allclose(second[0, 0, 0], [-2 / 3, -3 / 4], **CLOSE)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_folded_in_float32(x, dtype):
    half = tf.cast(x, dtype)
    y, mean, variance = fused_batch_norm(half, 1e-5)
    statistics = tf.stack([mean, variance])
    given = FoldedOps({}, dtype, statistics=statistics).batch_norm(
        half, name="bn"
    )
    assert given.dtype == half.dtype
    # Two roundings to 8 bits (bfloat16) of values up to 8.
    np.testing.assert_allclose(
        tf.cast(given, tf.float32), tf.cast(y, tf.float32), atol=2 * 8 / 256
    )


def test_a_block_has_so_many_batch_norms(x):
    ops = TensorOps({}, "float32", norm=BatchNorm())
    with pytest.raises(ValueError, match="at most 256"):
        for _ in range(257):
            ops.batch_norm(x, name="bn")


def test_places_of_batch_norms_are_distinct():
    seen = []

    def norm(x, epsilon, place, most):
        seen.append(int(place()))
        return x

    for branch in (0, 1, 2):
        ops = TensorOps({}, "float32", norm=norm, branch=tf.constant(branch))
        for _ in range(3):
            ops.batch_norm(tf.ones([1]), name="bn")
    assert len(set(seen)) == 9
