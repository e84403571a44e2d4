"""Batch norm whose statistics are values."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.ops.path_norm import (
    BatchNorm,
    CollectingBatchNorm,
    SynchronizedBatchNorm,
    fused_batch_norm,
)

# float32 sums over 128 values in another order: a few units in the last
# place of values up to 3.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
PLACE = functools.partial(tf.constant, 0)


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return rng.normal(3.0, 2.0, (8, 4, 4, 6)).astype(np.float32)


def _normal(x, epsilon=1e-5):
    x = x.astype(np.float64)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + epsilon)


@pytest.mark.parametrize("kind", ["replica", "synchronized", "collecting"])
def test_the_batch_is_normalised_like_keras_does(x, kind):
    norm = {
        "replica": BatchNorm,
        "synchronized": lambda: SynchronizedBatchNorm(1),
        "collecting": CollectingBatchNorm,
    }[kind]()
    y = norm(tf.constant(x), 1e-5, PLACE).numpy()
    theirs = keras.layers.BatchNormalization(
        epsilon=1e-5, center=False, scale=False
    )(x, training=True)
    np.testing.assert_allclose(y, theirs, **CLOSE)
    np.testing.assert_allclose(y, _normal(x), **CLOSE)


@pytest.mark.parametrize("norm", [BatchNorm(), SynchronizedBatchNorm(1)])
def test_gradients_are_those_of_keras(x, norm):
    weights = tf.constant(
        np.random.default_rng(1).normal(size=x.shape), "float32"
    )
    layer = keras.layers.BatchNormalization(
        epsilon=1e-5, center=False, scale=False
    )
    found = []
    for run in (
        lambda value: norm(value, 1e-5, PLACE),
        lambda value: layer(value, training=True),
    ):
        value = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(value)
            loss = tf.reduce_sum(weights * run(value) ** 2)
        found.append(tape.gradient(loss, value))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4)


def test_the_variance_is_the_populations(x):
    _, mean, variance = fused_batch_norm(tf.constant(x), 1e-5)
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), **CLOSE)
    # Bessel's correction would be a factor of 128 / 127.
    np.testing.assert_allclose(variance, x.var((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("value", [353.05856, 1790.9397, -5499.0757, 3e6])
def test_synchronized_survives_a_large_constant_channel(value):
    """E[x^2] - E[x]^2 is noise there: -12 for 5499, and its root NaN."""
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, (7, 5, 3, 6)).astype(np.float32)
    x[..., 0] = value
    x[..., 1] += value
    norm = SynchronizedBatchNorm(1)
    images = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(images)
        y = norm(images, 1e-5, PLACE)
        loss = tf.reduce_sum(y**3)
    assert np.isfinite(tape.gradient(loss, images)).all()
    # The mean is off by a few units in its last place, and so the variance
    # is not quite 0: values are at most their own standard deviation.
    assert np.all(np.abs(y[..., 0]) <= 1)
    expected = _normal(x)
    rough = 8 * float(np.spacing(np.float32(abs(value))))
    np.testing.assert_allclose(y[..., 1], expected[..., 1], atol=rough + 1e-5)
    np.testing.assert_allclose(y[..., 2:], expected[..., 2:], **CLOSE)


def test_moments_are_collected_in_order(x):
    norm = CollectingBatchNorm()
    assert norm.moments().shape == (2, 0)
    norm(tf.constant(x), 1e-5, PLACE)
    norm(tf.constant(x[..., :2] + 1), 1e-5, PLACE)
    moments = norm.moments().numpy()
    assert moments.shape == (2, 8)
    both = np.concatenate([x, x[..., :2] + 1], axis=-1).astype(np.float64)
    np.testing.assert_allclose(moments[0], both.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(moments[1], both.var((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_features_keep_float32_moments(x, dtype):
    half = tf.cast(x, dtype)
    y, mean, variance = fused_batch_norm(half, 1e-5)
    assert y.dtype == half.dtype
    assert mean.dtype == variance.dtype == tf.float32
    exact = tf.cast(half, tf.float32).numpy()
    # Were the moments in half precision, 1e-3 would be out of reach.
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-3)
