"""Paths of untied cells: uniform among those whose nodes have inputs."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from spos_tf.networks.shared_choices import connections, untied
from spos_tf.spaces import build_blueprint
from spos_tf.training.connected_sampler import ConnectedSampler

DRAWS = 4000


def _blueprint(name="nasbench201", **pins):
    tied = build_blueprint(name, preset="demo")
    return untied(tied).pinned(pins)


def _paths(blueprint, seed=0, draws=DRAWS):
    sampler = ConnectedSampler(
        blueprint.search_space, connections(blueprint), seed=seed
    )
    return tf.map_fn(
        lambda step: sampler(step).path.options,
        tf.range(draws, dtype=tf.int64),
        fn_output_signature=tf.int32,
    ).numpy()


@pytest.mark.parametrize("name", ["nasbench201", "nasbench201_reduce3"])
def test_no_node_is_without_input_and_all_else_is_as_likely(name):
    blueprint = _blueprint(name)
    paths = _paths(blueprint)
    for path in paths[:200]:
        blueprint.search_space.check(path)
    nodes = connections(blueprint)
    assert len(nodes) == 2 * 3
    options = len(blueprint.search_space.legal_options[0])
    for node in nodes:
        places = [choice for choice, _ in node]
        settings, counts = np.unique(
            paths[:, places], axis=0, return_counts=True
        )
        assert (settings != 0).any(axis=1).all()
        # Every other setting, alike: a wrong digit would be far out.
        assert len(settings) == options ** len(node) - 1
        assert stats.chisquare(counts).pvalue > 1e-4
    # Cells draw for themselves.
    first, second = paths[:, 0], paths[:, 6]
    assert 0.4 < np.mean(first != second) < 1


def test_draws_are_functions_of_seed_and_step():
    blueprint = _blueprint()
    one = _paths(blueprint, draws=20)
    assert np.array_equal(one, _paths(blueprint, draws=20))
    assert not np.array_equal(one, _paths(blueprint, seed=1, draws=20))
    assert len(np.unique(one, axis=0)) == 20


def test_a_pinned_input_frees_its_node():
    """With something that always comes in, the others may all be none."""
    pin = {"stage1.cell1.edge23": "skip_connect"}
    paths = _paths(_blueprint(**pin))
    assert (paths[:, 5] == 1).all()
    others = paths[:, [3, 4]]
    assert (others == 0).all(axis=1).any()
    counts = np.bincount(others[:, 0] * 5 + others[:, 1])
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_pin_to_none_holds():
    """The rest of the node then sees to it."""
    paths = _paths(_blueprint(**{"stage1.cell1.edge02": "none"}), draws=500)
    assert (paths[:, 1] == 0).all()
    assert (paths[:, 2] != 0).all()
