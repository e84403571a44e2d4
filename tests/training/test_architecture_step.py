"""Weights and architecture parameters in turn, in a network."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.ops.selection import BranchWeights, Path
from spos_tf.training.architecture_parameters import ArchitectureParameters
from spos_tf.training.architecture_step import (
    ArchitectureSchedule,
    alternating,
    make_architecture_step,
)
from spos_tf.training.gumbel import GumbelSoftmax
from spos_tf.training.objective import Objective
from spos_tf.training.path_optimizer import path_optimizer
from spos_tf.training.step import StepResult, make_train_step
from spos_tf.training.two_path import TwoPath

BATCH = 16
OBJECTIVE = Objective.make(label_smoothing=0.1, num_classes=10)
SCHEDULE = ArchitectureSchedule(steps=10, warmup_steps=2, every=3)


class _Learner:
    """A run with architecture parameters."""

    def __init__(self, make_run, blueprint):
        self.parameters = ArchitectureParameters(blueprint.search_space)
        self.sampler = TwoPath(self.parameters, seed=1)
        self.run = make_run(
            keras.optimizers.SGD(0.1, momentum=0.9),
            sampler=self.sampler,
            l2=1e-3,
        )
        self.step = make_architecture_step(
            lambda images, selection, seed: self.run.supernet(
                images, selection
            ),
            self.sampler,
            path_optimizer(
                keras.optimizers.Adam(0.05, beta_1=0.0),
                [self.parameters.variable],
                [None],
            ),
            factor=None,
            objective=OBJECTIVE,
            global_batch_size=BATCH,
            strategy=tf.distribute.get_strategy(),
        )

    def update(self, batch, step):
        return float(self.step(batch, tf.constant(step, tf.int64)))

    def draw(self, step):
        return self.sampler.architecture_draw(tf.constant(step, tf.int64))


@pytest.fixture(scope="module")
def two_path(make_run, blueprint):
    return _Learner(make_run, blueprint)


def _changed(before, after):
    return {
        name
        for name, value in before.items()
        if value.tobytes() != after[name].tobytes()
    }


def test_a_step_of_the_weights_is_of_one_path(two_path, batch):
    run = two_path.run
    seen = set()
    for step in range(3):
        before = run.weights()
        path = run.step(batch, step).path.options.numpy()
        seen.add(tuple(path))
        on_path = {
            name
            for name, gate in run.supernet.gates.items()
            if gate is None or path[gate[0]] == gate[1]
        }
        assert _changed(before, run.weights()) == on_path
    assert len(seen) > 1


def test_an_update_moves_two_parameters_a_choice_and_no_weight(two_path, batch):
    run, variable = two_path.run, two_path.parameters.variable
    weights = run.weights()
    for step in range(4):
        moved = two_path.draw(step).moved.numpy()
        before = variable.numpy()
        shares = two_path.parameters.probabilities()
        loss = two_path.update(batch, step)
        assert np.isfinite(loss)
        np.testing.assert_array_equal(variable.numpy() != before, moved)
        assert (moved.sum(axis=1) == 2).all()
        # One is strengthened, one weakened, the others are as they were.
        change = two_path.parameters.probabilities() - shares
        assert (np.sort(change, axis=1)[:, [0, -1]] * [-1, 1] > 1e-4).all()
        np.testing.assert_allclose(change[~moved], 0, atol=1e-6)
    assert not _changed(weights, run.weights())


def test_a_closed_gate_adds_nothing_and_has_a_gradient(two_path, batch):
    images = tf.constant(batch[0])
    supernet = two_path.run.supernet
    draw = two_path.draw(0)
    opened = tf.argmax(draw.selection.weights, axis=1, output_type=tf.int32)
    with tf.GradientTape() as tape:
        gates = tf.identity(draw.selection.weights)
        tape.watch(gates)
        logits = supernet(images, BranchWeights(gates))
        loss = tf.reduce_sum(logits**2)
    np.testing.assert_allclose(
        # The features are; how they are summed up may round otherwise.
        logits,
        supernet(images, opened),
        rtol=1e-5,
        atol=1e-5,
    )
    gradient = tape.gradient(loss, gates).numpy()
    np.testing.assert_array_equal(gradient != 0, draw.moved)


def test_one_trace_serves_all_steps(two_path, batch):
    for step in range(3):
        two_path.run.step(batch, step)
        two_path.update(batch, step)
    for function in (two_path.run.train_step, two_path.step):
        assert function.experimental_get_tracing_count() == 1


def test_what_is_not_finite_shows(two_path, batch):
    images = batch[0].copy()
    images[3, 2, 2, 1] = np.nan
    assert np.isnan(two_path.update((images, batch[1]), 0))


class _Toy:
    """Two choices of four matrices, without a network around."""

    def __init__(self, space, strategy):
        rng = np.random.default_rng(0)
        with strategy.scope():
            self.gates = list(itertools.product(range(2), range(4)))
            self.variables = [
                keras.Variable(rng.normal(size=(3, 10)), dtype="float32")
                for _ in self.gates
            ]
            optimizer = path_optimizer(
                keras.optimizers.SGD(0.5, momentum=0.9),
                self.variables,
                self.gates,
            )
            self.parameters = ArchitectureParameters(space)
            own = path_optimizer(
                keras.optimizers.Adam(0.05), [self.parameters.variable], [None]
            )
        sampler = GumbelSoftmax(self.parameters, steps=10, seed=1)
        numbers = {
            "global_batch_size": BATCH,
            "objective": OBJECTIVE,
            "strategy": strategy,
        }
        self.train_step = make_train_step(
            self.forward, self.variables, optimizer, sampler=sampler, **numbers
        )
        self.update = make_architecture_step(
            self.forward, sampler, own, factor=lambda p: p[0, 1], **numbers
        )

    def forward(self, images, selection, seed):
        features = tf.reduce_mean(images, axis=(1, 2)) / 100 - 1
        return tf.add_n(
            [
                selection.weights[gate] * (features @ variable)
                for gate, variable in zip(
                    self.gates, self.variables, strict=True
                )
            ]
        )


def test_two_replicas_equal_one_device(blueprint, batch, mirrored):
    """Draws, several branches at once, parameters, a factor of the loss."""
    space = blueprint.search_space
    one, two = (
        _Toy(space, strategy)
        for strategy in (tf.distribute.get_strategy(), mirrored)
    )
    whole = tf.data.Dataset.from_tensors(batch).unbatch().batch(BATCH)
    (part,) = mirrored.experimental_distribute_dataset(whole)
    for number in range(3):
        step = tf.constant(number, tf.int64)
        for kind in ("train_step", "update"):
            ours = getattr(one, kind)(batch, step)
            theirs = getattr(two, kind)(part, step)
            if kind == "train_step":
                np.testing.assert_array_equal(
                    ours.path.weights, theirs.path.weights
                )
                ours, theirs = ours.loss, theirs.loss
            assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    for ours, theirs in zip(
        [*one.variables, one.parameters.variable],
        [*two.variables, two.parameters.variable],
        strict=True,
    ):
        first, second = (copy.numpy() for copy in theirs.value.values)
        np.testing.assert_array_equal(first, second)
        # Float32 sums of halves of the batch.
        np.testing.assert_allclose(first, ours.numpy(), rtol=1e-4, atol=1e-5)
    assert np.abs(one.parameters.variable.numpy()).min() > 0.01


def test_updates_come_after_the_warm_up_every_few_steps():
    updates = [SCHEDULE.update_after(step) for step in range(10)]
    none = [None, None]
    assert updates == [*none, *none, 0, *none, 1, *none]
    assert SCHEDULE.updates == 2


@pytest.mark.parametrize(
    ("steps", "warmup", "every"),
    list(itertools.product((1, 7, 20), (0, 3), (1, 4))),
)
def test_the_number_of_updates_is_what_is_counted(steps, warmup, every):
    schedule = ArchitectureSchedule(
        steps=steps, warmup_steps=warmup, every=every
    )
    updates = [schedule.update_after(step) for step in range(steps)]
    done = [update for update in updates if update is not None]
    assert done == list(range(schedule.updates))


def _alternating(start, stop=10, update_loss=1.0):
    log = []
    zero = tf.constant(0.0)

    def train_step(batch, number):
        log.append(("weights", batch, int(number)))
        return StepResult(zero, zero, Path(tf.zeros([0], tf.int32)), zero)

    def architecture_step(batch, number):
        log.append(("parameters", batch, int(number)))
        return tf.constant(update_loss)

    def batches(first):
        log.append(("opened", first))
        return (f"held out {i}" for i in range(first, SCHEDULE.updates))

    step = alternating(train_step, architecture_step, SCHEDULE, batches)
    for number in range(start, stop):
        result = step(f"batch {number}", tf.constant(number, tf.int64))
    return log, float(result.loss)


def test_both_kinds_of_steps_have_their_batches():
    log, loss = _alternating(0)
    assert loss == 0
    weights = [entry for entry in log if entry[0] == "weights"]
    assert weights == [("weights", f"batch {i}", i) for i in range(10)]
    rest = [entry for entry in log if entry[0] != "weights"]
    assert rest == [
        ("opened", 0),
        ("parameters", "held out 0", 4),
        ("parameters", "held out 1", 7),
    ]
    # After the weights of the same step.
    before = log.index(("weights", "batch 7", 7))
    assert log[before + 1] == rest[-1]


def test_a_run_that_goes_on_has_the_batches_it_would_have_had():
    whole, _ = _alternating(0)
    later, _ = _alternating(5)
    assert ("opened", 1) in later
    kind = "parameters"
    assert [e for e in later if e[0] == kind] == [
        e for e in whole if e[0] == kind and e[2] >= 5
    ]


def test_a_loss_of_the_parameters_that_is_not_finite_is_the_steps():
    assert np.isnan(_alternating(7, 8, update_loss=np.nan)[1])
    # A step that updates no parameters has its own.
    assert _alternating(8, 9, update_loss=np.nan)[1] == 0
