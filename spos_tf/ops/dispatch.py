"""Runs one of several functions, chosen by a tensor."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

try:
    # Private: the public `tf.switch_case` lowers the Case op to Switch and
    # Merge, and the executor then walks every dead branch (+50 ms a step at
    # 80 branches). No public call keeps it functional, forward and gradient.
    from tensorflow.python.ops.cond_v2 import indexed_case as _indexed_case
except ImportError:  # Same results, slower.
    _indexed_case = None


def on_host() -> AbstractContextManager[Any]:
    """Inside, operations are placed on the CPU, whatever runs the network.

    For paths and whatever is computed of them to choose a branch: a Case
    reads its index on the host. Drawn on a GPU, a path would be fetched from
    it once for every Case, and each time the host would wait.
    """
    return tf.device("/CPU:0")


def case(index: tf.Tensor, branches: Sequence[Callable[[], Any]]) -> Any:
    """Calls `branches[index]()`; the others cost nothing.

    Args:
        index: int32 scalar, the same on every replica; see `on_host`.
        branches: Functions of no arguments whose results have one structure,
            dtype and shape.

    Returns:
        The result of the branch taken. Gradients flow to what it captured;
        what the other branches captured gets zeros, not None.
    """
    if len(branches) == 1:
        return branches[0]()
    if _indexed_case is None or tf.executing_eagerly():
        return tf.switch_case(index, branches)
    return _indexed_case(index, branches, lower_using_switch_merge=False)


def unoptimized(zero: tf.Tensor, run: Callable[[], Any]) -> Any:
    """Calls `run()` where the graph's optimizers do not reach.

    The body of a Case op is neither rewritten to oneDNN's kernels nor fused.

    Args:
        zero: int32 scalar that is 0; a constant would be optimized away.
        run: Function of no arguments.
    """
    if _indexed_case is None or tf.executing_eagerly():
        return run()
    return _indexed_case(zero, [run, run], lower_using_switch_merge=False)
