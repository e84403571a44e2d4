"""Equation 8: one path is trained, and nothing else moves."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from graph_nodes import cases, choosing_from, lowered
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.transfer import inherit_weights

L2 = 0.01


@pytest.fixture(scope="module")
def run(make_run, batch):
    """Three steps on different paths: momentum is everywhere on them."""
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.02)
    run = make_run(optimizer, l2=L2)
    for step, path in enumerate([[0, 1], [3, 2], [1, 3]]):
        run.step(batch, step, path)
    return run


def _state(run):
    slots = [m.numpy() for m in run.optimizer.momentums]
    return list(zip(run.weights().values(), slots, strict=True))


@pytest.mark.parametrize("path", [[0, 1], [2, 0], [3, 3]])
def test_only_the_path_moves(run, batch, path):
    before, steps = _state(run), int(run.optimizer.iterations)
    result = run.step(batch, 5, path)
    gates = run.supernet.gates
    moved = collections.Counter()
    for (name, gate), old, new in zip(
        gates.items(), before, _state(run), strict=True
    ):
        on_path = gate is None or path[gate[0]] == gate[1]
        for a, b in zip(old, new, strict=True):
            assert np.array_equal(a, b) != on_path, name
        moved[gate] += on_path
    assert {gate for gate, count in moved.items() if count} == {
        None,
        *enumerate(path),
    }
    assert int(run.optimizer.iterations) == steps + 1
    assert result.path.options.numpy().tolist() == path
    assert not result.fallback


@pytest.mark.parametrize("path", [[1, 2], [3, 0]])
def test_the_path_moves_as_the_stand_alone_network_does(
    make_run, blueprint, batch, path
):
    """Momentum and coupled L2, two steps; the formula written out."""
    run = make_run(keras.optimizers.SGD(0.1, momentum=0.9), l2=L2)
    subnet = build_subnet(blueprint, path)
    inherit_weights(subnet, blueprint, path, run.variables)
    kernels = [v for v in subnet.trainable_variables if len(v.shape) > 1]
    velocities = [np.zeros(v.shape) for v in kernels]
    images, labels = batch
    smooth = 0.9 * np.eye(10)[labels] + 0.1 / 10
    for step in range(2):
        result = run.step(batch, step, path)
        with tf.GradientTape() as tape:
            log = tf.nn.log_softmax(subnet(images, training=True))
            loss = -tf.reduce_mean(tf.reduce_sum(smooth * log, axis=1))
        assert float(result.loss) == pytest.approx(float(loss), rel=1e-5)
        gradients = tape.gradient(loss, [v.value for v in kernels])
        for i, kernel in enumerate(kernels):
            gradient = gradients[i] + L2 * kernel
            velocities[i] = 0.9 * velocities[i] - 0.1 * gradient
            kernel.assign_add(velocities[i])
    inherited = {v.path: v.numpy() for v in kernels}
    inherit_weights(subnet, blueprint, path, run.variables)
    for kernel in kernels:
        # Float32 sums in another order (a 1x1 convolution is one product of
        # matrices in the supernet), through two steps of up to 14 layers.
        np.testing.assert_allclose(
            inherited[kernel.path], kernel.numpy(), rtol=1e-3, atol=2e-5
        )


def test_loss_and_accuracy_are_those_of_the_batch(run, batch):
    images, labels = batch
    logits = run.supernet(tf.constant(images), tf.constant([2, 2])).numpy()
    result = run.step(batch, 0, [2, 2])
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    smooth = 0.9 * np.eye(10)[labels] + 0.1 / 10
    expected = -np.mean(np.sum(smooth * np.log(shares), axis=1))
    assert float(result.loss) == pytest.approx(expected, rel=1e-5)
    hits = np.mean(logits.argmax(1) == labels)
    assert float(result.accuracy) == pytest.approx(hits)


def test_one_trace_serves_all_steps_and_paths(run, batch):
    for step, path in enumerate([[0, 0], [1, 2], [3, 3]]):
        run.step(batch, step, path)
    assert run.train_step.experimental_get_tracing_count() == 1


def test_no_case_is_lowered(run, batch):
    """Lowered to Switch and Merge the executor would walk dead branches."""
    concrete = run.train_step.get_concrete_function(
        batch, tf.constant(0, tf.int64)
    )
    found = cases(concrete)
    # A choice forward (with and, unused, without what the gradient needs) and
    # backward; and a gate for each branch.
    assert len(choosing_from(found, 4)) == 2 * 3
    assert len([node for node in found if node.op == "Case"]) == 2 * 4
    assert not lowered(found)


def test_gradients_and_updates_of_a_branch_are_behind_one_gate(run, batch):
    """No update of anything is in the step's own graph but the shared."""
    concrete = run.train_step.get_concrete_function(
        batch, tf.constant(0, tf.int64)
    )
    assigned = {
        operation.inputs[0].ref()
        for operation in concrete.graph.get_operations()
        if operation.type.startswith("Assign")
    }
    shared = [gate for gate in run.supernet.gates.values() if gate is None]
    # Stem and head with their momenta, and the count of steps.
    assert len(assigned) == 2 * len(shared) + 1


def test_training_lowers_the_loss(make_run, batch):
    run = make_run(keras.optimizers.SGD(0.1, momentum=0.9))
    losses = [float(run.step(batch, i, [i % 4, 1]).loss) for i in range(24)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.3


@pytest.mark.parametrize("where", ["image", "dw1", "pw2"])
def test_a_value_that_is_not_finite_shows_in_the_loss(make_run, batch, where):
    """Though the network hides it: fused with a ReLU, NaN becomes 0."""
    run = make_run(keras.optimizers.SGD(0.1))
    images, labels = batch
    if where == "image":
        images = images.copy()
        images[3, 2, 2, 1] = np.nan
    else:
        kernel = run.variables[f"stage2.block1.3x3.{where}.kernel"]
        kernel.assign(kernel * np.inf)
        assert np.isfinite(run.step(batch, 0, [0, 1]).loss)
    assert np.isnan(run.step((images, labels), 1, [0, 0]).loss)
