import itertools
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cost_tables import table_by_choice
from spos_tf.cost import feasible
from spos_tf.cost.constraint import Constraint, all_allow
from spos_tf.cost.feasible import check_feasible, sample_feasible
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces import build_blueprint

PAPER = build_blueprint("shufflenet_blocks")
MACS, PARAMS = (cost_table(PAPER, name) for name in ("macs", "params"))
DEMO = build_blueprint("shufflenet_blocks", preset="demo")
DEMO_MACS = cost_table(DEMO, "macs")


def space_of(counts):
    return SearchSpace(
        "toy",
        tuple(
            Choice(f"stage1.block{number + 1}.op", tuple(range(count)))
            for number, count in enumerate(counts)
        ),
    )


def rng():
    return np.random.default_rng(0)


def keys(encodings):
    return {tuple(row) for row in encodings.tolist()}


class Scaled:
    """A cost that is no table: nothing is known about it."""

    def __init__(self, cost, name, scale=1.0):
        self._cost, self.name, self._scale = cost, name, scale

    def __call__(self, encodings):
        return self._cost(encodings) * self._scale


@hypothesis.given(
    st.lists(
        st.lists(st.integers(0, 40), min_size=1, max_size=3),
        min_size=1,
        max_size=5,
    ),
    st.integers(-5, 120),
    st.integers(0, 6),
    st.sampled_from(["low", "high", "both"]),
)
@hypothesis.settings(max_examples=40)
def test_one_cost_is_exact_and_names_the_nearest_values(
    rows, low, width, limits
):
    options = np.array([len(row) for row in rows], np.int32)
    table = np.array([row + [0] * (3 - len(row)) for row in rows], np.int64)
    cost, space = (
        table_by_choice("toy", 3, table, options),
        space_of(options),
    )
    everything = np.array(
        list(itertools.product(*map(range, options))), np.int32
    )
    constraint = Constraint(
        cost,
        None if limits == "high" else low,
        None if limits == "low" else low + width,
    )
    values = cost(everything)
    legal = everything[constraint.allows(everything)]
    if len(legal):
        check_feasible(space, [constraint])
        drawn = sample_feasible(space, [constraint], rng(), 10**6)
        assert keys(drawn) == keys(legal)
        return
    below = values[values < constraint.low]
    above = values[values > constraint.high]
    with pytest.raises(UserError) as caught:
        check_feasible(space, [constraint])
    named = re.search("the nearest reachable.*", str(caught.value)).group()
    assert [int(number) for number in re.findall(r"\d+", named)] == [
        *([below.max()] if len(below) else []),
        *([above.min()] if len(above) else []),
    ]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            (None, 270e6),
            "No architecture has macs <= 270000000: the nearest reachable "
            "macs is 270359360, the least of the space.",
        ),
        (
            (400e6, None),
            "No architecture has macs >= 400000000: the nearest reachable "
            "macs is 398609216, the largest of the space.",
        ),
        (
            (270359361, 270359370),
            "No architecture has macs in [270359361, 270359370]: the nearest "
            "reachable macs are 270359360 below and 270610240 above.",
        ),
    ],
)
def test_messages_on_the_papers_space(limits, message):
    with pytest.raises(UserError) as caught:
        check_feasible(PAPER.search_space, [Constraint(MACS, *limits)])
    way_out = "Give another limit, or take a space of networks of other sizes."
    assert str(caught.value) == f"{message} {way_out}"


def test_limits_given_one_by_one_are_one_range():
    limits = [Constraint(MACS, 270359361), Constraint(MACS, None, 270359370)]
    with pytest.raises(UserError, match=r"270359360 below and 270610240"):
        check_feasible(PAPER.search_space, limits)


