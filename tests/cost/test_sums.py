import dataclasses
import itertools
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cost_tables import table_by_choice
from spos_tf.cost import sums as sums_module
from spos_tf.cost.sums import reachable_sums
from spos_tf.cost.table import cost_table
from spos_tf.spaces import build_blueprint


def table_of(rows, constant=0):
    width = max(map(len, rows))
    return table_by_choice(
        "toy",
        constant,
        np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int64),
        np.array([len(row) for row in rows], np.int32),
    )


def all_encodings(cost):
    options = [range(len(legal)) for legal in cost.legal]
    return np.array(list(itertools.product(*options)), np.int32)


TABLES = st.builds(
    table_of,
    st.lists(
        st.lists(st.integers(-5, 30), min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 9),
)


@hypothesis.given(TABLES, st.floats(-20, 100))
# Smaller than the spacing of floats at 1: lost when 1 is added.
@hypothesis.example(table_of([(0, -1), (1,)]), 2.0**-54)
@hypothesis.example(table_of([(0, -1), (1,)]), -(2.0**-54))
@hypothesis.settings(max_examples=60)
def test_neighbours_of_a_limit_equal_brute_force(cost, limit):
    values = cost(all_encodings(cost))
    sums = reachable_sums(cost)
    above, below = values[values >= limit], values[values < limit]
    assert sums.lowest_from(limit) == (min(above) if len(above) else math.inf)
    assert sums.highest_below(limit) == (
        max(below) if len(below) else -math.inf
    )
    assert sums.lowest_from(-math.inf) == values.min() == cost.minimum
    assert sums.highest_below(math.inf) == values.max() == cost.maximum


@hypothesis.given(
    TABLES,
    st.integers(-10, 60) | st.floats(-10, 60),
    st.integers(0, 40) | st.floats(0, 40),
)
@hypothesis.example(table_of([(0, -1), (1,)]), 2.0**-54, 0)
@hypothesis.example(table_of([(0, -1), (1,)]), -(2.0**-54), 0)
@hypothesis.settings(max_examples=60)
def test_count_and_draws_stay_in_the_range(cost, low, width):
    values = cost(all_encodings(cost))
    sums = reachable_sums(cost)
    inside = ((values >= low) & (values <= low + width)).sum()
    assert sums.count(low, low + width) == inside
    drawn = sums.draw(low, low + width, np.random.default_rng(0), 20)
    assert drawn.shape == (20 if inside else 0, len(cost.legal))
    assert (drawn < [len(legal) for legal in cost.legal]).all()
    assert ((cost(drawn) >= low) & (cost(drawn) <= low + width)).all()


def test_draws_are_uniform_over_the_range():
    cost = table_of([(0, 1, 2), (0, 1, 1), (0, 3), (0, 1, 2, 3)], 7)
    everything = all_encodings(cost)
    legal = everything[(cost(everything) >= 11) & (cost(everything) <= 12)]
    count = 400 * len(legal)
    drawn = reachable_sums(cost).draw(11, 12, np.random.default_rng(1), count)
    kinds, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(kinds) == len(legal)
    # Chi-squared with 20-odd degrees of freedom: mean df, deviation sqrt(2df).
    freedom = len(legal) - 1
    chi = ((counts - 400) ** 2 / 400).sum()
    assert chi < freedom + 4 * math.sqrt(2 * freedom)


def test_the_papers_space_is_settled_exactly():
    macs = cost_table(build_blueprint("shufflenet_blocks"), "macs")
    sums = reachable_sums(macs)
    assert sums.count(-math.inf, math.inf) == 4**20
    assert sums.lowest_from(0) == macs.minimum
    assert sums.lowest_from(322918720) == 322918720
    drawn = sums.draw(322918720, 322918720, np.random.default_rng(0), 100)
    assert (macs(drawn) == 322918720).all()
    assert reachable_sums(macs) is sums


@pytest.mark.parametrize(
    ("space", "name"),
    [
        ("shufflenet_joint", "macs"),
        ("shufflenet_joint", "params"),
        ("fbnet", "macs"),
        ("resnet18_bits", "bit_ops"),
    ],
)
def test_spaces_of_many_options_and_real_costs_are_settled(space, name):
    blueprint = build_blueprint(space)
    cost = cost_table(blueprint, name)
    sums = reachable_sums(cost)
    aim = cost(blueprint.search_space.sample(np.random.default_rng(0), 1))[0]
    assert sums.lowest_from(aim) == aim
    below = sums.highest_below(aim)
    assert cost.minimum <= below < aim
    assert sums.count(np.nextafter(below, np.inf), aim * (1 - 1e-15)) == 0
    drawn = sums.draw(aim, aim, np.random.default_rng(0), 50)
    assert (cost(drawn) == aim).all()


def test_too_many_sums_and_real_numbers_are_left_to_the_bounded_search(
    monkeypatch,
):
    monkeypatch.setattr(sums_module, "MAX_COUNTS", 99)
    assert (
        reachable_sums(
            table_of(
                [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (0, 32), (0, 64)]
            )
        )
        is None
    )
    real = table_of([(0, 1)])
    real = dataclasses.replace(real, table=real.table * 0.1)
    assert reachable_sums(real) is None


@pytest.mark.parametrize("rows", [[(5,)], [(1, 2), (3,), (4,)]])
def test_single_options(rows):
    cost = table_of(rows)
    assert reachable_sums(cost).count(0, 100) == len(all_encodings(cost))
