"""Paths that are scored in half precision."""

import collections
import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from random_batches import random_batches
from random_images import GIVEN, VALIDATION
from spos_tf.errors import UserError
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.evaluation.scorer import LocalScorer
from spos_tf.evaluation.tree_evaluator import TreeEvaluator
from spos_tf.export import runtimes
from spos_tf.jobs import evaluate, scoring
from spos_tf.jobs.evaluate import evaluate_subnet
from spos_tf.jobs.process import precision, process_settings
from spos_tf.jobs.search import search_supernet
from spos_tf.jobs.trained import TrainedSubnet, remember
from spos_tf.networks.int8_subnet import build_int8_subnet
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.supernet import PathMoments, Supernet
from spos_tf.options import EvaluationOptions, SearchOptions
from tiny_blueprint import tiny_blueprint

PATHS = [[0], [3], [1]]

OPTIONS = SearchOptions(
    population=4,
    generations=2,
    top_k=2,
    recalibration_images=30,
    evaluation_batch_size=20,
)
LOSS = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def small():
    """One choice: four branches to trace."""
    return tiny_blueprint(
        stage_widths=[12], stage_strides=[1], stage_repeats=[1]
    )


def test_the_precision_is_part_of_what_a_score_is(
    supernet, tmp_path, monkeypatch
):
    """Scores in one are never taken for scores in another."""
    scored_in = []

    def formula(candidate):
        scored_in.append(keras.config.dtype_policy().name)
        return float(sum(candidate)) / 99

    monkeypatch.setattr(
        scoring, "_traced_scorer", lambda task, threads: LocalScorer(formula)
    )

    def search(policy, name):
        options = dataclasses.replace(
            OPTIONS, strategy="random", dtype_policy=policy
        )
        found = search_supernet(
            supernet, options=options, work_dir=tmp_path, name=name, **GIVEN
        )
        assert keras.config.dtype_policy().name == "float32"
        run = json.loads((found.folder / "run.json").read_text())
        assert run["options"]["dtype_policy"] == policy
        return {one.worker for one in found.candidates}

    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        # Random candidates of one seed are the same.
        assert search(policy, policy) == {"local"}
        assert search(policy, f"{policy}-again") == {"memo"}
    assert collections.Counter(scored_in) == {
        "float32": 8,
        "mixed_bfloat16": 8,
        "mixed_float16": 8,
    }
    with pytest.raises(UserError, match="other values of `dtype_policy`"):
        search("float32", "mixed_bfloat16")
    # A run of a release that had no such option scored in float32.
    file = tmp_path / "search" / "float32" / "run.json"
    run = json.loads(file.read_text())
    del run["options"]["dtype_policy"]
    file.write_text(json.dumps(run))
    with pytest.raises(UserError, match="changed since the search"):
        search("mixed_bfloat16", "float32")
    assert search("float32", "float32") == {"local"}


def test_scores_in_half_precision(small):
    """Near those in float32, and a tree's are those of single paths."""
    found = {}
    batches = random_batches([15, 7]), random_batches([32, 17], seed=1)
    metric = ScoreMetric.make(LOSS, direction="min", num_classes=10)
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        with process_settings(deterministic=True, dtype_policy=policy):
            network = Supernet(small, seed=2)
        evaluator = Evaluator(network, *batches, metric)
        found[policy] = evaluator.together(PATHS)
        statistics = evaluator.recalibrate(PATHS[0])
        assert {one.dtype for one in statistics} == {tf.float32}
        if policy == "mixed_bfloat16":
            tree = TreeEvaluator(network, *batches, metric)
            assert tree(PATHS) == found[policy]
    exact = np.array(found.pop("float32"))
    for scores in found.values():
        assert 0 < np.abs(scores - exact).max() < 0.05


def test_statistics_are_pooled_in_double():
    """A mean of means that half precision, or single, would lose."""
    moments = PathMoments()
    for value in (1.0, 1.0 + 2**-20, 1.0):
        moments.add(1, [np.float32([[value], [0.0]])])
    (found,) = moments.statistics()
    assert found.dtype == tf.float32
    expected = np.mean([1.0, 1.0 + 2**-20, 1.0])
    assert float(found[0, 0]) == np.float32(expected)
    assert float(found[1, 0]) == pytest.approx(2 / 9 * 2**-40, rel=1e-3, abs=0)


def known(blueprint, build=build_subnet):
    encoding = np.zeros(blueprint.search_space.num_choices, np.int32)
    model = build(blueprint, encoding, seed=3)
    return remember(TrainedSubnet(model, blueprint, encoding))


def test_a_network_is_measured_in_half_precision(small, monkeypatch):
    seen = []
    plain = runtimes.keras_predictor

    def predictor(model):
        seen.append({one.compute_dtype for one in model.layers})
        return plain(model)

    monkeypatch.setattr(evaluate, "keras_predictor", predictor)
    model = known(small)
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


def test_a_precision_that_a_network_cannot_have_is_refused(small):
    options = EvaluationOptions(dtype_policy="mixed_bfloat16")
    with pytest.raises(UserError, match="quantizers for files of 8 bits"):
        evaluate_subnet(
            known(small, build_int8_subnet), VALIDATION, options=options
        )
    with pytest.raises(UserError, match="`dtype_policy` belongs to `format="):
        EvaluationOptions(format="tflite", dtype_policy="mixed_bfloat16")


def test_a_precision_ends_with_its_block():
    with pytest.raises(ZeroDivisionError), precision("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        _ = 1 / 0
    assert keras.config.dtype_policy().name == "float32"
