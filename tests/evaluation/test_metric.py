"""Scores by accuracy and by Keras metrics."""

import json
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.evaluation.metric import (
    ScoreMetric,
    label_form,
    needs_probabilities,
)

LABELS = np.array([0, 2, 1, 1, 2], np.int32)
LOGITS = np.random.default_rng(0).normal(size=[5, 3]).astype(np.float32)


class Margin(keras.metrics.Mean):
    """A metric of one's own that takes logits and integers."""

    def __init__(self, scale=1.0, name="margin", **others):
        super().__init__(name=name, **others)
        self.scale = scale

    def update_state(self, y_true, y_pred, sample_weight=None):
        own = tf.gather(y_pred, y_true, axis=1, batch_dims=1)
        return super().update_state(self.scale * own)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class Forgetful(Margin):
    """Does not say what it was made with."""

    def __init__(self, scale):
        super().__init__(scale, name="forgetful")

    def get_config(self):
        return {}


def _scored(metric, parts=((0, 5),)):
    for start, stop in parts:
        metric.update(
            tf.constant(LABELS[start:stop]), tf.constant(LOGITS[start:stop])
        )
    return metric.result()


def _make(metric=None, **others):
    return ScoreMetric.make(metric, num_classes=3, **others)


def test_accuracy_is_hits_by_images():
    metric = _make()
    assert (metric.name, metric.direction) == ("accuracy", "max")
    assert metric.is_accuracy
    hits = int((LOGITS.argmax(1) == LABELS).sum())
    assert _scored(metric, [(0, 2), (2, 5)]) == hits / 5
    metric.reset()
    assert _scored(metric, [(0, 1)]) in (0.0, 1.0)


@pytest.mark.parametrize(
    "given",
    [
        keras.metrics.SparseCategoricalAccuracy(),
        keras.metrics.CategoricalAccuracy(name="acc"),
    ],
)
def test_keras_accuracies_are_the_same_score(given):
    metric = _make(given)
    assert metric.name == "accuracy"
    assert _scored(metric) == _scored(_make())


@pytest.mark.parametrize(
    ("given", "one_hot", "probabilities"),
    [
        (keras.metrics.AUC(), True, True),
        (keras.metrics.Precision(), True, True),
        (keras.metrics.F1Score(average="macro"), True, True),
        (keras.metrics.R2Score(), True, True),
        (keras.metrics.BinaryIoU(), True, True),
        (keras.metrics.MeanSquaredLogarithmicError(), True, True),
        (keras.metrics.CategoricalCrossentropy(), True, True),
        (keras.metrics.CategoricalCrossentropy(from_logits=True), True, False),
        (keras.metrics.SparseCategoricalCrossentropy(), False, True),
        (keras.metrics.SparseTopKCategoricalAccuracy(2), False, False),
        (keras.metrics.CategoricalHinge(), True, False),
    ],
)
def test_a_metric_gets_what_it_needs(given, one_hot, probabilities):
    assert label_form(given, None) == ("one_hot" if one_hot else "sparse")
    assert needs_probabilities(given) is probabilities
    labels = np.eye(3, dtype=np.float32)[LABELS] if one_hot else LABELS
    logits = tf.nn.softmax(LOGITS) if probabilities else LOGITS
    given.reset_state()
    given.update_state(labels, logits)
    expected = float(given.result())
    metric = _make(given)
    assert _scored(metric) == pytest.approx(expected, rel=1e-6)
    assert given.name.startswith(metric.name) and not metric.is_accuracy
    # The user's own object is not the one that counts.
    given.reset_state()
    assert metric.result() == pytest.approx(expected, rel=1e-6)


def test_labels_of_ones_own_metric_are_said():
    assert _scored(_make(Margin(), labels="sparse")) == pytest.approx(
        LOGITS[np.arange(5), LABELS].mean(), rel=1e-6
    )
    with pytest.raises(UserError, match="`labels` is sparse or one_hot"):
        _make(Margin(), labels="onehot")


def test_a_class_derived_from_a_sparse_one_takes_integers():
    class Mine(keras.losses.SparseCategoricalCrossentropy):
        pass

    assert label_form(Mine(), None) == "sparse"
    assert label_form(Mine(), "one_hot") == "one_hot"
    assert label_form(None, None) == "sparse"


def test_fresh_ones_share_no_state():
    metric = _make(Margin(2.0), labels="sparse")
    value = _scored(metric)
    other = metric.fresh()
    assert other.identity == metric.identity
    assert _scored(other) == value
    other.reset()
    assert metric.result() == value


def test_an_identity_says_class_arguments_labels_and_direction():
    same = [
        _make(Margin(2.0), labels="sparse").identity,
        _make(Margin(3.0), labels="sparse").identity,
        _make(Margin(2.0), labels="one_hot").identity,
        _make(Margin(2.0), labels="sparse", direction="min").identity,
        _make(keras.metrics.AUC()).identity,
        _make().identity,
    ]
    assert len(set(same)) == len(same)
    assert all(isinstance(json.loads(one), dict) for one in same)
    assert _make(Margin(2.0), labels="sparse").identity == same[0]


def test_the_second_object_of_a_class_is_the_same_metric():
    one, other = (_make(keras.metrics.MeanSquaredError()) for _ in range(2))
    assert one.name == other.name == "mean_squared_error"
    assert one.identity == other.identity
    assert _make(keras.metrics.AUC(name="auc_2000")).name == "auc"
    assert _make(keras.metrics.AUC(name="area_1")).name == "area_1"


def test_it_travels_to_other_processes():
    for metric in (
        _make(),
        _make(Margin(2.0), labels="sparse", direction="min"),
    ):
        value = _scored(metric)
        other = pickle.loads(pickle.dumps(metric))
        # Which starts TensorFlow: a worker sets its threads before.
        assert other._made is None
        assert other.identity == metric.identity
        assert other.direction == metric.direction
        assert _scored(other) == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "auc"}, "`metric` is a Keras metric"),
        ({"metric": keras.metrics.Accuracy()}, "compares numbers of classes"),
        ({"direction": "down"}, "`direction` is max or min; got 'down'"),
        ({"direction": "min"}, "Accuracy is better when it is larger"),
        ({"metric": Forgetful(2.0)}, r"Forgetful cannot be made from its get_"),
        ({"metric": Margin(object())}, r"^`metric` has a get_config\(\) of"),
    ],
)
def test_what_is_no_metric_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        _make(**arguments)


def test_a_metric_of_several_numbers_is_refused():
    metric = _make(keras.metrics.F1Score(average=None))
    with pytest.raises(UserError, match=r"one number; 'f1_score' gives"):
        _scored(metric)


def test_the_loss_is_a_metric_by_name():
    made = ScoreMetric.make(num_classes=3, scored_by="loss")
    assert (made.name, made.direction) == ("loss", "min")
    made.update(np.array([0, 2]), tf.constant([[9.0, 0, 0], [0, 0, 0]]))
    assert made.result() == pytest.approx((2.5e-4 + np.log(3)) / 2, abs=1e-4)
    with pytest.raises(UserError, match="metric of its own; got `metric` too"):
        ScoreMetric.make(
            keras.metrics.SparseTopKCategoricalAccuracy(2),
            num_classes=3,
            scored_by="loss",
        )
