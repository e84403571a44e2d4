"""What Gumbel softmax and two-path gradients draw, and what they learn."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.space import Choice, SearchSpace
from spos_tf.training.architecture_parameters import ArchitectureParameters
from spos_tf.training.gumbel import GumbelSoftmax
from spos_tf.training.two_path import CLOSED, TwoPath

SPACE = SearchSpace(
    "mixed",
    tuple(
        Choice(f"stage1.block{i}.op", tuple(range(count)))
        for i, count in enumerate((4, 2, 5, 3), 1)
    ),
    # The third leaves something out, the last is settled.
    legal=((0, 1, 2, 3), (0, 1), (0, 2, 3), (1,)),
)
LEGAL = SPACE.legal_mask
STEPS = 3000
VALUES = np.random.default_rng(0).normal(size=LEGAL.shape).astype(np.float32)
SHARES = scipy.special.softmax(np.where(LEGAL, VALUES, -np.inf), axis=1)


@pytest.fixture(scope="module")
def parameters():
    made = ArchitectureParameters(SPACE)
    made.variable.assign(VALUES)
    return made


def _map(function, dtypes):
    @tf.function(autograph=False)
    def run():
        return tf.map_fn(
            function,
            tf.range(STEPS, dtype=tf.int64),
            fn_output_signature=dtypes,
        )

    return tf.nest.map_structure(lambda x: x.numpy(), run())


def _close_to_shares(frequencies, shares):
    # Four standard deviations of a share of so many draws.
    error = 4 * np.sqrt(shares * (1 - shares) / STEPS)
    assert (np.abs(frequencies - shares) <= error + 1e-6).all()


def test_parameters_begin_alike_and_only_legal_options_have_a_share():
    fresh = ArchitectureParameters(SPACE)
    np.testing.assert_allclose(
        fresh.probabilities(), LEGAL / LEGAL.sum(axis=1, keepdims=True)
    )
    # Far below the best legal one, and still never an illegal one.
    fresh.variable.assign(np.where(LEGAL, -50.0, 50.0))
    assert SPACE.check(fresh.encoding()).tolist() == [0, 0, 0, 1]


def test_the_encoding_is_the_most_probable(parameters):
    np.testing.assert_allclose(parameters.probabilities(), SHARES, rtol=1e-5)
    np.testing.assert_array_equal(
        SPACE.check(parameters.encoding()), SHARES.argmax(axis=1)
    )


def test_a_settled_space_has_nothing_to_learn():
    settled = SPACE.pinned(
        {
            c.name: c.options[o]
            for c, o in zip(SPACE.choices, (0, 0, 2, 1), strict=True)
        }
    )
    with pytest.raises(UserError, match="leaves nothing to choose"):
        ArchitectureParameters(settled)


def _gumbel(parameters, first=5.0, last=0.1, steps=STEPS):
    return GumbelSoftmax(
        parameters,
        temperature=first,
        final_temperature=last,
        steps=steps,
        seed=3,
    )


def test_gumbel_weights_sum_to_one_over_the_legal_options(parameters):
    weights = _map(
        lambda step: _gumbel(parameters)(step).path.weights, tf.float32
    )
    np.testing.assert_allclose(weights.sum(axis=2), 1.0, rtol=1e-5)
    assert not weights[:, ~LEGAL].any()
    # At a high temperature all run; towards the end one has nearly all.
    assert (weights[:100, LEGAL] > 0).all()
    assert weights[:300].max(axis=2)[:, 0].mean() < 0.5
    assert weights[-300:].max(axis=2)[:, 0].mean() > 0.9


def test_the_largest_gumbel_weight_is_drawn_from_the_softmax(parameters):
    sampler = _gumbel(parameters, 1.0, 1.0)
    weights = _map(lambda step: sampler(step).path.weights, tf.float32)
    largest = weights.argmax(axis=2)
    frequencies = (largest[:, :, None] == np.arange(LEGAL.shape[1])).mean(0)
    _close_to_shares(frequencies, SHARES)


def test_the_temperature_falls_exponentially(parameters):
    sampler = _gumbel(parameters, 4.0, 0.25, steps=5)
    found = [
        float(sampler.temperature(tf.constant(step, tf.int64)))
        for step in range(5)
    ]
    assert found == pytest.approx([4.0, 2.0, 1.0, 0.5, 0.25])


def test_a_draw_is_a_function_of_the_step(parameters):
    step = tf.constant(7, tf.int64)
    for sampler in (_gumbel(parameters), TwoPath(parameters, seed=3)):
        for draw in (
            lambda one: one(step).path[0],
            lambda one: one.architecture_draw(step).selection.weights,
        ):
            np.testing.assert_array_equal(draw(sampler), draw(sampler))
    # Weights and parameters have noise of their own.
    gumbel = _gumbel(parameters)
    other = gumbel.architecture_draw(step).selection.weights
    assert np.abs(gumbel(step).path.weights - other).max() > 0.01


@pytest.mark.parametrize("name", ["temperature", "final_temperature"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan])
def test_temperatures_are_above_zero(parameters, name, value):
    with pytest.raises(UserError, match=f"`{name}` is above 0; got {value}"):
        GumbelSoftmax(parameters, **{name: value}, steps=2, seed=0)


def test_a_path_for_the_weights_is_drawn_from_the_softmax(parameters):
    sampler = TwoPath(parameters, seed=3)
    paths = _map(lambda step: sampler(step).path.options, tf.int32)
    frequencies = (paths[:, :, None] == np.arange(LEGAL.shape[1])).mean(0)
    _close_to_shares(frequencies, SHARES)


@pytest.fixture(scope="module")
def two_path_draws(parameters):
    sampler = TwoPath(parameters, seed=3)

    def draw(step):
        drawn = sampler.architecture_draw(step)
        return drawn.selection.weights, drawn.probabilities, drawn.moved

    return _map(draw, (tf.float32, tf.float32, tf.bool))


def test_two_legal_options_run_and_one_is_open(two_path_draws):
    gates, _, two = two_path_draws
    assert not two[:, ~LEGAL].any()
    # One of the settled choice.
    np.testing.assert_array_equal(
        two.sum(axis=2), np.tile([2, 2, 2, 1], (STEPS, 1))
    )
    np.testing.assert_array_equal(gates != 0, two)
    np.testing.assert_array_equal((gates == 1).sum(axis=2), 1)
    assert set(np.unique(gates)) == {0.0, np.float32(CLOSED), 1.0}


def test_the_two_are_drawn_without_replacement(two_path_draws):
    _, _, two = two_path_draws
    p = SHARES[0]
    # First, or second after another.
    expected = p + sum(
        np.where(np.arange(len(p)) == j, 0, p[j] * p / (1 - p[j]))
        for j in range(4)
    )
    _close_to_shares(two[:, 0].mean(axis=0), expected)


def test_which_is_open_goes_by_the_softmax_of_the_two(two_path_draws):
    gates, _, two = two_path_draws
    pair = two[:, 0, 0] & two[:, 0, 1]
    share = scipy.special.softmax(VALUES[0, :2])[0]
    found = (gates[pair, 0, 0] == 1).mean()
    assert abs(found - share) < 4 * np.sqrt(0.25 / pair.sum())


def test_probabilities_are_those_of_the_parameters(two_path_draws):
    _, probabilities, _ = two_path_draws
    np.testing.assert_allclose(
        probabilities, np.broadcast_to(SHARES, probabilities.shape), rtol=1e-5
    )


@pytest.mark.parametrize("step", range(4))
def test_the_gradient_is_that_of_equation_4(parameters, step):
    """For a loss that is any function of the gates."""
    sampler = TwoPath(parameters, seed=3)
    factors = np.random.default_rng(step).normal(size=LEGAL.shape)
    factors = tf.constant(factors, tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        draw = sampler.architecture_draw(tf.constant(step, tf.int64))
        loss = tf.reduce_sum(tf.sin(factors * (draw.selection.weights + 0.5)))
    gate_gradient = tape.gradient(loss, draw.selection.weights).numpy()
    found = tape.gradient(loss, parameters.variable.value).numpy()
    expected = np.zeros_like(found)
    for choice, two in enumerate(draw.moved.numpy()):
        options = np.flatnonzero(two)
        p = scipy.special.softmax(VALUES[choice, options])
        for i, option in enumerate(options):
            expected[choice, option] = sum(
                gate_gradient[choice, other] * p[j] * ((i == j) - p[i])
                for j, other in enumerate(options)
            )
    # Float32 arithmetic on numbers about 1.
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected[0]).max() > 1e-3


def test_what_was_not_drawn_keeps_its_probability(parameters):
    sampler = TwoPath(parameters, seed=3)
    draw = sampler.architecture_draw(tf.constant(1, tf.int64))
    moved = draw.moved.numpy()
    step = np.random.default_rng(1).normal(size=LEGAL.shape)
    after = np.where(moved, VALUES + step, VALUES).astype(np.float32)
    settled = sampler.settled(
        tf.constant(VALUES), tf.constant(after), draw.moved
    ).numpy()
    np.testing.assert_array_equal(settled[~moved], VALUES[~moved])
    shares = scipy.special.softmax(np.where(LEGAL, settled, -np.inf), axis=1)
    others = LEGAL & ~moved
    np.testing.assert_allclose(shares[others], SHARES[others], rtol=1e-5)
    # And the two differ as the optimizer made them differ.
    first = np.flatnonzero(moved[0])
    np.testing.assert_allclose(
        np.diff(settled[0, first]), np.diff(after[0, first]), atol=1e-5
    )
    assert np.abs(shares - SHARES).max() > 0.01
