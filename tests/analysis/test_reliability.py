"""Reliability and confirmation, by made-up scores whose truth is known."""

import numpy as np
import pytest

from spos_tf.analysis.reliability import (
    Confirmed,
    Reliability,
    confirm,
    full_length,
    images_needed,
    reliability,
    spread_of,
)


def _halves(rng, networks, value):
    """Scores on halves whose mean has a known reliability."""
    truth = rng.normal(size=[networks, 1])
    # Of half the images, so twice the variance of a whole score's noise.
    noise = np.sqrt(2 * (1 - value) / value)
    return truth + noise * rng.normal(size=[networks, 2])


@pytest.mark.parametrize("value", [0.2, 0.5, 0.8, 0.95])
def test_a_known_reliability_is_recovered_within_its_interval(value):
    rng = np.random.default_rng(1)
    found = [reliability(_halves(rng, 50, value)) for _ in range(400)]
    assert np.median([one.value for one in found]) == pytest.approx(
        value, abs=0.04
    )
    covered = np.mean([one.low <= value <= one.high for one in found])
    # 95 %, give or take three standard errors.
    assert 0.917 <= covered <= 0.983
    # It would not be kept by an interval of half the width.
    centre = np.array([(one.low + one.high) / 2 for one in found])
    width = np.array([one.high - one.low for one in found])
    assert np.mean(np.abs(centre - value) < width / 4) < 0.9


def test_more_networks_make_the_interval_narrower():
    rng = np.random.default_rng(2)
    widths = []
    for networks in (20, 80, 320):
        one = reliability(_halves(rng, networks, 0.7))
        assert one.candidates == networks and one.low < one.value < one.high
        widths.append(one.high - one.low)
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


def test_the_scores_of_counted_images():
    """As accuracies come about: hits of images that all networks see."""
    rng = np.random.default_rng(3)
    hard = rng.normal(size=[1, 2000])
    quality = 0.1 * rng.normal(size=[200, 1])
    chance = 1 / (1 + np.exp(hard - quality))
    hits = rng.random([200, 2000]) < chance
    halves = np.stack([hits[:, ::2].mean(1), hits[:, 1::2].mean(1)], 1)
    found = reliability(halves)
    again = (rng.random([200, 2000]) < chance).mean(1)
    truth = np.corrcoef(hits.mean(1), again)[0, 1]
    assert found.low <= truth <= found.high
    scores = spread_of(hits.mean(1), halves, 2000)
    assert scores.standard_error == pytest.approx(0.0112, abs=2e-4)
    # Networks of one quality would spread less than that: what is hard is
    # hard for all of them.
    alike = (rng.random([200, 2000]) < 1 / (1 + np.exp(hard))).mean(1)
    assert scores.noise == pytest.approx(alike.std(ddof=1), rel=0.15)
    assert scores.noise < 0.95 * scores.standard_error
    assert scores.spread > 1.5 * scores.noise


def test_scores_of_noise_alone_have_none():
    rng = np.random.default_rng(4)
    found = [reliability(rng.normal(size=[60, 2])) for _ in range(600)]
    # 97.5 % and 50 %, give or take three standard errors.
    assert np.mean([one.low == 0 for one in found]) == pytest.approx(
        0.975, abs=0.02
    )
    assert np.mean([one.value == 0 for one in found]) == pytest.approx(
        0.5, abs=0.06
    )


@pytest.mark.parametrize(
    ("halves", "expected"),
    [
        ([], Reliability(None, None, None, 0)),
        ([(1, 2), (), (2, 3), (3, 1)], Reliability(None, None, None, 3)),
        ([(0.2, 0.1 * i) for i in range(5)], Reliability(0.0, None, None, 5)),
        ([(0.2, 0.2)] * 6, Reliability(0.0, None, None, 6)),
    ],
)
def test_what_says_nothing(halves, expected):
    assert reliability(halves) == expected


def test_a_perfect_repetition():
    found = reliability([(i, i) for i in range(10)])
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_spearman_and_brown():
    assert full_length(0.5) == pytest.approx(2 / 3)
    assert full_length(-1) == full_length(0) == 0
    # A test four times as long as one of reliability 0.5 has 0.8.
    assert images_needed(0.5, 500) == 2000
    assert images_needed(0.26, 2000) == 22770
    assert images_needed(0.8, 500) is None
    assert images_needed(0.0, 500) is images_needed(None, 500) is None


def test_spread_of_other_metrics_is_of_the_halves():
    rng = np.random.default_rng(5)
    halves = 3 + rng.normal(size=[4000, 2])
    scores = halves.mean(1)
    found = spread_of(scores, halves, None)
    assert found.mean == pytest.approx(3, abs=0.05)
    for one in found[1:]:
        assert one == pytest.approx(np.sqrt(0.5), rel=0.05)
    assert spread_of([], [], None) == (None, None, None, None)
    assert spread_of([0.5], [()], None) == (0.5, None, None, None)
    assert spread_of([0.5], [()], 100).standard_error == pytest.approx(0.05)


def _hits(rng, networks, images, shift):
    """Hits of a winner that is better by `shift`, and of random networks."""
    quality = 0.6 + 0.02 * rng.normal(size=[networks, 1])
    quality[0] = 0.6 + shift
    return (rng.random([networks, images]) < quality).astype(float)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_an_advantage_is_recovered_within_its_interval(shift):
    rng = np.random.default_rng(6)
    found = []
    for seed in range(150):
        parts = _hits(rng, 21, 300, shift)
        found.append(
            confirm(
                parts.mean(1),
                parts,
                direction="max",
                resamples=200,
                seed=seed,
            )
        )
    covered = np.mean([one.low <= shift <= one.high for one in found])
    assert 0.9 <= covered <= 0.99
    differences = [one.difference for one in found]
    assert np.mean(differences) == pytest.approx(shift, abs=0.006)


def test_a_smaller_score_may_be_the_better_one():
    rng = np.random.default_rng(7)
    parts = 2 + rng.normal(size=[11, 20]) / 10
    parts[0] -= 1
    scores = parts.mean(1) + 5
    found = confirm(scores, parts, direction="min", resamples=300, seed=0)
    assert found.winner == scores[0] and found.difference > 0.9
    # Around the difference of the scores, not of their parts.
    assert found.low < found.difference < found.high
    worse = confirm(scores, parts, direction="max", resamples=300, seed=0)
    assert worse.difference == -found.difference
    assert worse.high < 0


def test_what_has_no_interval():
    args = {"direction": "max", "resamples": 10, "seed": 0}
    none = Confirmed(1.0, 0.5, 0.5, None, None)
    assert confirm([1.0, 0.5], [[], []], **args) == none
    assert confirm([1.0, 0.5], [[1.0], [float("nan")]], **args) == none
    with pytest.raises(ValueError, match="differ"):
        confirm([1.0], [[1.0]], **args)
    with pytest.raises(ValueError, match="differ"):
        confirm([1.0, 0.5], [[1.0]], **args)
