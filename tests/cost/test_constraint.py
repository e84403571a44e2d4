import math

import numpy as np
import pytest

from spos_tf.cost.constraint import (
    Constraint,
    all_allow,
    merge_constraints,
    parse_constraint,
)
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.spaces import build_blueprint


class Total:
    name = "total"

    def __call__(self, encodings):
        return np.asarray(encodings).sum(axis=1)


ENCODINGS = np.array([[0, 0], [1, 2], [3, 3]], np.int32)  # 0, 3, 6


def test_both_limits_are_inclusive():
    assert Constraint(Total(), 3, 6).allows(ENCODINGS).tolist() == [0, 1, 1]
    assert Constraint(Total(), 0, 3).allows(ENCODINGS).tolist() == [1, 1, 0]
    assert Constraint(Total()).allows(ENCODINGS).all()


def test_violation_is_the_relative_distance_and_0_exactly_inside():
    constraint = Constraint(Total(), 2, 4)
    np.testing.assert_array_equal(
        constraint.violation(ENCODINGS), [1.0, 0.0, 0.5]
    )
    np.testing.assert_array_equal(
        constraint.violation(ENCODINGS) == 0, constraint.allows(ENCODINGS)
    )


def test_a_limit_of_zero_has_a_finite_violation():
    violation = Constraint(Total(), maximum=0).violation(ENCODINGS)
    np.testing.assert_array_equal(violation, [0, 3, 6])


def test_a_cost_of_nan_is_never_legal():
    class Broken(Total):
        def __call__(self, encodings):
            return np.full(len(encodings), np.nan)

    constraint = Constraint(Broken(), 0, 1)
    assert not constraint.allows(ENCODINGS).any()
    assert np.isinf(constraint.violation(ENCODINGS)).all()


@pytest.mark.parametrize("value", [np.zeros((3, 1)), np.zeros(2), ["a"] * 3])
def test_a_cost_that_is_not_one_number_each_is_named(value):
    class Odd(Total):
        name = "odd"

        def __call__(self, encodings):
            return value

    with pytest.raises(UserError, match="Cost 'odd' is one number per"):
        Constraint(Odd(), 0, 1).allows(ENCODINGS)


@pytest.mark.parametrize(
    ("minimum", "maximum", "message"),
    [
        (2, 1, "at most the upper one; got 2 and 1"),
        (math.nan, None, "finite number; got nan"),
        (None, math.inf, "finite number; got inf"),
    ],
)
def test_impossible_limits_are_refused(minimum, maximum, message):
    with pytest.raises(UserError, match=message):
        Constraint(Total(), minimum, maximum)


def test_describe():
    total = Total()
    assert Constraint(total, 1, 330e6).describe() == "total in [1, 330000000]"
    assert Constraint(total, 0.25).describe() == "total >= 0.25"
    assert Constraint(total, None, 3).describe() == "total <= 3"


def test_limits_of_one_cost_merge_and_of_two_do_not():
    total, other = Total(), Total()
    low, high = Constraint(total, 1), Constraint(total, None, 5)
    merged = merge_constraints([low, high, Constraint(other, 2)])
    assert [(one.minimum, one.maximum) for one in merged] == [(1, 5), (2, None)]
    with pytest.raises(UserError, match="got 6 and 5"):
        merge_constraints([high, Constraint(total, 6)])


def test_all_allow_is_the_conjunction():
    parts = [Constraint(Total(), 1), Constraint(Total(), None, 5)]
    assert all_allow(parts, ENCODINGS).tolist() == [False, True, False]
    assert all_allow([], ENCODINGS).all()


def test_a_real_table():
    blueprint = build_blueprint("shufflenet_blocks", preset="demo")
    macs = cost_table(blueprint, "macs")
    encodings = blueprint.search_space.sample(np.random.default_rng(0), 50)
    limit = int(np.median(macs(encodings)))
    np.testing.assert_array_equal(
        Constraint(macs, None, limit).allows(encodings),
        macs(encodings) <= limit,
    )


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("macs<=330e6", ("macs", None, 330e6)),
        (" params >= 1e6 ", ("params", 1e6, None)),
        ("290e6<=macs<=330e6", ("macs", 290e6, 330e6)),
        ("my/cost.py:energy<=-2.5", ("my/cost.py:energy", None, -2.5)),
    ],
)
def test_parse(text, parsed):
    assert parse_constraint(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "macs",
        "macs=3",
        "macs<3",
        "macs==3",
        "<=3",
        "macs<=",
        "macs<=x",
        "macs<=nan",
        "macs>=inf",
        "3<=macs>=2",
        "1>=macs>=0",
        "a<=b<=c<=d",
        "macs<=>=3",
        ">macs<=3",
        "macs=<=3",
        "",
    ],
)
def test_parse_refuses(text):
    with pytest.raises(UserError, match="such as 'macs<=330e6'") as caught:
        parse_constraint(text)
    assert repr(text) in str(caught.value)


def test_parse_refuses_limits_that_exclude_each_other():
    with pytest.raises(UserError, match="lower limit"):
        parse_constraint("3<=macs<=2")
