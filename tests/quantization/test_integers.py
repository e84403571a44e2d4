"""Weights and grids as whole numbers."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spos_tf.quantization.integers import (
    embedded_kernel,
    int8_grid,
    int8_kernel,
    integer_bias,
    on_int8_grid,
)
from spos_tf.quantization.rounding import dorefa

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(0, 0.3, (3, 3, 4, 5)).astype(np.float32)
GAIN = np.array([1.5, -0.25, 0.0, 1e-6, -3.0], np.float32)


@pytest.mark.parametrize("bits", range(1, 8))
def test_embedded_levels_are_the_quantizer_times_the_gain(bits):
    integers, step = embedded_kernel(tf.constant(KERNEL), bits, GAIN)
    integers = np.asarray(integers)
    assert np.all(integers == np.round(integers))
    for channel in range(5):
        assert len(np.unique(integers[..., channel])) <= 2**bits
    expected = np.asarray(dorefa(tf.constant(KERNEL), bits)) * GAIN
    # Products of two or three float32 numbers in another order.
    np.testing.assert_allclose(integers * step, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("bits", "levels"),
    [
        (1, [-127, 127]),
        (2, [-126, -42, 42, 126]),
        (3, [-126, -90, -54, -18, 18, 54, 90, 126]),
        (4, [8 * odd for odd in range(-15, 16, 2)]),
    ],
)
def test_levels_fill_eight_bits(bits, levels):
    # All levels there are, and a zero, which counts as above.
    kernel = np.arctanh(np.linspace(-0.999, 0.999, 101)).astype(np.float32)
    integers, _ = embedded_kernel(
        tf.constant(kernel.reshape(1, 1, 101, 1)), bits, np.ones(1, np.float32)
    )
    assert sorted(set(np.asarray(integers).ravel())) == levels


def test_any_kernel_is_half_a_step_off_at_most():
    for kernel in (KERNEL, KERNEL[0, 0]):
        integers, step = (np.asarray(x) for x in int8_kernel(kernel))
        assert np.abs(integers).max() == 127
        # And one part in 2^22 of the largest.
        assert np.all(np.abs(integers * step - kernel) <= step * 0.50001)
    assert step.shape == ()


def test_a_kernel_of_zeros():
    integers, step = int8_kernel(tf.zeros((1, 1, 2, 3)))
    assert np.all(np.asarray(integers) == 0)
    assert np.all(np.asarray(step) > 0)


def test_a_bias_is_half_a_step_off_at_most():
    bias = np.array([0.3, -2.0, 5.0, 1.0, 0.0], np.float32)
    integers, step = integer_bias(bias, np.abs(GAIN) * 0.01, 0.5)
    integers, step = np.asarray(integers), np.asarray(step)
    assert np.all(step >= np.abs(GAIN) * np.float32(0.01))
    assert np.all(np.abs(integers) <= 2**23)
    # float32 has 24 bits of the largest of them.
    error = np.abs(integers * step * 0.5 - bias)
    assert np.all(error <= 0.25 * step + 1e-6 * np.abs(bias))


@settings(max_examples=50, deadline=None)
@given(st.floats(-100, 0), st.floats(1e-3, 100))
def test_a_grid_has_zero_and_reaches_its_ends(low, high):
    step, zero_point = (
        float(one) for one in int8_grid(tf.constant(low), tf.constant(high))
    )
    assert zero_point == round(zero_point)
    assert -128 <= zero_point <= 127
    # Zero is moved to the nearest of the levels, and the ends with it.
    assert (-128 - zero_point) * step <= low + 0.51 * step
    assert (127 - zero_point) * step >= high - 0.51 * step


def test_gradients_pass_where_the_grid_does_not_clip():
    x = tf.constant([-9.0, -0.4, 0.3, 9.0])
    step, zero_point = int8_grid(-1.0, 1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = on_int8_grid(x, step, zero_point)
    assert tape.gradient(y, x).numpy().tolist() == [0, 1, 1, 0]
    assert np.abs(y - tf.clip_by_value(x, -1.0, 1.0)).max() <= 0.51 * step
