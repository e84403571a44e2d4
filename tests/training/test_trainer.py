"""A run from its first step to its last, with stops in between."""

import contextlib
import json
import logging
import os
import signal

import keras
import numpy as np
import pytest

from spos_tf.errors import Preempted, UserError
from spos_tf.stop_signal import StopSignal
from spos_tf.training.checkpoints import read_checkpoint
from spos_tf.training.objective import Objective
from tiny_runs import (
    DESCRIPTION,
    NUM_CLASSES,
    Images,
    checkpoint_steps,
    make_trainer,
)


def _weights(matrices):
    return [matrix.numpy() for matrix in matrices.values()]


class _Signal(keras.callbacks.Callback):
    """SIGTERM after a step, or something else."""

    def __init__(self, step, act):
        super().__init__()
        self._step, self._act = step, act

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self._step:
            self._act(self.model)


def test_a_run_learns_counts_its_paths_and_is_repeated_by_its_seed(tmp_path):
    runs = []
    for name in ("a", "b"):
        trainer, matrices = make_trainer(tmp_path / name, steps=30)
        assert not trainer.resumed
        trainer.train()
        assert trainer.path_counts.tolist() == [[15, 15]]
        runs.append(_weights(matrices))
    for one, two in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, two)
        # Every colour speaks for its class.
        assert (one.argmax(axis=1) == np.arange(3)).all()


