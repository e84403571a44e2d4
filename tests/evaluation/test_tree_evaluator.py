"""Scores of a generation, computed together, are those of single paths."""

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf

from random_batches import random_batches
from spos_tf.errors import UserError
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.tree import prefixes
from spos_tf.evaluation.tree_evaluator import TreeEvaluator
from spos_tf.networks.supernet import Supernet
from tiny_blueprint import tiny_blueprint

# All paths of the first option, and some that share with them and each other.
PATHS = [[0, 0, 0], [2, 1, 3], [0, 0, 2], [2, 1, 0], [0, 3, 0], [1, 1, 1]]


@pytest.fixture(scope="module")
def blueprint():
    return tiny_blueprint()


# Of unequal sizes, and no powers of two: dividing by those rounds nothing away.
RECALIBRATION = random_batches([15, 15, 7])
SCORING = random_batches([32, 17], seed=1)


@pytest.fixture(scope="module")
def supernet(blueprint):
    return Supernet(blueprint, seed=2)


@pytest.fixture(scope="module")
def tree(supernet):
    return TreeEvaluator(supernet, RECALIBRATION, SCORING)


@pytest.fixture(scope="module")
def scores(tree, blueprint):
    """Of single paths; after the tree has traced what both run."""
    tree([[3, 3, 3]])
    evaluator = Evaluator(Supernet(blueprint, seed=2), RECALIBRATION, SCORING)
    evaluator.passes_by_branch = 0
    return {tuple(path): evaluator(path) for path in PATHS}


@pytest.mark.parametrize("first", ["tree", "single"])
def test_statistics_are_those_of_single_paths(blueprint, first):
    """Whoever runs first: what is traced then knows no size of a batch."""
    supernet = Supernet(blueprint, seed=2)
    evaluator = Evaluator(supernet, RECALIBRATION, SCORING)
    evaluator.passes_by_branch = 0
    tree = TreeEvaluator(supernet, RECALIBRATION, SCORING)
    if first == "tree":
        found = tree.recalibrate(PATHS)
    expected = [evaluator.recalibrate(path) for path in PATHS]
    if first == "single":
        found = tree.recalibrate(PATHS)
    used = set()
    for path, statistics in zip(PATHS, expected, strict=True):
        nodes = prefixes([blueprint.settings(path)])
        used |= {*nodes}
        for node, one in zip(nodes, statistics, strict=True):
            assert found[node].dtype == np.float32
            assert found[node].shape == one.shape
            assert found[node].tobytes() == one.numpy().tobytes()
    assert found.keys() == used


def test_logits_are_those_of_single_paths(supernet, blueprint, tree):
    """Bit for bit, before argmax hides it."""
    images = SCORING[0][0]
    for path in PATHS:
        nodes = prefixes([blueprint.settings(path)])
        statistics = tree.recalibrate([path])
        given = [tf.constant(statistics[node]) for node in nodes]
        x = images
        for segment, (node, one) in enumerate(zip(nodes, given, strict=True)):
            option, _ = blueprint.segments[segment].branch_of(node[-1])
            weights = supernet.branch_weights(segment, option)
            x = supernet.infer_segment(segment, option, x, one, weights)
        expected = supernet(images, tf.constant(path), statistics=given)
        assert x.numpy().tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize(
    "order",
    [
        *([*range(6)], [5, 4, 3, 2, 1, 0], [3, 0, 5, 2, 4, 1]),
        # One; the same again, apart and side by side.
        *([4], [1, 0, 1, 1, 3, 0]),
    ],
)
def test_accuracies_are_those_of_single_paths(tree, scores, order):
    paths = [PATHS[i] for i in order]
    assert tree(paths) == [scores[tuple(path)] for path in paths]
    assert len(set(scores.values())) > 1


def test_no_candidates_have_no_scores(tree):
    assert tree([]) == []


def test_every_node_is_computed_once_a_batch(
    blueprint, supernet, tree, monkeypatch
):
    calls = collections.Counter()

    def count(name):
        method = getattr(Supernet, name)

        def counted(self, segment, option, *rest):
            calls[name, segment, option] += 1
            return method(self, segment, option, *rest)

        monkeypatch.setattr(Supernet, name, counted)

    for name in ("collect_segment", "infer_segment", "branch_weights"):
        count(name)
    tree([*PATHS, PATHS[0]])
    nodes = collections.Counter(
        (len(node) - 1, node[-1][0] if node[-1] else 0)
        for node in prefixes(blueprint.settings(path) for path in PATHS)
    )
    assert nodes.total() < len(PATHS) * len(blueprint.segments)
    for (segment, option), distinct in nodes.items():
        assert calls.pop(("collect_segment", segment, option)) == 3 * distinct
        assert calls.pop(("infer_segment", segment, option)) == 2 * distinct
        assert calls.pop(("branch_weights", segment, option)) == 1
    assert not calls


