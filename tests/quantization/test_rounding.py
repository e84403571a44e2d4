"""The maths of losing bits, against written-out tables and formulas."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize, stats

from spos_tf.errors import UserError
from spos_tf.ops.protocol import MOST_BITS as MOST_BITS_OF_OPS
from spos_tf.quantization.rounding import (
    MOST_BITS,
    NORMAL_CLIP_LEVELS,
    check_bits,
    dorefa,
    pact,
)

# alpha 3, two bits: levels 0, 1, 2, 3. Halves go to the even level.
PACT = [
    # x, y, dy/dx, dy/dalpha
    (-2.0, 0.0, 0.0, 0.0),
    (-0.1, 0.0, 0.0, 0.0),
    (0.4, 0.0, 1.0, 0.0),
    (0.6, 1.0, 1.0, 0.0),
    (1.5, 2.0, 1.0, 0.0),
    (2.4, 2.0, 1.0, 0.0),
    (2.9, 3.0, 1.0, 0.0),
    (3.0, 3.0, 0.0, 1.0),
    (7.0, 3.0, 0.0, 1.0),
]


def _gradients(function, *inputs):
    inputs = [tf.constant(one, tf.float32) for one in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function(*inputs)
    return y.numpy(), [one.numpy() for one in tape.gradient(y, inputs)]


@pytest.mark.parametrize("bits", [2, tf.constant(2)])
def test_pact_is_the_written_out_table(bits):
    x, y, dx, _ = map(list, zip(*PACT, strict=True))
    found, (by_x, by_alpha) = _gradients(lambda x, a: pact(x, a, bits), x, 3.0)
    assert found.tolist() == y
    assert by_x.tolist() == dx
    assert by_alpha == sum(row[3] for row in PACT)


def test_gradient_of_alpha_weighs_what_comes_back():
    x = tf.constant([0.5, 4.0, 5.0])
    upstream = tf.constant([10.0, 2.0, -3.0])
    _, (_, by_alpha) = _gradients(
        lambda x, a: tf.reduce_sum(pact(x, a, 4) * upstream), x, 3.0
    )
    assert by_alpha == -1.0


@pytest.mark.parametrize("bits", range(2, 9))
def test_pact_equals_tensorflows_fake_quantization(bits):
    """Where both are: it knows no single bit, and has bits in the graph."""
    x = np.random.default_rng(bits).normal(0, 2, 1000)
    found = _gradients(lambda x, a: pact(x, a, bits), x, 2.7)
    expected = _gradients(
        lambda x, a: tf.quantization.fake_quant_with_min_max_vars(
            x, 0.0, a, num_bits=bits
        ),
        x,
        2.7,
    )
    # The same levels, computed by another order of products.
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_array_equal(found[1][0], expected[1][0])
    assert found[1][1] == expected[1][1]


# tanh is 0.5 of the largest at the second weight, -1 at the third.
LARGEST = 0.8
KERNEL = [0.0, np.arctanh(0.4), -np.arctanh(LARGEST), np.arctanh(0.2)]
DOREFA = {
    1: [x * np.mean(np.abs(KERNEL)) for x in (1, 1, -1, 1)],
    # Odd thirds. 0 lies between two of them and goes to the even step.
    2: [1 / 3, 1 / 3, -1.0, 1 / 3],
    # Odd sevenths of 0, 0.5, -1, 0.25.
    3: [1 / 7, 3 / 7, -1.0, 1 / 7],
}


@pytest.mark.parametrize("bits", DOREFA)
@pytest.mark.parametrize("kind", [int, tf.constant])
def test_dorefa_is_the_written_out_table(bits, kind):
    found = dorefa(tf.constant(KERNEL, tf.float32), kind(bits)).numpy()
    # Steps are given in single precision.
    np.testing.assert_allclose(found, DOREFA[bits], atol=1e-6)


@pytest.mark.parametrize("kind", [int, tf.constant])
def test_gradients_of_dorefa_are_those_without_the_rounding(kind):
    w = np.random.default_rng(0).normal(0, 0.5, 50)
    upstream = np.random.default_rng(1).normal(size=50)
    found, expected = (
        _gradients(lambda w, f=f: tf.reduce_sum(f(w) * upstream), w)[1][0]
        for f in (
            lambda w: dorefa(w, kind(4)),
            lambda w: tf.tanh(w) / tf.reduce_max(tf.abs(tf.tanh(w))),
        )
    )
    # Two ways of dividing by the same number.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    one_bit = _gradients(
        lambda w: tf.reduce_sum(dorefa(w, kind(1)) * upstream), w
    )[1][0]
    np.testing.assert_allclose(one_bit, upstream, rtol=1e-6)


@pytest.mark.parametrize("bits", range(1, 9))
def test_no_more_than_two_to_the_bits_values(bits):
    w = tf.random.stateless_uniform([3, 3, 64, 9], [0, bits], -0.1, 0.1)
    # So many that every level is taken.
    assert len(np.unique(pact(30 * tf.abs(w), 2.0, bits))) == 2**bits
    assert len(np.unique(dorefa(w, bits))) == 2**bits
    assert len(np.unique(dorefa(w, tf.constant(bits)))) == 2**bits


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("kind", [int, tf.constant])
def test_a_mask_is_a_slice_with_zeros_around(bits, kind):
    w = np.random.default_rng(0).normal(0, 0.1, (3, 3, 6, 8))
    w = w.astype(np.float32)
    # What is left out is large, to be noticed.
    w[:, :, 4:] *= 10
    w[..., 5:] *= 10
    mask = np.zeros((6, 8), np.float32)
    mask[:4, :5] = 1
    found = dorefa(tf.constant(w), kind(bits), tf.constant(mask)).numpy()
    expected = dorefa(tf.constant(w[:, :, :4, :5]), bits).numpy()
    # The mean is summed in another order.
    np.testing.assert_allclose(found[:, :, :4, :5], expected, rtol=1e-6)
    found[:, :, :4, :5] = 0
    assert not found.any()


def test_a_kernel_of_zeros_stays_finite():
    for bits in (1, 2, tf.constant(3)):
        assert np.isfinite(dorefa(tf.zeros([3, 4]), bits)).all()


def test_half_precision_is_computed_in_single():
    x = np.random.default_rng(0).uniform(0, 3, 100).astype(np.float16)
    found = pact(tf.constant(x), tf.constant(2.9), 4)
    assert found.dtype == tf.float16
    expected = pact(tf.constant(x, tf.float32), tf.constant(2.9), 4)
    np.testing.assert_array_equal(found, tf.cast(expected, tf.float16))
    assert dorefa(tf.constant(x), 3).dtype == tf.float16


def test_one_trace_serves_all_bits():
    run = tf.function(
        lambda x, bits: (pact(x, tf.constant(2.0), bits), dorefa(x, bits)),
        autograph=False,
    )
    x = tf.constant(np.random.default_rng(0).normal(size=100), tf.float32)
    for bits in range(1, 9):
        features, kernel = run(x, tf.constant(bits))
        np.testing.assert_array_equal(features, pact(x, 2.0, bits))
        np.testing.assert_allclose(kernel, dorefa(x, bits), rtol=1e-6)
    assert run.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_initial_clip_levels_suit_a_normal_distribution(bits):
    x = np.linspace(0, 8, 40001)
    density = stats.norm.pdf(x)

    def error(alpha):
        steps = 2**bits - 1
        levels = np.round(np.clip(x, 0, alpha) * steps / alpha) * alpha / steps
        return np.sum(density * (x - levels) ** 2)

    best = optimize.minimize_scalar(error, bounds=(0.5, 5), method="bounded")
    # The constants have three digits; the error is flat at its least.
    assert error(NORMAL_CLIP_LEVELS[bits - 1]) < 1.001 * best.fun


def test_bits_are_whole_numbers_in_range():
    assert MOST_BITS == MOST_BITS_OF_OPS == len(NORMAL_CLIP_LEVELS)
    for wrong in (0, 9, 2.0, True, "2", None):
        with pytest.raises(UserError, match="whole number from 1 to 8"):
            check_bits(wrong, "weights")
