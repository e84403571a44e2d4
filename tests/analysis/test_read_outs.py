"""Statistics of read-outs, on made-up scores whose truth is known."""

import itertools

import numpy as np
import pytest

from spos_tf.analysis.read_outs import (
    additive_fit,
    compare_read_outs,
    levels,
    own_fit,
    rank_sum,
    tau_within,
)

RNG = np.random.default_rng(0)
ALL = np.array(list(itertools.product(range(3), repeat=6)))
GAINS = np.random.default_rng(1).normal(size=(6, 3))
TRUTH = GAINS[np.arange(6), ALL].sum(axis=1)
# The truth is additive; a score is the truth with noise of its own size.
NOISE = np.random.default_rng(2).normal(size=len(ALL)) * TRUTH.std()


def assess(values, truth, costs, resamples):
    found = compare_read_outs(
        {"scores": values}, truth, costs, resamples=resamples
    )
    return found["scores"]


def test_a_perfect_read_out():
    found = assess(TRUTH, 3 * TRUTH, TRUTH, resamples=20)
    assert found.kendall.tau == pytest.approx(1)
    assert found.kendall.low == pytest.approx(1)
    assert found.within_levels == pytest.approx(1)
    assert found.better_half == pytest.approx(1)
    assert (found.best_tenth, found.regret) == (1, 0)


def test_the_reverse_finds_nothing():
    found = assess(-TRUTH, TRUTH, TRUTH, resamples=20)
    assert found.kendall.tau == pytest.approx(-1)
    assert found.better_half == pytest.approx(-1)
    assert found.best_tenth == 0
    assert found.regret == pytest.approx(np.ptp(TRUTH))


def test_a_count_says_nothing_within_its_levels():
    costs = np.repeat(np.arange(9), 81)
    truth = costs + 0.1 * RNG.normal(size=729)
    found = assess(costs, truth, costs, resamples=5)
    assert found.kendall.tau > 0.9
    assert found.within_levels is None


def test_levels_hold_equally_many_and_keep_ties_together():
    found = levels(RNG.permutation(1000), count=20)
    assert np.bincount(found).tolist() == [50] * 20
    tied = levels([1] * 90 + [2] * 10, count=20)
    assert len(set(tied[:90])) == 1 and tied[90:].min() > tied[0]


def test_levels_are_weighted_by_their_pairs():
    # Three pairs in order, and one that is not.
    values = np.array([1.0, 2, 3, 9, 8])
    truth = np.array([1.0, 2, 3, 4, 5])
    found = tau_within(values, truth, np.array([0, 0, 0, 1, 1]))
    assert found == pytest.approx((3 * 1 + 1 * -1) / 4)


def test_the_fit_of_an_additive_truth_is_exact():
    assert own_fit(ALL, TRUTH) == pytest.approx(TRUTH, abs=1e-9)


def test_the_fit_takes_noise_off():
    noisy = TRUTH + NOISE
    before = assess(noisy, TRUTH, TRUTH, resamples=1).kendall.tau
    after = assess(own_fit(ALL, noisy), TRUTH, TRUTH, resamples=1).kendall.tau
    assert before < 0.6 < 0.85 < after


def test_the_fit_gives_equal_sums_equal_values():
    """Ties of counts stay ties: nothing is ranked by rounding."""
    depth = (ALL > 0).sum(axis=1)
    assert len(np.unique(own_fit(ALL, depth / 3))) == 7


def test_options_that_do_not_occur_are_no_matter():
    some = ALL[(ALL[:, 0] != 1) & (ALL[:, 1] == 2)]
    goal = GAINS[np.arange(6), some].sum(axis=1)
    assert own_fit(some, goal) == pytest.approx(goal, abs=1e-9)


def test_a_fit_of_some_predicts_the_others():
    some = np.random.default_rng(0).permutation(len(ALL))[:60]
    found = additive_fit(ALL[some], TRUTH[some], ALL)
    assert found == pytest.approx(TRUTH, abs=1e-6)


def test_a_mean_rank_is_better_than_each():
    many = [TRUTH + RNG.permutation(NOISE) for _ in range(4)]
    taus = [assess(one, TRUTH, TRUTH, resamples=1).kendall.tau for one in many]
    mean = assess(rank_sum(many), TRUTH, TRUTH, resamples=1).kendall.tau
    assert mean > max(taus) + 0.1


def test_a_paired_difference_is_sharper_than_two_intervals():
    one = TRUTH + NOISE
    other = one + 0.3 * RNG.permutation(NOISE)
    found = compare_read_outs(
        {"other": other, "one": one}, TRUTH, TRUTH, resamples=100
    )
    paired = found["one"].difference
    assert 0 < paired.low < paired.value < paired.high
    taus = [found[name].kendall for name in ("one", "other")]
    assert paired.value == pytest.approx(taus[0].tau - taus[1].tau)
    assert paired.high - paired.low < 0.8 * (taus[0].high - taus[0].low)


def test_the_first_does_not_differ_from_itself():
    found = assess(NOISE, TRUTH, TRUTH, resamples=10).difference
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_difference_to_a_constant_is_not_defined():
    found = compare_read_outs(
        {"scores": np.ones(729), "noise": NOISE}, TRUTH, TRUTH, resamples=5
    )
    assert found["scores"].kendall.tau is None
    assert found["noise"].difference is None
    assert found["noise"].to_dict()["kendall"]["tau"] is not None


def test_lengths_agree():
    with pytest.raises(ValueError, match="differ"):
        assess(TRUTH[:5], TRUTH, TRUTH, resamples=1)
