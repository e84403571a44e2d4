"""Two replicas on two logical CPU devices."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from graph_nodes import cases, lowered
from random_batches import random_batches
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.networks.supernet import Supernet
from spos_tf.ops.path_norm import BatchNorm, SynchronizedBatchNorm
from spos_tf.ops.selection import Path
from spos_tf.training.path_optimizer import path_optimizer
from spos_tf.training.run_state import RunState
from spos_tf.training.samplers import UniformSampler
from tiny_blueprint import tiny_blueprint

STEPS = 4
# Float32 sums in another order (halves of the batch first), carried through
# four steps with momentum. A wrong gradient is off by 1e-3 and more.
CLOSE = {"rtol": 1e-3, "atol": 2e-5}


@pytest.fixture(scope="module")
def one_choice():
    """One choice of four operations: each is traced on two replicas."""
    return tiny_blueprint(
        stage_widths=[12], stage_repeats=[1], stage_strides=[2]
    )


def _train(make_run, blueprint, batch, strategy=None, **arguments):
    run = make_run(
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        blueprint=blueprint,
        sampler=UniformSampler(blueprint.search_space, seed=1),
        strategy=strategy,
        l2=1e-3,
        **arguments,
    )
    batches = tf.data.Dataset.from_tensors(batch).unbatch().batch(16)
    batches = batches.repeat(STEPS)
    if strategy is not None:
        batches = strategy.experimental_distribute_dataset(batches)
    run.results = []
    for step, part in enumerate(batches):
        run.results.append(run.step(part, step))
    run.batch = part
    return run


@pytest.fixture(scope="module")
def synchronized(make_run, one_choice, batch, mirrored):
    return _train(
        make_run,
        one_choice,
        batch,
        mirrored,
        norm=lambda: SynchronizedBatchNorm(2),
    )


@pytest.fixture(scope="module")
def replica(make_run, one_choice, batch, mirrored):
    return _train(make_run, one_choice, batch, mirrored, norm=BatchNorm)


def _halves(supernet, images, path):
    halves = tf.split(images, 2)
    return tf.concat([supernet(half, path) for half in halves], axis=0)


def _first(run):
    return {n: v.value.values[0].numpy() for n, v in run.variables.items()}


def _assert_close(mirrored_run, one_device):
    theirs = one_device.weights()
    for name, value in _first(mirrored_run).items():
        np.testing.assert_allclose(value, theirs[name], **CLOSE, err_msg=name)
    for ours, others in zip(
        mirrored_run.results, one_device.results, strict=True
    ):
        assert float(ours.loss) == pytest.approx(float(others.loss), rel=1e-4)
        assert float(ours.accuracy) == pytest.approx(float(others.accuracy))
        np.testing.assert_array_equal(ours.path.options, others.path.options)
    paths = {tuple(r.path.options.numpy()) for r in mirrored_run.results}
    assert len(paths) > 1


def test_synchronized_equals_one_device_with_the_whole_batch(
    synchronized, make_run, one_choice, batch
):
    one_device = _train(make_run, one_choice, batch)
    _assert_close(synchronized, one_device)


def test_replica_equals_one_device_that_normalises_halves(
    replica, make_run, one_choice, batch
):
    one_device = _train(make_run, one_choice, batch, forward=_halves)
    _assert_close(replica, one_device)


def test_the_two_kinds_of_batch_norm_differ(replica, synchronized):
    theirs = _first(replica)
    for name, value in _first(synchronized).items():
        if name.startswith(("stem", "head")):
            assert np.abs(value - theirs[name]).max() > 1e-4


@pytest.mark.parametrize("kind", ["replica", "synchronized"])
def test_replicas_hold_the_same_weights_and_slots(request, kind):
    run = request.getfixturevalue(kind)
    assert run.strategy.num_replicas_in_sync == 2
    for variable in [*run.variables.values(), *run.optimizer.momentums]:
        first, second = variable.value.values
        assert first.device != second.device
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert run.optimizer.iterations.numpy() == STEPS


@pytest.mark.parametrize("kind", ["replica", "synchronized"])
def test_one_trace_and_no_lowered_case(request, kind):
    run = request.getfixturevalue(kind)
    assert run.train_step.experimental_get_tracing_count() == 1
    concrete = run.train_step.get_concrete_function(
        run.batch, tf.constant(0, tf.int64)
    )
    found = cases(concrete)
    # On each replica every choice forward and backward; and the gates.
    assert len(found) > 2 * 2 * run.blueprint.search_space.num_choices
    assert not lowered(found)


def test_a_run_is_captured_and_restored_on_both(replica):
    state = RunState(
        replica.variables, replica.optimizer, [*replica.variables], {}
    )
    checkpoint = state.capture(STEPS, {})
    before = _first(replica)
    for variable in replica.variables.values():
        variable.assign(variable + 1.0)
    state.restore(checkpoint)
    for name, variable in replica.variables.items():
        for copy in variable.value.values:
            np.testing.assert_array_equal(copy.numpy(), before[name])


def test_one_replicas_overflow_skips_the_step_on_both(mirrored):
    with mirrored.scope():
        variable = keras.Variable(np.ones(3), dtype="float32")
        optimizer = path_optimizer(
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5)),
            [variable],
            [(0, 1)],
        )

    @tf.function(autograph=False)
    def step(overflows, path):
        def replica_step():
            context = tf.distribute.get_replica_context()
            mine = context.replica_id_in_sync_group == overflows
            gradient = tf.where(mine, np.inf, optimizer.scale_loss(1.0))
            optimizer.apply_on_path([tf.fill([3], gradient)], Path(path))

        mirrored.run(replica_step)

    scale = float(optimizer.dynamic_scale.numpy())
    for replica in (0, 1):
        step(tf.constant(replica), tf.constant([1]))
        np.testing.assert_array_equal(variable.numpy(), np.ones(3))
        scale /= 2
        assert float(optimizer.dynamic_scale.numpy()) == scale
    step(tf.constant(-1), tf.constant([0]))
    np.testing.assert_array_equal(variable.numpy(), np.ones(3))
    step(tf.constant(-1), tf.constant([1]))
    for copy in variable.value.values:  # The sum of two gradients of 1.
        np.testing.assert_array_equal(copy.numpy(), np.zeros(3))


def test_paths_of_replicas_are_scored_by_branch_and_by_the_graph(
    one_choice, mirrored
):
    """As a training validates; outside the strategy's scope and inside."""
    batches = random_batches([8])
    with mirrored.scope():
        supernet = Supernet(one_choice, seed=3)
    expected = Evaluator(Supernet(one_choice, seed=3), batches, batches)
    logits = []
    for passes in (0, 32):
        evaluator = Evaluator(supernet, batches, batches)
        evaluator.passes_by_branch = passes
        for scope in (contextlib.nullcontext(), mirrored.scope()):
            with scope:
                statistics = evaluator.recalibrate([2])
                logits.append(evaluator._logits(*_scored(batches, statistics)))
    statistics = expected.recalibrate([2])
    right, _ = expected._logits(*_scored(batches, statistics))
    for one, finite in logits:
        assert finite
        np.testing.assert_array_equal(one, right)


def _scored(batches, statistics):
    return batches[0][0], tf.constant([2]), statistics
