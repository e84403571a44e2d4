"""A block, read as shapes, as a Keras network and as a supernet's branch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from block_runs import branch_of, kernel_shapes, run_branch
from spos_tf.blocks.shuffle import Head, ShuffleBlock, Stem
from spos_tf.ops.branch import Branch
from spos_tf.ops.path_norm import BatchNorm
from spos_tf.ops.shape_ops import ShapeOps

OPS = ("3x3", "5x5", "7x7", "xception")
BLOCKS = {
    **{f"{op} stride 1": ShuffleBlock(op, 8, 4) for op in OPS},
    **{
        f"{op} stride {s} projects": ShuffleBlock(
            op, 20, 10, strides=s, projects=True
        )
        for op in OPS
        for s in (1, 2)
    },
    "stem": Stem(5, 2, "standard"),
    "head": Head(6, 4, dropout=0.0),
}


def _input(block):
    channels = 3 if isinstance(block, Stem) else 8
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 7, 7, channels)).astype(np.float32)


@pytest.mark.parametrize("name", BLOCKS)
def test_shapes_are_those_of_the_tensors(name):
    block, x = BLOCKS[name], _input(BLOCKS[name])
    y = run_branch(branch_of(block, x), x)
    assert block(ShapeOps(), x.shape[1:]) == tuple(y.shape[1:])
    assert y.dtype == tf.float32


@pytest.mark.parametrize("op", OPS)
def test_even_channels_pass_and_odd_ones_are_worked_on(op):
    x = _input(BLOCKS["head"])
    y = run_branch(branch_of(ShuffleBlock(op, 8, 4), x), x).numpy()
    np.testing.assert_array_equal(y[..., :4], x[..., ::2])
    changed = x.copy()
    changed[..., ::2] = 9
    again = run_branch(branch_of(ShuffleBlock(op, 8, 4), x), changed)
    np.testing.assert_array_equal(again[..., 4:], y[..., 4:])
    assert y[..., 4:].min() == 0.0  # a ReLU ends the main branch


def test_a_projecting_block_splits_unevenly():
    x = _input(BLOCKS["head"])
    branch = branch_of(ShuffleBlock("5x5", 20, 10, 2, projects=True), x)
    assert kernel_shapes(branch) == {
        "proj_dw": (5, 5, 8, 1),
        "proj_pw": (1, 1, 8, 8),
        "pw1": (1, 1, 8, 10),
        "dw1": (5, 5, 10, 1),
        "pw2": (1, 1, 10, 12),
    }


def test_xception_has_three_depthwise_3x3():
    x = _input(BLOCKS["head"])
    branch = branch_of(ShuffleBlock("xception", 20, 10, 2, projects=True), x)
    assert kernel_shapes(branch) == {
        "proj_dw": (3, 3, 8, 1),
        "proj_pw": (1, 1, 8, 8),
        "dw1": (3, 3, 8, 1),
        "pw1": (1, 1, 8, 10),
        "dw2": (3, 3, 10, 1),
        "pw2": (1, 1, 10, 10),
        "dw3": (3, 3, 10, 1),
        "pw3": (1, 1, 10, 12),
    }


def test_weights_depend_on_seed_and_name_alone():
    x = _input(BLOCKS["head"])
    block = ShuffleBlock("3x3", 8, 4)
    first, again, other = (branch_of(block, x, seed) for seed in (0, 0, 1))
    for a, b, c in zip(
        first.variables, again.variables, other.variables, strict=True
    ):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    renamed = Branch(block, seed=0, name="another")
    renamed.build(x.shape)
    assert not np.array_equal(first.variables[0], renamed.variables[0])


@pytest.mark.parametrize("channels", [6, 7])
def test_a_shuffle_needs_channels_by_the_four(channels):
    with pytest.raises(ValueError, match=f"divisible by 4; got {channels}"):
        ShuffleBlock("3x3", 8, 4)(ShapeOps(), (4, 4, channels))


@pytest.mark.parametrize("kind", ["bgr", "standard"])
def test_the_input_is_normalised(kind):
    x = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3))
    x = x.astype(np.float32)
    stem = Stem(4, 1, kind)
    branch = branch_of(stem, x)
    kernel = branch.named_weights["conv.kernel"]
    plain = {
        "bgr": x[..., ::-1],
        "standard": (x - [125, 123, 114]) / [63, 62, 67],
    }[kind].astype(np.float32)
    expected = BatchNorm()(
        keras.ops.conv(plain, kernel, padding="same"), 1e-5, tf.constant(0)
    )
    np.testing.assert_allclose(
        run_branch(branch, x),
        tf.nn.relu(expected),
        rtol=1e-4,  # Inputs up to 255 and sums of 27 products in float32.
        atol=1e-4,
    )
