"""Inverted residuals, read as shapes and as a supernet's branch."""

import numpy as np
import pytest
import tensorflow as tf

from block_runs import branch_of, kernel_shapes, run_branch
from spos_tf.blocks.mobile import (
    Identity,
    InvertedResidual,
    MobileHead,
    MobileStem,
    Style,
)
from spos_tf.ops.path_norm import BatchNorm
from spos_tf.ops.shape_ops import ShapeOps
from spos_tf.ops.tensor_ops import TensorOps

PLAIN = Style()
RELU6 = Style(relu_maximum=6.0, epsilon=1e-3)
BLOCKS = {
    "residual": InvertedResidual(3, 2, 8, PLAIN),
    "projects": InvertedResidual(5, 3, 12, RELU6, 2),
    "same stride, other width": InvertedResidual(7, 1, 6, RELU6),
    "groups": InvertedResidual(3, 1, 8, PLAIN, groups=2),
    "groups, stride 2": InvertedResidual(3, 1, 10, PLAIN, 2, groups=2),
    "stacked": InvertedResidual(3, 2, 8, PLAIN, num_depthwise=2),
    "no expansion": InvertedResidual(3, 1, 4, RELU6, expands=False),
    "skip": Identity(),
    "stem": MobileStem(5, 2, "standard", RELU6),
    "head": MobileHead(6, 4, 0.0, RELU6),
}


def _input(channels=8):
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 7, 7, channels)).astype(np.float32)


def _shapes(block):
    return kernel_shapes(branch_of(block, _input()))


@pytest.mark.parametrize("name", BLOCKS)
def test_shapes_are_those_of_the_tensors(name):
    block, x = BLOCKS[name], _input(3 if name == "stem" else 8)
    y = run_branch(branch_of(block, x), x)
    assert block(ShapeOps(), x.shape[1:]) == tuple(y.shape[1:])


def test_kernels_are_the_papers():
    assert _shapes(BLOCKS["projects"]) == {
        "pw1": (1, 1, 8, 24),
        "dw1": (5, 5, 24, 1),
        "pw2": (1, 1, 24, 12),
    }
    assert _shapes(BLOCKS["stacked"]) == {
        "pw1": (1, 1, 8, 16),
        "dw1": (3, 3, 16, 1),
        "dw2": (3, 3, 16, 1),
        "pw2": (1, 1, 16, 8),
    }
    assert _shapes(BLOCKS["no expansion"]) == {
        "dw1": (3, 3, 8, 1),
        "pw2": (1, 1, 8, 4),
    }
    assert _shapes(BLOCKS["skip"]) == {}


@pytest.mark.parametrize(
    "name, is_residual",
    [
        ("residual", True),
        ("stacked", True),
        ("groups", True),
        ("projects", False),
        ("same stride, other width", False),
        ("no expansion", False),
    ],
)
def test_the_input_is_added_where_it_has_the_outputs_shape(name, is_residual):
    x = _input()
    branch = branch_of(BLOCKS[name], x)
    for kernel in branch.variables:
        kernel.assign(tf.zeros_like(kernel))
    expected = x if is_residual else np.zeros_like(run_branch(branch, x))
    np.testing.assert_array_equal(run_branch(branch, x), expected)


def test_skip_leaves_the_input():
    x = _input()
    np.testing.assert_array_equal(run_branch(branch_of(Identity(), x), x), x)


def test_two_groups_equal_a_grouped_convolution_and_a_shuffle():
    x = _input()
    branch = branch_of(BLOCKS["groups"], x)
    kernels = {n: v.value for n, v in branch.named_weights.items()}

    def normal(y):
        mean, variance = tf.nn.moments(y, [0, 1, 2])
        return (y - mean) / tf.sqrt(variance + 1e-5)

    def grouped(y, name):
        # The filters of both groups in order; each sees 4 of 8 channels.
        halves = [kernels[f"{name}_g{group}.kernel"] for group in (1, 2)]
        return normal(tf.nn.conv2d(y, tf.concat(halves, -1), 1, "SAME"))

    y = tf.nn.relu(grouped(tf.constant(x), "pw1"))
    # Channel shuffle: [groups, channels] -> [channels, groups].
    y = tf.reshape(y, [4, 7, 7, 2, 4])
    y = tf.reshape(tf.transpose(y, [0, 1, 2, 4, 3]), [4, 7, 7, 8])
    y = tf.nn.depthwise_conv2d(y, kernels["dw1.kernel"], [1, 1, 1, 1], "SAME")
    y = x + grouped(tf.nn.relu(normal(y)), "pw2")
    np.testing.assert_allclose(run_branch(branch, x), y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("style, highest", [(RELU6, 6.0), (PLAIN, None)])
def test_the_styles_activation_and_epsilon(style, highest):
    """One bright pixel: normalised, it is 15 deviations off."""
    x = np.zeros((4, 8, 8, 8), np.float32)
    x[0, 0, 0] = 1e3
    block = MobileHead(8, 2, 0.0, style)
    seen = {}

    class Ops(TensorOps):
        def batch_norm(self, x, *, epsilon=1e-5, name):
            seen.setdefault("epsilon", epsilon)
            return super().batch_norm(x, epsilon=epsilon, name=name)

        def global_average_pool(self, x):
            seen["highest"] = float(tf.reduce_max(x))
            return super().global_average_pool(x)

    branch = branch_of(block, x)
    weights = {n: v.value for n, v in branch.named_weights.items()}
    block(Ops(weights, "float32", norm=BatchNorm()), tf.constant(x))
    assert seen["epsilon"] == style.epsilon
    if highest is None:
        assert seen["highest"] > 6
    else:
        assert seen["highest"] == highest


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"groups": 3}, "1 or 2 groups; got 3"),
        ({"expands": False}, "expansion is 1; got 2"),
    ],
)
def test_a_block_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        InvertedResidual(3, 2, 8, PLAIN, **arguments)
