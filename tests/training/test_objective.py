"""Loss and metric of a run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.training.objective import Objective

LABELS = np.array([0, 2, 1, 2], np.int32)
LOGITS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


def _loss(*args, size=4, **given):
    objective = Objective.make(*args, num_classes=3, **given)
    value = objective.mean_loss(tf.constant(LABELS), tf.constant(LOGITS), size)
    return float(value)


def test_the_default_is_the_smoothed_cross_entropy():
    log = np.log(np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True))
    smooth = 0.8 * ONE_HOT + 0.2 / 3
    expected = -(smooth * log).sum(axis=1).mean()
    assert _loss(label_smoothing=0.2) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalFocalCrossentropy(from_logits=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.BinaryCrossentropy(from_logits=True, reduction=None),
        keras.losses.CategoricalHinge(),
    ],
    ids=lambda loss: loss.name,
)
def test_a_loss_gets_the_labels_that_its_name_says(loss):
    sparse = type(loss).__name__.startswith("Sparse")
    expected = np.mean(loss(LABELS if sparse else ONE_HOT, LOGITS))
    assert _loss(loss) == pytest.approx(float(expected), rel=1e-5)
    # Half of a batch of two replicas.
    half = float(expected) / 2
    assert _loss(loss, size=8) == pytest.approx(half, rel=1e-5)


def test_a_sum_stays_a_sum():
    loss = keras.losses.CategoricalHinge(reduction="sum")
    assert _loss(loss) == pytest.approx(float(loss(ONE_HOT, LOGITS)))


class _Own(keras.losses.Loss):
    def call(self, y_true, y_pred):
        assert y_true.shape == [4]
        return tf.zeros([4]) + 7.0


def test_labels_can_be_said():
    assert _loss(_Own(), labels="sparse") == 7.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"loss": keras.losses.CategoricalCrossentropy()},
            "CategoricalCrossentropy\\(from_logits=True\\)",
        ),
        (
            {"loss": keras.losses.SparseCategoricalCrossentropy()},
            "give logits, not probabilities",
        ),
        ({"loss": keras.losses.BinaryFocalCrossentropy()}, "from_logits=False"),
        ({"loss": keras.losses.KLDivergence()}, "which takes probabilities"),
        ({"loss": "mse"}, "`loss` is a Keras loss such as"),
        (
            {"loss": keras.losses.CategoricalHinge(), "label_smoothing": 0.1},
            "`label_smoothing` belongs to the default loss",
        ),
        ({"labels": "dense"}, "`labels` is sparse or one_hot"),
        ({"direction": "up"}, "`direction` is max or min"),
    ],
    ids=[
        "categorical",
        "sparse",
        "focal",
        "divergence",
        "text",
        "smoothing",
        "labels",
        "direction",
    ],
)
def test_what_cannot_be_trained_is_refused(given, words):
    with pytest.raises(UserError, match=words):
        Objective.make(**given, num_classes=3)


def test_losses_that_differ_have_other_identities():
    kind = keras.losses.CategoricalFocalCrossentropy
    losses = [
        None,
        kind(from_logits=True),
        kind(from_logits=True, gamma=3.0),
        keras.losses.CategoricalHinge(),
    ]
    identities = [Objective.make(one, num_classes=3).identity for one in losses]
    assert len(set(identities)) == len(losses)
    again = Objective.make(kind(from_logits=True), num_classes=3)
    assert again.identity == identities[1]
