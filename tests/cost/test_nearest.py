"""Several limits on tables, decided by integer programming."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from spos_tf.cost import feasible, nearest
from spos_tf.cost.constraint import Constraint, all_allow
from spos_tf.cost.feasible import check_feasible, sample_feasible
from spos_tf.cost.nearest import find_nearest
from spos_tf.cost.table import CostTable, cost_table
from spos_tf.errors import UserError
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces import build_blueprint

# Two slots of one choice and one of two; an option of each kind is illegal.
SPACE = SearchSpace(
    "toy",
    tuple(Choice(name, (0, 1, 2)) for name in "abcd"),
    ((0, 1, 2), (0, 2), (1, 2), (0, 1, 2)),
)
READS = (((0, 1),), ((1, 3), (2, 1)), ((3, 1),))
LEGAL = tuple(map(np.array, ([0, 1, 2], [1, 2, 7, 8], [0, 1, 2])))
EVERYTHING = np.array(
    [
        (a, b, c, d)
        for a in range(3)
        for b in (0, 2)
        for c in (1, 2)
        for d in range(3)
    ],
    np.int32,
)


def toy(name, values):
    table = np.zeros((3, 9), np.array(values).dtype)
    rows = np.split(np.array(values), [3, 7])
    for line, legal, row in zip(table, LEGAL, rows, strict=True):
        line[legal] = row
    return CostTable(name, 5, table, LEGAL, READS)


def assert_as_by_listing(constraints):
    violation = sum(one.violation(EVERYTHING) for one in constraints)
    found = find_nearest(SPACE, constraints)
    counted = sum(one.violation(found.encodings) for one in constraints)
    SPACE.check(found.encodings[0])
    assert math.isclose(counted[0], violation.min(), abs_tol=1e-12)
    assert found.exact == (violation.min() > 0)
    assert found.exact != all_allow(constraints, found.encodings)[0]


INTEGERS = st.lists(st.integers(0, 40), min_size=10, max_size=10)
LIMITS = st.tuples(st.integers(0, 130), st.integers(0, 12))


@hypothesis.given(INTEGERS, INTEGERS, LIMITS, LIMITS, st.sampled_from([1, 7]))
@hypothesis.settings(max_examples=60, deadline=None)
def test_whole_costs_are_as_by_listing(first, second, one, two, factor):
    costs = [toy("first", first), toy("second", np.array(second) * factor)]
    # A limit need not be a value that the cost can have.
    assert_as_by_listing(
        [
            Constraint(costs[0], one[0], one[0] + one[1]),
            Constraint(costs[1], None, two[0] * factor - 1e-9),
        ]
    )


@hypothesis.given(INTEGERS, INTEGERS, LIMITS, LIMITS)
@hypothesis.settings(max_examples=60, deadline=None)
def test_real_costs_are_as_by_listing(first, second, one, two):
    costs = [
        toy("first", np.array(first) * 0.37),
        toy("second", np.array(second) * 1e-7 + 1e-9),
    ]
    assert_as_by_listing(
        [
            Constraint(costs[0], one[0] * 0.3, (one[0] + one[1]) * 0.3),
            Constraint(costs[1], two[0] * 1.01e-7 + 5),
        ]
    )


def test_costs_that_are_the_same_everywhere_and_limits_far_away():
    same = toy("same", [1] * 10)
    for limit, possible in ((8, True), (7, False), (1e300, True)):
        constraint = Constraint(same, None, limit)
        found = find_nearest(SPACE, [constraint])
        assert found.exact != possible
        assert constraint.allows(found.encodings)[0] == possible
    assert find_nearest(SPACE, [Constraint(same)]) is None


@pytest.mark.parametrize(
    "name", ["shufflenet_blocks", "shufflenet_joint", "fbnet"]
)
def test_large_spaces_are_decided_and_drawn_from(name, capfd):
    blueprint = build_blueprint(name)
    space = blueprint.search_space
    macs, params = (cost_table(blueprint, cost) for cost in ("macs", "params"))
    # Far from what random proposals meet, and near to what there is.
    least = macs.minimum + 0.1 * (macs.maximum - macs.minimum)
    below = Constraint(macs, None, least)
    reached = None
    for share in np.linspace(0.2, 1, 9):
        most = params.minimum + share * (params.maximum - params.minimum)
        limits = [below, Constraint(params, most)]
        found = find_nearest(space, limits)
        if found.exact:
            break
        assert all_allow(limits, found.encodings).all()
        reached = limits
    assert found.exact and reached
    with pytest.raises(UserError, match=r"^No architecture has .* nearest has"):
        check_feasible(space, limits)
    drawn = sample_feasible(space, reached, np.random.default_rng(0), 20)
    assert len(np.unique(drawn, axis=0)) == 20
    assert all_allow(reached, drawn).all()
    assert capfd.readouterr().out == ""


def test_where_the_solver_gives_up_the_search_is_bounded(monkeypatch):
    monkeypatch.setattr(nearest, "MAX_NODES", 0)
    blueprint = build_blueprint("shufflenet_blocks")
    space = blueprint.search_space
    macs, params = (cost_table(blueprint, cost) for cost in ("macs", "params"))
    aim = space.sample(np.random.default_rng(5), 1)
    narrow = [
        Constraint(cost, cost(aim)[0], cost(aim)[0]) for cost in (macs, params)
    ]
    found = find_nearest(space, narrow)
    assert found is None or not found.exact
    check_feasible(space, narrow)
    monkeypatch.setattr(feasible, "find_nearest", lambda *_: None)
    impossible = [Constraint(macs, None, 320e6), Constraint(params, 3.85e6)]
    with pytest.raises(
        UserError, match=r"^Found no .* a bounded search tried \d{5,} arch"
    ):
        check_feasible(space, impossible)
