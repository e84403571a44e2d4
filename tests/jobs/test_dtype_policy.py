"""Paths that are scored in half precision."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from random_images import GIVEN, VALIDATION
from spos_tf.errors import UserError
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.export import runtimes
from spos_tf.jobs import evaluate
from spos_tf.jobs.evaluate import evaluate_subnet
from spos_tf.jobs.process import precision, process_settings
from spos_tf.jobs.search import search_supernet
from spos_tf.jobs.trained import TrainedSubnet, remember
from spos_tf.networks.int8_subnet import build_int8_subnet
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.supernet import Supernet
from spos_tf.options import EvaluationOptions, SearchOptions

OPTIONS = SearchOptions(
    population=4,
    generations=2,
    top_k=2,
    recalibration_images=30,
    evaluation_batch_size=20,
)
LOSS = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)


def search(supernet, work_dir, policy, **others):
    return search_supernet(
        supernet,
        options=dataclasses.replace(
            OPTIONS, strategy="random", dtype_policy=policy
        ),
        work_dir=work_dir,
        metric=LOSS,
        direction="min",
        **GIVEN,
        **others,
    )


def test_the_precision_is_part_of_what_a_score_is(supernet, tmp_path):
    found = {}
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        result = search(supernet, tmp_path, policy, name=policy)
        assert keras.config.dtype_policy().name == "float32"
        # Random candidates of one seed are the same.
        found[policy] = {one.encoding: one.score for one in result.candidates}
        assert {one.worker for one in result.candidates} == {"local"}
        run = json.loads((result.folder / "run.json").read_text())
        assert run["options"]["dtype_policy"] == policy
    exact = found.pop("float32")
    for scores in found.values():
        assert scores.keys() == exact.keys()
        difference = [abs(scores[one] - exact[one]) for one in exact]
        assert 0 < max(difference) < 0.05
    lines = (tmp_path / "search" / "scores.jsonl").read_text().split()
    assert len(lines) >= 3
    again = search(supernet, tmp_path, "mixed_bfloat16", name="again")
    assert {one.worker for one in again.candidates} == {"memo"}
    with pytest.raises(UserError, match="other values of `dtype_policy`"):
        search(supernet, tmp_path, "float32", name="again")


def test_a_tree_scores_the_same_in_half_precision(supernet, tmp_path):
    options = dataclasses.replace(
        OPTIONS, strategy="random", dtype_policy="mixed_bfloat16"
    )
    scores = []
    for scoring in ("single", "tree"):
        found = search_supernet(
            supernet,
            options=dataclasses.replace(options, scoring=scoring),
            metric=LOSS,
            direction="min",
            **GIVEN,
        )
        scores.append([one.score for one in found.candidates])
    assert scores[0] == scores[1]


def test_statistics_are_float32_pooled_in_double(blueprint):
    """A mean that bfloat16 could not hold comes out exactly."""
    with process_settings(deterministic=True, dtype_policy="mixed_bfloat16"):
        supernet = Supernet(blueprint, seed=2)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3))
    images = tf.constant(pixels, tf.float32)
    labels = tf.zeros([12], tf.int32)
    halves = [(images[:5], labels[:5]), (images[5:], labels[5:])]
    evaluator = Evaluator(supernet, halves, halves)
    path = [0] * blueprint.search_space.num_choices
    found = evaluator.recalibrate(path)
    assert {one.dtype for one in found} == {tf.float32}
    moments = [
        supernet.batch_moments(one, tf.constant(path)) for one, _ in halves
    ]
    for pooled, first, second in zip(found, *moments, strict=True):
        weights = [5 / 12, 7 / 12]
        mean = np.average([first[0], second[0]], axis=0, weights=weights)
        np.testing.assert_allclose(pooled[0], mean, rtol=1e-6)


def known(blueprint, build=build_subnet):
    encoding = np.zeros(blueprint.search_space.num_choices, np.int32)
    model = build(blueprint, encoding, seed=3)
    return remember(TrainedSubnet(model, blueprint, encoding))


def test_a_network_is_measured_in_half_precision(blueprint, monkeypatch):
    seen = []
    plain = runtimes.keras_predictor

    def predictor(model):
        seen.append({one.compute_dtype for one in model.layers})
        return plain(model)

    monkeypatch.setattr(evaluate, "keras_predictor", predictor)
    model = known(blueprint)
    found = [
        evaluate_subnet(
            model, VALIDATION, options=EvaluationOptions(dtype_policy=policy)
        )
        for policy in (None, "mixed_bfloat16")
    ]
    assert [one["dtype_policy"] for one in found] == [
        "float32",
        "mixed_bfloat16",
    ]
    assert seen[0] == {"float32"} and "bfloat16" in seen[1]
    accuracies = [one["accuracy"] for one in found]
    assert abs(accuracies[0] - accuracies[1]) <= 3 / len(VALIDATION[0])
    assert keras.config.dtype_policy().name == "float32"


def test_a_precision_that_a_network_cannot_have_is_refused(blueprint):
    options = EvaluationOptions(dtype_policy="mixed_bfloat16")
    with pytest.raises(UserError, match="quantizers for files of 8 bits"):
        evaluate_subnet(
            known(blueprint, build_int8_subnet), VALIDATION, options=options
        )
    with pytest.raises(UserError, match="`dtype_policy` belongs to `format="):
        EvaluationOptions(format="tflite", dtype_policy="mixed_bfloat16")


def test_a_precision_ends_with_its_block():
    with pytest.raises(ZeroDivisionError), precision("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        _ = 1 / 0
    assert keras.config.dtype_policy().name == "float32"