def test_nothing_is_kept_between_calls(blueprint):
    """Weights are read anew: as after a training that went on."""
    supernet = Supernet(blueprint, seed=2)
    tree = TreeEvaluator(supernet, RECALIBRATION, SCORING)
    tree(PATHS)
    for variable, other in zip(
        supernet.named_variables.values(),
        Supernet(blueprint, seed=3).named_variables.values(),
        strict=True,
    ):
        variable.assign(other)
    evaluator = Evaluator(supernet, RECALIBRATION, SCORING)
    assert tree(PATHS) == [evaluator(path) for path in PATHS]


def test_no_images_is_an_error(supernet):
    with pytest.raises(UserError, match="Recalibration needs at least one"):
        TreeEvaluator(supernet, [], SCORING)(PATHS)
    with pytest.raises(UserError, match="Scoring needs at least one"):
        TreeEvaluator(supernet, RECALIBRATION, [])(PATHS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_an_error(supernet, value):
    """The first candidate is named, as if each was scored by itself."""
    images, labels = random_batches([4])[0]
    broken = images.numpy()
    broken[2, 3, 3, 1] = value
    broken = [*RECALIBRATION, (tf.constant(broken), labels)]
    message = r"Path \[2, 1, 3\] gives values that are not finite"
    with pytest.raises(UserError, match=message):
        TreeEvaluator(supernet, RECALIBRATION, broken)(PATHS[1:])
    with pytest.raises(UserError, match=message):
        TreeEvaluator(supernet, broken, SCORING)(PATHS[1:])


@pytest.fixture(scope="module")
def diverged(blueprint):
    """Moments of one option are not finite."""
    supernet = Supernet(blueprint, seed=2)
    kernel = supernet.named_variables["stage2.block2.7x7.dw1.kernel"]
    kernel.assign(kernel * np.nan)
    return supernet


def _refusal(evaluate, candidates):
    with pytest.raises(UserError, match="not finite") as found:
        evaluate(candidates)
    return str(found.value)


@pytest.mark.parametrize(
    "paths", [*itertools.permutations([[0, 0, 2], [1, 1, 2], [0, 0, 0]])]
)
def test_the_first_candidate_that_diverged_is_named(diverged, paths):
    tree = TreeEvaluator(diverged, RECALIBRATION, SCORING)
    single = Evaluator(diverged, RECALIBRATION, SCORING)
    first = next(path for path in paths if path[2] == 2)
    assert _refusal(tree, paths) == _refusal(single, first)
    assert tree([[0, 0, 0]]) == [single([0, 0, 0])]


def test_what_comes_before_a_diverged_candidate_is_scored_first(blueprint):
    """Logits that are not finite, of all paths: no moment tells."""
    supernet = Supernet(blueprint, seed=2)
    for name in ("stage2.block2.7x7.dw1.kernel", "head.classifier.kernel"):
        kernel = supernet.named_variables[name]
        kernel.assign(kernel * np.nan)
    tree = TreeEvaluator(supernet, RECALIBRATION, SCORING)
    single = Evaluator(supernet, RECALIBRATION, SCORING)
    for paths in ([[1, 0, 0], [0, 0, 2]], [[0, 0, 2], [1, 0, 0]]):
        assert _refusal(tree, paths) == _refusal(single, paths[0])
    no_scoring = TreeEvaluator(supernet, RECALIBRATION, [])
    assert "[0, 0, 2]" in _refusal(no_scoring, [[0, 0, 2], [1, 0, 0]])
    with pytest.raises(UserError, match="Scoring needs at least one"):
        no_scoring([[1, 0, 0], [0, 0, 2]])


def test_an_encoding_of_another_space_is_refused(tree):
    with pytest.raises(UserError, match="3 integers"):
        tree([[0, 0, 0], [0, 1]])
    with pytest.raises(UserError, match="options 0 to 3"):
        tree([[0, 0, 0], [0, 1, 4]])
