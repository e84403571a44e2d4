"""Scores of both halves: the whole stays as it was, the halves are fixed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.evaluation.halves import HalvedMetric, Halving
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.metric import ScoreMetric

RNG = np.random.default_rng(4)
LABELS = RNG.integers(0, 5, 83).astype(np.int32)
LOGITS = RNG.normal(size=[83, 5]).astype(np.float32)
METRICS = {
    "accuracy": None,
    "cross-entropy": keras.metrics.SparseCategoricalCrossentropy(
        from_logits=True
    ),
    # No mean of anything: halves cannot be had from the whole's state.
    "auc": keras.metrics.AUC(),
}


def _metric(name):
    return ScoreMetric.make(METRICS[name], num_classes=5)


def _take(accumulator, places, size=83):
    accumulator.reset()
    for start in range(0, len(places), size):
        some = places[start : start + size]
        accumulator.update(tf.constant(LABELS[some]), tf.constant(LOGITS[some]))
    return accumulator.result()


@pytest.mark.parametrize("name", METRICS)
def test_the_whole_is_the_metrics_and_a_half_is_that_of_its_images(name):
    everything = np.arange(83)
    metric = _metric(name)
    found = _take(HalvedMetric(metric, seed=3), everything)
    assert found.score == _take(metric, everything)
    first = Halving(3, 5).take(LABELS)
    parts = np.flatnonzero(first), np.flatnonzero(~first)
    assert found.halves == tuple(_take(metric, part) for part in parts)
    assert found.halves[0] != found.halves[1]


@pytest.mark.parametrize("name", METRICS)
def test_neither_batches_nor_an_earlier_pass_matter(name):
    halved = HalvedMetric(_metric(name), seed=3)
    whole = _take(halved, np.arange(83))
    for size in (1, 7, 40):
        again = _take(halved, np.arange(83), size)
        # Keras adds up floats.
        rel = 0 if name == "accuracy" else 1e-6
        assert again.score == pytest.approx(whole.score, rel=rel)
        assert again.halves == pytest.approx(whole.halves, rel=rel)
    assert _take(halved.fresh(), np.arange(83)) == whole


def test_halves_are_stratified_and_a_matter_of_the_seed():
    found = {}
    for seed in range(20):
        first = Halving(seed, 5).take(LABELS)
        for label in range(5):
            own = first[label == LABELS]
            assert abs(2 * own.sum() - len(own)) <= 1
            # Not only as a whole: of any images that follow each other too.
            assert abs(2 * own[:6].sum() - 6) == 0
        found[seed] = first.tobytes()
    assert len(set(found.values())) == 20
    # A coin decides, not the place: no class is cut in odd and even ones.
    first = Halving(0, 1).take(np.zeros(20_000, np.int64))[::2]
    assert 0.47 < first.mean() < 0.53
    follows = (first[1:] == first[:-1]).mean()
    assert 0.47 < follows < 0.53


def test_what_has_no_halves_says_so():
    halved = HalvedMetric(_metric("accuracy"), seed=0)
    one = _take(halved, np.arange(1))
    assert one.halves == () and one.score in (0.0, 1.0)

    class Undefined(keras.metrics.Mean):
        """Not a number, unless it has seen all classes."""

        def update_state(self, y_true, y_pred, sample_weight=None):
            missing = len(np.unique(y_true)) < 5
            return super().update_state(np.nan if missing else 1.0)

    metric = ScoreMetric.make(Undefined(), labels="sparse", num_classes=5)
    places = np.concatenate([np.flatnonzero(i == LABELS)[:1] for i in range(5)])
    assert _take(HalvedMetric(metric, seed=0), places) == Measured(1.0)
