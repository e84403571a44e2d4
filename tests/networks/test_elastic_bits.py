"""Bits that are chosen: one set of weights rounded in several ways."""

import numpy as np
import pytest
import tensorflow as tf

from random_batches import random_batches
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.tree_evaluator import TreeEvaluator
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.supernet import Supernet
from spos_tf.networks.transfer import inherit_weights
from spos_tf.spaces import build_blueprint

MODES = ("slice", "mask")
# Width and bits of three blocks; bits 0: (1, 2), 1: (2, 2), 5: (4, 4).
PATHS = [[0, 0, 2, 5, 1, 3], [2, 1, 0, 2, 0, 4], [1, 5, 1, 0, 2, 1]]


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint("resnet18_bits", preset="demo", clip="by_bits")


@pytest.fixture(scope="module")
def supernets(blueprint):
    return {
        mode: Supernet(blueprint, seed=1, width_mode=mode) for mode in MODES
    }


@pytest.fixture(scope="module")
def batch():
    return random_batches([16])[0]


def _gradients(supernet, batch, path):
    images, labels = batch
    named = supernet.named_variables
    values = [variable.value for variable in named.values()]
    with tf.GradientTape() as tape:
        logits = supernet(images, tf.constant(path))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        )
    found = tape.gradient(loss, values, unconnected_gradients="zero")
    return loss.numpy(), dict(zip(named, map(np.asarray, found), strict=True))


@pytest.mark.parametrize("path", PATHS)
def test_both_width_modes_train_alike(supernets, batch, path):
    loss, gradients = _gradients(supernets["slice"], batch, path)
    other, theirs = _gradients(supernets["mask"], batch, path)
    # Sums of the same numbers in another order, none of them at a step here.
    assert other == pytest.approx(loss, rel=1e-4)
    largest = max(np.abs(one).max() for one in gradients.values())
    for name, one in gradients.items():
        assert np.abs(one - theirs[name]).max() < 1e-3 * largest, name


@pytest.mark.parametrize("path", PATHS)
def test_clip_levels_of_other_bits_have_no_gradient(
    supernets, batch, blueprint, path
):
    _, gradients = _gradients(supernets["slice"], batch, path)
    bits = blueprint.search_space.choices[1].options
    for index, block in enumerate(blueprint.segments[1:-1]):
        # The levels are for 2 and for 4 bits.
        taken = (2, 4).index(bits[path[2 * index + 1]][1])
        for name in ("clip1", "clip2"):
            gradient = gradients[f"{block.name}.{name}.alpha"]
            assert gradient.shape == (2,)
            assert gradient[1 - taken] == 0
            assert gradient[taken] != 0


def test_a_shared_clip_level_serves_all_bits(batch):
    blueprint = build_blueprint("resnet18_bits", preset="demo", clip="shared")
    supernet = Supernet(blueprint, seed=1)
    for path in PATHS:
        _, gradients = _gradients(supernet, batch, path)
        alphas = [g for n, g in gradients.items() if n.endswith("alpha")]
        assert len(alphas) == 6
        assert all(one.shape == (1,) and one[0] != 0 for one in alphas)
        subnet = build_subnet(blueprint, path, seed=9)
        inherit_weights(subnet, blueprint, path, supernet.named_variables)
        np.testing.assert_allclose(
            subnet(batch[0], training=True),
            supernet(batch[0], tf.constant(path)),
            rtol=1e-3,
            atol=1e-4,
        )


def test_what_moves_a_clip_level_moves_the_network_of_its_bits(
    supernets, batch
):
    supernet = supernets["slice"]
    alpha = supernet.named_variables["stage1.block1.clip1.alpha"]
    before = [supernet(batch[0], tf.constant(path)).numpy() for path in PATHS]
    value = alpha.numpy()
    alpha.assign(value * [0.5, 1.0])
    after = [supernet(batch[0], tf.constant(path)).numpy() for path in PATHS]
    alpha.assign(value)
    # The first block of these paths has 2, 2 and 4 bits of features.
    assert not np.array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])
    np.testing.assert_array_equal(before[2], after[2])


@pytest.mark.parametrize("mode", MODES)
def test_a_tree_scores_what_single_paths_score(supernets, batch, mode):
    tree = TreeEvaluator(supernets[mode], [batch], [batch])
    expected = tree(PATHS)
    single = Evaluator(supernets[mode], [batch], [batch])
    assert [single(path) for path in PATHS] == expected
    single.passes_by_branch = 0
    assert [single(path) for path in PATHS] == expected
