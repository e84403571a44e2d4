"""Supernets whose options start alike."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.networks.supernet import Supernet
from spos_tf.spaces import build_blueprint


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint(
        "shufflenet_blocks",
        preset="demo",
        stage_repeats=[2],
        stem_width=8,
        stage_widths=[16],
        stage_strides=[1],
    )


def _logits(supernet, path):
    size = supernet.blueprint.image_size
    images = np.random.default_rng(0).uniform(0, 255, (4, size, size, 3))
    return supernet(tf.constant(images, tf.float32), tf.constant(path)).numpy()


def test_kernel_sizes_start_as_one_function(blueprint):
    supernet = Supernet(blueprint, seed=1, aligned=True)
    # Zeros around a kernel change the order of float32 sums only.
    np.testing.assert_allclose(
        _logits(supernet, [0, 0]), _logits(supernet, [2, 1]), atol=1e-5
    )
    assert np.abs(_logits(supernet, [0, 0]) - _logits(supernet, [3, 0])).max()


def test_independent_options_differ(blueprint):
    supernet = Supernet(blueprint, seed=1)
    difference = _logits(supernet, [0, 0]) - _logits(supernet, [2, 1])
    assert np.abs(difference).max() > 1e-3


def test_names_and_shapes_do_not_depend_on_the_start(blueprint):
    shapes = [
        {name: tuple(v.shape) for name, v in net.named_variables.items()}
        for net in (Supernet(blueprint), Supernet(blueprint, aligned=True))
    ]
    assert shapes[0] == shapes[1]