@pytest.mark.parametrize("signals", [[], [7], [7, 9], [8, 11]])
def test_preemption_leaves_the_checkpoints_of_an_undisturbed_run(
    tmp_path, signals
):
    """Every start resumes where the last one ended."""
    whole, expected = make_trainer(tmp_path / "whole", steps=14)
    whole.train()
    folder = tmp_path / "run"
    for start, signalled in enumerate([*signals, None]):
        stop = StopSignal()
        callback = _Signal(signalled, lambda model, stop=stop: stop.handle())
        trainer, matrices = make_trainer(
            folder,
            steps=14,
            checkpoint_every=2,
            log_every=1,
            keep_checkpoints=3,
            callbacks=[callback],
            stop=stop,
        )
        assert trainer.resumed == (start > 0)
        ends = pytest.raises(Preempted, match=f"step {signalled}")
        with ends if signalled else contextlib.nullcontext():
            trainer.train()
        if signalled:
            kept = list(range(2, signalled, 2))[-3:]
            assert {*checkpoint_steps(folder)} >= {*kept[1:], signalled}
    assert checkpoint_steps(folder) == [10, 12, 14]
    assert trainer.path_counts.tolist() == [[7, 7]]
    for one, two in zip(_weights(expected), _weights(matrices), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.usefixtures("usual_ctrl_c")
def test_ctrl_c_saves_the_step_and_the_next_call_resumes(tmp_path, capfd):
    """In one process, as in a notebook: nothing is left of the signal."""
    whole, expected = make_trainer(tmp_path / "whole", steps=14)
    whole.train()
    usual, stop = signal.default_int_handler, StopSignal()

    def interrupt(model):
        os.kill(os.getpid(), signal.SIGINT)

    folder = tmp_path / "run"
    for callbacks in ([_Signal(7, interrupt)], []):
        trainer, matrices = make_trainer(
            folder, steps=14, log_every=1, callbacks=callbacks, stop=stop
        )
        said = "^Stopped after step 7, which is saved.$"
        ends = pytest.raises(KeyboardInterrupt, match=said)
        with ends if callbacks else contextlib.nullcontext():
            trainer.train()
        assert signal.getsignal(signal.SIGINT) is usual
        assert checkpoint_steps(folder) == [7 if callbacks else 14]
    assert "Ctrl-C once more" in capfd.readouterr().err
    for one, two in zip(_weights(expected), _weights(matrices), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_kill_before_pruning_is_made_good(tmp_path):
    trainer, _ = make_trainer(tmp_path, steps=3, checkpoint_every=1)
    trainer.train()
    assert checkpoint_steps(tmp_path) == [1, 2, 3]
    again, _ = make_trainer(
        tmp_path, steps=3, checkpoint_every=1, keep_checkpoints=2
    )
    assert again.resumed
    again.train()
    assert checkpoint_steps(tmp_path) == [2, 3]


@pytest.mark.parametrize("what", ["shape", "description", "objective"])
def test_another_runs_checkpoint_is_refused_and_left_alone(tmp_path, what):
    make_trainer(tmp_path)[0].train()
    other = {
        "shape": {"wrong_choices": (1, 3)},
        "description": {"description": {**DESCRIPTION, "kind": "subnet"}},
        "objective": {
            "objective": Objective.make(
                keras.losses.CategoricalHinge(), num_classes=NUM_CLASSES
            )
        },
    }[what]
    with pytest.raises(UserError, match="Choose another `name` or `work_dir`"):
        make_trainer(tmp_path, **other)
    assert checkpoint_steps(tmp_path) == [10]


def test_a_short_stream_is_saved_and_an_error(tmp_path):
    trainer, _ = make_trainer(tmp_path, data=Images(batches=6))
    with pytest.raises(UserError, match="after 6 of 10 steps.*`steps=10`"):
        trainer.train()
    assert checkpoint_steps(tmp_path) == [6]
    again, _ = make_trainer(tmp_path)
    again.train()
    assert checkpoint_steps(tmp_path) == [10]


def test_an_endless_stream_ends_at_the_steps(tmp_path):
    data = Images()
    trainer, _ = make_trainer(tmp_path, data=data)
    trainer.train()
    assert trainer.path_counts.sum() == 10
    assert data.asked == [(0, 10)]


def test_the_checkpoint_says_whose_it_is(tmp_path):
    make_trainer(tmp_path)[0].train()
    found = read_checkpoint(tmp_path / "checkpoints" / "step-00000010.npz")
    assert {*found.arrays} == {
        *(f"weights/op.{i}.kernel" for i in range(2)),
        *(f"optimizer/op.{i}.kernel/momentum" for i in range(2)),
        "optimizer/iterations",
        "sampler/path_counts",
    }
    assert found.description == {
        **DESCRIPTION,
        "objective": "categorical_crossentropy",
    }
    json.dumps(found.description)


def test_a_loss_and_a_metric_of_kerass(tmp_path):
    """Focal loss; a metric of probabilities that is no accuracy."""
    objective = Objective.make(
        keras.losses.CategoricalFocalCrossentropy(from_logits=True),
        keras.metrics.AUC(multi_label=True, num_labels=NUM_CLASSES, name="auc"),
        num_classes=NUM_CLASSES,
    )
    seen = []
    log = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(logs)
    )
    trainer, _ = make_trainer(
        tmp_path,
        steps=40,
        checkpoint_every=20,
        objective=objective,
        callbacks=[log],
    )
    trainer.train()
    first, last = seen
    assert last["loss"] < first["loss"]
    assert first["auc"] < last["auc"] <= 1
    assert last["auc"] > 0.95
    assert "accuracy" not in last


def test_global_seeds_are_left_alone(tmp_path):
    np.random.seed(1)
    keras.utils.set_random_seed(1)
    before = np.random.get_state()[1].copy()
    make_trainer(tmp_path)[0].train()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_run_that_a_callback_ended_is_over(tmp_path, caplog):
    caplog.set_level(logging.INFO, "spos_tf")

    def stop(model):
        model.stop_training = True

    trainer, ended = make_trainer(
        tmp_path, log_every=1, callbacks=[_Signal(4, stop)]
    )
    trainer.train()
    assert "ended the run after step 4 of 10" in caplog.text
    assert checkpoint_steps(tmp_path) == [4]
    again, matrices = make_trainer(tmp_path)
    again.train()
    assert again.path_counts.tolist() == [[2, 2]]
    assert checkpoint_steps(tmp_path) == [4]
    for one, two in zip(_weights(ended), _weights(matrices), strict=True):
        np.testing.assert_array_equal(one, two)


def test_open_options_are_refused(tmp_path):
    with pytest.raises(UserError, match="`learning_rate` is open"):
        make_trainer(tmp_path, learning_rate=None)
