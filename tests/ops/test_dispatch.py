"""One function of several, chosen by a tensor."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.ops.dispatch import case


def _in_graph(function):
    return tf.function(function, autograph=False)


@pytest.mark.parametrize("wrap", [_in_graph, lambda f: f])
def test_only_the_branch_taken_runs(wrap):
    runs = [tf.Variable(0) for _ in range(3)]

    def branch(i):
        with tf.control_dependencies([runs[i].assign_add(1)]):
            return tf.constant(10 * i)

    @wrap
    def call(index):
        return case(index, [lambda i=i: branch(i) for i in range(3)])

    assert [int(call(tf.constant(i))) for i in (2, 0, 2)] == [20, 0, 20]
    assert [int(v.numpy()) for v in runs] == [1, 0, 2]


@pytest.mark.parametrize("wrap", [_in_graph, lambda f: f])
def test_gradients_reach_what_the_branch_used(wrap):
    weights = [tf.Variable(float(i + 2)) for i in range(3)]

    @wrap
    def gradients(index, x):
        with tf.GradientTape() as tape:
            y = case(index, [lambda w=w: w * x for w in weights])
        return tape.gradient(
            y, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    for taken in range(3):
        found = gradients(tf.constant(taken), tf.constant(5.0))
        expected = [5.0 if i == taken else 0.0 for i in range(3)]
        np.testing.assert_array_equal(found, expected)


def test_a_case_stays_one_operation_forward_and_backward():
    weights = [tf.Variable(1.0), tf.Variable(2.0)]

    @_in_graph
    def gradients(index):
        with tf.GradientTape() as tape:
            y = case(index, [lambda w=w: w * w for w in weights])
        return tape.gradient(y, weights)

    graph = gradients.get_concrete_function(tf.constant(0)).graph
    cases = [op for op in graph.get_operations() if "Case" in op.type]
    assert len(cases) == 2
    for op in cases:
        assert not _lowers(op)


def _lowers(op):
    attributes = op.node_def.attr
    name = "_lower_using_switch_merge"
    return name in attributes and attributes[name].b


def test_a_single_branch_needs_no_case():
    index = tf.constant(7)
    assert int(case(index, [lambda: tf.constant(3)])) == 3