def test_several_costs_that_exclude_each_other():
    limits = [Constraint(MACS, None, 320e6), Constraint(PARAMS, 3.85e6)]
    with pytest.raises(UserError) as caught:
        check_feasible(PAPER.search_space, limits)
    message = str(caught.value)
    assert message.startswith(
        "No architecture has macs <= 320000000 and params >= 3850000. The "
    )
    macs, params, name = re.search(
        r"nearest has macs (\d+), params (\d+) \(encoding ([\d,]+)\)", message
    ).groups()
    nearest = PAPER.search_space.check([int(n) for n in name.split(",")])
    assert (MACS(nearest), PARAMS(nearest)) == (int(macs), int(params))
    assert "\n" not in message


def test_several_costs_that_random_proposals_miss():
    limits = [Constraint(MACS, None, 320e6), Constraint(PARAMS, 3.76e6)]
    space = PAPER.search_space
    assert not all_allow(limits, space.sample(rng(), 10000)).any()
    check_feasible(space, limits)
    drawn = sample_feasible(space, limits, rng(), 50)
    assert len(keys(drawn)) == 50
    assert all_allow(limits, drawn).all()


def test_a_small_space_is_listed_whole_for_any_cost():
    space = DEMO.search_space
    cost = Scaled(DEMO_MACS, "energy", 0.5)
    with pytest.raises(UserError, match=r"all 1024 architectures .* energy 78"):
        check_feasible(space, [Constraint(cost, None, 78e3)])
    dearest = Constraint(cost, 0.5 * DEMO_MACS.maximum)
    drawn = sample_feasible(space, [dearest], rng(), 5)
    assert DEMO_MACS(drawn).tolist() == [DEMO_MACS.maximum]


def test_a_large_space_with_a_cost_that_is_no_table():
    cost = Scaled(MACS, "latency_ms", 1e-7)
    with pytest.raises(
        UserError, match=r"bounded search .* latency_ms 27.0359"
    ):
        check_feasible(PAPER.search_space, [Constraint(cost, None, 27.0)])
    narrow = Constraint(cost, None, 27.2)
    drawn = sample_feasible(PAPER.search_space, [narrow], rng(), 5)
    assert len(drawn) == 5
    assert narrow.allows(drawn).all()


@pytest.mark.parametrize("limit", [400e6, 330e6, 280e6, 272e6])
def test_draws_are_legal_distinct_and_repeatable(limit):
    constraint = Constraint(MACS, None, limit)
    drawn = sample_feasible(PAPER.search_space, [constraint], rng(), 60)
    again = sample_feasible(PAPER.search_space, [constraint], rng(), 60)
    assert drawn.dtype == np.int32 and drawn.shape == (60, 20)
    assert len(keys(drawn)) == 60
    assert constraint.allows(drawn).all()
    np.testing.assert_array_equal(drawn, again)


def test_what_is_to_be_avoided_is_not_drawn():
    constraint = Constraint(MACS, None, 271e6)
    first = keys(sample_feasible(PAPER.search_space, [constraint], rng(), 9999))
    assert len(first) == 21  # all that there are
    avoid = set(sorted(first)[:15])
    rest = sample_feasible(
        PAPER.search_space, [constraint], rng(), 50, avoid=avoid
    )
    assert keys(rest) == first - avoid
    none = sample_feasible(
        PAPER.search_space, [constraint], rng(), 50, avoid=first
    )
    assert none.shape == (0, 20)


def test_without_constraints_a_small_space_is_drawn_whole():
    drawn = sample_feasible(space_of((2, 3)), [], rng(), 50)
    assert len(keys(drawn)) == len(drawn) == 6


def test_every_loop_is_bounded():
    class Never:
        name, asked = "never", 0

        def __call__(self, encodings):
            Never.asked += len(encodings)
            return np.ones(len(encodings))

    with pytest.raises(UserError, match="never 1"):
        check_feasible(PAPER.search_space, [Constraint(Never(), 2)])
    rounds = feasible.ROUND * feasible.ROUNDS
    walks = feasible.WALKERS * feasible.NEIGHBOURS * feasible.STEPS
    assert Never.asked < 2 * (rounds + feasible.WALKS * walks)
