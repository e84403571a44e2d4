"""A run from its first step to its last, with stops in between."""

import contextlib

import keras
import numpy as np
import pytest

from spos_tf.errors import Preempted
from spos_tf.stop_signal import StopSignal
from tiny_runs import (
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
