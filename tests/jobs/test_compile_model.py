"""A trained network is ready for `fit` and `evaluate`."""

import keras
import numpy as np
import pytest

from spos_tf.jobs.training import compile_model
from spos_tf.options import TrainingOptions
from spos_tf.training.objective import Objective

FOCAL = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
IMAGES = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12) % 3


@pytest.mark.parametrize(
    ("loss", "metric", "words", "kept"),
    [
        (None, None, {}, "accuracy"),
        (FOCAL, None, {}, "accuracy"),
        (None, keras.metrics.CategoricalAccuracy(), {}, "accuracy"),
        (FOCAL, keras.metrics.SparseCategoricalAccuracy(), {}, "accuracy"),
        (FOCAL, keras.metrics.TopKCategoricalAccuracy(2), {}, "top_k"),
        (None, keras.metrics.SparseTopKCategoricalAccuracy(2), {}, "sparse"),
        # What Keras would give other labels than it takes, or logits.
        (None, keras.metrics.TopKCategoricalAccuracy(2), {}, None),
        (FOCAL, keras.metrics.SparseTopKCategoricalAccuracy(2), {}, None),
        (
            None,
            keras.metrics.TopKCategoricalAccuracy(2),
            {"labels": "one_hot"},
            None,
        ),
        (FOCAL, keras.metrics.AUC(), {}, None),
    ],
)
def test_a_network_is_compiled(loss, metric, words, kept):
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])
    objective = Objective.make(loss, metric, num_classes=3, **words)
    options = TrainingOptions(learning_rate=0.5)
    compile_model(model, options, objective, metric)
    labels = LABELS if loss is None else np.eye(3)[LABELS]
    before = model.evaluate(IMAGES, labels, verbose=0, return_dict=True)
    assert before.pop("loss") > 0
    assert [name.startswith(kept or "no") for name in before] == [True] * bool(
        kept
    )
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    if kept == "accuracy":
        logits = model.predict(IMAGES, verbose=0)
        hits = np.mean(logits.argmax(axis=1) == LABELS)
        assert before["accuracy"] == pytest.approx(hits)
    model.fit(IMAGES, labels, epochs=2, verbose=0)
