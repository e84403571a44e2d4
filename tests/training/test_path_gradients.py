"""What replicas tell each other."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.training.path_gradients import grouped, pack, unpack

# Two choices; options 1 and 3 of the second one have no weights.
GATES = [None, (0, 0), (0, 1), (0, 1), (1, 0), (1, 2), None]
SHAPES = [(2,), (3, 2), (2, 2), (5,), (1, 4), (2,), (3,)]


@pytest.fixture
def gradients():
    rng = np.random.default_rng(0)
    return [tf.constant(rng.normal(size=s), tf.float32) for s in SHAPES]


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function])
@pytest.mark.parametrize("path", [[0, 0], [1, 2], [1, 0], [0, 1], [1, 3]])
def test_the_branch_taken_comes_back(gradients, path, wrap):
    packed = wrap(lambda p: pack(p, GATES, gradients))(tf.constant(path))
    assert {k: tuple(v.shape) for k, v in packed.items()} == {0: (9,), 1: (4,)}
    for (position, option), indexes in {
        gate: indexes for gate, indexes in grouped(GATES).items() if gate
    }.items():
        if path[position] == option:
            own = [gradients[index] for index in indexes]
            for found, expected in zip(
                unpack(packed[position], own), own, strict=True
            ):
                np.testing.assert_array_equal(found, expected)
    if path[1] == 1:
        assert not np.any(packed[1])


def test_variables_are_grouped_by_their_gate():
    assert grouped(GATES) == {
        None: [0, 6],
        (0, 0): [1],
        (0, 1): [2, 3],
        (1, 0): [4],
        (1, 2): [5],
    }
