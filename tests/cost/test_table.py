"""A cost as a sum of table look-ups."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from spos_tf.cost.counts import network_cost
from spos_tf.cost.table import COSTS, cost_names, cost_table
from spos_tf.errors import UserError
from spos_tf.spaces import build_blueprint


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint("shufflenet_blocks")


@hypothesis.given(st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=10)
def test_a_table_equals_the_sum_over_the_network(blueprint, seed):
    encodings = blueprint.search_space.sample(np.random.default_rng(seed), 3)
    for name in cost_names(blueprint):
        read = COSTS[name]
        costs = cost_table(blueprint, name)(encodings)
        assert costs.dtype == np.int64
        assert costs.tolist() == [
            read(network_cost(blueprint, encoding)) for encoding in encodings
        ]


def test_the_ends_are_the_cheapest_and_the_dearest():
    blueprint = build_blueprint(
        "shufflenet_blocks", preset="demo", stage_repeats=[1, 2]
    )
    space = blueprint.search_space
    grid = np.indices(space.num_options).reshape(space.num_choices, -1).T
    for name in cost_names(blueprint):
        table = cost_table(blueprint, name)
        costs = table(grid)
        assert (table.minimum, table.maximum) == (costs.min(), costs.max())
        assert table.minimum < table.maximum


def test_one_encoding_gives_one_cost(blueprint):
    table = cost_table(blueprint, "macs")
    assert table([0] * 20) == 295_842_496
    assert table([[0] * 20, [3] * 20]).tolist() == [295_842_496, 358_825_920]


def test_an_unknown_cost_is_answered_with_the_known_ones(blueprint):
    with pytest.raises(UserError, match="'watts'. The costs are: macs, params"):
        cost_table(blueprint, "watts")
