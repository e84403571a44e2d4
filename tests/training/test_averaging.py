"""Averaged weights: only what runs moves, and a resumed run has the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import Preempted, UserError
from spos_tf.ops.selection import BranchWeights, Path
from spos_tf.stop_signal import StopSignal
from spos_tf.training.averaging import AveragedWeights
from spos_tf.training.checkpoints import read_checkpoint
from spos_tf.training.path_optimizer import path_optimizer
from tiny_runs import make_trainer

GATES = {"a": None, "b": (0, 0), "c": (0, 1), "d": (1, 2), "e": (1, 2)}


class _Steps:
    """Variables with averages, and made-up gradients."""

    def __init__(self, scale=None, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        rng = np.random.default_rng(0)
        with self.strategy.scope():
            self.weights = {
                name: keras.Variable(rng.normal(size=(3, 2)), dtype="float32")
                for name in GATES
            }
            optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
            if scale is not None:
                optimizer = keras.optimizers.LossScaleOptimizer(
                    optimizer, initial_scale=scale
                )
            self.optimizer = path_optimizer(
                optimizer, [*self.weights.values()], [*GATES.values()]
            )
        self.averages = AveragedWeights(
            self.weights, GATES, self.optimizer, self.strategy
        )
        self.rng = np.random.default_rng(1)

        @tf.function(autograph=False)
        def apply(gradients, selection):
            def replica_step():
                # Each replica's own, as those of a tape are.
                own = [tf.identity(gradient) for gradient in gradients]
                self.optimizer.apply_on_path(own, selection)

            self.strategy.run(replica_step)

        self._apply = apply

    def step(self, selection, scale=1.0):
        gradients = [
            tf.constant(scale * self.rng.normal(size=(3, 2)), tf.float32)
            for _ in GATES
        ]
        before = self.averages.iterations()
        self._apply(gradients, selection)
        self.averages.update(selection, before)

    def values(self):
        return {
            name: variable.numpy()
            for name, variable in self.averages.variables.items()
        }


def _path(*options):
    return Path(tf.constant(options))


def test_averages_are_those_of_the_formula_and_of_what_ran():
    steps = _Steps()
    wanted = {name: np.zeros((3, 2)) for name in GATES}
    counts = dict.fromkeys(GATES, 0)
    for path in [(0, 2), (0, 0), (1, 2), (0, 1), (0, 2), (1, 0), (0, 2)]:
        before = steps.values()
        steps.step(_path(*path))
        after = steps.values()
        for name, gate in GATES.items():
            runs = gate is None or path[gate[0]] == gate[1]
            key = f"average/{name}"
            # What does not run stays to the bit.
            assert np.array_equal(before[key], after[key]) != runs, name
            if runs:
                rate = 4 / (4 + counts[name])
                weight = steps.weights[name].numpy().astype(np.float64)
                wanted[name] += rate * (weight - wanted[name])
                counts[name] += 1
                if counts[name] == 1:
                    np.testing.assert_array_equal(after[key], weight)
    for name in GATES:
        # Ours is float32, the formula here float64.
        np.testing.assert_allclose(
            after[f"average/{name}"], wanted[name], rtol=1e-5, atol=1e-6
        )
    # By group: what always runs, then the branches in their order.
    assert after["average_updates"].tolist() == [7, 5, 2, 4]


def test_the_mean_age_is_a_fifth_of_a_branchs_updates():
    """Of weights that are the number of their update."""
    steps = _Steps()
    for number in range(400):
        for weight in steps.weights.values():
            weight.assign(np.full((3, 2), number, np.float32))
        before = tf.constant(-1, steps.averages.iterations().dtype)
        steps.averages.update(_path(number % 4, 0), before)
    values = steps.values()
    assert values["average/a"][0, 0] == pytest.approx(320, rel=0.01)
    # One of four steps: the share is that of its own updates.
    assert values["average/b"][0, 0] == pytest.approx(320, rel=0.01)
    assert values["average_updates"].tolist() == [400, 100, 100, 0]


def test_all_branches_that_run_are_averaged():
    steps = _Steps()
    steps.step(BranchWeights(tf.constant([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])))
    values = steps.values()
    for name in ("a", "b", "c"):
        np.testing.assert_array_equal(
            values[f"average/{name}"], steps.weights[name].numpy()
        )
    assert values["average_updates"].tolist() == [1, 1, 1, 0]


def test_a_step_that_float16_skips_leaves_the_averages():
    steps = _Steps(scale=2.0**10)
    steps.step(_path(0, 2), scale=2.0**10)
    before = steps.values()
    steps.step(_path(0, 2), scale=np.inf)
    after = steps.values()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
    steps.step(_path(0, 2), scale=2.0**9)
    assert steps.values()["average_updates"].tolist() == [2, 2, 0, 2]


def test_replicas_have_the_same_averages(mirrored):
    """Those of one device whose gradients are the sums of theirs."""
    one, two = _Steps(), _Steps(strategy=mirrored)
    for path in [(0, 2), (1, 2), (0, 0)]:
        one.step(_path(*path), scale=2.0)
        two.step(_path(*path))
    theirs = one.values()
    for name, variable in two.averages.variables.items():
        for copy in variable.value.values:
            np.testing.assert_array_equal(copy.numpy(), theirs[name])
    assert theirs["average_updates"].tolist() == [3, 2, 1, 2]


def _arrays(folder, step):
    path = folder / "checkpoints" / f"step-{step:08d}.npz"
    return read_checkpoint(path).arrays


def test_averages_change_neither_weights_nor_draws(tmp_path):
    make_trainer(tmp_path / "with", average_every=3)[0].train()
    make_trainer(tmp_path / "without")[0].train()
    ours, theirs = (_arrays(tmp_path / n, 10) for n in ("with", "without"))
    kept = {name for name in ours if not name.startswith("average")}
    assert kept == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value)
    assert ours.keys() - kept == {
        "average/op.0.kernel",
        "average/op.1.kernel",
        "average_updates",
    }
    # Steps 2, 5 and 8 of two options in turn.
    assert ours["average_updates"].tolist() == [2, 1]


@pytest.mark.parametrize("stopped", [2, 3, 7])
def test_a_resumed_run_has_the_same_averages(tmp_path, stopped):
    """Also where one branch, or none, has been averaged before the stop."""
    numbers = {"average_every": 3, "checkpoint_every": 1, "log_every": 1}
    make_trainer(tmp_path / "whole", **numbers)[0].train()
    stop = StopSignal()

    class Signal(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch + 1 == stopped:
                stop.handle()

    folder = tmp_path / "stopped"
    first, _ = make_trainer(folder, stop=stop, callbacks=[Signal()], **numbers)
    with pytest.raises(Preempted):
        first.train()
    left = _arrays(folder, stopped)
    for number in range(2):
        # What has no average yet has its last weights.
        if not left["average_updates"][number]:
            np.testing.assert_array_equal(
                left[f"average/op.{number}.kernel"],
                left[f"weights/op.{number}.kernel"],
            )
    again, _ = make_trainer(folder, **numbers)
    assert again.resumed
    again.train()
    ours, theirs = (_arrays(tmp_path / n, 10) for n in ("stopped", "whole"))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].tobytes() == value.tobytes(), name


def test_a_run_without_averages_is_another_run(tmp_path):
    make_trainer(tmp_path / "with", average_every=3)[0].train()
    with pytest.raises(
        UserError, match="'average/.*which this run does not have"
    ):
        make_trainer(tmp_path / "with")
    make_trainer(tmp_path / "without")[0].train()
    with pytest.raises(UserError, match="'average/.*is missing"):
        make_trainer(tmp_path / "without", average_every=3)


def test_a_callback_that_brings_weights_back_brings_their_averages(tmp_path):
    class Back(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch + 1 == 4:
                self.kept = self.model.get_weights()

        def on_train_end(self, logs=None):
            self.model.set_weights(self.kept)

    trainer, _ = make_trainer(
        tmp_path,
        average_every=1,
        log_every=1,
        checkpoint_every=4,
        callbacks=[Back()],
    )
    trainer.train()
    early, late = _arrays(tmp_path, 4), _arrays(tmp_path, 10)
    for name in early:
        if name.startswith(("weights/", "average")):
            np.testing.assert_array_equal(early[name], late[name])
