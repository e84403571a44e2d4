"""What segments share, and several branches at once."""

import numpy as np
import pytest
import tensorflow as tf

from graph_nodes import cases, choosing_from, lowered
from spos_tf.networks.supernet import Supernet
from spos_tf.ops.selection import BranchWeights, Path
from tiny_blueprint import tiny_blueprint


@pytest.fixture(scope="module")
def supernet():
    blueprint = tiny_blueprint(stage_repeats=[3, 2])
    return Supernet(blueprint, seed=1)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return tf.constant(rng.uniform(0, 255, (4, 8, 8, 3)), tf.float32)


@pytest.fixture(scope="module")
def step(supernet, images):
    """Logits and gradients, of a path or of weights; traced once for each."""

    @tf.function(autograph=False)
    def step(selection):
        with tf.GradientTape() as tape:
            tape.watch(selection)
            weighted = selection.dtype.is_floating
            chosen = BranchWeights(selection) if weighted else selection
            logits = supernet(images, chosen)
            loss = tf.reduce_sum(logits**2)
        sources = [v.value for v in supernet.named_variables.values()]
        gradients = tape.gradient(loss, [selection, *sources])
        return (
            logits,
            gradients[0],
            dict(zip(supernet.named_variables, gradients[1:], strict=True)),
        )

    return step


def test_equal_segments_are_traced_once(step):
    concrete = step.get_concrete_function(tf.TensorSpec([5], tf.int32))
    found = cases(concrete)
    # The first block of each stage, and one for the others of each: forward
    # (with and, unused, without what the gradient needs) and backward.
    assert len(choosing_from(found, 4)) == 3 * 4
    assert not lowered(found)


def test_blocks_are_not_inlined(step):
    concrete = step.get_concrete_function(tf.TensorSpec([5], tf.int32))
    library = concrete.graph.as_graph_def().library.function
    with_kernels = [
        function
        for function in library
        if any(n.op == "DepthwiseConv2dNative" for n in function.node_def)
    ]
    assert with_kernels
    for function in with_kernels:
        assert function.attr["_noinline"].b, function.signature.name


def test_weights_of_zero_and_one_are_the_path(step):
    path = np.array([2, 0, 3, 1, 1])
    weights = np.eye(4, dtype=np.float32)[path]
    logits, _, gradients = step(tf.constant(path, tf.int32))
    found, _, ours = step(tf.constant(weights))
    np.testing.assert_array_equal(found, logits)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(ours[name], gradient, err_msg=name)


def test_weighted_branches_are_summed(supernet, images):
    """A single choice with weights: the features are a weighted sum."""
    blueprint = tiny_blueprint(
        stage_widths=[12], stage_repeats=[1], stage_strides=[1]
    )
    one = Supernet(blueprint, seed=3)
    slot = one._slots[1]
    rng = np.random.default_rng(1)
    shape = blueprint.input_shapes[1]
    x = tf.constant(rng.normal(size=(4, *shape)), tf.float32)
    first = tf.constant(1)

    def run(selection):
        sizes = tf.zeros([0], tf.int32)
        return slot.functions.train(
            x, selection, slot.weights(), sizes, first, None
        )

    apart = [run(Path(tf.constant(option))).numpy() for option in range(4)]
    weights = np.array([0.25, 0.0, -1.5, 0.5], np.float32)
    expected = sum(w * y for w, y in zip(weights, apart, strict=True))
    # Three float32 products and sums of values up to 5.
    np.testing.assert_allclose(
        run(BranchWeights(tf.constant(weights))), expected, rtol=1e-5, atol=1e-5
    )


def test_a_branch_of_weight_zero_does_not_run(supernet, step):
    """Were it multiplied by zero, NaN would show."""
    kernel = supernet.named_variables["stage1.block1.7x7.dw1.kernel"]
    before = kernel.numpy()
    weights = np.full((5, 4), 0.5, np.float32)
    weights[:, 2] = 0.0
    try:
        kernel.assign(before * np.nan)
        logits, of_weights, gradients = step(tf.constant(weights))
    finally:
        kernel.assign(before)
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(of_weights[:, 2], 0.0)
    assert np.all(np.abs(np.delete(of_weights, 2, axis=1)) > 0)
    for name, gradient in gradients.items():
        if ".7x7." in name:
            assert not np.any(gradient), name
        elif "kernel" in name:
            assert np.any(gradient), name
