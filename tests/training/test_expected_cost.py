"""A cost of probabilities."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.spaces import build_blueprint
from spos_tf.training.expected_cost import cost_factor, expected_cost


@pytest.fixture(
    scope="module", params=["shufflenet_blocks", "proxyless_default"]
)
def blueprint(request):
    return build_blueprint(request.param, preset="demo")


@pytest.fixture(scope="module")
def macs(blueprint):
    return cost_table(blueprint, "macs")


def _one_hot(blueprint, encoding):
    return tf.one_hot(encoding, int(blueprint.search_space.num_options.max()))


def test_a_certain_architecture_costs_what_it_costs(blueprint, macs):
    encodings = blueprint.search_space.sample(np.random.default_rng(0), 5)
    for encoding, expected in zip(encodings, macs(encodings), strict=True):
        found = expected_cost(macs, _one_hot(blueprint, encoding))
        assert float(found) == pytest.approx(expected, rel=1e-6)


def test_it_is_the_mean_of_what_is_drawn(blueprint, macs):
    space = blueprint.search_space
    uniform = space.legal_mask / space.num_legal[:, None]
    found = expected_cost(macs, tf.constant(uniform, tf.float32))
    costs = macs(space.sample(np.random.default_rng(0), 20_000))
    error = 4 * costs.std() / np.sqrt(len(costs))
    assert float(found) == pytest.approx(costs.mean(), abs=error)


def test_the_factor_is_fbnets_and_pulls_towards_cheap_options(blueprint, macs):
    space = blueprint.search_space
    logits = tf.zeros(space.legal_mask.shape)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        masked = tf.where(space.legal_mask, logits, -np.inf)
        value = cost_factor(macs, 0.2, 0.6)(tf.nn.softmax(masked))
    uniform = space.legal_mask / space.num_legal[:, None]
    mean = float(expected_cost(macs, tf.constant(uniform, tf.float32)))
    assert float(value) == pytest.approx(0.2 * np.log(mean) ** 0.6, rel=1e-5)
    gradient = tape.gradient(value, logits).numpy()
    for row, legal, costs in zip(
        gradient, space.legal_options, macs.table, strict=True
    ):
        order = np.argsort(costs[list(legal)])
        assert (np.diff(row[list(legal)][order]) >= 0).all()


def test_a_cost_below_one_is_refused(blueprint):
    macs = cost_table(blueprint, "macs")
    small = dataclasses.replace(
        macs, constant=macs.constant / 1e9, table=macs.table / 1e9
    )
    with pytest.raises(UserError, match="costs more than 1; the cheapest"):
        cost_factor(small, 0.2, 0.6)


@pytest.mark.parametrize("numbers", [(-1.0, 0.6), (0.2, 0.0), (np.nan, 1.0)])
def test_weight_and_exponent_are_above_zero(macs, numbers):
    with pytest.raises(UserError, match="above 0; got"):
        cost_factor(macs, *numbers)


def test_slots_of_several_choices_are_refused():
    blueprint = build_blueprint("shufflenet_joint", preset="demo")
    table = cost_table(blueprint, "macs")
    shape = blueprint.search_space.legal_mask.shape
    with pytest.raises(UserError, match="reads 2 of them"):
        expected_cost(table, tf.zeros(shape))
