"""What counts as a path."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.ops.selection import BranchWeights, Path, as_selection


@pytest.mark.parametrize(
    "encoding",
    [
        (0, 2, 1),
        np.array([0, 2, 1], np.int64),
        tf.constant([0, 2, 1], tf.uint8),
    ],
)
def test_integers_are_a_path(encoding):
    path = as_selection(encoding)
    assert isinstance(path, Path)
    assert path.options.dtype == tf.int32
    assert path.options.numpy().tolist() == [0, 2, 1]


def test_floats_are_no_path():
    with pytest.raises(UserError, match="integers; got float32"):
        as_selection(tf.constant([0.0, 2.0]))


def test_a_selection_stays_itself():
    weights = BranchWeights(tf.constant([[0.5, 0.5]]))
    assert as_selection(weights) is weights
