"""Rank correlation, its interval, recall and regret."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from spos_tf.analysis.correlation import (
    correlate,
    kendall_interval,
    top_count,
    top_recall,
)
from spos_tf.errors import UserError


def noisy(count, noise, seed=0):
    """Accuracies, and scores that rank them more or less alike."""
    rng = np.random.default_rng(seed)
    accuracies = rng.normal(size=count)
    return accuracies + noise * rng.normal(size=count), accuracies


def slow_tau(xs, ys):
    """Tau-b from its definition, pair by pair."""
    pairs = list(itertools.combinations(zip(xs, ys, strict=True), 2))
    signs = [(np.sign(a - c), np.sign(b - d)) for (a, b), (c, d) in pairs]
    both = sum(s * t for s, t in signs)
    x_untied = sum(s != 0 for s, _ in signs)
    y_untied = sum(t != 0 for _, t in signs)
    return both / np.sqrt(x_untied * y_untied)


def test_tau_is_that_of_the_pairs_with_ties():
    rng = np.random.default_rng(1)
    scores, accuracies = rng.integers(0, 6, (2, 40)).astype(float)
    found = correlate(scores, accuracies, resamples=5)
    assert found.kendall.tau == pytest.approx(slow_tau(scores, accuracies))


def test_equal_and_opposite_rankings():
    _, accuracies = noisy(50, 0)
    same = correlate(accuracies**3, accuracies, top=("10",), resamples=20)
    assert same.kendall.tau == pytest.approx(1)
    assert same.kendall.low == pytest.approx(1)
    assert same.spearman == pytest.approx(1)
    assert (same.top[0].recall, same.regret) == (1, 0)
    opposite = correlate(-accuracies, accuracies, top=("10",), resamples=20)
    assert opposite.kendall.tau == pytest.approx(-1)
    assert opposite.kendall.high == pytest.approx(-1)
    assert opposite.top[0].recall == 0
    assert opposite.regret == pytest.approx(np.ptp(accuracies))


def test_the_order_of_architectures_does_not_matter_to_the_figures():
    scores, accuracies = noisy(60, 1.0)
    order = np.random.default_rng(2).permutation(60)
    one, other = (
        dataclasses.replace(found, kendall=found.kendall.tau)
        for found in (
            correlate(scores, accuracies, resamples=1),
            correlate(scores[order], accuracies[order], resamples=1),
        )
    )
    assert one == other


def test_the_interval_is_as_wide_as_draws_differ_and_holds_the_truth():
    """Over 40 draws of 50 architectures from one distribution."""
    noise = 1.0
    # Of normal values with correlation r: tau = 2 / pi * arcsin(r).
    true = 2 / np.pi * np.arcsin(1 / np.sqrt(1 + noise**2))
    found = [
        kendall_interval(*noisy(50, noise, seed), resamples=50, seed=seed)
        for seed in range(40)
    ]
    held = sum(one.low <= true <= one.high for one in found)
    # 38 are expected; fewer than 33 in 1 of 1,000 tries.
    assert held >= 33
    width = np.mean([one.high - one.low for one in found])
    spread = np.std([one.tau for one in found])
    # 3.9 standard deviations are 95 %; 40 draws give one within a fifth, and
    # an interval of 50 resamples is a little short.
    assert 2.8 < width / spread < 5


def test_the_interval_is_of_its_seed_and_narrows_with_more_architectures():
    widths = []
    for count in (40, 400):
        values = noisy(count, 1.0)
        first, again, other = (
            kendall_interval(*values, resamples=100, seed=seed)
            for seed in (3, 3, 4)
        )
        assert first == again != other
        assert first.low < first.tau < first.high
        widths.append(first.high - first.low)
    # By the root of ten, which a hundred resamples give within a third.
    assert 2 < widths[0] / widths[1] < 5


def test_ties_at_the_edge_of_a_top_count_in_part():
    accuracies = np.array([4.0, 3, 2, 1])
    # The one with score 2 is in; one of three that share score 1 is.
    scores = np.array([2.0, 1, 1, 1])
    assert top_recall(scores, accuracies, "2").recall == pytest.approx(
        (1 + 1 / 3) / 2
    )
    assert top_recall(np.ones(4), accuracies, "2").recall == 0.5
    assert top_recall(scores, accuracies, "2").by_chance == 0.5


def test_the_mean_accuracy_where_several_share_the_highest_score():
    found = correlate([5, 5, 1], [10.0, 20, 40], top=("1",), resamples=1)
    assert found.chosen_accuracy == 15
    assert (found.best_accuracy, found.regret) == (40, 25)


@pytest.mark.parametrize(
    ("asked", "size", "count"),
    [("1", 9, 1), ("9", 9, 9), ("5%", 500, 25), ("1%", 9, 1), ("100%", 9, 9)],
)
def test_tops(asked, size, count):
    assert top_count(asked, size) == count


@pytest.mark.parametrize("asked", ["0", "10", "-1", "0%", "101%", "", "x", "%"])
def test_a_top_that_is_none(asked):
    with pytest.raises(UserError, match="numbers from 1 to 9"):
        top_count(asked, 9)


def test_scores_that_are_all_equal_give_no_correlation():
    found = correlate([0.1] * 5, [1, 2, 3, 4, 5], resamples=10)
    assert found.kendall.tau is found.kendall.low is found.spearman is None
    assert found.regret == 2
    assert "not defined" in str(found)


def test_two_architectures_are_enough():
    assert correlate([1, 2], [3, 4], resamples=5).kendall.tau == 1
    assert correlate([2, 1], [3, 4], resamples=5).kendall.tau == -1
    assert correlate([1, 1], [3, 4], resamples=5).kendall.tau is None


def test_one_architecture_is_too_few():
    with pytest.raises(UserError, match="at least 2 architectures; got 1"):
        correlate([1], [1])


def test_it_becomes_json():
    found = correlate(*noisy(30, 1.0), top=("3", "50%"), resamples=10)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["kendall"] == dataclasses.asdict(found.kendall)
    assert [one["k"] for one in data["top"]] == [3, 15]
    assert data["num_architectures"] == 30
    assert data["regret"] == found.regret
