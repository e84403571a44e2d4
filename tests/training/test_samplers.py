"""Which path a step takes."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces import build_blueprint
from spos_tf.training.samplers import (
    ConstraintSampler,
    StrictFairnessSampler,
    UniformSampler,
    default_ranges,
    parse_ranges,
    uneven_shares,
)

SPACE = SearchSpace(
    "mixed",
    tuple(
        Choice(f"stage1.block{i}.op", tuple(range(count)))
        for i, count in enumerate((2, 3, 4, 7, 4), 1)
    ),
)


def _draws(sampler, steps):
    """Paths int32 `[steps, num_choices]` and fallbacks, all in one graph."""

    @tf.function(autograph=False)
    def run():
        return tf.map_fn(
            lambda step: (sampler(step).path.options, sampler(step).fallback),
            tf.range(steps, dtype=tf.int64),
            fn_output_signature=(tf.int32, tf.bool),
        )

    paths, fallbacks = run()
    return paths.numpy(), fallbacks.numpy()


def _assert_uniform(values, count):
    """Chi-square; the seed is fixed, so that this fails always or never."""
    observed = np.bincount(values, minlength=count)
    assert len(observed) == count
    expected = len(values) / count
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert statistic < scipy.stats.chi2.isf(1e-4, count - 1), observed


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint("shufflenet_blocks", preset="demo")


@pytest.fixture(scope="module")
def cost(blueprint):
    return cost_table(blueprint, "macs")


@pytest.fixture
def samplers(blueprint, cost):
    space = blueprint.search_space
    return {
        "uniform": lambda seed: UniformSampler(space, seed=seed),
        "constraint": lambda seed: ConstraintSampler(
            space,
            cost,
            default_ranges(space, cost),
            seed=seed,
            proposals=64,
        ),
        "fair": lambda seed: StrictFairnessSampler(space, seed=seed),
    }


@pytest.mark.parametrize("kind", ["uniform", "constraint", "fair"])
def test_a_path_is_a_function_of_seed_and_step(samplers, kind):
    make = samplers[kind]
    paths, _ = _draws(make(3), 60)
    np.testing.assert_array_equal(_draws(make(3), 60)[0], paths)
    other, _ = _draws(make(4), 60)
    assert np.mean(other == paths) < 0.5  # 1/4 by chance
    assert len(np.unique(paths, axis=0)) > 30

    # Not of what was drawn before, and in one trace for all steps.
    call = tf.function(make(3), autograph=False)
    for step in (17, 3, 59):
        path = call(tf.constant(step, tf.int64)).path.options
        np.testing.assert_array_equal(path, paths[step])
        assert path.dtype == tf.int32
    assert call.experimental_get_tracing_count() == 1


def test_uniform_marginals_are_uniform_and_independent():
    paths, fallbacks = _draws(UniformSampler(SPACE, seed=0), 4000)
    assert not fallbacks.any()
    for values, count in zip(paths.T, SPACE.num_options, strict=True):
        _assert_uniform(values, count)
    _assert_uniform(paths[:, 2] * 4 + paths[:, 4], 16)
    _assert_uniform(paths[1:, 2] * 4 + paths[:-1, 2], 16)


def test_strict_fairness_uses_every_option_once_in_its_period():
    paths, _ = _draws(StrictFairnessSampler(SPACE, seed=0), 84 * 20)
    for values, count in zip(paths.T, SPACE.num_options, strict=True):
        periods = np.sort(values.reshape(-1, count), axis=1)
        np.testing.assert_array_equal(
            periods, np.tile(np.arange(count), (len(periods), 1))
        )


def test_strict_fairness_draws_every_order_alike():
    paths, _ = _draws(StrictFairnessSampler(SPACE, seed=1), 84 * 60)
    for values, count in zip(paths.T, SPACE.num_options, strict=True):
        for place in range(count):
            _assert_uniform(values.reshape(-1, count)[:, place], count)
    # Two choices of four options: neither follows the other.
    _assert_uniform(paths[:, 2] * 4 + paths[:, 4], 16)
    orders = paths[:, 1].reshape(-1, 3)
    _, order = np.unique(orders, axis=0, return_inverse=True)
    _assert_uniform(order.ravel(), 6)


LEGAL = ((0, 1), (2,), (1, 3), (0, 2, 4, 6), (0, 3))


@pytest.mark.parametrize(
    "sampler", [UniformSampler, StrictFairnessSampler], ids=["uniform", "fair"]
)
def test_only_legal_options_are_drawn_and_alike(sampler):
    space = dataclasses.replace(SPACE, legal=LEGAL)
    paths, _ = _draws(sampler(space, seed=0), 4000)
    for values, legal in zip(paths.T, LEGAL, strict=True):
        assert {*values.tolist()} == {*legal}
        if len(legal) > 1:
            _assert_uniform(np.searchsorted(legal, values), len(legal))


def test_several_limits_hold_at_once_also_over_two_choices_a_slot():
    blueprint = build_blueprint(
        "shufflenet_joint", preset="demo", stage_repeats=[1, 2]
    )
    space = blueprint.search_space
    macs, params = (cost_table(blueprint, name) for name in ("macs", "params"))
    drawn = space.sample(np.random.default_rng(0), 2000)
    low, high = np.percentile(macs(drawn), [30, 60])
    most = np.percentile(params(drawn), 50)
    sampler = ConstraintSampler(
        space,
        macs,
        [(low, high)],
        constraints=[Constraint(params, maximum=most)],
        seed=0,
    )
    paths, fallbacks = _draws(sampler, 50)
    assert not fallbacks.any() and len(np.unique(paths, axis=0)) > 40
    assert ((macs(paths) >= low) & (macs(paths) <= high)).all()
    assert (params(paths) <= most).all()


def test_a_cost_of_whole_architectures_cannot_be_sampled_under(blueprint, cost):
    class Whole:
        name = "whole"

        def __call__(self, encodings):
            return np.zeros(len(encodings))

    with pytest.raises(UserError, match="can be limited in the search"):
        ConstraintSampler(
            blueprint.search_space,
            cost,
            [(0, np.inf)],
            constraints=[Constraint(Whole(), maximum=1)],
            seed=0,
        )


def test_a_constrained_path_is_in_its_range(blueprint, cost):
    space = blueprint.search_space
    low, high = np.percentile(
        cost(space.sample(np.random.default_rng(0), 2000)), [40, 45]
    )
    sampler = ConstraintSampler(
        space, cost, [(low, high)], seed=0, proposals=32
    )
    paths, fallbacks = _draws(sampler, 1500)
    costs = cost(paths)
    assert low <= costs.min() and costs.max() <= high
    # 5 % of random paths: 0.95^32 = 19 % of steps find none.
    assert 0.1 < fallbacks.mean() < 0.3
    assert len(np.unique(paths[fallbacks], axis=0)) == 1
    assert len(np.unique(paths[~fallbacks], axis=0)) > 20


def test_ranges_are_drawn_alike(blueprint, cost):
    """Though paths in them are not equally frequent."""
    space = blueprint.search_space
    edges = np.percentile(
        cost(space.sample(np.random.default_rng(0), 2000)), [1, 30, 50, 60, 99]
    )
    # Half-integers: no network is on an edge and in two ranges.
    edges = np.floor(edges) + 0.5
    ranges = list(itertools.pairwise(edges))
    sampler = ConstraintSampler(space, cost, ranges, seed=0, proposals=256)
    paths, fallbacks = _draws(sampler, 2000)
    assert fallbacks.mean() < 0.01
    _assert_uniform(np.digitize(cost(paths), edges[1:-1]), 4)


def test_one_proposal_mostly_falls_back(blueprint, cost):
    space = blueprint.search_space
    ranges = default_ranges(space, cost)
    sampler = ConstraintSampler(space, cost, ranges, seed=0, proposals=1)
    paths, fallbacks = _draws(sampler, 500)
    assert 0.6 < fallbacks.mean() < 1.0
    costs = cost(paths)
    assert costs.min() >= ranges[0][0] and costs.max() <= ranges[-1][1]


def test_a_range_without_a_network_is_refused_at_once(blueprint, cost):
    space = blueprint.search_space
    beyond = float(cost.maximum + 1)
    with pytest.raises(UserError, match="macs"):
        ConstraintSampler(space, cost, [(beyond, 2 * beyond)], seed=0)


def test_default_ranges_hold_most_random_paths(blueprint, cost):
    ranges = default_ranges(blueprint.search_space, cost)
    assert len(ranges) == 7
    widths = [high - low for low, high in ranges]
    np.testing.assert_allclose(widths, widths[0])
    for (_, high), (low, _) in itertools.pairwise(ranges):
        assert high == low
    random = cost(blueprint.search_space.sample(np.random.default_rng(9), 4000))
    inside = (random >= ranges[0][0]) & (random <= ranges[-1][1])
    assert 0.96 < inside.mean() < 0.995


def test_ranges_are_read_from_a_text():
    assert parse_ranges("290e6:360e6:10e6") == [
        (290e6 + i * 10e6, 300e6 + i * 10e6) for i in range(7)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1:2",
        "a:b:c",
        "3:1:1",
        "1:2:0",
        "1:2:-1",
        "0:1:nan",
        "0:inf:1",
        "0:1:1e-9",
    ],
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UserError, match="FROM:TO:STEP") as caught:
        parse_ranges(text)
    assert repr(text) in str(caught.value)


def test_options_with_unequal_steps_are_told():
    legal = ((0, 1), (0, 2), (0, 1))
    space = SearchSpace(
        "few",
        tuple(
            Choice(f"block{i}", ("a", "b", "c")[:n])
            for i, n in enumerate((2, 3, 2))
        ),
        legal=legal,
    )
    counts = np.array([[51, 49, 0], [52, 0, 48], [76, 24, 0]])
    assert list(uneven_shares(space, counts)) == [
        "Options of block2 had unequal steps: a 76.0%, b 24.0%"
    ]
    counts[1] = [100, 0, 0]
    assert "block1 had unequal steps: a 100.0%, c 0.0%" in next(
        uneven_shares(space, counts)
    )
