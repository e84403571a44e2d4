"""A block with weights, run as a branch of a supernet runs it."""

import tensorflow as tf

from spos_tf.ops.branch import Branch
from spos_tf.ops.path_norm import BatchNorm
from spos_tf.ops.tensor_ops import TensorOps


def branch_of(block, x, seed=0):
    """A built branch for inputs like `x`."""
    branch = Branch(block, seed=seed, name="branch")
    branch.build(x.shape)
    return branch


def run_branch(branch, x):
    """Its output, normalised with the batch."""
    weights = {n: v.value for n, v in branch.named_weights.items()}
    ops = TensorOps(weights, "float32", norm=BatchNorm())
    return branch.block(ops, tf.constant(x))


def kernel_shapes(branch):
    """`{operation: shape}`."""
    return {
        name.removesuffix(".kernel"): tuple(kernel.shape)
        for name, kernel in branch.named_weights.items()
    }
