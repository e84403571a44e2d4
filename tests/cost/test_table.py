"""A cost as a sum of table look-ups."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from made_up_latencies import write_table
from spos_tf.cost.counts import network_cost
from spos_tf.cost.description import describe
from spos_tf.cost.latency import latency_table, read_latency_table
from spos_tf.cost.table import COSTS, cost_names, cost_table, slot_options
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


def test_choices_of_a_segment_may_end_in_the_same_word(tmp_path):
    usual = build_blueprint("resnet18_bits", preset="demo")
    space = usual.search_space
    alike = dataclasses.replace(
        usual,
        search_space=dataclasses.replace(
            space,
            choices=tuple(
                dataclasses.replace(choice, name=f"{choice.name}.op")
                for choice in space.choices
            ),
        ),
        segments=tuple(
            dataclasses.replace(
                segment,
                choice=segment.choice and f"{segment.choice}.op",
                elastic=tuple(f"{name}.op" for name in segment.elastic),
            )
            for segment in usual.segments
        ),
    )
    pairs = list(zip(slot_options(usual), slot_options(alike), strict=True))
    assert max(len(one.choices) for one, _ in pairs) == 2
    for one, other in pairs:
        assert list(other.choices.values()) == list(one.choices.values())
    # Whatever is kept by these names keeps all of it.
    one, other = describe(usual)["slots"], describe(alike)["slots"]
    assert [list(slot["choices"].values()) for slot in other] == [
        list(slot["choices"].values()) for slot in one
    ]
    encodings = space.sample(np.random.default_rng(0), 20)
    tables = []
    for blueprint in (usual, alike):
        write_table(blueprint, tmp_path / "latencies.yaml")
        read = read_latency_table(tmp_path / "latencies.yaml")
        tables.append(latency_table(blueprint, read))
    assert np.ptp(tables[0](encodings)) > 0
    np.testing.assert_array_equal(*(table(encodings) for table in tables))
