"""A supernet of untied cells holds the one whose cells share choices."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.networks.shared_choices import untied, untied_encoding
from spos_tf.networks.supernet import Supernet
from spos_tf.spaces import build_blueprint


@pytest.fixture(scope="module")
def tied():
    return build_blueprint(
        "nasbench201", preset="demo", stage_repeats=[2, 1], image_size=4
    )


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return tf.constant(rng.uniform(0, 255, (8, 4, 4, 3)), tf.float32)


def test_weights_and_outputs_are_the_same(tied, images):
    shared = Supernet(tied, seed=1)
    own = Supernet(untied(tied), seed=1)
    assert {
        name: variable.numpy().tobytes()
        for name, variable in shared.named_variables.items()
    } == {
        name: variable.numpy().tobytes()
        for name, variable in own.named_variables.items()
    }
    for encoding in tied.search_space.sample(np.random.default_rng(2), 4):
        spread = untied_encoding(tied, encoding)
        assert np.array_equal(
            own(images, tf.constant(spread)),
            shared(images, tf.constant(encoding)),
        )


def test_a_gate_is_that_of_its_own_cell(tied):
    name = "stage1.cell2.edge02.nor_conv_3x3.conv.kernel"
    assert Supernet(tied).gates[name] == (1, 3)
    assert Supernet(untied(tied)).gates[name] == (6 + 1, 3)


def test_cells_of_their_own_differ_from_shared_ones(tied, images):
    own = Supernet(untied(tied), seed=1)
    spread = untied_encoding(tied, [3, 2, 3, 1, 4, 3])
    other = spread.copy()
    other[7] = 4
    assert not np.allclose(
        own(images, tf.constant(spread)), own(images, tf.constant(other))
    )
