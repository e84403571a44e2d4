"""Widths that are chosen: first channels of one kernel, sliced or masked."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from random_batches import random_batches
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.tree_evaluator import TreeEvaluator
from spos_tf.networks.supernet import Supernet
from spos_tf.ops.selection import BranchWeights
from tiny_blueprint import tiny_blueprint

MODES = ("slice", "mask")
# Narrow and wide, every operation, equal and unequal widths side by side.
PATHS = [
    [0, 0, 1, 7, 2, 3],
    [3, 0, 3, 6, 3, 2],
    [1, 5, 0, 5, 0, 0],
    [0, 0, 1, 7, 2, 4],
]


@pytest.fixture(scope="module")
def blueprint():
    return tiny_blueprint("shufflenet_joint")


@pytest.fixture(scope="module")
def supernets(blueprint):
    return {
        mode: Supernet(blueprint, seed=1, width_mode=mode) for mode in MODES
    }


@pytest.fixture(scope="module")
def batch():
    return random_batches([16])[0]


@pytest.fixture(scope="module")
def evaluators(supernets, batch):
    return {
        mode: Evaluator(supernet, [batch], [batch])
        for mode, supernet in supernets.items()
    }


def _close(found, expected):
    """Sums of the same numbers in another order, through a dozen layers."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    scale = max(np.abs(expected).max(), 1e-6)
    assert np.abs(found - expected).max() < 1e-3 * scale


def _loss_and_gradients(supernet, batch):
    """A function of the path, which is traced once for all paths."""
    variables = [v.value for v in supernet.named_variables.values()]

    @functools.partial(tf.function, autograph=False)
    def run(path):
        images, labels = batch
        with tf.GradientTape() as tape:
            logits = supernet(images, path)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        return loss, tape.gradient(
            loss, variables, unconnected_gradients="zero"
        )

    return lambda path: run(tf.constant(path))


@pytest.fixture(scope="module")
def gradients_of(supernets, batch):
    return {
        mode: _loss_and_gradients(supernet, batch)
        for mode, supernet in supernets.items()
    }


@pytest.mark.parametrize("path", PATHS[:2])
def test_both_modes_give_the_same_gradients(gradients_of, path):
    loss, gradients = gradients_of["slice"](path)
    other, theirs = gradients_of["mask"](path)
    _close(other, loss)
    # One scale for all: small gradients carry the rounding of large sums.
    largest = max(np.abs(one).max() for one in gradients)
    for one, two in zip(gradients, theirs, strict=True):
        assert np.abs(one - two).max() < 1e-3 * largest


def test_channels_that_are_not_taken_have_no_gradient(supernets, gradients_of):
    supernet = supernets["slice"]
    _, gradients = gradients_of["slice"](PATHS[0])
    named = dict(zip(supernet.named_variables, gradients, strict=True))
    # stage1.block1 has 6 inner channels at scale 1; option 0.2 takes 1 of 9.
    kernel = named["stage1.block1.3x3.pw1.kernel"].numpy()
    assert kernel.shape == (1, 1, 8, 9)
    assert not kernel[..., 1:].any() and kernel[..., :1].any()
    following = named["stage1.block1.3x3.pw2.kernel"].numpy()
    assert not following[:, :, 1:].any() and following[:, :, :1].any()


@pytest.mark.parametrize("path", PATHS)
def test_both_modes_recalibrate_and_score_alike(
    evaluators, supernets, batch, path
):
    sliced, masked = (evaluators[mode].recalibrate(path) for mode in MODES)
    for one, two in zip(sliced, masked, strict=True):
        _close(one, two)
    logits = [
        supernet(batch[0], tf.constant(path), statistics=sliced)
        for supernet in supernets.values()
    ]
    _close(*logits)


@pytest.mark.parametrize("mode", MODES)
def test_a_tree_scores_what_single_paths_score(supernets, batch, mode):
    tree = TreeEvaluator(supernets[mode], [batch], [batch])
    expected = tree(PATHS)
    single = Evaluator(supernets[mode], [batch], [batch])
    assert [single(path) for path in PATHS] == expected
    single.passes_by_branch = 0
    assert [single(path) for path in PATHS] == expected


def test_one_trace_serves_all_widths(supernets, batch):
    supernet = supernets["slice"]
    forward = tf.function(
        lambda images, path: supernet(images, path), autograph=False
    )
    outputs = {
        forward(batch[0], tf.constant(path)).numpy().tobytes() for path in PATHS
    }
    assert len(outputs) == len(PATHS)
    assert forward.experimental_get_tracing_count() == 1


def test_weights_of_branches_have_no_widths(supernets, batch):
    with pytest.raises(ValueError, match="take a path"):
        supernets["slice"](batch[0], BranchWeights(tf.ones([6, 8])))
